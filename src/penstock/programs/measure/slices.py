"""Groups of rows that measures are taken of, too."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.tables import Column, Table, number

MOST_GROUPS = 50
MOST_NUMERIC_VALUES = 12
"""A column of numbers with more values is cut at its quartiles."""


@dataclass(frozen=True)
class Group:
    """Rows that have one value (or lie in one quarter) in a column."""

    column: str
    value: str
    rows: NDArray[np.intp]


@dataclass(frozen=True)
class Slice:
    """All groups of a column; each row is in one."""

    column: str
    groups: list[Group]

    def described(self) -> dict[str, Any]:
        """For the document."""
        groups = [{"value": group.value, "rows": len(group.rows)} for group in self.groups]
        return {"column": self.column, "groups": groups}


def sliced(table: Table, columns: Iterable[str], warnings: list[str]) -> list[Slice]:
    """The groups of some columns; a column with too many values is left out, with a warning.

    Raises:
        UnusableError: There is no such column.
    """
    found = []
    for name in dict.fromkeys(columns):
        codes, values = _grouped(table.column(name, "column to slice by:"))
        if len(values) > MOST_GROUPS:
            warnings.append(
                f"slices: column {name!r} is left out: it has {len(values)} values, more than {MOST_GROUPS}"
            )
            continue
        order = np.argsort(codes, kind="stable")
        parts = np.split(order, np.searchsorted(codes[order], np.arange(1, len(values))))
        found.append(
            Slice(name, [Group(name, value, rows) for value, rows in zip(values, parts, strict=True)])
        )
    return found


def _grouped(column: Column) -> tuple[NDArray[Any], list[str]]:
    """A group for each row, and what the groups are called, in order."""
    numbers = column.numbers()
    known = np.isfinite(numbers)
    blank = np.array([not value.strip() for value in column.values], dtype=bool)[column.codes]
    if not (known | blank).all() or len(column.values) <= MOST_NUMERIC_VALUES:
        return _by_value(column)
    edges = np.unique(np.quantile(numbers[known], (0.25, 0.5, 0.75)))
    edges = edges[edges < numbers[known].max()]
    places = np.searchsorted(edges, numbers, side="left")
    names = _quarters([f"{edge:.6g}" for edge in edges])
    if blank.any():
        places, names = np.where(blank, len(names), places), [*names, ""]
    return places, names


def _quarters(edges: list[str]) -> list[str]:
    if not edges:
        return ["all"]
    between = [f"over {low} to {high}" for low, high in itertools.pairwise(edges)]
    return [f"up to {edges[0]}", *between, f"over {edges[-1]}"]


def _by_value(column: Column) -> tuple[NDArray[Any], list[str]]:
    """Numbers by size, else as text; what is missing last."""
    parsed = {value: number(value) for value in column.values if value.strip()}
    numeric = all(map(math.isfinite, parsed.values()))
    names = sorted(column.values, key=lambda v: (not v.strip(), parsed.get(v, 0.0) if numeric else 0.0, v))
    place = {name: index for index, name in enumerate(names)}
    return np.array([place[value] for value in column.values])[column.codes], names
