"""How many rows it takes for an interval to clear a bound, and how far beyond it a value must be."""

from __future__ import annotations

import math

from penstock.record import Record

_HALVINGS = 60
_MAX_ROWS = 10**12


class Spread(Record):
    """A value, and how much one row says about it.

    Attributes:
        deviation: The value's standard error with a single row.
        share: Whether the value is a share of the rows, so that its deviation is known at any value.
    """

    label: str
    value: float
    rows: int
    deviation: float
    share: bool = False

    def deviation_at(self, value: float) -> float:
        """What the deviation would be if this were the value."""
        return math.sqrt(max(value * (1 - value), 0.0)) if self.share else self.deviation


class Clearing(Record):
    """An interval that shall clear a bound.

    For a share this is Wilson's interval, which is the score test turned around.

    Attributes:
        z: Standard errors from the interval's middle to its end.
        reach: By how many more the truth must be beyond for the interval to clear the bound often enough.
    """

    spread: Spread
    bound: float
    z: float
    reach: float

    def noise(self, truth: float) -> float:
        """How far from the bound a truth must be, times the square root of the rows."""
        return self.z * self.spread.deviation_at(self.bound) + self.reach * self.spread.deviation_at(truth)

    def rows(self, truth: float) -> int | None:
        """With how many rows it decides often enough; none if no number is enough."""
        return needed(self.noise(truth), truth - self.bound)

    def least_rows(self, best: float) -> int | None:
        """With how many rows the best value that could be observed just clears the bound."""
        return needed(self.z * self.spread.deviation_at(self.bound), best - self.bound)

    def detectable(self, sign: int, most: float = math.inf) -> float | None:
        """The distance above (`sign` 1) or below the bound that is seen often enough; none up to `most`."""
        root = math.sqrt(self.spread.rows)
        if not self.spread.share:
            return self.noise(self.bound) / root
        low, high = 0.0, most
        if high * root < self.noise(self.bound + sign * high):
            return None
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            enough = middle * root >= self.noise(self.bound + sign * middle)
            low, high = (low, middle) if enough else (middle, high)
        return high

    @property
    def half_width(self) -> float:
        """Of the interval about the present value."""
        value, rows, z = self.spread.value, self.spread.rows, self.z
        if not self.spread.share:
            return z * self.spread.deviation / math.sqrt(rows)
        return z * math.sqrt(value * (1 - value) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)


def needed(noise: float, distance: float) -> int | None:
    """With how many rows a distance is as large as the noise; none if that is no number to speak of."""
    ratio = noise / abs(distance) if distance else math.inf
    return max(math.ceil(ratio * ratio), 1) if ratio * ratio < _MAX_ROWS else None
