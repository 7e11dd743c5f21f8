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


def likely_delimiter(path: str) -> str:
    """What seems to stand between the values of a CSV file; a comma if nothing does."""
    with Path(path).open("rb") as file:
        header = file.read(_HEADER_BYTES).lstrip(b"\xef\xbb\xbf\r\n").split(b"\n", 1)[0]
    return max(DELIMITERS, key=lambda delimiter: header.count(delimiter.encode()))
