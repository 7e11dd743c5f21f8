"""CSV files, read strictly and in chunks.

What a file means is what Python's `csv` module says in its strict mode; it reads about 30 MB/s. Arrow reads
ten times as fast, but lets broken quotes pass. So a chunk goes to Arrow only if a look at its quotes and
line ends shows that both must come to the same (`_sound`), and to `csv` otherwise, which also says what is
wrong and in which line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ..common.program import UnusableError
from .schema_file import not_utf8
from .tables import Batch, checked_names

CHUNK_BYTES = 4 << 20
COLUMNS_IN_CHUNK = 128
"""For more, a chunk is larger, up to four times: it would else hold too few rows to be worth the calls."""

SLOW_BYTES = 1 << 20
"""What `csv` reads at a time: its rows take thirty times as much memory."""

ROW_LIMIT_BYTES = 64 << 20
FIELD_LIMIT_CHARACTERS = 1 << 24
VALUES_LIMIT = 1 << 20
_WINDOW_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_NEWLINE, _RETURN, _QUOTE = b'\n\r"'


class CsvFile:
    """A CSV file whose header has been read.

    Attributes:
        names: Of the columns.
        size: Of the file, in bytes.
    """

    def __init__(self, path: str, delimiter: str) -> None:
        self.path = path
        self.size = Path(path).stat().st_size
        self._delimiter = delimiter
        with Path(path).open("rb") as file:
            start = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
            file.seek(start)
            rows = _Rows((path, delimiter), file, b"", start, 0)
            header = next(iter(rows), None)
            if header is None:
                raise UnusableError(f"{path}: empty; there is not even a header")
            self.names = checked_names(path, header)
            self._start, self._lines = rows.offset, rows.line
        self._chunk = CHUNK_BYTES * min(max(len(self.names) // COLUMNS_IN_CHUNK, 1), 4)
        self._patience = max(2 * self._chunk, 1 << 16)

    def batches(self) -> Iterator[Batch]:
        """The rows in order, some at a time.

        Raises:
            UnusableError: A row of another length, broken quotes, NUL, not UTF-8.
        """
        with Path(self.path).open("rb") as file:
            file.seek(self._start)
            first, pending, offset, line = 0, b"", self._start, self._lines
            ended, wanted = False, self._chunk
            while True:
                if len(pending) < wanted and not ended:
                    block = file.read(self._chunk)
                    ended, pending = not block, pending + block
                if not pending:
                    return
                end = self._sound(pending, last=ended)
                if end == 0 and not ended and wanted < self._patience:
                    wanted = len(pending) + 1  # not one whole row yet
                    continue
                wanted = self._chunk
                columns = self._fast(pending[:end], offset, line) if end else None
                if end and columns is not None:
                    line += pending.count(b"\n", 0, end)
                    offset, pending = offset + end, pending[end:]
                else:
                    rows = _Rows((self.path, self._delimiter), file, pending, offset, line)
                    columns = self._slow(rows, offset + min(len(pending), SLOW_BYTES))
                    offset, line, pending = rows.offset, rows.line, rows.rest
                if len(columns[0]):
                    yield Batch(first, len(columns[0]), columns, offset)
                    first += len(columns[0])

    def _sound(self, data: bytes, *, last: bool) -> int | None:
        r"""Where the last whole row ends, if every reader sees the same rows and values; None if not surely.

        Each quote opens a value (it follows a delimiter or a line's end) or closes one (one of these follows
        it), or is one of two that stand for one; and every `\r` belongs to a `\r\n`.
        """
        if len(self._delimiter.encode()) > 1 or self._delimiter == "\0" or data.startswith(_BOM):
            return None  # Arrow knows no such delimiter, and would drop what looks like a byte order mark
        if b"\r" in data and data.count(b"\r") != data.count(b"\r\n") + (data[-1] == _RETURN and not last):
            return None
        if b'"' not in data:
            return len(data) if last else data.rfind(b"\n") + 1
        letters = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(letters == _QUOTE)
        if not self._in_pairs(letters, quotes[0::2], quotes[1::2]) or (last and len(quotes) % 2):
            return None
        return len(data) if last else _last_end(letters, quotes)

    def _in_pairs(self, letters: np.ndarray, opening: np.ndarray, closing: np.ndarray) -> bool:
        around = [ord(self._delimiter), _NEWLINE, _QUOTE]
        before = letters[opening[opening > 0] - 1]
        after = letters[closing[closing < len(letters) - 1] + 1]
        return bool(np.isin(before, around).all() and np.isin(after, [*around, _RETURN]).all())

    def _fast(self, data: bytes, offset: int, line: int) -> list[pa.StringArray] | None:
        _check_letters(self.path, data, offset, line)
        names = [str(index) for index in range(len(self.names))]
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(data),
                pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data)),
                pyarrow.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=b'"' in data),
                pyarrow.csv.ConvertOptions(
                    check_utf8=False,
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=False,
                    null_values=[],
                ),
            )
        except pa.ArrowInvalid:
            return None  # `csv` will say what it is, and where
        columns = [pa.concat_arrays([pa.array([], pa.string()), *column.chunks]) for column in table.columns]
        if len(data) > FIELD_LIMIT_CHARACTERS and max(map(_longest, columns)) > FIELD_LIMIT_CHARACTERS:
            return None
        return columns

    def _slow(self, rows: _Rows, until: int) -> list[pa.StringArray]:
        wanted = len(self.names)
        found = []
        for row in rows:
            if len(row) != wanted:
                what = f"{len(row)} values, but the header names {wanted} columns"
                raise UnusableError(f"{self.path}:{rows.line}: {what}")
            found.append(row)
            if rows.offset >= until:
                break
        if not found:
            return [pa.array([], pa.string())] * wanted
        return [pa.array(column, pa.string()) for column in zip(*found, strict=True)]


def _last_end(letters: np.ndarray, quotes: np.ndarray) -> int:
    """Where the last line ends that does not end within quotes; 0 if none does."""
    for until in range(len(letters), 0, -_WINDOW_BYTES):
        begin = max(until - _WINDOW_BYTES, 0)
        ends = np.flatnonzero(letters[begin:until] == _NEWLINE) + begin
        outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
        if len(outside):
            return int(outside[-1]) + 1
    return 0


def _longest(column: pa.StringArray) -> int:
    return int(pc.max(pc.binary_length(column)).as_py() or 0)


def _check_letters(path: str, data: bytes, offset: int, line: int) -> None:
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise not_utf8(path, data, error, line=line + 1, offset=offset) from None
    if b"\0" in data:
        raise UnusableError(f"{path}: holds NUL characters; it is no CSV file")


class _Rows:
    """Rows as Python's `csv` module reads them, with where in the file each ends.

    Attributes:
        offset: Of the byte after the last row that was given.
        line: How many lines end before it.
        rest: Bytes that were read beyond it.
    """

    def __init__(
        self, table: tuple[str, str], file: BinaryIO, pending: bytes, offset: int, line: int
    ) -> None:
        self._path, self._delimiter = table
        self._file, self._pending, self._place = file, pending, 0
        self.offset, self.line = offset, line

    @property
    def rest(self) -> bytes:
        return self._pending[self._place :]

    def __iter__(self) -> Iterator[list[str]]:
        csv.field_size_limit(FIELD_LIMIT_CHARACTERS)
        reader = csv.reader(self._texts(), delimiter=self._delimiter, strict=True)
        try:
            yield from (row for row in reader if row)
        except csv.Error as error:
            raise UnusableError(f"{self._path}:{self.line}: no CSV: {error}") from None

    def _texts(self) -> Iterator[str]:
        while line := self._line():
            if len(line) > VALUES_LIMIT and line.count(self._delimiter.encode()) > VALUES_LIMIT:
                raise UnusableError(f"{self._path}:{self.line + 1}: more than {VALUES_LIMIT:,} values")
            _check_letters(self._path, line, self.offset, self.line)
            self.line += 1
            self.offset += len(line)
            yield line.decode()

    def _line(self) -> bytes:
        while True:
            found = _LINE_END.search(self._pending, self._place)
            # A `\r` at the very end may be half of a line's end.
            if found and (found.end() < len(self._pending) or found[0] != b"\r"):
                break
            if len(self._pending) - self._place > ROW_LIMIT_BYTES:
                what = f"a line of more than {ROW_LIMIT_BYTES:,} bytes"
                raise UnusableError(f"{self._path}:{self.line + 1}: {what}")
            block = self._file.read(CHUNK_BYTES)
            if not block:
                break
            self._pending, self._place = self._pending[self._place :] + block, 0
        start, self._place = self._place, found.end() if found else len(self._pending)
        return self._pending[start : self._place]
