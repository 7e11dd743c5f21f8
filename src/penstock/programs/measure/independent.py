"""The difference and the ratio of two measures that were taken on different rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import differences, measures
from .intervals import Bounds
from .statistic import Statistic


def bounds(pairs: Sequence[tuple[Statistic, Statistic, float]], resamples: int, seed: str) -> list[Bounds]:
    """Bounds on the change in each pair of the same metric on different rows.

    Args:
        pairs: A metric of this model and of the other, and the confidence.
        seed: Names the rows.
    """
    ours = measures.bounds([(first, confidence) for first, _, confidence in pairs], resamples, seed)
    theirs = measures.bounds(
        [(second, confidence) for _, second, confidence in pairs], resamples, f"baseline {seed}"
    )
    return [
        difference(first.value, one, second.value, other)
        for (first, second, _), one, other in zip(pairs, ours, theirs, strict=True)
    ]


def difference(first: float, first_bounds: Bounds, second: float, second_bounds: Bounds) -> Bounds:
    """Bounds on `first - second` from the bounds on each; with Wilson's on both, Newcombe's."""
    if first_bounds.interval is None or second_bounds.interval is None:
        return Bounds(None, None, None, first_bounds.problem or second_bounds.problem)
    interval = differences.difference(first, first_bounds.interval, second, second_bounds.interval)
    errors = first_bounds.standard_error or 0.0, second_bounds.standard_error or 0.0
    return Bounds(interval, _method(first_bounds, second_bounds), math.hypot(*errors))


def ratio(first: float, first_bounds: Bounds, second: float, second_bounds: Bounds) -> Bounds:
    """Bounds on `first / second`; the standard error is that of its logarithm."""
    if first_bounds.interval is None or second_bounds.interval is None:
        return Bounds(None, None, None, first_bounds.problem or second_bounds.problem)
    if second <= 0 or first < 0:
        return Bounds(None, None, None, "a ratio needs measures above 0")
    interval = differences.ratio(first, first_bounds.interval, second, second_bounds.interval)
    if interval is None:
        return Bounds(None, None, None, "the second measure may be 0, so that the ratio has no upper bound")
    errors = (first_bounds.standard_error or 0.0, second_bounds.standard_error or 0.0)
    error = math.hypot(errors[0] / first, errors[1] / second) if first else None
    return Bounds(interval, _method(first_bounds, second_bounds), error)


def _method(first: Bounds, second: Bounds) -> str:
    methods = dict.fromkeys(each.method or "" for each in (first, second))
    return f"independent ({' and '.join(methods)})"
