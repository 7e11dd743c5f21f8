"""The gate `fairness`: a metric alike in all groups, or good enough in each.

It passes when every interval is within its bound: that all of them are by chance is no likelier than that one
is, so nothing needs correction (an intersection-union test; Berger 1982, Technometrics 24:295-300). It fails
when one comparison is beyond its bound after Holm's correction for all of them (1979, Scandinavian Journal
of Statistics 6:65-70). The rest is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from penstock.gates import measures
from penstock.gates.base import (
    Exhibits,
    confidence_of,
    list_option,
    number_option,
    strict,
    text_option,
)
from penstock.gates.bounds import Bounds, Case, Number, case, cut, quantile, several
from penstock.gates.document import DocumentError, Section, shown
from penstock.plan.metrics import CRITERIA
from penstock.plan.model import GateSpec
from penstock.record import Record, replace
from penstock.results import GateResult, Verdict

MIN_GROUP_SIZE = 30


class Compared(Record):
    """One thing that is judged, and what its significance is computed from.

    Attributes:
        case: As its interval says, before any correction; absent if there is no number, which only groups
            that are too small may lack.
        standard_error: Of the value, on the logarithmic scale if the number is; if known.
        small: Why the groups are too small to be judged, if they are.
        pair: Whether it compares two groups.
    """

    label: str
    case: Case | None
    standard_error: float | None = None
    small: str = ""
    pair: bool = False


class _Group(Record):
    """One value of a column; `rows` are those that the measure rests on."""

    name: str
    rows: int
    measure: float | None
    interval: tuple[float, float] | None
    problem: str | None


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if every interval is within its bound, fail if one is surely beyond it.

    Args:
        spec: With the options `by`, `metrics` (or `metric`, or `criterion`), `confidence`, `min_group_size`,
            and `min_ratio`, `max_difference`, `min`, `max`, one at least.
        exhibits: The measures.
    """
    compared = compare(spec, measures.measures_of(spec, exhibits))
    confidence = confidence_of(spec)
    tested = sum(each.case is not None and not each.small for each in compared)
    corrected = tested > 1 and confidence is not None
    details = (f"a failure is corrected for {tested} comparisons (Holm)",) if corrected else ()
    unknown = {each.label: each.small for each in compared if each.case is None}
    return several(spec, exhibits, decided(compared, confidence), unknown=unknown, details=details)


def compare(spec: GateSpec, measured: Section) -> tuple[Compared, ...]:
    """Everything that the gate compares, as it is before any correction; something, at least.

    Raises:
        DocumentError: The document lacks some of it, or contradicts itself.
    """
    metric = text_option(spec, "metric")
    metrics = list_option(spec, "metrics") or ((metric,) if metric else ())
    metrics = metrics or CRITERIA[text_option(spec, "criterion") or ""]
    columns = [_Column.of(spec, measured, metric, by) for metric in metrics for by in list_option(spec, "by")]
    found = tuple(compared for column in columns for compared in column.compared())
    if not found:
        raise DocumentError(f"{measured.path}: the gate has no bound or no column, so nothing is judged")
    return found


def decided(compared: Sequence[Compared], confidence: float | None) -> list[Case]:
    """The cases, failures corrected for how many there are, and small groups left open."""
    known = [(each.case, each) for each in compared if each.case is not None]
    tested = [(judged, each) for judged, each in known if not each.small]
    failing = [judged.verdict is Verdict.FAIL for judged, _ in tested]
    if any(failing) and confidence is not None:
        z = quantile(confidence)
        # one-sided: each interval leaves half of what it does not cover beyond its end
        failing = list(holm([_p_value(judged, each, z) for judged, each in tested], (1 - confidence) / 2))
    surely, found = iter(failing), []
    for judged, each in known:
        because = each.small or judged.because
        if not each.small and not next(surely) and judged.verdict is Verdict.FAIL:
            because = f"it is beyond its bound alone, but not after correction for {len(tested)} comparisons"
        found.append(replace(judged, verdict=Verdict.INCONCLUSIVE, because=because) if because else judged)
    return found


def holm(p_values: Sequence[float], level: float) -> tuple[bool, ...]:
    """Which hypotheses are rejected, if any true one among them may be rejected this often."""
    rejected = [False] * len(p_values)
    for at, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > level / (len(p_values) - at):
            break
        rejected[index] = True
    return tuple(rejected)


def _p_value(judged: Case, compared: Compared, z: float) -> float:
    """How likely a value so far beyond its bound is if the truth is at the bound.

    It is so made that an interval beyond its bound alone is significant at the interval's own level.
    """
    if judged.because:
        return 1.0
    number, bounds = judged.number, judged.bounds
    low, high = number.ends
    scale = _logarithm if number.logarithmic else float
    sides = []
    if bounds.minimum is not None:
        sides.append((scale(bounds.minimum) - scale(high), scale(high) - scale(number.value)))
    if bounds.maximum is not None:
        sides.append((scale(low) - scale(bounds.maximum), scale(number.value) - scale(low)))
    gap, reach = max(sides)
    error = reach / z if compared.standard_error is None else compared.standard_error
    if error == 0:
        return 0.0 if gap > 0 else 1.0
    return math.erfc((z + gap / error) / math.sqrt(2)) / 2


def _logarithm(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


class _Column(Record):
    """One metric by one column, as the gate compares it."""

    spec: GateSpec
    label: str
    entry: Section
    groups: Mapping[str, _Group]
    confidence: float | None
    smallest: int

    @classmethod
    def of(cls, spec: GateSpec, measured: Section, metric: str, column: str) -> _Column:
        confidence = confidence_of(spec)
        entry = _entry(measured, metric, column, confidence)
        return cls(
            spec=spec,
            label=f"{metric}, {column}",
            entry=entry,
            groups=_groups(entry),
            confidence=confidence,
            smallest=int(number_option(spec, "min_group_size") or MIN_GROUP_SIZE),
        )

    def compared(self) -> Iterator[Compared]:
        slices = Bounds(minimum=number_option(self.spec, "min"), maximum=number_option(self.spec, "max"))
        if slices != Bounds():
            for group in self.groups.values():
                yield self._slice(group, slices)
        least, most = number_option(self.spec, "min_ratio"), number_option(self.spec, "max_difference")
        if least is None and most is None:
            return
        if len(self.groups) < 2:  # noqa: PLR2004 - it takes two to compare
            only = next(iter(self.groups), "none")
            raise self.entry.error("groups", f"has only {cut(only)}: nothing to compare with")
        for pair, one, other in self._pairs():
            if most is not None:
                yield self._difference(pair, one, other, most)
            if least is not None:
                yield self._ratio(pair, one, other, least)

    def _slice(self, group: _Group, bounds: Bounds) -> Compared:
        label, small = f"{self.label} {group.name}", self._small(group)
        if group.measure is None:
            return self._without(label, small, self.entry, "groups", group.problem)
        number = self._number(label, group.measure, group.interval, group)
        return self._compared(self.entry, number, bounds, problem=group.problem, small=small)

    def _difference(self, pair: Section, one: _Group, other: _Group, most: float) -> Compared:
        label, small = f"{self.label} {one.name} - {other.name}", self._small(one, other)
        found, problem = pair.maybe("difference", pair.section), pair.maybe("problem", pair.text)
        if found is None or one.measure is None or other.measure is None:
            return self._without(label, small, pair, "difference", problem or one.problem or other.problem)
        value = found.number("value")
        if measures.differ(value, one.measure - other.measure):
            raise found.error("value", f"is {value:g}, not {one.measure:g} - {other.measure:g}")
        interval = measures.interval_of(found, value)
        if value < 0:  # so that the reader always sees by how much the better one is better
            label = f"{self.label} {other.name} - {one.name}"
            value, interval = -value, interval and (-interval[1], -interval[0])
        number = self._number(label, value, interval, one, other)
        bounds = Bounds(minimum=-most, maximum=most)
        return self._compared(found, number, bounds, problem=problem, small=small, error="standard_error")

    def _ratio(self, pair: Section, one: _Group, other: _Group, least: float) -> Compared:
        label, small = f"{self.label} {one.name} / {other.name}", self._small(one, other)
        found, problem = pair.maybe("ratio", pair.section), pair.maybe("problem", pair.text)
        if found is None or one.measure is None or other.measure is None:
            return self._without(label, small, pair, "ratio", problem or one.problem or other.problem)
        value = found.number("value", minimum=0)
        if other.measure == 0 or measures.differ(value, one.measure / other.measure):
            raise found.error("value", f"is {value:g}, not {one.measure:g} / {other.measure:g}")
        interval = measures.interval_of(found, value)
        if interval and interval[0] < 0:
            raise found.error("interval", "goes below 0, which no ratio of shares does")
        if value > 1 and (interval is None or interval[0] > 0):  # so that the usual bound is the lower one
            label = f"{self.label} {other.name} / {one.name}"
            value, interval = 1 / value, interval and (1 / interval[1], 1 / interval[0])
        number = replace(self._number(label, value, interval, one, other), logarithmic=True)
        bounds = Bounds(minimum=least, maximum=1 / least if least else None)
        return self._compared(found, number, bounds, problem=problem, small=small, error="log_standard_error")

    def _compared(
        self,
        at: Section,
        number: Number,
        bounds: Bounds,
        *,
        problem: str | None,
        small: str,
        error: str | None = None,
    ) -> Compared:
        """A number with its bounds; `error` is the key of its standard error, if it is that of a pair."""
        if self.confidence is not None and number.interval is None and not small:
            if problem is None:
                raise at.error(
                    "interval", f"of {cut(number.label)} is null, and the document does not say why"
                )
            number = replace(number, unsure=problem)
        return Compared(
            label=number.label,
            case=case(number, bounds),
            standard_error=at.maybe(error, lambda key: at.number(key, minimum=0)) if error else None,
            small=small,
            pair=error is not None,
        )

    def _number(
        self, label: str, value: float, interval: tuple[float, float] | None, *groups: _Group
    ) -> Number:
        return Number(
            label=label,
            value=value,
            interval=None if self.confidence is None else interval,
            confidence=self.confidence,
            rows=sum(each.rows for each in groups),
        )

    def _without(self, label: str, small: str, at: Section, key: str, problem: str | None) -> Compared:
        """What there is no number of: open for small groups, else a reason to fail."""
        if not small:
            raise at.error(key, f"gives no {cut(label)}: {problem or 'the document does not say why'}")
        return Compared(label=label, case=None, small=small)

    def _small(self, *groups: _Group) -> str:
        few = [each for each in groups if each.rows < self.smallest]
        if not few:
            return ""
        have = " and ".join(f"{each.rows:,} rows of {cut(each.name)}" for each in few)
        return f"it rests on {have}, and a group must have {self.smallest}"

    def _pairs(self) -> list[tuple[Section, _Group, _Group]]:
        """Every pair of groups, once."""
        found: dict[frozenset[str], tuple[Section, _Group, _Group]] = {}
        for pair in self.entry.sections("pairs"):
            names = pair.texts("groups")
            both = frozenset(names)
            if len(names) != 2 or len(both) != 2 or not both <= self.groups.keys() or both in found:  # noqa: PLR2004
                raise pair.error("groups", "does not name two of the groups, or names them again")
            self._check_problem(pair)
            found[both] = pair, self.groups[names[0]], self.groups[names[1]]
        for one, other in combinations(self.groups, 2):
            if frozenset((one, other)) not in found:
                raise self.entry.error("pairs", f"does not compare {cut(one)} with {cut(other)}")
        return list(found.values())

    def _check_problem(self, pair: Section) -> None:
        problem = pair.maybe("problem", pair.text)
        numbers = [pair.maybe(each, pair.section) for each in ("difference", "ratio")]
        whole = all(each is not None and each.values.get("interval") is not None for each in numbers)
        if problem is not None and whole and self.confidence is not None:
            raise pair.error("problem", f"says that something is missing, but nothing is: {problem}")


def _entry(measured: Section, metric: str, column: str, confidence: float | None) -> Section:
    """What the document says of a metric by a column, at a confidence or, for points, at any."""
    entries = measured.sections("fairness")
    about = [each for each in entries if (each.text("metric"), each.text("column")) == (metric, column)]
    fitting = about[:1] if confidence is None else []
    for each in about:
        level = each.maybe("confidence", each.number)
        if confidence is not None and measures.same_confidence(level, confidence):
            fitting.append(each)
    if not fitting:
        level_asked = f" at {100 * confidence:g} % confidence" if about and confidence else ""
        hint = "".join(f": {cut(each)}" for each in measures.warnings_about(measured, column)[:1])
        raise DocumentError(f"{measured.path} has no {cut(metric)} by {cut(column)}{level_asked}{hint}")
    return measures.agreeing(fitting)


def _groups(entry: Section) -> dict[str, _Group]:
    found: dict[str, _Group] = {}
    for section in entry.sections("groups"):
        name = section.text("value", empty=True)
        if name in found:
            raise section.error("value", f"is {shown(name)}, which is there twice")
        rows, used = section.count("rows"), section.count("measure_rows")
        value, problem = section.maybe("measure", section.number), section.maybe("problem", section.text)
        if used > rows or (used == 0 and value is not None):
            raise section.error("measure_rows", f"is {used:,}, which cannot be with {rows:,} rows")
        interval = section.maybe("interval", section.interval)
        if value is not None and interval is not None and problem is not None:
            raise section.error("problem", f"says that something is missing, but nothing is: {problem}")
        found[name] = _Group(name=name, rows=used, measure=value, interval=interval, problem=problem)
    return found
