"""Metrics that are functions of the confusion matrix.

Each function takes the margins of (draws, classes x classes) counts, truth by prediction, and gives NaN where
it has no value. Where scikit-learn counts a class that is never predicted as 0, so do the averages here; a
single precision that would be 0/0 has no value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .sample import BINARY, Floats, Sample, UnmeasurableError
from .statistic import Counts, Proportion, Statistic


class Margins(NamedTuple):
    """(draws, classes) each: rows right, truly and predicted of a class; and (draws,) all rows."""

    right: Floats
    truly: Floats
    predicted: Floats
    rows: Floats


def _margins(counts: Floats) -> Margins:
    size = math.isqrt(counts.shape[1])
    table = counts.reshape(len(counts), size, size)
    right = np.ascontiguousarray(np.diagonal(table, axis1=1, axis2=2))
    return Margins(right, table.sum(axis=2), table.sum(axis=1), counts.sum(axis=1))


def _divided(above: Floats, below: Floats, otherwise: float = math.nan) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), otherwise), where=below != 0))


def balanced_accuracy(margins: Margins) -> Floats:
    """The mean of the recalls of all classes that any row truly is of."""
    recalls = _divided(margins.right, margins.truly, 0.0)
    return _divided(recalls.sum(axis=1), (margins.truly > 0).sum(axis=1).astype(float))


def matthews_corrcoef(margins: Margins) -> Floats:
    """The correlation of truth and prediction, for any number of classes (Gorodkin 2004)."""
    rows = margins.rows
    covariance = margins.right.sum(axis=1) * rows - (margins.truly * margins.predicted).sum(axis=1)
    spread_true = rows**2 - (margins.truly**2).sum(axis=1)
    spread_predicted = rows**2 - (margins.predicted**2).sum(axis=1)
    return _divided(covariance, np.sqrt(spread_true * spread_predicted))


def cohen_kappa(margins: Margins) -> Floats:
    """How much more truth and prediction agree than by chance."""
    by_chance = (margins.truly * margins.predicted).sum(axis=1) / margins.rows
    return _divided(margins.right.sum(axis=1) - by_chance, margins.rows - by_chance)


def _precisions(margins: Margins) -> Floats:
    return _divided(margins.right, margins.predicted, 0.0)


def _recalls(margins: Margins) -> Floats:
    return _divided(margins.right, margins.truly, 0.0)


def _f1s(margins: Margins) -> Floats:
    return _divided(2 * margins.right, margins.truly + margins.predicted, 0.0)


def _jaccards(margins: Margins) -> Floats:
    return _divided(margins.right, margins.truly + margins.predicted - margins.right, 0.0)


OF_CLASSES: dict[str, Callable[[Margins], Floats]] = {
    "precision": _precisions,
    "recall": _recalls,
    "f1": _f1s,
    "jaccard": _jaccards,
}


def macro(values: Floats, margins: Margins) -> Floats:
    """The mean over all classes that are in truth or prediction."""
    there = (margins.truly + margins.predicted > 0).sum(axis=1)
    return _divided(values.sum(axis=1), there.astype(float))


def weighted(values: Floats, margins: Margins) -> Floats:
    """The mean over classes by how many rows truly are of them."""
    return _divided((values * margins.truly).sum(axis=1), margins.rows)


# From samples to statistics


def _codes(sample: Sample) -> tuple[NDArray[Any], int]:
    size = max(len(sample.classes), 2)
    codes = sample.__dict__.get("confusion")  # once for all metrics of a sample, which share resamples by it
    if codes is None:
        codes = sample.truth.astype(np.int64) * size + sample.predicted
        sample.__dict__["confusion"] = codes
    return codes, size


def counts(
    function: Callable[[Margins], Floats], *, needs: str | None = None
) -> Callable[[Sample], Statistic]:
    """A metric that is a function of the margins.

    Args:
        needs: What is missing where the function has no value, as a clause.
    """

    def build(sample: Sample) -> Statistic:
        codes, size = _codes(sample)
        truly = np.bincount(sample.truth, minlength=size)
        rarest = min((int(many), place) for place, many in enumerate(truly.tolist()) if many)
        found = Counts(
            codes,
            size * size,
            lambda table: function(_margins(table)),
            sample.rows,
            (rarest[0], sample.name(rarest[1])),
        )
        if math.isnan(found.value):
            raise UnmeasurableError(needs or "it has no value on these rows")
        return found

    return build


def average(metric: str, how: Callable[[Floats, Margins], Floats]) -> Callable[[Sample], Statistic]:
    """The average of a metric of single classes."""
    values = OF_CLASSES[metric]
    return counts(lambda margins: how(values(margins), margins))


def accuracy(sample: Sample) -> Statistic:
    """The share of rows that are predicted right."""
    return Proportion(sample.truth == sample.predicted)


def micro_jaccard(sample: Sample) -> Statistic:
    """Rows right, among the rows right and twice the others."""
    return Proportion(sample.truth == sample.predicted, transform=lambda share: share / (2 - share))


def precision(sample: Sample) -> Statistic:
    """Of the rows predicted positive, the share that are."""
    positive = sample.positive_class
    counted = sample.predicted == positive
    _require(counted, f"no row is predicted as {sample.name(positive)}")
    return Proportion(sample.is_positive, counted)


def negative_predictive_value(sample: Sample) -> Statistic:
    """Of the rows predicted not positive, the share that are not."""
    counted = sample.predicted != sample.positive_class
    _require(counted, f"every row is predicted as {sample.name(sample.positive_class)}")
    return Proportion(~sample.is_positive, counted)


def recall(sample: Sample) -> Statistic:
    """Of the rows that are positive, the share that is predicted so."""
    return Proportion(sample.predicted == sample.positive_class, _positives(sample))


def false_negative_rate(sample: Sample) -> Statistic:
    """Of the rows that are positive, the share that is not predicted so."""
    return Proportion(sample.predicted != sample.positive_class, _positives(sample))


def specificity(sample: Sample) -> Statistic:
    """Of the rows that are not positive, the share that is not predicted so."""
    return Proportion(sample.predicted != sample.positive_class, _others(sample))


def false_positive_rate(sample: Sample) -> Statistic:
    """Of the rows that are not positive, the share that is predicted so."""
    return Proportion(sample.predicted == sample.positive_class, _others(sample))


def selection_rate(sample: Sample) -> Statistic:
    """The share of rows predicted positive."""
    return Proportion(sample.predicted == sample.positive_class)


def f1(sample: Sample) -> Statistic:
    """A rising function of the share that is right among rows that are, or are predicted, positive."""
    return _overlap(sample, lambda share: 2 * share / (1 + share))


def jaccard(sample: Sample) -> Statistic:
    """The share that is right among rows that are, or are predicted, positive."""
    return _overlap(sample, None)


def _overlap(sample: Sample, transform: Callable[[Any], Any] | None) -> Statistic:
    predicted = sample.predicted == sample.positive_class
    counted = predicted | sample.is_positive
    _require(counted, f"no row is, or is predicted as, {sample.name(sample.positive_class)}")
    return Proportion(predicted & sample.is_positive, counted, transform)


def _positives(sample: Sample) -> NDArray[np.bool_]:
    return _require(sample.is_positive, f"no row is truly {sample.name(sample.positive_class)}")


def _others(sample: Sample) -> NDArray[np.bool_]:
    positive = sample.positive_class
    what = sample.name(1 - positive) if sample.task == BINARY else "of another class"
    return _require(~sample.is_positive, f"no row is truly {what}")


def _require(rows: NDArray[np.bool_], otherwise: str) -> NDArray[np.bool_]:
    if not rows.any():
        raise UnmeasurableError(otherwise)
    return rows
