"""Intervals, and what they say of a bound: pass, fail, or that the rows cannot decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..measure.intervals import Interval, wilson

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Result:
    """One test's entry in the document; `minimum` and `maximum` are the bounds on `value`."""

    name: str
    kind: str
    verdict: str
    sentence: str
    value: float | None = None
    interval: Interval | None = None
    minimum: float | None = None
    maximum: float | None = None
    rows: int | None = None
    examples: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """For the document."""
        return asdict(self) | {"examples": list(self.examples[:MOST_EXAMPLES])}


def within(
    value: float, bounds: Interval | None, minimum: float | None = None, maximum: float | None = None
) -> str:
    """The verdict on a value with its interval; without one, on the bare value."""
    low, high = bounds or (value, value)
    above, below = -math.inf if minimum is None else minimum, math.inf if maximum is None else maximum
    if above <= low and high <= below:
        return PASS
    return FAIL if high < above or low > below else INCONCLUSIVE


def share_verdict(hits: int, rows: int, most: float, confidence: float | None) -> tuple[str, Interval | None]:
    """Whether at most a share of all possible rows is like this, judged from the rows at hand.

    A share of 0 is a claim about these rows alone, and exact: no sample could prove it of all others.
    """
    bounds = None if confidence is None else wilson(hits, rows, confidence)
    if most == 0:
        return FAIL if hits else PASS, bounds
    return within(hits / rows, bounds, maximum=most), bounds


def percent(share: float) -> str:
    """A share for a sentence."""
    return f"{100 * share:.3g} %"


def counted(number: int, what: str = "row") -> str:
    """A number of things for a sentence."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def of_rows(hits: int, rows: int, bounds: Interval | None, confidence: float | None) -> str:
    """`3 of 200 rows (1.5 %, 95 % interval 0.5 to 4.3 %)`."""
    text = f"{hits:,} of {counted(rows)} ({percent(hits / rows)}"
    if bounds is not None and confidence is not None:
        text += f", {percent(confidence)} interval {100 * bounds[0]:.3g} to {percent(bounds[1])}"
    return text + ")"
