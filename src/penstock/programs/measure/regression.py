"""Metrics of numbers that were predicted, and of rankings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .distributions import two_sided
from .intervals import Bounds
from .sample import Floats, MissingColumnError, Sample, UnmeasurableError
from .statistic import Bare, Mean, Median, Moments, Statistic, Weighted

FEWEST_FOR_RANKS = 50
SMALLEST = float(np.finfo(np.float64).eps)


def _errors(sample: Sample) -> Floats:
    return np.asarray(sample.truth - sample.predicted)


def mean_absolute_error(sample: Sample) -> Statistic:
    """Mean of |truth - prediction|."""
    return Mean(np.abs(_errors(sample)))


def mean_squared_error(sample: Sample) -> Statistic:
    """Mean of (truth - prediction)²."""
    return Mean(_errors(sample) ** 2)


def root_mean_squared_error(sample: Sample) -> Statistic:
    """Root of the mean squared error."""
    return Mean(_errors(sample) ** 2, transform=lambda mean: np.sqrt(np.maximum(mean, 0)))


def mean_absolute_percentage_error(sample: Sample) -> Statistic:
    """Mean of |truth - prediction| / |truth|, a fraction; none if any truth is 0."""
    if not np.all(np.abs(sample.truth) > SMALLEST):
        raise UnmeasurableError("a truth is 0, and no error is a share of that")
    return Mean(np.abs(_errors(sample)) / np.abs(sample.truth))


def median_absolute_error(sample: Sample) -> Statistic:
    """Median of |truth - prediction|."""
    return Median(np.abs(_errors(sample)))


def max_error(sample: Sample) -> Statistic:
    """The largest |truth - prediction|."""
    why = "the largest of these errors does not say how large others can be"
    return Bare(float(np.abs(_errors(sample)).max()), sample.rows, why)


def mean_error(sample: Sample) -> Statistic:
    """Mean of prediction - truth: positive where predictions are too high."""
    return Mean(-_errors(sample))


def r2(sample: Sample) -> Statistic:
    """1 - the mean squared error as a share of the variance of the truth."""
    truth = _spread(sample)
    columns = np.stack([_errors(sample) ** 2, truth, truth**2])
    return Moments(columns, lambda means: 1 - _share(means[:, 0], means[:, 2] - means[:, 1] ** 2))


def explained_variance(sample: Sample) -> Statistic:
    """1 - the variance of the errors as a share of that of the truth."""
    truth, errors = _spread(sample), _errors(sample)
    errors = errors - errors.mean()
    columns = np.stack([errors, errors**2, truth, truth**2])
    return Moments(
        columns,
        lambda means: 1 - _share(means[:, 1] - means[:, 0] ** 2, means[:, 3] - means[:, 2] ** 2),
    )


def _spread(sample: Sample) -> Floats:
    """Truths around 0, which keeps the digits of their variance."""
    truth = np.asarray(sample.truth - sample.truth.mean())
    if not (truth**2).mean() > (SMALLEST * np.abs(sample.truth).max()) ** 2:
        raise UnmeasurableError("all truths are the same")
    return truth


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), math.nan), where=whole > 0))


class _RankCorrelation(Weighted):
    """Spearman's correlation of ranks; equal values have the mean of theirs."""

    def __init__(self, first: Floats, second: Floats) -> None:
        self.units = self.rows = len(first)
        self._sides = [self._groups(first), self._groups(second)]
        if any(len(starts) == 1 for _, starts, _ in self._sides):
            raise UnmeasurableError("all truths, or all predictions, are the same")
        self.value = float(self.weighted(np.ones((self.rows, 1), np.uint8))[0])

    @staticmethod
    def _groups(values: Floats) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        place = np.empty(len(values), np.intp)
        place[order] = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(values)]))
        return order, starts, place

    def closed(self, confidence: float) -> Bounds | None:
        """Normal on Fisher's scale; the error is from the derivatives by the rows' weights."""
        if self.units < FEWEST_FOR_RANKS:
            return None
        error = math.sqrt(float(np.sum(self._influence() ** 2)))
        if abs(self.value) >= 1 - SMALLEST or error == 0:
            return Bounds(None, None, None, "the order is the same in all rows, so its spread is not known")
        spread = two_sided(confidence) * error / (1 - self.value**2)
        centre = math.atanh(self.value)
        return Bounds((math.tanh(centre - spread), math.tanh(centre + spread)), "influence", error)

    def _influence(self) -> Floats:
        one, other = self._sides
        first, second = self._ranks(one), self._ranks(other)
        spreads = float(np.sum(first**2)), float(np.sum(second**2))
        # a row adds its own product, and moves the ranks of all others
        together = first * second + self._moved(one, second) + self._moved(other, first)
        share = (first**2 + 2 * self._moved(one, first)) / spreads[0]
        share += (second**2 + 2 * self._moved(other, second)) / spreads[1]
        return np.asarray(together / math.sqrt(spreads[0] * spreads[1]) - self.value * share / 2)

    def _ranks(self, side: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]) -> Floats:
        _, starts, place = side
        lengths = np.diff(np.r_[starts, self.rows])
        return np.asarray((starts + lengths / 2 - self.rows / 2)[place])

    def _moved(self, side: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], values: Floats) -> Floats:
        """For each row the sum of values of rows above it, half of those level with it, less half of all."""
        order, starts, place = side
        sums = np.add.reduceat(values[order], starts)
        return np.asarray((np.cumsum(sums[::-1])[::-1] - sums / 2 - sums.sum() / 2)[place])

    def weighted(self, weights: NDArray[Any]) -> Floats:
        """As promised."""
        centred = []
        total = weights.sum(axis=0, dtype=np.float64)
        for order, starts, place in self._sides:
            many = np.add.reduceat(weights[order], starts, axis=0, dtype=np.float64)
            ranks = np.cumsum(many, axis=0) - many / 2
            centred.append((ranks - total / 2)[place])
        first, second = centred
        with np.errstate(invalid="ignore", divide="ignore"):
            together = (weights * first * second).sum(axis=0)
            apart = (weights * first**2).sum(axis=0) * (weights * second**2).sum(axis=0)
            return np.asarray(together / np.sqrt(apart))


def spearman(sample: Sample) -> Statistic:
    """Correlation of the ranks of truth and prediction (of a ranking: and score)."""
    other = sample.scored if sample.prediction is None else sample.prediction
    return _RankCorrelation(sample.truth.astype(np.float64), np.asarray(other, np.float64))


def correlation(sample: Sample) -> Statistic:
    """Pearson's correlation of truth and prediction."""
    truth, other = _spread(sample), np.asarray(sample.predicted - sample.predicted.mean())
    columns = np.stack([truth * other, truth, other, truth**2, other**2])

    def function(means: Floats) -> Floats:
        spread = (means[:, 3] - means[:, 1] ** 2) * (means[:, 4] - means[:, 2] ** 2)
        return _share(means[:, 0] - means[:, 1] * means[:, 2], np.sqrt(np.maximum(spread, 0)))

    found = Moments(columns, function)
    if math.isnan(found.value):
        raise UnmeasurableError("all predictions are the same")
    return found


# Rankings: means over queries


def by_query(metric: Callable[[Floats, Floats], float | None], needs: str) -> Callable[[Sample], Statistic]:
    """The mean of a metric over queries.

    Args:
        metric: From relevance and score of a query's rows; none for a query that does not count.
        needs: What no query has if none counts, as a clause.
    """

    def build(sample: Sample) -> Statistic:
        score = sample.scored
        if sample.query is None:
            raise MissingColumnError("the table has no column `query`")
        order = np.argsort(sample.query, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(sample.query[order]) != 0])
        values, rows = [], 0
        for some in np.split(order, starts[1:]):
            value = metric(sample.truth[some], score[some])
            if value is not None:
                values.append(value)
                rows += len(some)
        if not values:
            raise UnmeasurableError(needs)
        return Mean(np.array(values), rows=rows)

    return build


def ndcg(relevance: Floats, score: Floats) -> float | None:
    """Discounted cumulative gain as a share of the best; rows of equal score share their discounts."""
    discounts = 1 / np.log2(np.arange(2, len(score) + 2))
    best = float(np.sum(np.sort(relevance)[::-1] * discounts))
    if best == 0:
        return None
    _, group = np.unique(-score, return_inverse=True)
    many = np.bincount(group)
    means = np.bincount(group, weights=relevance) / many
    ends = np.cumsum(discounts)[np.cumsum(many) - 1]
    return float(np.sum(means * np.diff(np.r_[0.0, ends]))) / best


def reciprocal_rank(relevance: Floats, score: Floats) -> float | None:
    """1 / the rank of the best relevant row; of equal scores the last counts."""
    if not (relevance > 0).any():
        return None
    return 1 / float((score >= score[relevance > 0].max()).sum())


def query_precision(relevance: Floats, score: Floats) -> float | None:
    """Average precision of one query."""
    relevant = relevance > 0
    if not relevant.any():
        return None
    order = np.argsort(-score, kind="stable")
    ordered, hits = score[order], relevant[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    found = np.cumsum(hits)[last]
    return float(np.sum(np.diff(np.r_[0, found]) * found / (last + 1))) / float(found[-1])
