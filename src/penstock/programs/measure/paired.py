"""How a metric changed between two models that predicted the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import differences, independent, means
from .bootstrap import Resampled, resample
from .distributions import student_quantile, two_sided
from .intervals import Bounds
from .measures import too_few
from .metrics import Metric
from .sample import Floats, Sample
from .statistic import Area, Counts, Mean, Negative, Proportion, Statistic, Weighted

_BLOCK = 1 << 21
_LEFT_OUT = 2  # the cell of a proportion's rows that do not count


@dataclass(frozen=True)
class Pair:
    """A metric of this model and of the other, on the same rows in the same order."""

    metric: Metric
    ours: Sample
    theirs: Sample
    first: Statistic
    second: Statistic
    confidence: float


def bounds(pairs: Sequence[Pair], resamples: int, seed: str) -> list[Bounds]:
    """Bounds on the change in each pair; where no formula gives them, from resamples that all pairs share.

    Args:
        seed: Names the rows.
    """
    plain = [_plain(pair) for pair in pairs]
    found = [_without_resamples(pair, resamples, seed) for pair in plain]
    together: dict[tuple[int, int], list[Statistic]] = {}
    for pair, known in zip(plain, found, strict=True):
        if known is None:
            draws = pair.first.draws or resamples
            together.setdefault((pair.first.units, draws), []).extend((pair.first, pair.second))
    drawn: dict[int, Resampled] = {}
    for (_, draws), some in together.items():
        drawn |= dict(zip(map(id, some), resample(some, draws, seed), strict=True))
    return [
        known or _resampled(drawn[id(pair.first)], drawn[id(pair.second)], pair.confidence)
        for pair, known in zip(plain, found, strict=True)
    ]


def _plain(pair: Pair) -> Pair:
    """The change of a metric whose sign was turned is that of the plain one, the other way round."""
    first, second = pair.first, pair.second
    if isinstance(first, Negative) and isinstance(second, Negative):
        return replace(pair, ours=pair.theirs, theirs=pair.ours, first=second.plain, second=first.plain)
    return pair


def _without_resamples(pair: Pair, resamples: int, seed: str) -> Bounds | None:
    first, second = pair.first, pair.second
    if not _alike(first, second):
        return independent.bounds([(first, second, pair.confidence)], resamples, seed)[0]
    known = _closed(first, second, pair.confidence)
    if known is None and isinstance(first, Counts) and len(pair.ours.classes) > 1:
        return _tables(pair)
    return known


def _alike(first: Statistic, second: Statistic) -> bool:
    """Whether a formula or resamples apply to both; a curve that is perfect has another kind of spread."""
    return all(isinstance(each, Counts | Weighted) for each in (first, second)) or type(first) is type(second)


def _closed(first: Statistic, second: Statistic, confidence: float) -> Bounds | None:
    """Bounds on `first - second` from a formula of the kind of statistic that both are, if there is one."""
    if isinstance(first, Proportion) and isinstance(second, Proportion) and _same_rows(first, second):
        return _proportions(first, second, confidence)
    if isinstance(first, Mean) and isinstance(second, Mean) and not (first.transform or second.transform):
        return _means(first, second, confidence)
    if isinstance(first, Area) and isinstance(second, Area):
        return _areas(first, second, confidence)
    if first.units != second.units:
        return Bounds(None, None, None, "the metric counts other rows in the baseline")
    alone = [each.closed(confidence) for each in (first, second)]
    if isinstance(first, Counts | Weighted):
        alone.append(too_few(first))
    return next((each for each in alone if each and not each.interval), None)


def _resampled(first: Resampled, second: Resampled, confidence: float) -> Bounds:
    change = first.minus(second)
    if change.value or np.any(change.draws[np.isfinite(change.draws)]):
        return change.bounds(confidence)
    if np.ptp(first.draws[np.isfinite(first.draws)]) == 0:  # both are perfect, say
        return Bounds(None, None, None, "all resamples have the same value, so its spread is not known")
    return Bounds((0.0, 0.0), "identical", 0.0)


def discordant(first: Proportion, second: Proportion) -> tuple[int, int]:
    """Rows that are hits of the first only, and of the second only."""
    this, other = first.cells == 0, second.cells == 0
    return int(np.sum(this & ~other)), int(np.sum(other & ~this))


def _same_rows(first: Proportion, second: Proportion) -> bool:
    """Whether both are shares (and no functions of shares) of the same rows: precision is not, recall is."""
    if first.hits is None or second.hits is None:
        return False
    return np.array_equal(first.cells == _LEFT_OUT, second.cells == _LEFT_OUT)


def _proportions(first: Proportion, second: Proportion, confidence: float) -> Bounds:
    this, other = discordant(first, second)
    interval = differences.paired_proportions(this, other, first.rows, confidence)
    # half a row in each cell, after Agresti & Min (2005), Statistics in Medicine 24:729-740: never 0
    rows = first.rows + 2
    error = math.sqrt(this + other + 1 - (this - other) ** 2 / rows) / rows
    return Bounds(interval, "tango", error)


def _means(first: Mean, second: Mean, confidence: float) -> Bounds:
    changes = first.values - second.values
    if len(changes) < means.MIN_ROWS:
        return Bounds(None, None, None, f"{len(changes)} rows are too few for an interval")
    if not changes.any():
        return Bounds((0.0, 0.0), "identical", 0.0)
    found = means.mean(changes, confidence)
    if found.standard_error == 0:
        return Bounds(None, None, None, "all rows have the same change, so its spread is not known")
    return Bounds(found.interval, "student-skewed", found.standard_error)


def _areas(first: Area, second: Area, confidence: float) -> Bounds:
    influences = np.stack([first.influence, second.influence])
    covariance = influences @ influences.T
    error = math.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0))
    if min(covariance[0, 0], covariance[1, 1]) <= 0 or not (0 < first.value < 1 and 0 < second.value < 1):
        alone = first.closed(confidence), second.closed(confidence)  # too wide, since they are correlated
        return independent.difference(first.value, alone[0], second.value, alone[1])
    if np.array_equal(*influences):
        return Bounds((0.0, 0.0), "identical", 0.0)
    quantile = student_quantile((1 + confidence) / 2, max(first.fewest - 1, 1))
    interval = differences.correlated_shares(first.value, second.value, covariance, quantile)
    return Bounds(
        interval, "influence" if first.closed(confidence).method == "influence" else "delong", error
    )


# Functions of a table of counts


def _tables(pair: Pair) -> Bounds:
    """Bounds on the change of a function of the confusion matrix: F1, precision, balanced accuracy, ...

    Two models differ on few rows, so that resamples say too little of these: with the BCa bootstrap a worse
    model passes two to five times too often. Here a few rows (the squared quantile, 3.8 for 95 %) are added
    on which only one of the two is right, spread over both models and all classes. From the table with them
    come the covariance (by the delta method) and the ellipse that bounds the change (`correlated_shares`).

    Source: Agresti & Min (2005), Statistics in Medicine 24:729-740, who add two rows, for accuracy.
    """
    swapped = (
        _with_swaps(pair.metric, pair.ours, first=True),
        _with_swaps(pair.metric, pair.theirs, first=False),
    )
    rows = len(swapped[0].cells)
    weights = np.ones(rows)
    z = two_sided(pair.confidence)
    weights[pair.ours.rows :] = z * z / (rows - pair.ours.rows)
    (one, one_slopes), (other, other_slopes) = (_slopes(each, weights) for each in swapped)
    slopes = np.stack([one_slopes, other_slopes])
    covariance = (slopes * weights) @ slopes.T
    error = math.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0))
    # from (-1, 1), where all of these lie, to (0, 1)
    low, high = differences.correlated_shares((one + 1) / 2, (other + 1) / 2, covariance / 4, z)
    change = pair.first.value - pair.second.value
    return Bounds((min(2 * low, change), max(2 * high, change)), "adjusted-delta", error)


def _with_swaps(metric: Metric, sample: Sample, *, first: bool) -> Counts:
    """The statistic of a sample with two more rows of each class: either the first or the second is right."""
    truly = np.unique(sample.truth)
    others = np.roll(truly, 1) if len(truly) > 1 else (truly + 1) % len(sample.classes)
    predicted = (truly, others) if first else (others, truly)
    statistic = metric.statistic(
        Sample(
            sample.task,
            np.concatenate([sample.truth, truly, truly]),
            np.concatenate([sample.predicted, *predicted]),
            classes=sample.classes,
            positive=sample.positive,
        )
    )
    if isinstance(statistic, Negative):
        statistic = statistic.plain
    assert isinstance(statistic, Counts)
    return statistic


def _slopes(statistic: Counts, weights: Floats) -> tuple[float, Floats]:
    """The value where rows have these weights, and how it changes with the weight of each."""
    counts = np.bincount(statistic.cells, weights=weights, minlength=statistic.size).astype(np.float64)
    value = float(statistic.function(counts[None, :])[0])
    used = np.flatnonzero(counts)
    step = weights.sum() * 1e-6
    slopes = np.zeros(statistic.size)
    for start in range(0, len(used), _BLOCK // statistic.size + 1):
        cells = used[start : start + _BLOCK // statistic.size + 1]
        more = np.repeat(counts[None, :], len(cells), axis=0)
        more[np.arange(len(cells)), cells] += step
        slopes[cells] = (statistic.function(more) - value) / step
    return value, slopes[statistic.cells]
