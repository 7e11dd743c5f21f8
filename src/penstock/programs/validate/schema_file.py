"""The schema file: what a data set must look like, column by column and as a whole."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..common.program import UnusableError
from .kinds import KINDS, NUMERIC, microseconds
from .lines import Document

LIMIT_BYTES = 1 << 20
TEXTS = ("string", "category")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _in_order(low: float | None, high: float | None, names: str = "min {} is greater than max {}") -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(names.format(low, high))


class Length(_Model):
    """Bounds on the length of texts, in characters; `min_mean` and `max_mean` bound its mean."""

    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)
    min_mean: float | None = Field(default=None, ge=0, strict=False, allow_inf_nan=False)
    max_mean: float | None = Field(default=None, ge=0, strict=False, allow_inf_nan=False)

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        _in_order(self.min, self.max)
        _in_order(self.min_mean, self.max_mean, "min_mean {} is greater than max_mean {}")
        return self


class Balance(_Model):
    """How evenly rows are spread over classes: the smallest class's share, the largest over the smallest."""

    min_share: float | None = Field(default=None, gt=0, le=1, strict=False)
    max_ratio: float | None = Field(default=None, ge=1, strict=False, allow_inf_nan=False)


class Column(_Model):
    """What one column must look like."""

    name: str = Field(min_length=1)
    type: Literal["integer", "number", "boolean", "date", "string", "category"]
    nullable: bool = False
    max_nulls: float | None = Field(default=None, ge=0, le=1, strict=False)  # share of the rows
    blank_as_null: bool = False  # a value of nothing but white space counts as missing
    unique: bool = False
    min: Any = None
    max: Any = None
    allowed: list[Any] | None = Field(default=None, min_length=1)
    pattern: str | None = None  # the whole value matches it
    length: Length | None = None
    balance: Balance | None = None
    description: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _options_fit_the_type(self) -> Self:
        kind = KINDS[self.type]
        if (self.min is not None or self.max is not None) and not kind.bounded:
            raise ValueError(f"min and max mean nothing for type {self.type}")
        for option in ("pattern", "length"):
            if getattr(self, option) is not None and self.type not in TEXTS:
                raise ValueError(f"a {option} means nothing for type {self.type}")
        if self.balance is not None and self.type == "date":
            raise ValueError("balance means nothing for type date")
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
        return microseconds(literal) if isinstance(literal, date) else literal

    @property
    def may_be_missing(self) -> bool:
        """Whether a missing value is no finding by itself."""
        return self.nullable or self.max_nulls is not None


class Rows(_Model):
    """How many rows there must be; an empty table is evidence of nothing unless `min: 0` says so."""

    min: int = Field(default=1, ge=0)
    max: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        _in_order(self.min, self.max)
        return self


class Duplicates(_Model):
    """How large a share of the rows may repeat an earlier row; `forbid` is none."""

    max_share: float = Field(ge=0, le=1, strict=False)


class Rule(_Model):
    """What must hold in every row; see `rules`."""

    rule: str = Field(min_length=1)
    name: str = ""
    description: str = ""


class Leakage(_Model):
    """What counts as leakage.

    Attributes:
        max_share: Share of a split's rows, or ids, that may also be in an earlier split.
        ignore: Columns that do not count when rows are compared.
        telling: A feature that removes this share of the target's error gives it away; None: not looked at.
    """

    max_share: float = Field(default=0.0, ge=0, le=1, strict=False)
    ignore: list[str] = []
    telling: float | None = Field(default=0.9, gt=0, le=1, strict=False)


class Drift(_Model):
    """How columns are compared with those of a reference.

    Attributes:
        confidence: One minus the chance that any column is called drifted by chance.
        threshold: The least PSI that matters.
        bins: Of numbers, by quantiles of the reference.
        columns: Only these.
        ignore: All but these.
    """

    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    threshold: float = Field(default=0.1, ge=0, strict=False, allow_inf_nan=False)
    bins: int = Field(default=10, ge=2, le=100)
    columns: list[str] | None = Field(default=None, min_length=1)
    ignore: list[str] = []


class Schema(_Model):
    """A schema file; `unique` are groups of columns whose values together may not repeat."""

    columns: list[Column] = Field(min_length=1)
    rows: Rows = Rows()
    ordered: bool = True
    extra_columns: Literal["forbid", "allow"] = "forbid"
    unique: list[list[str]] = []
    duplicates: Duplicates | None = None
    rules: list[Rule] = []
    id: str | None = None
    target: str | None = None
    freshness: str | None = None
    leakage: Leakage = Leakage()
    drift: Drift = Drift()
    delimiter: str = Field(default=",", pattern=r'^[^"\r\n]$')
    description: str = ""

    @field_validator("rules", mode="before")
    @classmethod
    def _a_text_is_a_rule(cls, rules: object) -> object:
        if not isinstance(rules, list):
            return rules
        return [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]

    @field_validator("duplicates", mode="before")
    @classmethod
    def _forbid_is_none(cls, duplicates: object) -> object:
        return {"max_share": 0.0} if duplicates == "forbid" else duplicates

    @model_validator(mode="after")
    def _names_are_known_and_differ(self) -> Self:
        names = [column.name for column in self.columns]
        for name, count in Counter(names).items():
            if count > 1:
                raise ValueError(f"column {name!r} is declared {count} times")
        for what, name in self._named():
            if name not in names:
                raise ValueError(f"{what}: no column is called {name!r}{nearest(name, names)}")
        if self.freshness is not None and self.column(self.freshness).type != "date":
            raise ValueError(f"freshness: column {self.freshness!r} is no date")
        return self

    def _named(self) -> Iterable[tuple[str, str]]:
        for name in (name for group in self.unique for name in group):
            yield "unique", name
        for what in ("id", "target", "freshness"):
            if getattr(self, what) is not None:
                yield what, getattr(self, what)
        for name in (*(self.drift.columns or ()), *self.drift.ignore):
            yield "drift", name

    def column(self, name: str) -> Column:
        """The column that is called so."""
        return next(column for column in self.columns if column.name == name)


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion, if a known name is close."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def decoded(path: str, content: bytes) -> str:
    """The text of a file.

    Raises:
        UnusableError: It is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(path, content, error, line=1, offset=0) from None


def not_utf8(
    path: str, content: bytes, error: UnicodeDecodeError, *, line: int, offset: int
) -> UnusableError:
    """What is wrong with bytes of a file that begin in a line and at an offset."""
    line += content.count(b"\n", 0, error.start)
    where = f"byte 0x{content[error.start]:02x} at offset {offset + error.start}"
    return UnusableError(f"{path}:{line}: not UTF-8: {where}")


def read_schema(path: str, content: bytes) -> tuple[Schema, Document]:
    """The schema that a file holds, and the lines of its parts.

    Raises:
        UnusableError: It holds none; names the line.
    """
    if len(content) > LIMIT_BYTES:
        raise UnusableError(f"{path}: larger than {LIMIT_BYTES} bytes")
    try:
        document = Document(decoded(path, content))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UnusableError(f"{path}:{line}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnusableError(f"{path}:1: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document.value, dict):
        raise UnusableError(f"{path}:1: a schema is a mapping that names the columns")
    try:
        return Schema.model_validate(document.value), document
    except ValidationError as error:
        # A misspelt key is the cause of the key that is missing.
        first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
        where = tuple(first["loc"])
        raise UnusableError(f"{path}:{document.line(where)}: {_complaint(first, where)}") from None


_MODELS: Mapping[str, type[_Model]] = {
    "columns": Column,
    "rows": Rows,
    "rules": Rule,
    "leakage": Leakage,
    "drift": Drift,
    "duplicates": Duplicates,
    "length": Length,
    "balance": Balance,
}


def _complaint(error: Mapping[str, Any], where: tuple[int | str, ...]) -> str:
    name = ".".join(str(part) for part in where)
    if error["type"] == "extra_forbidden":
        models = [_MODELS[part] for part in where[:-1] if isinstance(part, str) and part in _MODELS]
        known = (models or [Schema])[-1].model_fields
        return f"unknown key {name!r}{nearest(str(where[-1]), known)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message if message.startswith(tuple("'\"")) else message[:1].lower() + message[1:]
    return f"{name}: {message}" if name else message


def numeric(column: Column) -> bool:
    """Whether its values are numbers."""
    return column.type in NUMERIC
