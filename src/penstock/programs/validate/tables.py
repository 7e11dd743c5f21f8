"""Tables as chunks of text: what CSV and Parquet files have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from ..common.program import Progress, UnusableError

MAX_COLUMNS = 10_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a table, as text as it is written; a Parquet file's missing values are null.

    Attributes:
        first: Number of its first row, counted from 0.
        columns: In the order of the table's names.
        offset: How far the file was read, in bytes.
    """

    first: int
    rows: int
    columns: Sequence[pa.StringArray]
    offset: int


class Table(Protocol):
    """A file that holds a table; it may be read more than once."""

    path: str
    size: int
    names: list[str]

    def batches(self) -> Iterator[Batch]:
        """The rows in order, some at a time."""
        ...


def checked_names(path: str, names: Sequence[str]) -> list[str]:
    """The names of a table's columns.

    Raises:
        UnusableError: Two are the same, or there are too many.
    """
    if len(names) > MAX_COLUMNS:
        raise UnusableError(f"{path}:1: {len(names):,} columns; at most {MAX_COLUMNS:,} can be checked")
    for name, count in Counter(names).items():
        if count > 1:
            raise UnusableError(f"{path}:1: {count} columns are called {name!r}")
    return list(names)


def read_through(table: Table, progress: Progress) -> Iterator[Batch]:
    """The rows of a table, some at a time, with word of how far it is."""
    for batch in table.batches():
        yield batch
        share = batch.offset / max(table.size, 1)
        progress.say(
            f"{table.path}: {batch.first + batch.rows:,} rows, {share:.0%} of {table.size / 1e6:,.1f} MB"
        )
