"""Intervals on the difference or ratio of two measures, paired or independent, in closed form.

None of them collapses to a point where a proportion is 0 or 1, or where two models agree on every row: "no
row differs in this sample" does not say that none ever will.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .distributions import binomial_share, two_sided

Interval = tuple[float, float]

_DIRECTIONS = 1441  # a quarter of a degree: exact to a hundred-thousandth of the width
_HALVINGS = 60  # of [-1, 1]: beyond the precision of a float


def paired_proportions(only_first: int, only_second: int, rows: int, confidence: float) -> Interval:
    """Bounds on p1 - p2, both measured on the same rows.

    Args:
        only_first: Rows that count for the first and not for the second.
        only_second: The opposite.
        rows: All of them, >= 1; those on which both agree matter, too.
        confidence: Two-sided, a fraction.

    Source: the score interval of Tango (1998), Statistics in Medicine 17:891-908.
    """
    z = two_sided(confidence)

    def crossing(target: float) -> float:
        low, high = -1.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if _paired_score(only_first, only_second, rows, middle) > target:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    return crossing(z), crossing(-z)


def _paired_score(only_first: int, only_second: int, rows: int, difference: float) -> float:
    """Tango's statistic: falls as `difference` rises; a standard normal if that is the true one."""
    a = 2 * rows
    b = -only_first - only_second + (2 * rows - only_first + only_second) * difference
    c = -only_second * difference * (1 - difference)
    # the likeliest share of `only_second` among all tables with this difference
    share = (math.sqrt(max(b * b - 4 * a * c, 0)) - b) / (2 * a)
    variance = rows * (2 * share + difference * (1 - difference))
    deviation = only_first - only_second - rows * difference
    if variance <= 0:
        return math.copysign(math.inf, deviation) if deviation else 0.0
    return deviation / math.sqrt(variance)


def correlated_shares(
    first: float, second: float, covariance: NDArray[np.float64], quantile: float
) -> Interval:
    """Bounds on the difference of two estimates in (0, 1) that were made on the same rows, as two AUCs are.

    They are the smallest and the largest difference in the ellipse that the covariance draws on the scale of
    log-odds. An interval that is symmetric about the difference lets a worse model pass two or three times
    too often where one AUC is close to 1; this one does not, and it stays as narrow as that one where the
    two models hardly differ (`benchmarks/coverage.md`).

    Args:
        first: In (0, 1), `second`, too.
        covariance: (2, 2), of the estimates.
        quantile: How many standard errors the ellipse reaches to every side.
    """
    shares = np.array([first, second])
    slopes = 1 / (shares * (1 - shares))
    (first_variance, common), (_, second_variance) = covariance * np.outer(slopes, slopes)
    first_error = math.sqrt(first_variance)
    shared = common / first_error if first_error else 0.0
    angles = np.linspace(0, 2 * np.pi, _DIRECTIONS)
    left = first_error * np.cos(angles)
    right = shared * np.cos(angles) + math.sqrt(max(second_variance - shared**2, 0)) * np.sin(angles)
    first_odds, second_odds = np.log(shares / (1 - shares))
    changes = 1 / (1 + np.exp(-first_odds - quantile * left)) - 1 / (
        1 + np.exp(-second_odds - quantile * right)
    )
    return float(changes.min()), float(changes.max())


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p-value of "both are right equally often": the exact test, at any number of rows.

    Source: McNemar (1947), Psychometrika 12:153-157; the exact form is a sign test on the rows that differ.
    """
    differing = only_first + only_second
    return min(1.0, 2 * binomial_share(min(only_first, only_second), differing, 0.5))


def difference(
    first: float, first_interval: Interval, second: float, second_interval: Interval, correlation: float = 0
) -> Interval:
    """Bounds on `first - second` from the bounds on each.

    With Wilson's interval on each of two independent proportions it is Newcombe's.

    Args:
        correlation: Of the two estimates; 0 for independent samples.

    Source: Newcombe (1998), Statistics in Medicine 17:873-890; Zou & Donner (2008), Statistics in Medicine
    27:1693-1702 for anything but proportions.
    """
    change = first - second
    down = _joined(first - first_interval[0], second_interval[1] - second, correlation)
    up = _joined(first_interval[1] - first, second - second_interval[0], correlation)
    return change - down, change + up


def ratio(
    first: float, first_interval: Interval, second: float, second_interval: Interval
) -> Interval | None:
    """Bounds on `first / second` of two independent measures from the bounds on each.

    Args:
        first: >= 0, its bounds, too.
        second: > 0.

    Returns:
        None if `second` may be 0: then the ratio has no upper bound.

    Source: Donner & Zou (2012), Statistical Methods in Medical Research 21:347-359.
    """
    (first_low, first_high), (second_low, second_high) = first_interval, second_interval
    if second_low <= 0 or first_low < 0:
        return None
    product = first * second
    low_part = first_low * (2 * first - first_low)
    high_part = first_high * (2 * first - first_high)
    low_root = math.sqrt(max(product**2 - low_part * second_high * (2 * second - second_high), 0))
    high_root = math.sqrt(max(product**2 - high_part * second_low * (2 * second - second_low), 0))
    # the textbook's form of the lower end, (product - root) / ..., divides by 0 where second_high = 2 second
    low = low_part / (product + low_root) if low_part else 0.0
    return low, (product + high_root) / (second_low * (2 * second - second_low))


def proportion_error(hits: int, rows: int) -> float:
    """Standard error of a proportion that is not 0 at 0 % or 100 %.

    Source: Agresti & Caffo (2000), The American Statistician 54:280-288: one hit and one miss are added.
    """
    share = (hits + 1) / (rows + 2)
    return math.sqrt(share * (1 - share) / (rows + 2))


def log_ratio_error(first_hits: int, first_rows: int, second_hits: int, second_rows: int) -> float:
    """Standard error of the logarithm of the ratio of two independent proportions; finite with 0 hits, too.

    Source: Walter (1975), Biometrika 62:371-374: half a hit is added to each group.
    """
    variance = 1 / (first_hits + 0.5) - 1 / (first_rows + 0.5)
    variance += 1 / (second_hits + 0.5) - 1 / (second_rows + 0.5)
    return math.sqrt(variance)


def _joined(first: float, second: float, correlation: float) -> float:
    return math.sqrt(max(first * first + second * second - 2 * correlation * first * second, 0))
