"""Which rows hold what an earlier row held, among more rows than memory holds.

A row is known by a 128-bit hash of its text (XXH3). Rows with the same hash count as the same and are not
compared again: among n rows that differ, the chance that any two share a hash is about n²/2¹²⁹, 10⁻²¹ for a
thousand million. Such a collision could add a finding, and never hide one.

Up to `LIMIT` hashes are held in memory; beyond it they go to temporary files by their first byte, and each
file is then sorted by itself.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from .findings import EXAMPLES

LIMIT = 1 << 21
"""Hashes in memory, of 24 bytes each with their row, of all stores together."""

_RECORD = np.dtype([("high", np.uint64), ("low", np.uint64), ("row", np.int64)])
_PARTS = 256


def hashes(columns: Sequence[pa.StringArray]) -> np.ndarray:
    """A hash of what each row holds in some columns, as pairs of 64-bit integers."""
    columns = [column.fill_null("") if column.null_count else column for column in columns]
    if len(columns) > 1:
        # No letter of CSV is NUL; in Parquet a value may hold some, and must not pass for two.
        columns = [
            pc.replace_substring(column, "\0", "\0\1") if _has_nul(column) else column for column in columns
        ]
        columns = [pc.binary_join_element_wise(*columns, "\0")]
    texts = columns[0].cast(pa.binary()).to_numpy(zero_copy_only=False)
    return np.frombuffer(b"".join(map(xxhash.xxh3_128_digest, texts)), ">u8").reshape(-1, 2)


def _has_nul(column: pa.StringArray) -> bool:
    data = column.buffers()[2]
    return data is not None and b"\0" in memoryview(data).tobytes()


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows that were there before.

    Attributes:
        count: How many.
        first: (row, the row that it repeats) of the first few, counted from 0.
    """

    count: int
    first: tuple[tuple[int, int], ...]


class Hashes:
    """Hashes of rows, to be asked once all are there.

    Args:
        limit: How many it may hold in memory.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = max(limit, 1 << 12)
        self._held: list[np.ndarray] = []
        self._count = 0
        self.folder: Path | None = None
        self.rows = 0

    def add(self, found: np.ndarray, rows: np.ndarray) -> None:
        """Note hashes and the rows that they are of."""
        records = np.empty(len(rows), _RECORD)
        records["high"], records["low"], records["row"] = found[:, 0], found[:, 1], rows
        self._held.append(records)
        self._count += len(rows)
        self.rows += len(rows)
        if self._count > self._limit:
            self._spill()

    def _spill(self) -> None:
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="penstock-hashes-"))
        records = np.concatenate(self._held)
        parts = (records["high"] >> np.uint64(56)).astype(np.uint8)
        order = np.argsort(parts, kind="stable")  # of bytes: a radix sort
        records = records[order]
        ends = np.concatenate([[0], np.cumsum(np.bincount(parts, minlength=_PARTS))])
        for part in range(_PARTS):
            with (self.folder / str(part)).open("ab") as file:
                records[ends[part] : ends[part + 1]].tofile(file)
        self._held, self._count = [], 0

    def parts(self, *, split: bool) -> Iterator[np.ndarray]:
        """All records, in pieces between which no hash is shared.

        Args:
            split: Whether in pieces by the first byte, even if memory holds all.
        """
        if not split and self.folder is None:
            yield np.concatenate([np.empty(0, _RECORD), *self._held])
            return
        if self.folder is None or self._count:
            self._spill()
        for part in range(_PARTS):
            yield np.fromfile(self.folder / str(part), _RECORD)  # type: ignore[operator] # made by _spill

    def close(self) -> None:
        """Drop all, on disk too."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._held, self.folder = [], None

    def repeats(self) -> Repeats:
        """Rows whose hash an earlier row has."""
        count, first = 0, []
        for records in self.parts(split=False):
            same = _shared(records)
            # Of each group, the rows but the earliest.
            later = ~same.begins
            rows = same.records["row"][later]
            origins = same.records["row"][same.begins][same.groups[later]]
            count += len(rows)
            first += _earliest(rows, origins)
        return Repeats(count, tuple(sorted(first)[:EXAMPLES]))

    def found_in(self, other: Hashes) -> Repeats:
        """Rows whose hash a row of another has, each with the earliest of those."""
        count, first = 0, []
        split = self.folder is not None or other.folder is not None
        for mine, theirs in zip(self.parts(split=split), other.parts(split=split), strict=True):
            both = np.concatenate([theirs, mine])
            origin = np.concatenate([np.zeros(len(theirs), bool), np.ones(len(mine), bool)])
            same = _shared(both, origin)
            begins = same.records["row"][same.begins]
            known = ~same.mine[same.begins]  # theirs come first in a group
            seen = same.mine & known[same.groups]
            rows = same.records["row"][seen]
            count += len(rows)
            first += _earliest(rows, begins[same.groups[seen]])
        return Repeats(count, tuple(sorted(first)[:EXAMPLES]))


@dataclass(frozen=True, slots=True)
class _Groups:
    """Records whose hash is not the only one of its kind, sorted by hash, `mine` and row."""

    records: np.ndarray
    mine: np.ndarray
    begins: np.ndarray
    groups: np.ndarray


def _shared(records: np.ndarray, mine: np.ndarray | None = None) -> _Groups:
    mine = np.zeros(len(records), bool) if mine is None else mine
    order = np.argsort(np.ascontiguousarray(records["high"]))
    high = records["high"][order]
    equal = high[1:] == high[:-1]
    # Nearly always few, so that the sort by all keys costs little.
    order = order[np.concatenate([equal, [False]]) | np.concatenate([[False], equal])] if len(high) else order
    order = order[
        np.lexsort((records["row"][order], mine[order], records["low"][order], records["high"][order]))
    ]
    some = records[order]
    begins = np.ones(len(some), bool)
    begins[1:] = (some["high"][1:] != some["high"][:-1]) | (some["low"][1:] != some["low"][:-1])
    return _Groups(some, mine[order], begins, np.cumsum(begins) - 1)


def _earliest(rows: np.ndarray, origins: np.ndarray) -> list[tuple[int, int]]:
    chosen = np.argsort(rows)[:EXAMPLES]
    return [(int(row), int(origin)) for row, origin in zip(rows[chosen], origins[chosen], strict=True)]
