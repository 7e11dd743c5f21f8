"""Metrics of scores and class probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intervals import Bounds, logit, newcombe_area
from .sample import BINARY, MULTICLASS, Floats, Sample, UnmeasurableError
from .statistic import Area, Mean, Moments, Proportion, Statistic, Weighted

FEWEST_FOR_DELONG = 10
EPSILON = float(np.finfo(np.float64).eps)


def log_loss(sample: Sample) -> Statistic:
    """Mean of -log of the probability that the true class was given."""
    return Mean(-np.log(np.clip(_of_the_truth(sample), EPSILON, 1 - EPSILON)))


def _of_the_truth(sample: Sample) -> Floats:
    sample.require_probabilities()
    if sample.task == BINARY and sample.score is not None:
        return np.where(sample.is_positive, sample.score, 1 - sample.score)
    probabilities = sample.class_scores
    total = probabilities.sum(axis=1)
    return np.asarray(probabilities[np.arange(sample.rows), sample.truth] / total)


def brier_score(sample: Sample) -> Statistic:
    """Mean squared error of the probability; over all classes, and so up to 2, if there are more than two."""
    sample.require_probabilities()
    if sample.task == BINARY:
        return Mean((sample.scored - sample.is_positive) ** 2)
    truly = np.eye(len(sample.classes))[sample.truth]
    return Mean(((sample.class_scores - truly) ** 2).sum(axis=1))


def expected_calibration_error(bins: int) -> Callable[[Sample], Statistic]:
    """How far scores and shares are apart: |mean score - share| in bins of equal width, by their rows.

    For more than two classes it is that of the likeliest class (Guo et al. 2017).
    """

    def build(sample: Sample) -> Statistic:
        sample.require_probabilities()
        score, hit = _confidence(sample)
        places = np.minimum((score * bins).astype(np.int64), bins - 1)
        used, index = np.unique(places, return_inverse=True)
        columns = np.zeros((len(used), sample.rows))
        columns[index, np.arange(sample.rows)] = score - hit
        return Moments(columns, lambda means: np.abs(means).sum(axis=1))

    return build


def _confidence(sample: Sample) -> tuple[Floats, NDArray[Any]]:
    if sample.task == BINARY:
        return sample.scored, sample.is_positive
    best = sample.class_scores.argmax(axis=1)
    return sample.class_scores[np.arange(sample.rows), best], best == sample.truth


def top_k_accuracy(count: int) -> Callable[[Sample], Statistic]:
    """The share of rows whose true class is among the k likeliest; of equals the later class counts first."""

    def build(sample: Sample) -> Statistic:
        scores = sample.class_scores
        own = scores[np.arange(sample.rows), sample.truth][:, None]
        later = np.arange(scores.shape[1])[None, :] > sample.truth[:, None]
        return Proportion(((scores > own) | ((scores == own) & later)).sum(axis=1) < count)

    return build


# Areas under ROC curves


def roc_auc(sample: Sample) -> Statistic:
    """The probability that a positive row has a higher score than another; the mean over more classes."""
    if sample.task == MULTICLASS:
        return _one_against_rest(sample, weighted=False)
    value, influence = area(sample.scored, sample.is_positive)
    positives = int(sample.is_positive.sum())
    fewest = min(positives, sample.rows - positives)

    def bounds(confidence: float) -> Bounds:
        error = math.sqrt(float(np.sum(influence**2)))
        if fewest < FEWEST_FOR_DELONG or error == 0:
            interval = newcombe_area(value, positives, sample.rows - positives, confidence)
            return Bounds(interval, "newcombe", error)
        return Bounds(logit(value, error, confidence, fewest - 1), "delong", error)

    return Area(value, influence, bounds, fewest)


def roc_auc_weighted(sample: Sample) -> Statistic:
    """The mean over classes by how many rows truly are of them."""
    return _one_against_rest(sample, weighted=True)


def _one_against_rest(sample: Sample, *, weighted: bool) -> Statistic:
    scores, truth = sample.class_scores, sample.truth
    shares = np.bincount(truth, minlength=scores.shape[1]) / sample.rows
    if not (shares > 0).all():
        raise UnmeasurableError(f"no row is truly {sample.name(int(np.argmin(shares)))}")
    weights = shares if weighted else np.full(len(shares), 1 / len(shares))
    value, influence = 0.0, np.zeros(sample.rows)
    for place, weight in enumerate(weights.tolist()):
        of_class, own = area(scores[:, place], truth == place)
        value += weight * of_class
        influence += weight * own
        if weighted:  # the weights are drawn, too
            influence += of_class * ((truth == place) - weight) / sample.rows
    fewest = int(shares.min() * sample.rows + 0.5)

    def bounds(confidence: float) -> Bounds:
        error = math.sqrt(float(np.sum(influence**2)))
        if fewest < FEWEST_FOR_DELONG:
            name = sample.name(int(np.argmin(shares)))
            return Bounds(None, None, None, f"too few rows are truly {name} for an interval")
        if error == 0 or not 0 < value < 1:
            return Bounds(None, None, None, "the scores separate all classes, so the spread is not known")
        return Bounds(logit(value, error, confidence, fewest - 1), "delong", error)

    return Area(value, influence, bounds, fewest)


def area(score: Floats, positive: NDArray[np.bool_]) -> tuple[float, Floats]:
    """The area under a ROC curve, and what each row adds to its error.

    The squares of the latter add up to the variance of DeLong, DeLong & Clarke-Pearson (1988), Biometrics
    44:837-845, their products with those of another score to the covariance.

    Raises:
        UnmeasurableError: There is but one class.

    Source: by ranks instead of pairs, as Sun & Xu (2014), IEEE Signal Processing Letters 21:1389-1393.
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        raise UnmeasurableError("all rows are truly of one class")
    order = np.argsort(score, kind="stable")
    ordered, hits = score[order], positive[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])  # of all rows with one score
    above = np.diff(np.cumsum(hits)[last], prepend=0)
    below = np.diff(last, prepend=-1) - above
    # of a positive the share of negatives below it; of a negative the share of positives above it
    beaten = (np.cumsum(below) - below / 2) / negatives
    beating = 1 - (np.cumsum(above) - above / 2) / positives
    group = np.repeat(np.arange(len(last)), above + below)
    share = np.empty(len(score))
    share[order] = np.where(hits, beaten[group], beating[group])
    value = float(np.sum(above * beaten)) / positives
    sizes = np.where(positive, positives * max(positives - 1, 1), negatives * max(negatives - 1, 1))
    return value, (share - value) / np.sqrt(sizes)


# Average precision


class AveragePrecision(Weighted):
    """The mean, over the positive rows, of the precision among all rows with a score at least as high.

    Attributes:
        influence: As of an `Area`: the derivative by the weight of each row.
        positives: How many rows are.
    """

    def __init__(self, score: Floats, positive: NDArray[np.bool_]) -> None:
        self.positives = int(positive.sum())
        if not self.positives:
            raise UnmeasurableError("no row is truly positive")
        self.units = self.rows = len(score)
        order = np.argsort(-score, kind="stable")
        ordered, hits = score[order], positive[order]
        last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])  # of all rows with one score
        above, found = last + 1.0, np.cumsum(hits)[last].astype(np.float64)
        new = np.diff(found, prepend=0)
        precision = found / above
        self.value = float((new * precision).sum()) / self.positives
        # what one row more does to the precision at its score and at all lower ones
        down = np.cumsum((new * precision / above)[::-1])[::-1]
        up = precision - self.value + np.cumsum((new / above)[::-1])[::-1]
        group = np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))
        self.influence = np.empty(len(score))
        self.influence[order] = (np.where(hits, up[group], 0) - down[group]) / self.positives
        telling = last[new > 0]  # only where there are new positives, anything is added
        self._order, self._hit_order = order[: telling[-1] + 1], order[hits]
        self._starts = np.r_[0, telling[:-1] + 1]
        self._hit_starts = np.r_[0, np.cumsum(hits)[telling[:-1]]]

    def weighted(self, weights: NDArray[Any]) -> Floats:
        """As promised."""
        rows = np.add.reduceat(weights[self._order], self._starts, axis=0, dtype=np.int32)
        hits = np.add.reduceat(weights[self._hit_order], self._hit_starts, axis=0, dtype=np.int32)
        above, found = np.cumsum(rows, axis=0), np.cumsum(hits, axis=0)
        precision = np.divide(found, above, out=np.zeros(above.shape), where=above > 0)
        with np.errstate(invalid="ignore"):
            return np.asarray((hits * precision).sum(axis=0) / found[-1])


FEWEST_FOR_INFLUENCE = 50


class _Average(Weighted):
    """The mean of several statistics of the same rows."""

    def __init__(self, parts: list[AveragePrecision]) -> None:
        self._parts = parts
        self.units = self.rows = parts[0].rows
        self.value = math.fsum(part.value for part in parts) / len(parts)

    def weighted(self, weights: NDArray[Any]) -> Floats:
        """As promised."""
        return np.asarray(sum(part.weighted(weights) for part in self._parts) / len(self._parts))


def average_precision(sample: Sample) -> Statistic:
    """The area under the steps of the precision-recall curve; of more classes, the mean over them."""
    if sample.task != MULTICLASS:
        parts = [AveragePrecision(sample.scored, sample.is_positive)]
    else:
        scores = sample.class_scores
        parts = [
            AveragePrecision(scores[:, place], sample.truth == place) for place in range(scores.shape[1])
        ]
    fewest = min(part.positives for part in parts)
    value = math.fsum(part.value for part in parts) / len(parts)
    influence = np.asarray(sum(part.influence for part in parts) / len(parts))
    error = math.sqrt(float(np.sum(influence**2)))
    if fewest < FEWEST_FOR_INFLUENCE or not 0 < value < 1 or error == 0:
        return parts[0] if len(parts) == 1 else _Average(parts)

    def bounds(confidence: float) -> Bounds:
        return Bounds(logit(value, error, confidence, fewest - 1), "influence", error)

    return Area(value, influence, bounds, fewest)
