"""Numbers with intervals against bounds: the verdict, the rows that would decide, and the words for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from penstock.gates.base import Exhibits, result
from penstock.plan.model import GateSpec
from penstock.record import Record
from penstock.results import GateResult, Judged, Verdict

POINT = "point estimate, no interval"
_MAX_ROWS = 10**12  # beyond, "more rows" is no advice
_LABEL_LENGTH = 80


class Bounds(Record):
    """Where a number may lie, both ends inclusive."""

    minimum: float | None = None
    maximum: float | None = None


class Number(Record):
    """A number that is judged, with what is known of its uncertainty.

    Attributes:
        label: What it is: `recall, gender Female`.
        interval: Absent for a point estimate.
        rows: That it rests on, if known.
        unit: What `rows` counts.
        symbol: Of the value's own unit: `ms`.
        proportion: Whether it is a share of rows, so that the spread at any bound is known.
        logarithmic: Whether its spread is even on a logarithmic scale: a ratio.
        exact: Whether it has no interval because it needs none: a size, an age.
        unsure: Why it has no interval although one is wanted: too few rows.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    method: str | None = None
    rows: int | None = None
    unit: str = "rows"
    symbol: str = ""
    proportion: bool = False
    logarithmic: bool = False
    exact: bool = False
    unsure: str = ""

    @property
    def is_point(self) -> bool:
        """Whether nothing is known of its uncertainty, though there is some, and nothing was to be."""
        return self.interval is None and not self.exact and not self.unsure

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, widened to its value: that of a bootstrap may leave it out."""
        low, high = self.interval or (self.value, self.value)
        return min(low, self.value), max(high, self.value)


class Case(Record):
    """A number, its bounds and what follows.

    Attributes:
        because: Why it is inconclusive, if that is not for its interval: too small a group, another machine.
    """

    number: Number
    bounds: Bounds
    verdict: Verdict
    because: str = ""

    @property
    def part(self) -> Judged:
        """How a verdict over several numbers names it."""
        symbol = self.number.symbol
        return Judged(
            label=f"{self.number.label}, {symbol}" if symbol else self.number.label,
            verdict=self.verdict,
            value=self.number.value,
            interval=self.number.interval,
            minimum=self.bounds.minimum,
            maximum=self.bounds.maximum,
            sample_size=self.number.rows,
        )

    @property
    def rows_to_decide(self) -> int | None:
        """About how many rows would decide, if the case is inconclusive and that can be said."""
        if self.verdict is not Verdict.INCONCLUSIVE or self.because:
            return None
        return rows_to_decide(self.number, self.bounds)

    @property
    def words(self) -> str:
        """The number, its interval, bound and rows in a sentence, with what would decide if nothing does."""
        number, minimum, maximum = self.number, self.bounds.minimum, self.bounds.maximum
        digits = writer(number.value, *(number.interval or ()), minimum, maximum)
        symbol = f" {number.symbol}" if number.symbol else ""
        text = _said(number, digits, symbol)
        rows = "" if number.rows is None else f" ({number.rows:,} {number.unit})"
        low, high = ("" if each is None else digits(each) + symbol for each in (minimum, maximum))
        limits = [f"at least {low}"] if low else []
        limits += [f"at most {high}"] if high else []
        match self.verdict:
            case Verdict.FAIL if minimum is not None and number.value < minimum:
                return f"{text} is below the minimum {low}{rows}"
            case Verdict.FAIL if maximum is not None:
                return f"{text} is above the maximum {high}{rows}"
            case Verdict.INCONCLUSIVE if self.because:
                return f"{text} decides nothing{rows}: {self.because}"
            case Verdict.INCONCLUSIVE:
                return f"{text} leaves open whether it is {' and '.join(limits)}{rows}{self._advice}"
            case _:
                return f"{text} is {' and '.join(limits)}{rows}"

    @property
    def _advice(self) -> str:
        rows, unit = self.rows_to_decide, self.number.unit
        if rows is not None:
            return f"; about {rows:,} {unit} would decide"
        if self.number.interval and self.number.value in (self.bounds.minimum, self.bounds.maximum):
            return f"; the value is at its bound, so no number of {unit} would decide"
        return ""


def case(number: Number, bounds: Bounds) -> Case:
    """A number as its interval lies to its bounds.

    All of it within is `pass`, all of it beyond one of them is `fail`; else it is `inconclusive`. A point
    estimate is an interval without width; a number whose interval could not be had decides nothing.
    """
    if number.unsure:
        return Case(number=number, bounds=bounds, verdict=Verdict.INCONCLUSIVE, because=number.unsure)
    low, high = number.ends
    minimum, maximum = bounds.minimum, bounds.maximum
    verdict = Verdict.INCONCLUSIVE
    if (minimum is not None and high < minimum) or (maximum is not None and low > maximum):
        verdict = Verdict.FAIL
    elif (minimum is None or low >= minimum) and (maximum is None or high <= maximum):
        verdict = Verdict.PASS
    return Case(number=number, bounds=bounds, verdict=verdict)


def rows_to_decide(number: Number, bounds: Bounds) -> int | None:
    """About how many rows make the interval clear its bounds, should the value stay what it is.

    An interval's half-width shrinks with the square root of the rows; for a proportion, Wilson's interval
    clears a bound b exactly when n >= z² b (1 - b) / (p - b)².

    Returns:
        None if no number of rows decides (the value is at a bound), or nothing is known of the spread.

    Source: Wilson (1927), JASA 22:209-212.
    """
    if number.rows is None or number.interval is None:
        return None
    needed = 0.0
    for bound, reach in _obstacles(number, bounds):
        distance = _distance(number, number.value, bound)
        if distance == 0 or not math.isfinite(distance):
            return None
        if number.proportion and number.confidence is not None:
            share = quantile(number.confidence) / distance
            rows = share * share * bound * (1 - bound)  # `**` would raise where this is infinite
        else:
            share = _distance(number, number.value, reach) / distance
            rows = number.rows * share * share
        needed = max(needed, rows)
    if not 0 < needed < _MAX_ROWS:
        return None
    return max(math.ceil(needed), number.rows + 1)


def quantile(confidence: float) -> float:
    """How many standard errors a two-sided interval reaches to either side: 1.96 for 0.95."""
    from statistics import NormalDist  # takes 20 ms, and most verdicts need none

    return NormalDist().inv_cdf((1 + confidence) / 2)


def single(
    spec: GateSpec, exhibits: Exhibits, judged: Case, *, sentence: str = "", details: Sequence[str] = ()
) -> GateResult:
    """The verdict of a gate that judges one number.

    Args:
        sentence: Instead of the usual one.
    """
    points = (POINT,) if judged.number.is_point else ()
    sentence = sentence or judged.words
    return result(spec, judged.verdict, sentence, exhibits, details=(*points, *details), **_facts(judged))


def several(
    spec: GateSpec,
    exhibits: Exhibits,
    cases: Sequence[Case],
    *,
    unknown: Mapping[str, str] = MappingProxyType({}),
    details: Sequence[str] = (),
) -> GateResult:
    """The verdict of a gate that judges several numbers: as good as the worst of them.

    Args:
        cases: At least one, or something unknown.
        unknown: What has no number without that being wrong, and why; it leaves the verdict open.
    """
    ranked = sorted(cases, key=_rank)
    worst = ranked[0] if ranked else None
    if worst and len(cases) == 1 and not unknown:
        return single(spec, exhibits, worst, details=details)
    rest = [each.words for each in ranked if each.verdict is not Verdict.PASS and each is not worst]
    rest += [f"{cut(label)} is unknown: {why}" for label, why in unknown.items()]
    if worst is None or (unknown and worst.verdict is Verdict.PASS):
        verdict, sentence = Verdict.INCONCLUSIVE, rest.pop(0)
    else:
        verdict = worst.verdict
        count = sum(each.verdict is verdict for each in cases)
        sentence = f"{_HEADS[verdict].format(count, len(cases))}: {worst.words}"
    points = [f"{cut(each.number.label)}: {POINT}" for each in cases if each.number.is_point]
    points = [POINT] if len(points) == len(cases) else points
    left_open = tuple(Judged(label=label, verdict=Verdict.INCONCLUSIVE) for label in unknown)
    return result(
        spec,
        verdict,
        sentence,
        exhibits,
        details=(*points, *rest, *details),
        parts=(*(each.part for each in cases), *left_open),
        **(_facts(worst) if worst and worst.verdict is verdict else {}),
    )


_HEADS = {
    Verdict.PASS: "all {1} are within their bounds, the closest",
    Verdict.INCONCLUSIVE: "{} of {} leave it open",
    Verdict.FAIL: "{} of {} fail",
}
_SEVERITY = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


def writer(*numbers: float | None) -> Callable[[float], str]:
    """Writes these numbers with as few digits, four at least, as tell all of them apart."""
    known = {each for each in numbers if each is not None}
    for digits in (4, 6, 9):
        if len({_digits(each, digits) for each in known}) == len(known):
            return lambda number, digits=digits: _digits(number, digits)  # type: ignore[misc]
    return repr


def percent(share: float) -> str:
    """`95 %`."""
    return f"{100 * share:.4g} %"


def cut(text: str) -> str:
    """A text of a document, cut if it is too long for a sentence."""
    return text if len(text) <= _LABEL_LENGTH else text[: _LABEL_LENGTH - 3] + "..."


def _digits(number: float, digits: int) -> str:
    number += 0.0  # no negative zero
    return f"{number:,.0f}" if 10**digits <= abs(number) < _MAX_ROWS else f"{number:.{digits}g}"


def _said(number: Number, write: Callable[[float], str], symbol: str) -> str:
    text = f"{cut(number.label)} {write(number.value)}{symbol}"
    if number.interval is None:
        return text
    kind = "interval" if number.confidence is None else f"{percent(number.confidence)} interval"
    return f"{text}, {kind} [{', '.join(write(each) for each in number.interval)}],"


def _facts(judged: Case) -> dict[str, object]:
    number = judged.number
    of_rows = number.unit == "rows"
    return {
        "value": number.value,
        "minimum": judged.bounds.minimum,
        "maximum": judged.bounds.maximum,
        "interval": number.interval,
        "confidence": number.confidence if number.interval else None,
        "method": number.method if number.interval else None,
        "sample_size": number.rows if of_rows else None,
        "rows_to_decide": judged.rows_to_decide if of_rows else None,
    }


def _obstacles(number: Number, bounds: Bounds) -> Iterator[tuple[float, float]]:
    """The bounds that must be cleared for a verdict, each with the end of the interval that faces it."""
    low, high = number.ends
    minimum, maximum = bounds.minimum, bounds.maximum
    if minimum is not None and number.value < minimum:
        yield minimum, high
    elif maximum is not None and number.value > maximum:
        yield maximum, low
    else:
        if minimum is not None:
            yield minimum, low
        if maximum is not None:
            yield maximum, high


def _distance(number: Number, start: float, end: float) -> float:
    if not number.logarithmic:
        return abs(end - start)
    return abs(math.log(end) - math.log(start)) if start > 0 and end > 0 else math.inf


def _rank(judged: Case) -> tuple[int, float]:
    """Worst verdict first, then how little room is left to a bound."""
    number, bounds = judged.number, judged.bounds
    room = [number.value - bounds.minimum] if bounds.minimum is not None else []
    room += [bounds.maximum - number.value] if bounds.maximum is not None else []
    return _SEVERITY.index(judged.verdict), min(room, default=math.inf)
