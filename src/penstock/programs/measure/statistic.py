"""What a metric is to the rest: a number from rows, and how it changes with the weight of each row.

The kinds differ in how their spread is had: proportions and medians from formulas, means from their skewness,
functions of counts from drawn tables of counts, everything else from drawn weights of rows.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import means
from .distributions import two_sided
from .intervals import Bounds, order_statistics, wilson
from .sample import Floats

ManyToOne = Callable[[Floats], Floats]
"""From (draws, numbers) to (draws,)."""


def alone(values: Floats) -> Floats:
    """The only number of each draw."""
    return values[:, 0]


class Statistic(ABC):
    """One number that was computed from rows.

    Attributes:
        value: The number; finite.
        units: What is drawn again in a resample: rows, or queries. The length of all arrays of it.
        rows: How many rows the number rests on.
        hits: How many of these, for a proportion.
        draws: How many resamples are taken at most; for slow ones.
    """

    value: float
    units: int
    rows: int
    hits: int | None = None
    draws: int | None = None

    def closed(self, confidence: float) -> Bounds | None:  # noqa: ARG002 - some kinds need it
        """Bounds from a formula, where there is one."""
        return None


class Weighted(Statistic):
    """A statistic whose value is known for any weights of the units.

    Attributes:
        groups: So many groups of units, at most, are left out in turn to see how skewed the value is.
        serial: It must not be computed by several threads at once.
    """

    groups = 200
    serial = False

    @abstractmethod
    def weighted(self, weights: NDArray[Any]) -> Floats:
        """Its value for each column of weights (units, draws); NaN where it has none."""


class Counts(Statistic):
    """A function of how many rows are in each cell of a table.

    Args:
        cells: The cell of each row.
        size: How many cells there are.
        function: From (draws, cells) to the value, NaN where there is none.
    """

    def __init__(self, cells: NDArray[Any], size: int, function: ManyToOne, rows: int) -> None:
        self.cells, self.size, self.function = cells, size, function
        self.units, self.rows = len(cells), rows
        counts = np.bincount(cells, minlength=size).astype(np.float64)
        self.value = float(function(counts[None, :])[0])


class MeanShare(Counts):
    """The mean of shares of different rows, such as the recalls of all classes.

    Args:
        hits: Of each share.
        trials: The rows that each is a share of, >= 1.
    """

    def __init__(
        self, cells: NDArray[Any], size: int, function: ManyToOne, hits: NDArray[Any], trials: NDArray[Any]
    ) -> None:
        super().__init__(cells, size, function, int(trials.sum()))
        self._hits, self._trials = hits, trials

    def closed(self, confidence: float) -> Bounds:
        """Wilson's intervals on the shares, joined.

        Source: Zou & Donner (2008), Statistics in Medicine 27:1693-1702.
        """
        shares = self._hits / self._trials
        pairs = zip(self._hits.tolist(), self._trials.tolist(), strict=True)
        ends = np.array([wilson(hits, trials, confidence) for hits, trials in pairs])
        down, up = np.sqrt(np.sum((ends - shares[:, None]) ** 2, axis=0)) / len(shares)
        error = math.sqrt(float(np.sum(shares * (1 - shares) / self._trials))) / len(shares)
        return Bounds((self.value - float(down), self.value + float(up)), "wilson-joined", error)


class Proportion(Counts):
    """A share of rows, or a rising function of one.

    Args:
        hit: Which rows count as hits.
        counted: Which count at all; every row if absent.
        transform: Of the share, if the metric is not the share itself.
    """

    def __init__(
        self,
        hit: NDArray[np.bool_],
        counted: NDArray[np.bool_] | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        cells = np.where(hit, 0, 1) if counted is None else np.where(counted, np.where(hit, 0, 1), 2)
        self._transform = transform
        rows = len(hit) if counted is None else int(counted.sum())
        super().__init__(cells, 3, self._share, rows)
        hits = int((cells == 0).sum())
        self._hits = hits
        self.hits = None if transform else hits

    def _share(self, counts: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            share = counts[:, 0] / (counts[:, 0] + counts[:, 1])
        return share if self._transform is None else np.asarray(self._transform(share))

    def closed(self, confidence: float) -> Bounds:
        """Wilson's interval."""
        low, high = wilson(self._hits, self.rows, confidence)
        share = self._hits / self.rows
        error = math.sqrt(share * (1 - share) / self.rows)
        if self._transform is not None:
            step = 1e-6
            slope = (self._transform(share + step) - self._transform(share - step)) / (2 * step)
            low, high, error = float(self._transform(low)), float(self._transform(high)), abs(error * slope)
        return Bounds((low, high), "wilson", error)


class Moments(Weighted):
    """A function of the means of some numbers per unit.

    Args:
        columns: (numbers, units).
        function: From the means of each draw, (draws, numbers), to the value.
    """

    def __init__(self, columns: Floats, function: ManyToOne = alone, rows: int | None = None) -> None:
        self.columns, self.function = columns, function
        self.units = columns.shape[1]
        self.rows = self.units if rows is None else rows
        self.value = float(function(columns.mean(axis=1)[None, :])[0])

    def weighted(self, weights: NDArray[Any]) -> Floats:
        """As promised; resamples are drawn faster than by this (`bootstrap`)."""
        total = weights.sum(axis=0, dtype=np.float64)
        return self.function((self.columns @ weights.astype(np.float64) / total).T)


class Mean(Moments):
    """A mean, or a rising function of one.

    Attributes:
        values: What is averaged.
        transform: Of the mean, if the metric is not the mean itself.
    """

    def __init__(
        self, values: Floats, transform: Callable[[Any], Any] | None = None, rows: int | None = None
    ) -> None:
        self.values, self.transform = values, transform
        super().__init__(
            values[None, :], alone if transform is None else lambda m: np.asarray(transform(m[:, 0])), rows
        )

    def closed(self, confidence: float) -> Bounds:
        """Student's interval, corrected for skewness."""
        if self.units < means.MIN_ROWS:
            return Bounds(None, None, None, f"{self.units} rows are too few for an interval")
        found = means.mean(self.values, confidence)
        if found.standard_error == 0:
            return Bounds(None, None, None, "all rows have the same value, so its spread is not known")
        low, high = found.interval
        error = found.standard_error
        if self.values.min() >= 0:
            low = max(low, 0.0)
        if self.transform is not None:
            step = found.value * 1e-6
            slope = (self.transform(found.value + step) - self.transform(found.value - step)) / (2 * step)
            low, high, error = float(self.transform(low)), float(self.transform(high)), abs(error * slope)
        return Bounds((low, high), "student-skewed", error)


class Median(Weighted):
    """The median of a number per row."""

    def __init__(self, values: Floats) -> None:
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]
        self.units = self.rows = len(values)
        self.value = float(np.median(values))

    def weighted(self, weights: NDArray[Any]) -> Floats:
        """As promised."""
        reached = np.cumsum(weights[self._order], axis=0, dtype=np.float64)
        half = reached[-1] / 2
        low = self._sorted[(reached < half).sum(axis=0)]
        high = self._sorted[np.minimum((reached <= half).sum(axis=0), self.units - 1)]
        return np.asarray((low + high) / 2)

    def closed(self, confidence: float) -> Bounds:
        """Two of the values themselves."""
        places = order_statistics(self.rows, confidence)
        if places is None:
            return Bounds(None, None, None, f"{self.rows} rows are too few for an interval")
        low, high = (float(self._sorted[place]) for place in places)
        return Bounds((low, high), "order-statistics", (high - low) / (2 * two_sided(confidence)))


class Area(Statistic):
    """An area under ROC curves.

    Attributes:
        influence: What each row adds to the error: its squares add up to the variance, its products with that
            of another score on the same rows to the covariance.
        bounds: From the confidence to bounds.
        fewest: Rows of the class that has the fewest.
    """

    def __init__(
        self, value: float, influence: Floats, bounds: Callable[[float], Bounds], fewest: int
    ) -> None:
        self.value, self.influence, self._bounds, self.fewest = value, influence, bounds, fewest
        self.units = self.rows = len(influence)

    def closed(self, confidence: float) -> Bounds:
        """DeLong's interval."""
        return self._bounds(confidence)


class Negative(Weighted):
    """Another statistic with its sign turned, as scikit-learn's `neg_` names have it."""

    def __init__(self, plain: Statistic) -> None:
        self.plain = plain
        self.value, self.units, self.rows, self.draws = -plain.value, plain.units, plain.rows, plain.draws

    def weighted(self, weights: NDArray[Any]) -> Floats:
        """As promised, if that of the plain one is known."""
        assert isinstance(self.plain, Weighted)
        return -self.plain.weighted(weights)

    def closed(self, confidence: float) -> Bounds | None:
        """Those of the plain one, turned."""
        found = self.plain.closed(confidence)
        if found is None or found.interval is None:
            return found
        low, high = found.interval
        return found._replace(interval=(-high, -low))


class Bare(Statistic):
    """A number of which no interval can be had."""

    def __init__(self, value: float, rows: int, problem: str) -> None:
        self.value, self.units, self.rows, self._problem = value, rows, rows, problem

    def closed(self, confidence: float) -> Bounds:  # noqa: ARG002 - it has none
        """Says why."""
        return Bounds(None, None, None, self._problem)
