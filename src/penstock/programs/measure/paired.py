"""How a metric changed between two models that predicted the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from . import differences, independent, means
from .bootstrap import Resampled, resample
from .distributions import student_quantile, two_sided
from .intervals import Bounds
from .measures import too_few
from .statistic import Area, Counts, Mean, Negative, Proportion, Statistic, Weighted

_LEFT_OUT = 2  # the cell of a proportion's rows that do not count


def bounds(pairs: Sequence[tuple[Statistic, Statistic, float]], resamples: int, seed: str) -> list[Bounds]:
    """Bounds on the change in each pair; where no formula gives them, from resamples that all pairs share.

    Args:
        pairs: A metric of this model and of the other on the same rows in the same order, and the confidence.
        seed: Names the rows.
    """
    found = [
        closed(*pair) if _alike(pair[0], pair[1]) else independent.bounds([pair], resamples, seed)[0]
        for pair in pairs
    ]
    together: dict[tuple[int, int], list[Statistic]] = {}
    for (first, second, _), known in zip(pairs, found, strict=True):
        if known is None:
            together.setdefault((first.units, first.draws or resamples), []).extend((first, second))
    drawn: dict[int, Resampled] = {}
    for (_, draws), some in together.items():
        drawn |= dict(zip(map(id, some), resample(some, draws, seed), strict=True))
    return [
        known or _resampled(first, second, (drawn[id(first)], drawn[id(second)]), confidence)
        for (first, second, confidence), known in zip(pairs, found, strict=True)
    ]


def _alike(first: Statistic, second: Statistic) -> bool:
    """Whether a formula or resamples apply to both; a curve that is perfect has another kind of spread."""
    return all(isinstance(each, Counts | Weighted) for each in (first, second)) or type(first) is type(second)


def closed(first: Statistic, second: Statistic, confidence: float) -> Bounds | None:
    """Bounds on `first - second` from a formula; none where there is none, so that it takes resamples.

    Args:
        first: Of the same metric on the same rows in the same order as `second`.
        confidence: Two-sided, a fraction.
    """
    if isinstance(first, Proportion) and isinstance(second, Proportion) and _same_rows(first, second):
        return _proportions(first, second, confidence)
    if isinstance(first, Mean) and isinstance(second, Mean) and not (first.transform or second.transform):
        return _means(first, second, confidence)
    if isinstance(first, Area) and isinstance(second, Area):
        return _areas(first, second, confidence)
    if isinstance(first, Negative) and isinstance(second, Negative):
        return closed(second.plain, first.plain, confidence)
    if first.units != second.units:
        return Bounds(None, None, None, "the metric counts other rows in the baseline")
    alone = [each.closed(confidence) for each in (first, second)]
    if isinstance(first, Counts | Weighted):
        alone.append(too_few(first))
    return next((each for each in alone if each and not each.interval), None)


def _resampled(
    first: Statistic, second: Statistic, drawn: tuple[Resampled, Resampled], confidence: float
) -> Bounds:
    change = drawn[0].minus(drawn[1])
    if change.value or np.any(change.draws[np.isfinite(change.draws)]):
        return change.bounds(confidence)
    if np.ptp(drawn[0].left_out[np.isfinite(drawn[0].left_out)]) == 0:  # both are perfect, say
        alone = first.closed(confidence), second.closed(confidence)
        if alone[0] and alone[1]:
            return independent.difference(first.value, alone[0], second.value, alone[1])
        return Bounds(None, None, None, "all resamples have the same value, so its spread is not known")
    if isinstance(first, Counts):
        return _unchanged(drawn[0], confidence)
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


def _unchanged(one: Resampled, confidence: float) -> Bounds:
    """Bounds on a change that no row shows: so many rows may differ that none of those here does.

    Each counts for as much as the farthest two rows of this table. For a proportion this is Tango's interval.
    """
    times = np.ones(len(one.left_out)) if one.times is None else one.times
    effect = float(np.ptp(one.left_out[np.isfinite(one.left_out)]))
    rows, z = float(times.sum()), two_sided(confidence)
    reach = z * z / (rows + z * z) * rows * effect
    return Bounds((-reach, reach), "none-differs", reach / z)
