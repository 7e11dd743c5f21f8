"""Metrics of the user's own: `package.module:function`.

The function gets the rows as a mapping from column to numpy array, and gives a number:

    def profit(rows):
        return float(np.mean(np.where(rows["truth"] == rows["prediction"], rows["amount"], -10)))

A column is of numbers if every value is one, and of text otherwise; `pandas.DataFrame(rows)` makes a frame of
it. More is better, unless the function has the attribute `better = "lower"`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common import packages
from ..common.program import UnusableError
from .sample import TASKS, Floats, Sample, UnmeasurableError
from .statistic import Statistic, Weighted

Rows = Mapping[str, NDArray[Any]]

ROWS_SEEN = 20_000_000
"""About so many rows the function sees while resamples are taken: it may be slow."""

FEWEST_DRAWS = 200


class Own(Weighted):
    """What a function says of rows."""

    groups = 50
    serial = True  # nobody knows whether the function may run in several threads

    def __init__(self, name: str, function: Callable[[Rows], Any], rows: Rows, units: int) -> None:
        self._name, self._function, self._columns = name, function, rows
        self.units = self.rows = units
        self.value = self._number(rows)
        self.draws = most_draws(units)

    def weighted(self, weights: NDArray[Any]) -> Floats:
        """As promised: each row as often as its weight says."""
        found = []
        for column in weights.T:
            places = np.repeat(np.arange(self.units), column)
            try:
                found.append(self._number({name: values[places] for name, values in self._columns.items()}))
            except UnmeasurableError:
                found.append(math.nan)
        return np.array(found)

    def _number(self, rows: Rows) -> float:
        try:
            value = float(self._function(rows))
        except Exception as error:  # noqa: BLE001 - it is the user's code
            raise UnmeasurableError(f"{self._name} failed: {packages.told(error)}") from None
        if not math.isfinite(value):
            raise UnmeasurableError(f"{self._name} gave {value}, which is no number to judge by")
        return value


def most_draws(rows: int) -> int:
    """How many resamples are taken of so many rows, at most."""
    return max(FEWEST_DRAWS, ROWS_SEEN // rows)


def metric(name: str) -> tuple[str, tuple[str, ...], Callable[[Sample], Statistic]]:
    """Which direction is better, for which tasks, and how a sample is measured.

    Raises:
        UnusableError: There is no such function, or it says something else of what is better.
    """
    function = packages.function(name, "metric")
    better = getattr(function, "better", "higher")
    if better not in ("higher", "lower"):
        raise UnusableError(f"metric: {name!r}: better is {better!r}, and not 'higher' or 'lower'")

    def build(sample: Sample) -> Statistic:
        assert sample.table is not None
        rows = {column: values[sample.numbers] for column, values in sample.table.arrays.items()}
        return Own(name, function, rows, sample.rows)

    return better, TASKS, build
