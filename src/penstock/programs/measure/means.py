"""Bounds on a mean, corrected for the skewness of what is averaged."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .distributions import student_quantile

MIN_ROWS = 3
"""Fewer have no skewness."""


class Mean(NamedTuple):
    """A mean with its bounds."""

    value: float
    interval: tuple[float, float]
    standard_error: float


def mean(values: NDArray[Any], confidence: float) -> Mean:
    """The mean of independent values, with bounds.

    Student's interval on skewed values (losses, absolute errors) is too low: its upper end misses the mean
    much more often than its lower end. The statistic is transformed so that it is not skewed, and Student's
    quantiles are transformed back. In `benchmarks/coverage.md` the bounds hold at least as well as those of
    the BCa bootstrap, without drawing anything.

    Args:
        values: At least `MIN_ROWS`.
        confidence: Two-sided, a fraction.

    Source: Hall (1992), Journal of the Royal Statistical Society B 54:221-228.
    """
    rows = len(values)
    centre = float(np.mean(values))
    deviations = values - centre
    spread = float(np.sqrt(np.sum(deviations**2) / (rows - 1)))
    error = spread / math.sqrt(rows)
    if spread == 0:
        return Mean(centre, (centre, centre), 0.0)
    skewness = float(np.sum((deviations / spread) ** 3)) * rows / ((rows - 1) * (rows - 2))
    quantile = student_quantile((1 + confidence) / 2, rows - 1)
    low = centre - error * _untransformed(quantile, skewness / math.sqrt(rows))
    high = centre - error * _untransformed(-quantile, skewness / math.sqrt(rows))
    return Mean(centre, (low, high), error)


def _untransformed(quantile: float, skewness: float) -> float:
    """The `t` whose `t + a t^2/3 + a^2 t^3/27 + a/6` is this quantile; a is `skewness`."""
    if abs(skewness) < 1e-6:  # noqa: PLR2004 - the difference to the limit is of this order
        return quantile
    return 3 / skewness * (math.cbrt(1 + skewness * (quantile - skewness / 6)) - 1)
