"""What columns hold: counts, bounds, means, and a sample for pictures and comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from .cells import Cells, Chunk
from .kinds import iso
from .sampling import Sample
from .schema_file import TEXTS, Column, numeric

CLASSES = 1_000
"""Different texts of a column that are counted; a column with more is free text."""

CLASS_CHARACTERS = 200
NUMERIC_CLASSES = 50
BINS = 20
SHOWN_VALUES = 20
_MANTISSA_BITS = 53
_HALF_BITS = 27


class ExactSum:
    """A sum of floats or integers without rounding, hence the same in whatever order and pieces they come."""

    def __init__(self) -> None:
        self._whole = 0
        self._by_exponent: dict[int, int] = {}

    def add(self, values: np.ndarray) -> None:
        """Add finite values."""
        if values.dtype == np.int64:
            low = int((values & 0xFFFFFFFF).sum())
            self._whole += (int((values >> 32).sum()) << 32) + low
            return
        mantissas, exponents = np.frexp(values)
        # Two halves of at most 27 bits, of which 2²⁶ can be added as floats without rounding.
        high = np.floor(np.ldexp(mantissas, _MANTISSA_BITS - _HALF_BITS))
        low = np.ldexp(mantissas, _MANTISSA_BITS) - np.ldexp(high, _HALF_BITS)
        least = int(exponents.min()) if len(exponents) else 0
        places = exponents - least
        for place, (first, second) in enumerate(
            zip(np.bincount(places, high), np.bincount(places, low), strict=True)
        ):
            if first or second:
                total = (int(first) << _HALF_BITS) + int(second)
                self._by_exponent[least + place] = self._by_exponent.get(least + place, 0) + total

    def total(self) -> Fraction:
        """The sum."""
        parts = (
            Fraction(2) ** (power - _MANTISSA_BITS) * value for power, value in self._by_exponent.items()
        )
        return sum(parts, Fraction(self._whole))


@dataclass(slots=True)
class Summary:
    """What one column holds.

    Attributes:
        missing: Rows that hold nothing.
        wrong: Rows that hold something that is no value of the column's type.
        good: Rows that hold a value.
        low: Least value (length of a text), or None.
        high: Greatest.
        total: Sum of values (lengths).
        counts: How often each value is there, by its text; None: there are too many different ones.
    """

    column: Column
    missing: int = 0
    wrong: int = 0
    good: int = 0
    low: Any = None
    high: Any = None
    total: ExactSum = field(default_factory=ExactSum)
    counts: Counter[str] | None = field(default_factory=Counter)

    def see(self, cells: Cells) -> None:
        """Take further rows into account."""
        self.missing += int(np.count_nonzero(cells.missing))
        self.wrong += int(np.count_nonzero(cells.wrong))
        good = cells.good
        count = int(np.count_nonzero(good))
        if not count:
            return
        self.good += count
        values = cells.values
        values = values if count == len(good) else values[good]
        low, high = values.min(), values.max()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        if self.column.type not in ("date", "boolean"):
            self.total.add(values)
        if self.counts is not None:
            self._count(cells, values)

    def _count(self, cells: Cells, values: np.ndarray) -> None:
        counts, most = self.counts, CLASSES
        if counts is None:
            return
        if self.column.type in TEXTS:
            longest = int(cells.lengths.max())
            found = (
                cells.texts.filter(pa.array(cells.good)).value_counts()
                if longest <= CLASS_CHARACTERS
                else None
            )
            if found is None or len(found) > CLASSES:
                self.counts = None
                return
            names, numbers = found.field(0).to_pylist(), found.field(1).to_pylist()
        else:
            most = NUMERIC_CLASSES
            there, numbers = np.unique(values, return_counts=True)
            if len(there) > most:
                self.counts = None
                return
            written = iso if self.column.type == "date" else value_text
            names = [written(value) for value in there.tolist()]
        counts.update({name: int(number) for name, number in zip(names, numbers, strict=True)})
        if len(counts) > most:
            self.counts = None

    @property
    def mean(self) -> float | None:
        """Of numbers, or of the lengths of texts; None if there are none, or it is beyond 64-bit floats."""
        if not self.good or self.column.type in ("date", "boolean"):
            return None
        try:
            return float(self.total.total() / self.good)
        except OverflowError:
            return None


def value_text(value: Any) -> str:
    """A number or truth value as text, the same for `1` and `1.0`."""
    if isinstance(value, bool):
        return str(value).lower()
    return (
        str(int(value))
        if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53
        else str(value)
    )


class Summaries:
    """What the columns of a table hold.

    Args:
        columns: Those that are in it.
        groups: Whether the sample also tells which rows hold the same text.

    Attributes:
        by_name: The summaries.
        sample: `name` holds numbers (NaN where there is none), `group_of(name)` what tells texts apart.
    """

    def __init__(self, columns: Mapping[str, Column], *, groups: bool) -> None:
        self.by_name = {name: Summary(column) for name, column in columns.items()}
        self.sample = Sample(len(columns) * (2 if groups else 1))
        self._groups = groups
        self.rows = 0

    def see(self, chunk: Chunk) -> None:
        """Take further rows into account."""
        self.rows += chunk.rows
        for name, summary in self.by_name.items():
            summary.see(chunk.cells(name))
        self.sample.add(chunk.first, chunk.rows, lambda places: self._chosen(chunk, places))

    def _chosen(self, chunk: Chunk, places: np.ndarray) -> dict[str, np.ndarray]:
        chosen: dict[str, np.ndarray] = {}
        for name, summary in self.by_name.items():
            cells = chunk.cells(name)
            good = cells.good[places]
            chosen[name] = np.where(good, cells.values[places].astype(np.float64), np.nan)
            if self._groups and summary.column.type in TEXTS:
                texts = cells.texts.take(pa.array(places)).to_pylist()
                marks = np.array(
                    [xxhash.xxh3_64_intdigest((text or "").encode()) for text in texts], np.uint64
                )
                chosen[group_of(name)] = np.where(good, marks, np.uint64(0))
        return chosen

    @property
    def sampled(self) -> int | None:
        """How many rows the sample holds; None if it holds all."""
        return self.sample.size if self.rows > self.sample.size else None

    def described(self, *, pictures: bool) -> list[dict[str, Any]]:
        """The columns as they stand in the document.

        Args:
            pictures: With histograms.
        """
        return [
            _described(summary) | {"histogram": self.histogram(name) if pictures else None}
            for name, summary in self.by_name.items()
        ]

    def histogram(self, name: str) -> dict[str, Any] | None:
        """Counts of the most frequent values, or by equal ranges; None if there is nothing to count."""
        summary = self.by_name[name]
        if not summary.good:
            return None
        counts = summary.counts
        ranges = numeric(summary.column) or summary.column.type == "date"
        if counts is not None and not (ranges and len(counts) > SHOWN_VALUES // 2):
            shown = ordered(counts)[:SHOWN_VALUES]
            shown = sorted(shown, key=lambda item: _place(item[0])) if ranges else shown
            others = sum(counts.values()) - sum(number for _, number in shown)
            picture = {"values": [value for value, _ in shown], "counts": [number for _, number in shown]}
            return picture | ({"others": others} if others else {})
        values = self.sample.values(name)
        values = values[np.isfinite(values)]
        if not len(values):
            return None
        edges = bin_edges(values)
        numbers = np.histogram(values, edges)[0].tolist()
        if summary.column.type == "date":
            return {"values": [iso(int(edge)) for edge in edges[:-1]], "counts": numbers}
        return {"edges": edges.tolist(), "counts": numbers}


def group_of(name: str) -> str:
    """Where in a sample it stands which rows hold the same text."""
    return f"{name}\0group"


def ordered(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Values by how often they are there, then by their text."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _place(value: str) -> tuple[float, str]:
    """Where a number or a date comes in order."""
    return (0.0, value) if value.endswith("Z") else (float(value), "")


def bin_edges(values: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Of equal ranges from the least to the greatest value; fewer where floats are too coarse."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        step = max(abs(low), 1.0) / 2
        most = np.finfo(np.float64).max
        return np.array([max(low, -most + step) - step, min(low, most - step) + step])
    shares = np.linspace(0, 1, bins + 1)
    return np.unique(np.concatenate([[low], low * (1 - shares[1:-1]) + high * shares[1:-1], [high]]))


def inner_quantiles(values: np.ndarray, parts: int) -> np.ndarray:
    """Values below or at which lie 1, 2, … of so many equal parts of the values; none of them twice."""
    places = -(-np.arange(1, parts) * len(values) // parts) - 1
    return np.unique(np.sort(values)[np.maximum(places, 0)])


def _described(summary: Summary) -> dict[str, Any]:
    column = summary.column
    bounds: list[Any] = [None, None]
    if summary.low is not None and column.type == "date":
        bounds = [iso(summary.low), iso(summary.high)]
    elif summary.low is not None and numeric(column):
        bounds = [value.item() for value in (summary.low, summary.high)]
    lengths = column.type in TEXTS
    described: dict[str, Any] = {
        "column": column.name,
        "type": column.type,
        "nulls": summary.missing,
        "distinct": None if summary.counts is None else len(summary.counts),
        "min": bounds[0],
        "max": bounds[1],
        "mean": None if lengths else summary.mean,
    }
    if lengths and summary.good:
        lengths_of = {"min": int(summary.low), "max": int(summary.high), "mean": summary.mean}
        return described | {"length": lengths_of}
    return described
