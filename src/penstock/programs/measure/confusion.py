"""Metrics that are functions of the confusion matrix.

Each function takes the margins of many drawn matrices and gives NaN where it has no value. Where scikit-learn
counts a class that is never predicted as 0, so do the averages here; a single precision that would be 0/0 has
no value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .distributions import two_sided
from .intervals import Bounds, wilson
from .sample import BINARY, Floats, Sample, UnmeasurableError
from .statistic import Counts, MeanShare, Proportion, Statistic


class Margins(NamedTuple):
    """(draws, classes) each: rows right, truly and predicted of a class; and (draws,) all rows."""

    right: Floats
    truly: Floats
    predicted: Floats
    rows: Floats


class Confusion(NamedTuple):
    """The cells of a confusion matrix that any row is in.

    Attributes:
        cells: Of each row, the place of its cell in the two others.
        truth: The true class of each cell.
        prediction: The predicted one.
    """

    cells: NDArray[Any]
    truth: NDArray[Any]
    prediction: NDArray[Any]
    classes: int

    def margins(self, counts: Floats) -> Margins:
        """From (draws, cells)."""
        right = self.truth == self.prediction
        return Margins(
            self._by_class(counts[:, right], self.truth[right]),
            self._by_class(counts, self.truth),
            self._by_class(counts, self.prediction),
            counts.sum(axis=1),
        )

    def _by_class(self, counts: Floats, classes: NDArray[Any]) -> Floats:
        sums = np.zeros((len(counts), self.classes))
        if classes.size:
            order = np.argsort(classes, kind="stable")
            there, starts = np.unique(classes[order], return_index=True)
            sums[:, there] = np.add.reduceat(counts[:, order], starts, axis=1)
        return sums


def confusion(sample: Sample) -> Confusion:
    """That of a sample; the same object for all its metrics, which share resamples by it."""
    found = sample.kept.get("confusion")
    if not isinstance(found, Confusion):
        classes = max(len(sample.classes), 2)
        used, cells = np.unique(
            sample.truth.astype(np.int64) * classes + sample.predicted, return_inverse=True
        )
        found = sample.kept["confusion"] = Confusion(cells, used // classes, used % classes, classes)
    return found


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


class _OfMargins(Counts):
    """A function of the margins of a confusion matrix."""

    def __init__(
        self, table: Confusion, function: Callable[[Margins], Floats], name: Callable[[int], str]
    ) -> None:
        rows = len(table.cells)
        super().__init__(table.cells, len(table.truth), lambda drawn: function(table.margins(drawn)), rows)
        self._function, self._name = function, name
        self._truly = np.bincount(table.truth[table.cells], minlength=table.classes)
        self._flawless = bool((table.truth == table.prediction).all())

    def closed(self, confidence: float) -> Bounds | None:
        """Where all rows are right, how low the value may be; none where resamples often lack a class."""
        if self._flawless:
            low = self._worst(confidence)
            return Bounds((low, self.value), "none-wrong", (self.value - low) / two_sided(confidence))
        rarest = int(np.argmin(np.where(self._truly > 0, self._truly, self.rows + 1)))
        count = int(self._truly[rarest])
        if count < FEWEST_OF_A_CLASS:
            why = f"only {count} {'row is' if count == 1 else 'rows are'} truly {self._name(rarest)}"
            return Bounds(None, None, None, f"{why}: too few for an interval")
        return None

    def _worst(self, confidence: float) -> float:
        """The lowest value if as many rows were wrong as may well be, all of one class and in one way."""
        wrong = self.rows * wilson(0, self.rows, confidence)[1]
        rare = np.argsort(self._truly, kind="stable")
        there = rare[self._truly[rare] > 0]
        pairs = [(one, other) for one in there[:MOST_TRIED] for other in rare[:MOST_TRIED] if one != other]
        places, (one, other) = np.arange(len(pairs)), np.array(pairs).T
        truly = np.repeat(self._truly[None, :].astype(np.float64), len(pairs), axis=0)
        right, predicted = truly.copy(), truly.copy()
        moved = np.minimum(wrong, truly[places, one])
        right[places, one] -= moved
        predicted[places, one] -= moved
        predicted[places, other] += moved
        values = self._function(Margins(right, truly, predicted, truly.sum(axis=1)))
        return min(float(np.nanmin(values)), self.value)


MOST_TRIED = 50
FEWEST_OF_A_CLASS = 5


def counts(
    function: Callable[[Margins], Floats], *, needs: str | None = None
) -> Callable[[Sample], Statistic]:
    """A metric that is a function of the margins.

    Args:
        needs: What is missing where the function has no value, as a clause.
    """

    def build(sample: Sample) -> Statistic:
        found = _OfMargins(confusion(sample), function, sample.name)
        if math.isnan(found.value):
            raise UnmeasurableError(needs or "it has no value on these rows")
        return found

    return build


def mean_recall(sample: Sample) -> Statistic:
    """The mean of the recalls of all classes that any row truly is of."""
    table = confusion(sample)
    whole = table.margins(np.bincount(table.cells).astype(np.float64)[None, :])
    there = whole.truly[0] > 0
    return MeanShare(
        table.cells,
        len(table.truth),
        lambda drawn: balanced_accuracy(table.margins(drawn)),
        whole.right[0][there],
        whole.truly[0][there],
    )


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
