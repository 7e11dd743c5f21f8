"""Parquet files, read in chunks; their values are judged by the text that Python writes for them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ..common.program import UnusableError
from .tables import Batch, checked_names

CHUNK_BYTES = 16 << 20
CHUNK_ROWS = 1 << 16


class ParquetFile:
    """A Parquet file whose footer has been read.

    Attributes:
        names: Of the columns.
        size: Of the file, in bytes.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = Path(path).stat().st_size
        # Texts stay coded until a batch is cut to size: a short file can hold one long text a million times.
        opened = self._tried(lambda: pyarrow.parquet.ParquetFile(path))
        texts = [field.name for field in opened.schema_arrow if _is_text(field.type)]
        self._file = self._tried(lambda: pyarrow.parquet.ParquetFile(path, read_dictionary=texts))
        self._metadata = self._file.metadata
        self.names = checked_names(path, [str(name) for name in self._file.schema_arrow.names])
        if not self.names:
            raise UnusableError(f"{path}: has no columns")

    def batches(self) -> Iterator[Batch]:
        """The rows in order, some at a time; of each column at most one page and one dictionary more is held.

        Raises:
            UnusableError: The file is broken.
        """
        groups = [self._metadata.row_group(index) for index in range(self._metadata.num_row_groups)]
        width = sum(group.total_byte_size for group in groups) / max(self._metadata.num_rows, 1)
        rows = int(min(max(CHUNK_BYTES / max(width, 1), 256), CHUNK_ROWS))
        found = self._file.iter_batches(batch_size=rows, use_threads=False)
        first = 0
        while (batch := self._tried(lambda: next(found, None))) is not None:
            rows = max(batch.num_rows // (_expanded(batch) // CHUNK_BYTES + 1), 1)
            for begin in range(0, batch.num_rows, rows):
                piece = batch.slice(begin, rows)
                columns = self._tried(functools.partial(list, map(as_text, piece.columns)))
                share = (first + piece.num_rows) / self._metadata.num_rows
                yield Batch(first, piece.num_rows, columns, int(share * self.size))
                first += piece.num_rows

    def _tried(self, read: Any) -> Any:
        try:
            return read()
        except FileNotFoundError:
            raise
        except Exception as error:  # noqa: BLE001 - pyarrow has no common root, and a broken file is no defect
            what = " ".join(str(error).split())
            raise UnusableError(f"{self.path}: no Parquet: {what}") from None


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _expanded(batch: pa.RecordBatch) -> int:
    """Bytes of all texts of a batch, each as often as it is there."""
    coded = (column for column in batch.columns if pa.types.is_dictionary(column.type))
    lengths = (pc.sum(pc.take(pc.binary_length(each.dictionary), each.indices)).as_py() for each in coded)
    return sum(length or 0 for length in lengths)


def as_text(column: pa.Array) -> pa.StringArray:
    """A column as the text that `str` or `isoformat` gives for each value; what is missing stays so."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pc.take(as_text(column.dictionary), column.indices)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = column.cast(pa.string())
        text.validate(full=True)
        return text
    if pa.types.is_integer(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        try:
            column = column.cast(pa.timestamp("us", kind.tz))
        except pa.ArrowInvalid:
            return column.cast(pa.string())  # with all nine digits, which no date has
    coded = column.dictionary_encode() if not pa.types.is_nested(kind) else None
    values = (column if coded is None else coded.dictionary).to_pylist()
    texts = pa.array([_text(value) for value in values], pa.string())
    return texts if coded is None else pc.take(texts, coded.indices)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value.isoformat() if isinstance(value, date) else value)
