"""Tables as they are written: CSV or Parquet, every value as the text that the file holds.

Left to guess, a reader turns `007` into 7 and `NA` into nothing. Here a column is text, each different value
kept once, and becomes numbers only where a program asks for numbers.
"""

from __future__ import annotations

import csv
import difflib
import functools
import hashlib
import io
import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .program import UnusableError

FIELD_LIMIT_CHARACTERS = 1 << 24
CHUNK_ROWS = 1 << 15
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Column:
    """One column as text.

    Attributes:
        codes: For each row the place of its value in `values`.
        values: Every different value, in the order in which the rows bring them; what is missing is "".
    """

    codes: NDArray[np.int32]
    values: list[str]

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> list[str]:
        """The value of every row."""
        values = self.values
        return [values[code] for code in self.codes.tolist()]

    def numbers(self) -> NDArray[np.float64]:
        """The number of every row; NaN where the text is none (and for `nan`); `inf` is infinite."""
        parsed = np.array([number(value) for value in self.values], dtype=np.float64)
        return parsed[self.codes]

    def array(self) -> NDArray[Any]:
        """Numbers if every value is a finite one, else the text as it is."""
        numbers = self.numbers()
        return numbers if np.isfinite(numbers).all() else np.array(self.values, dtype=object)[self.codes]

    def first(self, wanted: Callable[[str], bool]) -> int | None:
        """The first row whose value is such, if there is one."""
        hit = np.array([wanted(value) for value in self.values], dtype=bool)
        rows = np.flatnonzero(hit[self.codes])
        return int(rows[0]) if rows.size else None

    def take(self, rows: NDArray[Any]) -> Column:
        """The same of some rows."""
        return Column(self.codes[rows], self.values)


def number(text: str) -> float:
    """The number that a text is, NaN if it is none; no `1_0`."""
    try:
        return float("nan") if "_" in text else float(text)
    except ValueError:
        return float("nan")


@dataclass(frozen=True)
class Table:
    """Some or all columns of a file.

    Attributes:
        digest: SHA-256 of the file.
        names: Of all columns in the file, in its order, also of those that were not read.
        columns: Those that were read.
    """

    path: str
    digest: str
    names: list[str]
    rows: int
    columns: dict[str, Column]
    lines: Sequence[int] | None = None

    def where(self, row: int) -> str:
        """`path:line` of a row (counted from 0); of a Parquet file `path: row n`, n from 1."""
        return f"{self.path}:{self.lines[row]}" if self.lines else f"{self.path}: row {row + 1}"

    @functools.cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The columns that were read: numbers where every value is a finite one, else text."""
        return {name: column.array() for name, column in self.columns.items()}

    def column(self, name: str, what: str = "column") -> Column:
        """A column by its name.

        Raises:
            UnusableError: There is none.
        """
        if name not in self.columns:
            known = ", ".join(map(shown, self.names[:12]))
            raise UnusableError(
                f"{self.path}:1: there is no {what} {shown(name)}{nearest(name, self.names)} (it has {known})"
            )
        return self.columns[name]


def shown(text: str) -> str:
    """A value in a message: one line, quoted, not too long."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…")


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where something known looks like it."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def read(path: str, wanted: Callable[[str], bool] | None = None) -> Table:
    """The table that a file holds.

    Args:
        wanted: Which columns are read, by name; all if absent.

    Raises:
        UnusableError: It holds none (no header, a name twice, broken quotes, a row of another length, bytes
            that are not UTF-8 or no Parquet); names the line.
        OSError: It cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return _read_csv(path, wanted or _all)
    if suffix in (".parquet", ".pq"):
        return _read_parquet(path, wanted or _all)
    raise UnusableError(f"{path}: neither .csv nor .parquet")


def _all(_name: str) -> bool:
    return True


# CSV


class _Hashing(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed by `close`
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        block = bytes(memoryview(buffer)[:count])
        if b"\0" in block:
            raise UnusableError(f"{self._path}: holds NUL characters; it is no CSV file")
        self.hash.update(block)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _read_csv(path: str, wanted: Callable[[str], bool]) -> Table:
    csv.field_size_limit(FIELD_LIMIT_CHARACTERS)
    source = _Hashing(path)
    with io.TextIOWrapper(io.BufferedReader(source, 1 << 18), encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        lines = array("q")
        try:
            rows = ((reader.line_num, row) for row in reader if row)
            _, names = next(rows, (1, []))
            if not names:
                raise UnusableError(f"{path}:1: empty; there is not even a header")
            _check_names(path, names)
            columns = _csv_columns(path, names, rows, lines, wanted)
        except csv.Error as error:
            raise UnusableError(f"{path}:{reader.line_num}: no CSV: {error}") from None
        except UnicodeDecodeError:
            raise _not_text(path) from None
    return Table(path, f"sha256:{source.hash.hexdigest()}", names, len(lines), columns, lines)


def _csv_columns(
    path: str,
    names: Sequence[str],
    rows: Iterator[tuple[int, list[str]]],
    lines: array[int],
    wanted: Callable[[str], bool],
) -> dict[str, Column]:
    """The wanted columns, some rows at a time, so that no more of the text is in memory; fills `lines`."""
    places = {name: place for place, name in enumerate(names) if wanted(name)}
    known: dict[str, dict[str, int]] = {name: {} for name in places}
    codes: dict[str, list[NDArray[np.int32]]] = {name: [np.empty(0, np.int32)] for name in places}
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        for line, row in chunk:
            if len(row) != len(names):
                raise UnusableError(
                    f"{path}:{line}: {len(row)} values, but the header names {len(names)} columns"
                )
        lines.extend(line for line, _ in chunk)
        columns = list(zip(*(row for _, row in chunk), strict=True))
        for name, place in places.items():
            index = known[name]
            for text in dict.fromkeys(columns[place]):
                index.setdefault(text, len(index))
            coded = map(index.__getitem__, columns[place])
            codes[name].append(np.fromiter(coded, dtype=np.int32, count=len(chunk)))
    return {name: Column(np.concatenate(codes[name]), list(known[name])) for name in places}


def _not_text(path: str) -> UnusableError:
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                return UnusableError(
                    f"{path}:{number}: not UTF-8: byte 0x{byte:02x}; write the table as UTF-8"
                )
    return UnusableError(f"{path}: not UTF-8; write the table as UTF-8")


# Parquet


def _read_parquet(path: str, wanted: Callable[[str], bool]) -> Table:
    content = Path(path).read_bytes()
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        what = "reading Parquet needs pyarrow: give the stage an environment whose lock file names it"
        raise UnusableError(f"{path}: {what}") from None
    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        names = [str(name) for name in file.schema_arrow.names]
        _check_names(path, names)
        arrow = file.read([name for name in names if wanted(name)])
        columns = {name: _encoded(arrow.column(name)) for name in arrow.column_names}
    except UnusableError:
        raise
    except Exception as error:  # noqa: BLE001 - pyarrow has no common root, and a broken file is no defect
        raise UnusableError(f"{path}: no Parquet: {' '.join(str(error).split())[:200]}") from None
    return Table(path, f"sha256:{hashlib.sha256(content).hexdigest()}", names, arrow.num_rows, columns)


def _encoded(values: Any) -> Column:
    try:
        coded = values.combine_chunks().dictionary_encode()
        rows = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
        texts = [*(_text(value) for value in coded.dictionary.to_pylist()), ""]
    except (TypeError, NotImplementedError, ArithmeticError):  # lists, structures
        plain = [_text(value) for value in values.to_pylist()]
        rows, texts = np.arange(len(plain)), plain
    index: dict[str, int] = {}
    merged = np.array([index.setdefault(text, len(index)) for text in texts], dtype=np.int32)
    return _in_order(merged[rows], list(index)) if len(rows) else Column(np.empty(0, np.int32), [])


def _in_order(codes: NDArray[np.int32], values: list[str]) -> Column:
    """A column without values that no row has (a dictionary in a Parquet file may hold some)."""
    used, first = np.unique(codes, return_index=True)
    ordered = used[np.argsort(first)]
    place = np.zeros(len(values), dtype=np.int32)
    place[ordered] = np.arange(len(ordered))
    return Column(place[codes], [values[code] for code in ordered.tolist()])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value.isoformat() if isinstance(value, date) else value)


def _check_names(path: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UnusableError(f"{path}:1: {names.count(name)} columns are called {shown(name)}")
        seen.add(name)
