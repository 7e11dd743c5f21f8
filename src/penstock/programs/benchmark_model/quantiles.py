"""Quantiles of timings, with bounds that hold whatever their distribution is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..measure import means
from ..measure.distributions import binomial_share

Interval = tuple[float, float]


def places(count: int, share: float, confidence: float) -> tuple[int, int] | None:
    """Places, from 0, of the two sorted values that bound a quantile; None if there are too few values.

    The number of values below the quantile is binomial, so the chance that the quantile lies below the value
    at some place is known without knowing the distribution. Either side is missed at most
    (1 - confidence) / 2 of the time.

    Args:
        count: Of independent values.
        share: Which quantile, such as 0.99.
        confidence: Two-sided, a fraction.

    Source: David & Nagaraja (2003), Order Statistics, section 7.1.
    """
    tail = (1 - confidence) / 2
    low, high = 0, count + 1  # the largest `below` with P(B < below) <= tail
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binomial_share(middle - 1, count, share) <= tail else (low, middle)
    below = low
    low, high = 0, count + 1  # the smallest `above` with P(B >= above) <= tail
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if 1 - binomial_share(middle - 1, count, share) <= tail else (middle, high)
    above = high
    return (below - 1, above - 1) if below >= 1 and above <= count else None


def needed(share: float, confidence: float) -> int:
    """How many values it takes for a quantile to have bounds."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(share, 1 - share)))


def quantile(
    values: NDArray[Any], share: float, confidence: float | None, what: str = "calls"
) -> dict[str, Any]:
    """A quantile with its interval; null, with the reason, where the values are too few for one.

    Args:
        values: In any order.
        what: The values are, for the reason.
    """
    found: dict[str, Any] = {"value": float(np.quantile(values, share)), "interval": None}
    if confidence is None:
        return found
    ends = places(len(values), share, confidence)
    if ends is None:
        more = needed(share, confidence)
        reason = f"{len(values):,} {what} are too few for an interval; it takes {more:,}"
        return found | {"problem": reason}
    ordered = np.sort(values)
    return found | {"interval": [float(ordered[place]) for place in ends]}


def mean(values: NDArray[Any], confidence: float | None) -> dict[str, Any]:
    """A mean with its interval."""
    interval: Interval | None = None
    if confidence is not None and len(values) >= means.MIN_ROWS:
        interval = means.mean(values, confidence).interval
    return {"value": float(np.mean(values)), "interval": interval}


def histogram(values: NDArray[Any], bins: int = 20) -> dict[str, Any]:
    """Counts between edges that are evenly spaced on a logarithmic scale: the slowest are far away.

    Args:
        values: Above 0.
    """
    low, high = float(values.min()), float(values.max())
    edges = np.geomspace(low, high, bins + 1) if high > low else np.array([low, high])
    edges[0], edges[-1] = low, high  # but for rounding
    counts = np.histogram(values, edges)[0] if high > low else np.array([len(values)])
    return {"edges_ms": edges.tolist(), "counts": counts.tolist()}
