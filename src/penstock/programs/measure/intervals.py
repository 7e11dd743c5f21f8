"""Confidence intervals, two-sided, of one number."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .distributions import (
    beta_quantile,
    binomial_share,
    normal_quantile,
    normal_share,
    student_quantile,
    two_sided,
)

Interval = tuple[float, float]

MOST_UNDEFINED = 0.1
"""With a larger share of resamples on which a metric has no value, nothing is said."""


class Bounds(NamedTuple):
    """An interval and how it was had.

    Attributes:
        interval: Absent where none can be had; `problem` says why.
        method: `wilson`, `delong`, `bca`, ...
    """

    interval: Interval | None
    method: str | None
    standard_error: float | None
    problem: str | None = None


def wilson(hits: float, trials: float, confidence: float) -> Interval:
    """Bounds on a binomial proportion, both within [0, 1]; `trials` >= 1.

    Source: Wilson (1927), Journal of the American Statistical Association 22:209-212.
    """
    z = two_sided(confidence)
    share = hits / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = (
        z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    )
    # at the ends the formula gives the share itself, but for rounding
    low = 0.0 if hits == 0 else max(centre - spread, 0.0)
    high = 1.0 if hits == trials else min(centre + spread, 1.0)
    return low, high


def clopper_pearson(hits: int, trials: int, confidence: float) -> Interval:
    """Bounds on a binomial proportion that never hold less often than promised; `trials` >= 1.

    Source: Clopper & Pearson (1934), Biometrika 26:404-413.
    """
    tail = (1 - confidence) / 2
    low = beta_quantile(tail, hits, trials - hits + 1) if hits else 0.0
    high = beta_quantile(1 - tail, hits + 1, trials - hits) if hits < trials else 1.0
    return low, high


def logit(value: float, standard_error: float, confidence: float, freedom: int) -> Interval:
    """Bounds on a share strictly within (0, 1), on the scale of its log odds.

    Args:
        freedom: Of the standard error; that of an area rests on the rows of the smaller class.
    """
    centre = math.log(value / (1 - value))
    quantile = student_quantile((1 + confidence) / 2, freedom)
    spread = quantile * standard_error / (value * (1 - value))
    return _expit(centre - spread), _expit(centre + spread)


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(value))


def newcombe_area(value: float, positives: int, negatives: int, confidence: float) -> Interval:
    """Bounds on an area under the ROC curve that hold for few rows and at 0 and 1, too.

    Source: method 5 of Newcombe (2006), Statistics in Medicine 25:559-573: the score interval with the
    variance of Hanley & McNeil (1982), in which both sample sizes are replaced by their mean.
    """
    z = two_sided(confidence)
    others = (positives + negatives) / 2 - 1

    def distance(area: float) -> float:
        spread = 1 + others * (1 - area) / (2 - area) + others * area / (1 + area)
        return z * math.sqrt(area * (1 - area) * spread / (positives * negatives))

    def end(inside: float, outside: float) -> float:
        for _ in range(100):
            middle = (inside + outside) / 2
            if abs(value - middle) <= distance(middle):
                inside = middle
            else:
                outside = middle
        return inside

    return end(value, 0.0), end(value, 1.0)


def order_statistics(rows: int, confidence: float) -> tuple[int, int] | None:
    """Places, in ascending order from 0, of the two values that bound the median; none with too few rows.

    Whatever the distribution is, they hold at least as often as promised.
    """
    tail = (1 - confidence) / 2
    low, high = -1, rows // 2
    while high - low > 1:  # the largest number of rows below with at most this much in the tail
        middle = (low + high) // 2
        low, high = (middle, high) if binomial_share(middle, rows, 0.5) <= tail else (low, middle)
    return (low, rows - 1 - low) if low >= 0 else None


# From resamples


def bootstrapped(
    value: float,
    draws: NDArray[Any],
    left_out: NDArray[Any],
    times: NDArray[Any] | None,
    confidence: float,
) -> Bounds:
    """Bounds from resamples: BCa, or percentiles where that is undefined.

    Args:
        value: Of the statistic on the rows as they are.
        draws: Its value on each resample; NaN where it has none.
        left_out: Its values without one row (or group of rows) each.
        times: How many rows each of these stands for; one each if absent.

    Source: Efron (1987), Journal of the American Statistical Association 82:171-185.
    """
    finite = draws[np.isfinite(draws)]
    if len(finite) < (1 - MOST_UNDEFINED) * len(draws):
        share = 1 - len(finite) / len(draws)
        return Bounds(None, None, None, f"too few rows: {share:.0%} of the resamples have no value")
    error = float(np.std(finite, ddof=1))
    if error <= abs(value) * 1e-12:
        return Bounds(None, None, None, "all resamples have the same value, so its spread is not known")
    tails = _corrected(value, finite, left_out, times, confidence)
    method = "bca"
    if tails is None:
        method, tails = "percentile", ((1 - confidence) / 2, (1 + confidence) / 2)
    low, high = np.quantile(finite, tails)
    return Bounds((min(float(low), value), max(float(high), value)), method, error)


def _corrected(
    value: float, draws: NDArray[Any], left_out: NDArray[Any], times: NDArray[Any] | None, confidence: float
) -> Interval | None:
    """The tails that are cut off, corrected for bias and skewness."""
    close = abs(value) * 1e-12  # the same value, computed in another order
    below = float(np.mean(draws < value - close) + np.mean(np.abs(draws - value) <= close) / 2)
    bias = normal_quantile(below)
    skewness = acceleration(left_out, times)
    if not math.isfinite(bias) or skewness is None:
        return None
    tails = []
    for probability in ((1 - confidence) / 2, (1 + confidence) / 2):
        moved = bias + normal_quantile(probability)
        if 1 - skewness * moved <= 0:
            return None
        tails.append(normal_share(bias + moved / (1 - skewness * moved)))
    return tails[0], tails[1]


def acceleration(left_out: NDArray[Any], times: NDArray[Any] | None) -> float | None:
    """How fast the standard error changes with the value, from the jackknife; none if all are alike."""
    known = np.isfinite(left_out)
    if not known.all():
        left_out, times = left_out[known], None if times is None else times[known]
    weights = np.ones(len(left_out)) if times is None else times
    if not len(left_out):
        return None
    deviations = np.average(left_out, weights=weights) - left_out
    squares = float(np.sum(weights * deviations**2))
    if squares <= 0:
        return None
    return float(np.sum(weights * deviations**3) / (6 * squares**1.5))
