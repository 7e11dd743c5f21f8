"""What was found in the data: checks, columns, drift, leakage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from penstock.report import wording
from penstock.report.documents.read import Paper
from penstock.report.documents.validation import (
    Check,
    Drift,
    DriftColumn,
    Histogram,
    Leakage,
    Overlap,
    Validation,
)
from penstock.report.documents.validation import Column as Described
from penstock.report.html import charts, strip
from penstock.report.html.blocks import (
    Block,
    Column,
    Content,
    Fact,
    Facts,
    Figure,
    Fold,
    Grid,
    Heading,
    Key,
    Note,
    Section,
    Table,
    table,
)
from penstock.report.html.svg import Scale

_MOST_EXAMPLES = 3
_MOST_FIGURES = 12
_FEW_COLUMNS = 12
_MOST_CHARACTERS = 200
_MOST_ITEMS = 20


def section(paper: Paper, document: Validation, number: int) -> Section:
    """The section of a document of `uses: validate-data`."""
    blocks: list[Block] = [Note("warning", text) for text in document.warnings]
    blocks += [*_facts(document), *_checks(document.checks)]
    if document.leakage is not None:
        blocks += _leakage(document.leakage)
    if document.drift is not None:
        blocks += _drift(document.drift)
    if document.columns:
        few = len(document.columns) <= _FEW_COLUMNS
        title = wording.count(len(document.columns), "column")
        blocks.append(Fold(title, (_columns(document.columns),), open=few))
    return Section(
        id=f"data-{number}",
        title="Data" if number == 1 else f"Data, {paper.stage or paper.path}",
        lead=document.summary,
        blocks=tuple(blocks),
    )


def value(found: object, depth: int = 2) -> str:
    """A value of a column, an example or a parameter as text; of what is nested, the outside."""
    if found is None or isinstance(found, bool):
        return str(found).lower() if found is not None else ""
    if isinstance(found, float):
        return wording.number(found)
    if isinstance(found, (str, int)):
        return str(found)[:_MOST_CHARACTERS]
    if isinstance(found, (list, tuple)) and depth:
        inside = ", ".join(value(each, depth - 1) for each in found[:_MOST_ITEMS])
        return f"[{inside}{', …' if len(found) > _MOST_ITEMS else ''}]"
    return "[…]" if isinstance(found, (list, tuple)) else "{…}"


def examples(found: Sequence[object]) -> str:
    """The first few of some values."""
    more = f" and {len(found) - _MOST_EXAMPLES:,} more" if len(found) > _MOST_EXAMPLES else ""
    return ", ".join(value(each) for each in found[:_MOST_EXAMPLES]) + more


def _facts(document: Validation) -> Iterator[Block]:
    facts = [
        Fact("table", document.data.path),
        Fact("digest", wording.short_digest(document.data.digest), code=True),
    ]
    if document.rows is not None:
        facts.append(Fact("rows", f"{document.rows:,}"))
    if document.newest is not None:
        facts.append(Fact(f"newest {document.newest.column}", wording.moment(document.newest.value)))
    yield Facts(tuple(facts))


def _checks(checks: Sequence[Check]) -> Iterator[Block]:
    failed = [each for each in checks if not each.passed]
    passed = [each for each in checks if each.passed]
    columns = (
        Column("check", "name"),
        Column("column"),
        Column("failures", "number"),
        Column("examples or reason"),
    )
    if failed:
        found = [
            (
                each.name,
                each.column or "",
                "" if each.failures is None else f"{each.failures:,}",
                each.problem or examples(each.examples),
            )
            for each in failed
        ]
        yield Heading("Checks that failed")
        yield table("Checks that failed", columns, found)
    if passed:
        passing = table(
            "Checks that passed", columns[:2], [(each.name, each.column or "") for each in passed]
        )
        yield Fold(f"{wording.count(len(passed), 'check')} passed", (passing,))


def _columns(columns: Sequence[Described]) -> Table:
    rows = [
        (
            each.column,
            each.type or "",
            charts.spark(each.histogram.counts) if each.histogram else "",
            "" if each.nulls is None else f"{each.nulls:,}",
            "" if each.distinct is None else f"{each.distinct:,}",
            value(each.min),
            wording.estimate(each.mean),
            value(each.max),
        )
        for each in columns
    ]
    titles = (Column("column", "name"), Column("type"), Column("distribution", "small"))
    numbers = (Column(name, "number") for name in ("empty", "distinct", "least", "mean", "most"))
    return table("Columns of the table", (*titles, *numbers), rows)


def _leakage(leakage: Leakage) -> Iterator[Block]:
    yield Heading("Leakage", "What the evaluation could know and should not.")
    overlaps = [each for each in leakage.overlaps if each.rows]
    if not overlaps and not leakage.telling:
        splits = " and ".join(each.name for each in leakage.splits)
        between = f" between {splits}" if splits else ""
        yield Note(
            "info", f"Nothing was found{between}: no row stands twice, no column gives the target away."
        )
    if overlaps:
        yield _overlaps(overlaps)
    if leakage.telling:
        rows = [
            (each.column, each.target, wording.estimate(each.score), each.method) for each in leakage.telling
        ]
        columns = (
            Column("column", "name"),
            Column("gives away"),
            Column("score", "number"),
            Column("method"),
        )
        yield table("Columns that give the target away", columns, rows, titled=True)


def _overlaps(overlaps: Sequence[Overlap]) -> Table:
    rows = [
        (
            " and ".join(each.splits),
            each.by,
            f"{each.rows:,}",
            "" if each.share is None else wording.share(each.share),
            examples(each.examples),
        )
        for each in overlaps
    ]
    columns = (
        Column("splits", "name"),
        Column("the same"),
        Column("rows", "number"),
        Column("share", "number"),
        Column("examples"),
    )
    return table("Rows that stand in two splits", columns, rows, titled=True)


def _drift(drift: Drift) -> Iterator[Block]:
    level = f" at {wording.share(drift.confidence)} confidence" if drift.confidence else ""
    correction = f", corrected for the number of columns ({drift.correction})" if drift.correction else ""
    rows = wording.count(drift.reference.rows, "row")
    yield Heading("Drift", f"Against {rows} of {drift.reference.path}{level}{correction}.")
    ordered = sorted(drift.columns, key=lambda each: (not each.drifted, each.column))
    if ordered:
        yield _drift_table(ordered)
    drifted = tuple(_distributions(each for each in ordered if each.drifted))
    others = tuple(_distributions(each for each in ordered if not each.drifted))
    if drifted:
        yield Grid(drifted)
    if others:
        yield Fold("Distributions of columns that did not drift", (Grid(others),))


def _drift_table(columns: Sequence[DriftColumn]) -> Table:
    ends = [
        n
        for each in columns
        if each.effect
        for n in strip.finite(each.effect.value, *(each.effect.interval or ()), each.effect.threshold)
    ]
    scale = Scale.around([0.0, *ends])
    rows = [
        (
            each.column,
            _verdict(each),
            _effect(scale, each),
            wording.estimate(each.effect.value, each.effect.interval) if each.effect else "",
            each.effect.name if each.effect else "",
            "" if each.adjusted_p_value is None else f"p = {each.adjusted_p_value:.3g}",
            each.test or "",
        )
        for each in columns
    ]
    titles = (
        Column("column", "name"),
        Column("drift"),
        Column("effect against its threshold", "strip", strip.axis_row(scale)),
        Column("effect", "number"),
        Column("measured as"),
        Column("adjusted"),
        Column("test"),
    )
    return table("Drift of the columns", titles, rows)


def _verdict(each: DriftColumn) -> str:
    if each.problem:
        return each.problem
    return {True: "drifted", False: "no", None: "unknown"}[each.drifted]


def _effect(scale: Scale, each: DriftColumn) -> Content:
    if each.effect is None or each.effect.value is None:
        return ""
    look = "fail" if each.drifted else "plain"
    return strip.row(
        scale, each.effect.value, each.effect.interval, bounds=(None, each.effect.threshold), look=look
    )


def _distributions(columns: Iterable[DriftColumn]) -> Iterator[Figure]:
    return (figure for each in islice(columns, _MOST_FIGURES) if (figure := _distribution(each)))


def _distribution(each: DriftColumn) -> Figure | None:
    """The column now and in the reference, as shares: the two need not have the same number of rows."""
    found = each.histogram
    if found is None or not found.counts:
        return None
    now, before = (_shares(found, counts) for counts in (found.counts, found.reference_counts))
    scale = charts.span(now, before)
    if scale is None:
        return None
    names = _names(found)
    rows = [
        (name, *(wording.share(bars[number][2]) if number < len(bars) else "" for bars in (before, now)))
        for number, name in enumerate(names[: len(now)])
    ]
    columns = (Column(each.column, "name"), Column("reference", "number"), Column("now", "number"))
    return Figure(
        title=each.column,
        note=_verdict(each)
        if each.drifted is None or each.problem
        else "drifted"
        if each.drifted
        else "no drift",
        picture=charts.histogram(
            scale,
            now,
            before,
            label=f"distribution of {each.column}, now and in the reference",
            names=() if found.edges else names,
        ),
        keys=(Key("bar-key", "now"), Key("step", "reference")),
        numbers=table(f"{each.column}: shares", columns, rows),
    )


def _shares(found: Histogram, counts: Sequence[float]) -> list[tuple[float, float, float]]:
    bars = charts.between(found.edges, counts) if found.edges else charts.one_by_one(counts)
    total = sum(height for *_, height in bars) or 1.0
    return [(low, high, height / total) for low, high, height in bars]


def _names(found: Histogram) -> list[str]:
    if found.edges:
        return [
            f"{wording.number(low)} to {wording.number(high)}"
            for low, high, _ in charts.between(found.edges, found.counts)
        ]
    return [value(each) for each in found.values]
