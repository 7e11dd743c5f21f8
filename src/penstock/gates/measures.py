"""What `uses: measure` wrote, as gates read it: one metric, one comparison, one column of groups at a time.

Everything is checked that the document says twice: a share against its hits, a change against the two values,
an interval against its value. Two entries of the same thing must agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.gates.base import Exhibits, evidence
from penstock.gates.bounds import Number, cut, percent
from penstock.gates.document import DocumentError, Section, check_kind
from penstock.plan.model import GateSpec
from penstock.record import Record

KIND, VERSION = "measures", 1
_TOLERANCE = 1e-9  # documents are rounded to 12 digits
_SILENT = "the document does not say why"
_RESAMPLED = ("bca", "percentile", "bootstrap")


class Wanted(Record):
    """Which number of a document is meant: of the whole table if `column` is absent."""

    metric: str
    column: str | None = None
    group: str | None = None
    confidence: float | None = None

    @property
    def label(self) -> str:
        """`recall`, `recall, gender Female`."""
        return self.metric if self.column is None else f"{self.metric}, {self.column} {self.group}"


class Measure(Record):
    """A metric of the predictions, of all of them or of one group.

    Attributes:
        number: With its interval and rows.
        standard_error: Of the value, if known.
    """

    number: Number
    standard_error: float | None


class Comparison(Record):
    """A metric against that of a baseline.

    Attributes:
        number: The change: value - baseline_value.
        better: Whether `higher` or `lower` values are better.
        mcnemar: Rows that only this or only the baseline has right, and how likely that is by chance.
    """

    number: Number
    better: str
    value: float
    baseline_value: float
    baseline: str
    paired: bool
    standard_error: float | None
    mcnemar: str | None


def measures_of(spec: GateSpec, exhibits: Exhibits) -> Section:
    """The document of measures that a gate judges.

    Raises:
        DocumentError: It is none, or its head is not whole.
    """
    return checked(evidence(spec, exhibits, KIND, VERSION))


def checked(document: Section) -> Section:
    """A document of measures whose head is whole.

    Raises:
        DocumentError: It is not.
    """
    check_kind(document, KIND, VERSION)
    predictions = document.section("predictions")
    predictions.text("path")
    predictions.digest("digest")
    predictions.count("rows", minimum=1)
    document.digest("evaluation_set")
    return document


def rows_of(document: Section) -> int:
    """Rows of the whole predictions table."""
    return document.section("predictions").count("rows", minimum=1)


def measure(document: Section, wanted: Wanted) -> Measure:
    """One metric.

    Args:
        document: Of measures.
        wanted: With its confidence; any interval's value will do where none is wanted.

    Raises:
        DocumentError: It is not there, has no number, or contradicts itself.
    """
    entries = document.sections("measures")
    entry = _chosen(document, entries, wanted, f"measure of {wanted.label}")
    value, problem = entry.maybe("value", entry.number), entry.maybe("problem", entry.text)
    if value is None:
        raise entry.error("value", f"is null: {problem or _SILENT}")
    rows = entry.count("rows", minimum=1)
    if rows > rows_of(document):
        raise entry.error("rows", f"is {rows:,}, more than the predictions table has")
    proportion, hits = entry.flag("proportion"), entry.maybe("hits", entry.count)
    if hits is not None and (hits > rows or (proportion and differ(value, hits / rows))):
        raise entry.error("hits", f"is {hits:,} of {rows:,} rows, which is not the value {value:g}")
    if proportion and not 0 <= value <= 1:
        raise entry.error("value", f"is {value:g}, and no share of rows")
    entry.maybe("better", lambda key: entry.choice(key, "higher", "lower"))
    interval, method, unsure = _interval(entry, value, wanted.confidence, problem)
    number = Number(
        label=wanted.label,
        value=value,
        interval=interval,
        confidence=wanted.confidence,
        method=method,
        unsure=unsure,
        rows=rows,
        proportion=proportion,
    )
    error = entry.maybe("standard_error", lambda key: entry.number(key, minimum=0))
    return Measure(number=number, standard_error=error)


def comparison(document: Section, wanted: Wanted, baseline: str, *, unpaired: bool) -> Comparison:
    """One metric against that of a baseline.

    Args:
        document: Of measures.
        wanted: With its confidence.
        baseline: Its name in the document.
        unpaired: Whether a baseline that was measured on other rows is good enough.

    Raises:
        DocumentError: It is not there, has no number, or contradicts itself.
    """
    _check_baseline(document, baseline)
    what = f"comparison of {wanted.label} with {baseline}"
    entries = [each for each in document.sections("comparisons") if each.text("baseline") == baseline]
    entry = _chosen(document, _preferred(entries, unpaired=unpaired), wanted, what)
    if not (entry.raw("change") is None or entry.flag("paired") or unpaired):
        remedy = "measure the baseline on the same rows, or allow it: `unpaired: true`"
        raise entry.error("paired", f"is false: the two were measured on different rows; {remedy}")
    number = change(entry, f"change of {wanted.label}", "value", "baseline_value", wanted.confidence)
    return Comparison(
        number=number,
        better=entry.choice("better", "higher", "lower"),
        value=entry.number("value"),
        baseline_value=entry.number("baseline_value"),
        baseline=baseline,
        paired=entry.flag("paired"),
        standard_error=entry.maybe("standard_error", lambda key: entry.number(key, minimum=0)),
        mcnemar=_mcnemar(entry),
    )


def change(entry: Section, label: str, after: str, before: str, confidence: float | None) -> Number:
    """The change from one value to another.

    Args:
        entry: With `change`, `interval`, `method`, `rows` and `problem`.
        label: What it is.
        after: Key of the value now.
        before: Key of the value that it is compared with.
        confidence: That of the interval; none for the bare change.

    Raises:
        DocumentError: There is no change, or it is not the difference of the two.
    """
    value, problem = entry.maybe("change", entry.number), entry.maybe("problem", entry.text)
    if value is None:
        raise entry.error("change", f"is null: {problem or _SILENT}")
    now, then = entry.number(after), entry.number(before)
    if differ(value, now - then):
        raise entry.error("change", f"is {value:g}, but {now:g} - {then:g} is {now - then:g}")
    interval, method, unsure = _interval(entry, value, confidence, problem)
    return Number(
        label=label,
        value=value,
        interval=interval,
        confidence=confidence,
        method=method,
        unsure=unsure,
        rows=entry.count("rows", minimum=1),
    )


def interval_of(entry: Section, value: float, *, method: str | None = None) -> tuple[float, float] | None:
    """The interval of an entry, or none if it has none.

    Args:
        method: How it was computed; those that resample may leave their value out.

    Raises:
        DocumentError: It does not hold its value although it must.
    """
    interval = entry.maybe("interval", entry.interval)
    if interval is None or any(word in (method or "") for word in _RESAMPLED):
        return interval
    low, high = interval
    if (value < low and differ(value, low)) or (value > high and differ(value, high)):
        raise entry.error("interval", f"is [{low:g}, {high:g}], which does not hold the value {value:g}")
    return interval


def differ(first: float, second: float) -> bool:
    """Whether two numbers differ by more than documents are rounded."""
    return abs(first - second) > _TOLERANCE * max(1.0, abs(first), abs(second))


def same_confidence(first: float | None, second: float | None) -> bool:
    """Whether two intervals are meant to cover as often."""
    if first is None or second is None:
        return first is second
    return not differ(first, second)


def warnings_about(document: Section, name: str) -> tuple[str, ...]:
    """What the document warns of that names a thing."""
    return tuple(each for each in document.texts("warnings") if name in each)


def agreeing(entries: Sequence[Section]) -> Section:
    """The one entry that several are, if they say the same.

    Raises:
        DocumentError: They do not.
    """
    first = entries[0]
    if any(each.values != first.values for each in entries[1:]):
        raise DocumentError(f"{first.path}: {first.place} and {entries[1].place} contradict each other")
    return first


def _chosen(document: Section, entries: Sequence[Section], wanted: Wanted, what: str) -> Section:
    place = (wanted.metric, wanted.column, wanted.group)
    found = [each for each in entries if _place(each) == place]
    if not found:
        known = ", ".join(sorted({_place_words(each) for each in entries})[:10])
        raise DocumentError(f"{document.path} has no {cut(what)} (it has {known or 'none'})")
    fitting = [each for each in found if same_confidence(_level(each), wanted.confidence)]
    if wanted.confidence is None and not fitting:
        fitting = found[:1]  # the value is the same with every interval
    if not fitting:
        levels = [_level(each) for each in found]
        known = " and ".join("none" if level is None else percent(level) for level in levels)
        asked = percent(wanted.confidence or 0)
        raise DocumentError(f"{document.path} has no {cut(what)} at {asked} confidence (it has {known})")
    return agreeing(fitting)


def _preferred(entries: Sequence[Section], *, unpaired: bool) -> Sequence[Section]:
    """Paired comparisons; else those with a change if unpaired ones will do, and those without if not."""
    paired = [each for each in entries if each.flag("paired")]
    return paired or [each for each in entries if (each.raw("change") is not None) == unpaired] or entries


def _level(entry: Section) -> float | None:
    return entry.maybe("confidence", lambda key: _share(entry, key))


def _place(entry: Section) -> tuple[str, str | None, str | None]:
    group = entry.maybe("group", lambda key: entry.text(key, empty=True))
    return entry.text("metric"), entry.maybe("column", entry.text), group


def _place_words(entry: Section) -> str:
    metric, column, group = _place(entry)
    return cut(Wanted(metric=metric, column=column, group=group).label)


def _share(entry: Section, key: str) -> float:
    value = entry.number(key)
    if not 0 < value < 1:
        raise entry.error(key, f"is {value:g}, not between 0 and 1")
    return value


def _interval(
    entry: Section, value: float, confidence: float | None, problem: str | None
) -> tuple[tuple[float, float] | None, str | None, str]:
    """The interval and how it was computed, or why there is none although one is wanted."""
    method = entry.maybe("method", entry.text)
    interval = interval_of(entry, value, method=method)
    if interval is not None and problem is not None:
        raise entry.error("problem", f"says that there is no interval, but there is one: {problem}")
    if confidence is None:
        return None, None, ""
    if interval is not None and method is None:
        raise entry.error("method", "is null although there is an interval")
    if interval is None and problem is None:
        raise entry.error("interval", f"is null, and {_SILENT}")
    return interval, method, problem or ""


def absence(document: Section, name: str) -> str | None:
    """Why there is nothing to compare with, if a baseline that was asked for does not exist yet."""
    for entry in document.sections("baselines"):
        if entry.text("name") == name and "absent" in entry.values and entry.flag("absent"):
            if entry.raw("digest") is not None:
                raise entry.error("absent", "is true, but there is a digest of it")
            return entry.text("problem")
    return None


def _check_baseline(document: Section, name: str) -> None:
    known = document.sections("baselines")
    found = [each for each in known if each.text("name") == name]
    if not found:
        names = ", ".join(cut(each.text("name")) for each in known)
        raise DocumentError(f"{document.path} has no baseline {cut(name)} (it has {names or 'none'})")
    entry = agreeing(found)
    problem, same = entry.maybe("problem", entry.text), entry.flag("same")
    if problem is not None or entry.maybe("digest", entry.digest) is None:
        raise entry.error("problem", f"keeps it from being compared with: {problem or _SILENT}")
    if same != (entry.maybe("evaluation_set", entry.digest) == document.digest("evaluation_set")):
        raise entry.error("same", "contradicts the digests of the two evaluation sets")
    compared = [each for each in document.sections("comparisons") if each.text("baseline") == name]
    if not same and any(each.flag("paired") for each in compared):
        raise entry.error("same", "is false, but a comparison is paired")


def _mcnemar(entry: Section) -> str | None:
    found = entry.maybe("mcnemar", entry.section)
    if found is None:
        return None
    this, other = found.count("only_this_right"), found.count("only_baseline_right")
    likely = found.number("p_value", minimum=0, maximum=1)
    return (
        f"McNemar: {this:,} rows only this model has right, {other:,} only the baseline; "
        f"p = {likely:.3g} ({found.text('method')})"
    )
