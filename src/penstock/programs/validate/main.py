"""Checks a table against a schema file and writes what was found.

The recipe `validate-data` carries it into a stage, where pandas, pandera (which brings pydantic) and PyYAML
are installed and nothing else is.

It ends with 0 whether the data pass or not (the `schema` gate reads the result), and with 2 and one line
when the data or the schema cannot be used at all. The same files give the same bytes.

Values are judged by the text as it is written. Left to guess, pandas reads `007` as 7, `NA` as nothing,
and a column of integers with one blank as floats; by then there is nothing left to check.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd
import pandera.pandas as pa
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..common import program
from ..common.program import UnusableError

SCHEMA_LIMIT_BYTES = 1 << 20
FIELD_LIMIT_CHARACTERS = 1 << 24
EXAMPLES = 5
EXAMPLE_CHARACTERS = 80


# What a value of each type looks like, and what it is


def _int64(text: str) -> int:
    value = int(text)
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(text)  # pandas would hold it as a float, or as text
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _instant(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of column.

    Attributes:
        form: Regular expression that the whole text of a value matches.
        read: From such a text to a value that compares; raises ValueError for a text that means none.
        literal: What the schema file may hold for `min`, `max` and `allowed`.
    """

    form: str
    read: Callable[[str], Any]
    literal: tuple[type, ...]
    bounded: bool = False


_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
KINDS: Mapping[str, Kind] = {
    "integer": Kind(r"[+-]?[0-9]{1,40}", _int64, (int,), bounded=True),
    "number": Kind(
        r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?", _finite, (int, float), bounded=True
    ),
    "boolean": Kind("true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true", (bool,)),
    "date": Kind(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{_TIME})?", _instant, (date,), bounded=True),
    "string": Kind(r"(?s:.*)", str, (str,)),
    "category": Kind(r"(?s:.*)", str, (str,)),
}


# The schema file


class Column(BaseModel):
    """What one column must look like."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(min_length=1)
    type: Literal["integer", "number", "boolean", "date", "string", "category"]
    nullable: bool = False
    blank_as_null: bool = False  # a value of nothing but white space counts as missing
    unique: bool = False
    min: Any = None
    max: Any = None
    allowed: list[Any] | None = Field(default=None, min_length=1)
    pattern: str | None = None  # the whole value matches it
    description: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _options_fit_the_type(self) -> Self:
        kind = KINDS[self.type]
        if (self.min is not None or self.max is not None) and not kind.bounded:
            raise ValueError(f"min and max mean nothing for type {self.type}")
        if self.pattern is not None and str not in kind.literal:
            raise ValueError(f"a pattern means nothing for type {self.type}")
        if self.type == "category" and self.allowed is None:
            raise ValueError("a category needs the values that are allowed")
        for option in ("min", "max"):
            self._check_literal(option, getattr(self, option))
        for value in self.allowed or ():
            self._check_literal("allowed", value)
        if self.min is not None and self.max is not None and self.value(self.min) > self.value(self.max):
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        return self

    def _check_literal(self, option: str, value: object) -> None:
        kind = KINDS[self.type]
        # To Python `true` is an integer; to the author of a schema it is not.
        fits = isinstance(value, kind.literal) and (not isinstance(value, bool) or bool in kind.literal)
        if isinstance(value, float) and not math.isfinite(value):
            fits = False
        if value is None and option != "allowed":
            return
        if not fits:
            quote = "; quote it to make it text" if str in kind.literal else ""
            raise ValueError(f"{option}: {value!r} is no {self.type}{quote}")

    def value(self, literal: Any) -> Any:
        """A literal of the schema file as something that compares with the column's values."""
        return _instant(literal.isoformat()) if isinstance(literal, date) else literal


class Rows(BaseModel):
    """How many rows there must be; an empty table is evidence of nothing unless `min: 0` says so."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    min: int = Field(default=1, ge=0)
    max: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}")
        return self


class Schema(BaseModel):
    """A schema file; `unique` are groups of columns whose values together may not repeat."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    columns: list[Column] = Field(min_length=1)
    rows: Rows = Rows()
    ordered: bool = True
    extra_columns: Literal["forbid", "allow"] = "forbid"
    unique: list[list[str]] = []
    delimiter: str = Field(default=",", pattern=r'^[^"\r\n]$')
    description: str = ""

    @model_validator(mode="after")
    def _names_are_known_and_differ(self) -> Self:
        names = [column.name for column in self.columns]
        for name, count in Counter(names).items():
            if count > 1:
                raise ValueError(f"column {name!r} is declared {count} times")
        for name in (name for group in self.unique for name in group):
            if name not in names:
                raise ValueError(f"unique: no column is called {name!r}{_nearest(name, names)}")
        return self


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


class _Document:
    """A YAML document as plain values, with the line of each."""

    def __init__(self, text: str) -> None:
        self._loader = yaml.SafeLoader(text)
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=token.start_mark)
        self.lines: dict[tuple[int | str, ...], int] = {(): 1}
        node = self._loader.get_single_node()
        self.value = self._plain(node, ()) if node else None

    def _plain(self, node: yaml.Node, where: tuple[int | str, ...]) -> Any:
        self.lines.setdefault(where, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*where, index)) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self._loader.construct_object(node)
        result: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in result:
                raise yaml.MarkedYAMLError(problem=f"{name!r} is given twice", problem_mark=key.start_mark)
            self.lines[*where, name] = key.start_mark.line + 1
            result[name] = self._plain(value, (*where, name))
        return result

    def line(self, where: tuple[int | str, ...]) -> int:
        while where not in self.lines:
            where = where[:-1]
        return self.lines[where]


def read_schema(path: str, content: bytes) -> Schema:
    """The schema that a file holds.

    Raises:
        UnusableError: It holds none; names the line.
    """
    if len(content) > SCHEMA_LIMIT_BYTES:
        raise UnusableError(f"{path}: larger than {SCHEMA_LIMIT_BYTES} bytes")
    try:
        document = _Document(decoded(path, content))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UnusableError(f"{path}:{line}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnusableError(f"{path}:1: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document.value, dict):
        raise UnusableError(f"{path}:1: a schema is a mapping that names the columns")
    try:
        return Schema.model_validate(document.value)
    except ValidationError as error:
        # A misspelt key is the cause of the key that is missing.
        first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
        where = tuple(first["loc"])
        raise UnusableError(f"{path}:{document.line(where)}: {_complaint(first, where)}") from None


def _complaint(error: Mapping[str, Any], where: tuple[int | str, ...]) -> str:
    name = ".".join(str(part) for part in where)
    if error["type"] == "extra_forbidden":
        model = Column if where[0] == "columns" else Rows if where[0] == "rows" else Schema
        return f"unknown key {name!r}{_nearest(str(where[-1]), model.model_fields)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message if message.startswith(tuple("'\"")) else message[:1].lower() + message[1:]
    return f"{name}: {message}" if name else message


# The data


@dataclass(frozen=True, slots=True)
class Table:
    """Columns in the order of the file, as text; None where Parquet holds nothing."""

    names: list[str]
    cells: dict[str, list[str | None]]
    rows: int


def decoded(path: str, content: bytes) -> str:
    """The text of a file.

    Raises:
        UnusableError: It is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise UnusableError(f"{path}:{line}: not UTF-8: byte 0x{byte:02x} at offset {error.start}") from None


def read_csv(path: str, content: bytes, delimiter: str) -> Table:
    """The table that a CSV file holds.

    Raises:
        UnusableError: It holds none: no header, a name twice, a row of another length, broken quotes.
    """
    text = decoded(path, content)
    if "\0" in text:
        raise UnusableError(f"{path}: holds NUL characters; it is no CSV file")
    csv.field_size_limit(FIELD_LIMIT_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UnusableError(f"{path}:{reader.line_num}: no CSV: {error}") from None
    if not rows:
        raise UnusableError(f"{path}: empty; there is not even a header")
    names = rows.pop(0)[1]
    _check_names(path, names)
    for line, row in rows:
        if len(row) != len(names):
            raise UnusableError(
                f"{path}:{line}: {len(row)} values, but the header names {len(names)} columns"
            )
    columns = zip(*(row for _, row in rows), strict=True) if rows else ((),) * len(names)
    return Table(names, {name: list(column) for name, column in zip(names, columns, strict=True)}, len(rows))


def read_parquet(path: str, content: bytes) -> Table:
    """The table that a Parquet file holds, its values as text.

    Raises:
        UnusableError: It holds none, or pyarrow is not installed.
    """
    try:
        # Arrow's own types: pandas would turn integers with a missing one among them into floats.
        frame = pd.read_parquet(io.BytesIO(content), engine="pyarrow", dtype_backend="pyarrow")
    except ImportError:
        what = "reading Parquet needs pyarrow: give the stage an environment whose lock file names it"
        raise UnusableError(f"{path}: {what}") from None
    except Exception as error:  # noqa: BLE001 - pyarrow has no common root, and a broken file is no defect
        raise UnusableError(f"{path}: no Parquet: {' '.join(str(error).split())}") from None
    names = [str(name) for name in frame.columns]
    _check_names(path, names)
    columns = (frame.iloc[:, index].tolist() for index in range(len(names)))
    values = {name: [_text(value) for value in column] for name, column in zip(names, columns, strict=True)}
    return Table(names, values, len(frame))


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    return str(value.isoformat() if isinstance(value, date) else value)


def _check_names(path: str, names: Sequence[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise UnusableError(f"{path}:1: {count} columns are called {name!r}")


# The checks


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and the rows (counted from 0) that fail it; `note` explains a failure that has no row."""

    name: str
    column: str | None
    rows: tuple[int, ...] = ()
    note: str | None = None


def findings(table: Table, schema: Schema) -> list[Finding]:
    """Every check of the schema with what fails it: the table's shape first, then column by column."""
    names = [column.name for column in schema.columns]
    present = [name for name in names if name in table.cells]
    result = [_row_count(table.rows, schema.rows)]
    for name in names:
        hint = _nearest(name, set(table.names) - set(names))
        result.append(Finding("present", name, note=None if name in present else f"no such column{hint}"))
    if schema.extra_columns == "forbid":
        extra = [name for name in table.names if name not in names]
        result.append(Finding("no extra columns", None, note=", ".join(map(repr, extra)) or None))
    if schema.ordered:
        order = [name for name in table.names if name in present]
        moved = [name for name, wanted in zip(order, present, strict=True) if name != wanted]
        note = f"{moved[0]!r} stands where {present[order.index(moved[0])]!r} belongs" if moved else None
        result.append(Finding("column order", None, note=note))
    return result + _values_findings(table, schema)


def _row_count(rows: int, wanted: Rows) -> Finding:
    if rows < wanted.min:
        return Finding("rows", None, note=f"{rows} rows, at least {wanted.min} wanted")
    if wanted.max is not None and rows > wanted.max:
        return Finding("rows", None, note=f"{rows} rows, at most {wanted.max} wanted")
    return Finding("rows", None)


def _values_findings(table: Table, schema: Schema) -> list[Finding]:
    columns = [column for column in schema.columns if column.name in table.cells]
    frame = pd.DataFrame({column.name: _texts(column, table) for column in columns}, index=range(table.rows))
    checks = {column.name: _column_checks(column, frame[column.name]) for column in columns}
    groups = {f"unique: {', '.join(g)}": g for g in schema.unique if all(name in frame for name in g)}
    rules = pa.DataFrameSchema(
        {
            column.name: pa.Column(None, list(checks[column.name].values()), nullable=column.nullable)
            for column in columns
        },
        checks=[_together(name, group) for name, group in groups.items()],
    )
    failed: dict[tuple[str | None, str], set[int]] = {}
    try:
        rules.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        for column, check, row in zip(cases["column"], cases["check"], cases["index"], strict=True):
            failed.setdefault((None if check in groups else column, check), set()).add(int(row))
    wanted = [(c.name, name) for c in columns for name in (*_NOT_NULL[c.nullable], *checks[c.name])]
    return [
        Finding(name.replace("_", " "), column, tuple(sorted(failed.get((column, name), ()))))
        for column, name in [*wanted, *((None, name) for name in groups)]
    ]


_NOT_NULL: Mapping[bool, tuple[str, ...]] = {False: ("not_nullable",), True: ()}


def _texts(column: Column, table: Table) -> pd.Series[Any]:
    blank = str.strip if column.blank_as_null else str
    values = [value if value is not None and blank(value) else None for value in table.cells[column.name]]
    return pd.Series(values, index=range(table.rows), dtype=object)


def _column_checks(column: Column, texts: pd.Series[Any]) -> dict[str, pa.Check]:
    values = {text: _read(KINDS[column.type], text) for text in texts.dropna().unique()}
    wrong = {text for text, value in values.items() if value is None}
    checks: dict[str, pa.Check] = {}
    if str not in KINDS[column.type].literal:  # any text is a string
        checks["type"] = _none_of(wrong, "type")
    for name, test in _tests(column).items():
        # A text of the wrong type fails `type`, and nothing more is said about it.
        failing = {text for text, value in values.items() if value is not None and not test(value)}
        checks[name] = _none_of(failing, name)
    if column.unique:
        checks["unique"] = pa.Check(lambda text: ~text.duplicated(), name="unique", error="unique")
    return checks


def _read(kind: Kind, text: str) -> Any:
    try:
        return kind.read(text) if re.fullmatch(kind.form, text) else None
    except ValueError:
        return None


def _tests(column: Column) -> dict[str, Callable[[Any], bool]]:
    tests: dict[str, Callable[[Any], bool]] = {}
    if column.min is not None:
        low = column.value(column.min)
        tests["min"] = lambda value: bool(value >= low)
    if column.max is not None:
        high = column.value(column.max)
        tests["max"] = lambda value: bool(value <= high)
    if column.allowed is not None:
        allowed = {column.value(literal) for literal in column.allowed}
        tests["allowed"] = lambda value: value in allowed
    if column.pattern is not None:
        pattern = re.compile(column.pattern)
        tests["pattern"] = lambda value: pattern.fullmatch(value) is not None
    return tests


def _none_of(failing: set[str], name: str) -> pa.Check:
    return pa.Check(lambda text: ~text.isin(failing), name=name, error=name)


def _together(name: str, group: Sequence[str]) -> pa.Check:
    def no_row_again(frame: pd.DataFrame) -> pd.Series[Any]:
        whole = frame[list(group)].dropna()
        return ~whole.duplicated().reindex(frame.index, fill_value=False)

    return pa.Check(no_row_again, name=name, error=name)


# The result


def document(data: str, content: bytes, schema: str, schema_content: bytes) -> dict[str, Any]:
    """What is written: every check, whether it passed, and the first values that fail it.

    Raises:
        UnusableError: The data or the schema cannot be read.
    """
    rules = read_schema(schema, schema_content)
    reader = {
        ".csv": lambda: read_csv(data, content, rules.delimiter),
        ".parquet": lambda: read_parquet(data, content),
    }
    suffix = Path(data).suffix.lower()
    if suffix not in reader:
        raise UnusableError(f"{data}: neither .csv nor .parquet")
    table = reader[suffix]()
    checks = [_described(finding, table) for finding in findings(table, rules)]
    failed = [check for check in checks if not check["passed"]]
    size = f"{table.rows:,} rows, {len(table.names)} columns"
    summary = f"{size}: all {len(checks)} checks passed"
    if failed:
        first = ", ".join(map(_named, failed[:EXAMPLES]))
        summary = f"{size}: {len(failed)} of {len(checks)} checks failed: {first}"
    return {
        "version": 1,
        "data": data,
        "data_digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "schema": schema,
        "schema_digest": f"sha256:{hashlib.sha256(schema_content).hexdigest()}",
        "rows": table.rows,
        "columns": len(table.names),
        "passed": not failed,
        "checks": checks,
        "summary": summary,
    }


def _described(finding: Finding, table: Table) -> dict[str, Any]:
    shown = table.cells.get(finding.column or "", [])
    examples = [
        {"row": row + 1, "value": _cut(shown[row] if shown else "")} for row in finding.rows[:EXAMPLES]
    ]
    if finding.note:
        examples = [{"row": None, "value": _cut(finding.note)}]
    count = 1 if finding.note else len(finding.rows)
    return {
        "name": finding.name,
        "column": finding.column,
        "passed": count == 0,
        "failures": count,
        "examples": examples,
    }


def _named(check: Mapping[str, Any]) -> str:
    column = f"{check['column']} " if check["column"] else ""
    count = check["failures"]
    return f"{column}{check['name']} ({count:,} {'failure' if count == 1 else 'failures'})"


def _cut(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= EXAMPLE_CHARACTERS else text[: EXAMPLE_CHARACTERS - 1] + "…"


def main(arguments: Sequence[str]) -> int:
    """Validate and write; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    contents = [Path(request[name]).read_bytes() for name in ("data", "schema")]
    result = document(request["data"], contents[0], request["schema"], contents[1])
    program.write_document(request["result"], result)
    return str(result["summary"])
