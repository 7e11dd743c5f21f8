"""From a path to the table that lies there."""

from __future__ import annotations

from pathlib import Path

from ..common.program import UnusableError
from .csv_files import CsvFile
from .parquet_files import ParquetFile
from .tables import Table

DELIMITERS = (",", ";", "\t", "|")
_HEADER_BYTES = 1 << 16


def open_table(path: str, delimiter: str | None) -> Table:
    """The table that a `.csv` or `.parquet` file holds.

    Args:
        path: Of the file.
        delimiter: Of a CSV file; None: the one of `DELIMITERS` that is most frequent in its first line.

    Raises:
        UnusableError: It holds none.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return CsvFile(path, delimiter or likely_delimiter(path))
    if suffix == ".parquet":
        return ParquetFile(path)
    raise UnusableError(f"{path}: neither .csv nor .parquet")


def open_beside(path: str, delimiter: str | None) -> Table:
    """The table of a file that may be of another hand than the data, and have another delimiter.

    Args:
        path: Of the file.
        delimiter: Of the data; taken if it stands in the first line.

    Raises:
        UnusableError: It holds no table.
    """
    known = delimiter is not None and path.lower().endswith(".csv") and delimiter.encode() in _header(path)
    return open_table(path, delimiter if known else None)


def likely_delimiter(path: str) -> str:
    """What seems to stand between the values of a CSV file; a comma if nothing does."""
    header = _header(path)
    return max(DELIMITERS, key=lambda delimiter: header.count(delimiter.encode()))


def _header(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(_HEADER_BYTES).lstrip(b"\xef\xbb\xbf\r\n").split(b"\n", 1)[0]
