"""What was measured of the predictions: metrics with intervals, the change to baselines, groups, plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.report import wording
from penstock.report.documents.measures import Baseline, Contrast, Mcnemar, Measure, Measures
from penstock.report.documents.read import Paper
from penstock.report.html import groups, plots, strip
from penstock.report.html.blocks import (
    Block,
    Column,
    Content,
    Fact,
    Facts,
    Grid,
    Heading,
    Note,
    Section,
    table,
)
from penstock.report.html.svg import Scale

_TASKS = {"binary": "Binary classification", "multiclass": "Multi-class classification"}


def section(paper: Paper, document: Measures, number: int) -> Section:
    """The section of a document of measures; the first one has the plain title."""
    blocks: list[Block] = [Note("warning", text) for text in document.warnings]
    blocks += [*_metrics(document), *_changes(document)]
    if figures := tuple(plots.figures(document)):
        blocks += [Heading("What the predictions look like"), Grid(figures)]
    blocks += groups.blocks(document)
    return Section(
        id=f"quality-{number}",
        title="Model quality" if number == 1 else f"Model quality, {paper.stage or paper.path}",
        lead=_lead(document),
        blocks=tuple(blocks),
    )


def _lead(document: Measures) -> str:
    task = _TASKS.get(document.task, document.task.capitalize() or "Predictions")
    level = f", intervals at {wording.share(document.confidence)} confidence" if document.confidence else ""
    return f"{task}, {wording.count(document.predictions.rows, 'row')} of {document.predictions.path}{level}."


def _metrics(document: Measures) -> Iterator[Block]:
    whole = [each for each in document.measures if each.column is None and each.group is None]
    scale = _unit_scale(whole)
    columns = (
        Column("metric", "name"),
        Column("value", "number"),
        Column("interval", "strip", strip.axis_row(scale) if scale else ""),
        Column("from, to", "number", spoken=True),
        Column("rests on"),
    )
    rows = [(_named(each), *_estimate(each.value, each.interval, scale), _basis(each)) for each in whole]
    if rows:
        yield table("Metrics of all rows", columns, rows)


def _named(each: Measure | Contrast) -> str:
    return each.metric + wording.ARROWS.get(each.better or "", "")


def _unit_scale(measures: Sequence[Measure]) -> Scale | None:
    """One scale for all that lie between 0 and 1, where they can be seen beside each other."""
    values = [
        number
        for each in measures
        for number in (each.value, *(each.interval or ()))
        if _in_unit(each) and number is not None
    ]
    return Scale.around(values) if values else None


def _in_unit(each: Measure) -> bool:
    return each.better != "lower" and all(
        0 <= number <= 1 for number in (each.value or 0.0, *(each.interval or ()))
    )


def _estimate(
    value: float | None, interval: tuple[float, float] | None, scale: Scale | None
) -> tuple[Content, Content, Content]:
    """Number, picture and interval of a row; no picture of what lies outside of the scale."""
    inside = scale is not None and value is not None and scale.low <= value <= scale.high
    return (
        wording.estimate(value),
        strip.row(scale, value, interval) if inside and scale else "",
        wording.interval(interval),
    )


def _basis(each: Measure) -> str:
    if each.problem:
        return each.problem
    how = [wording.count(each.rows, "row")] if each.rows is not None else []
    if each.interval is None:
        return ", ".join((*how, "no interval"))
    how += [each.method] if each.method else []
    return ", ".join((*how, wording.share(each.confidence)) if each.confidence else how)


def _changes(document: Measures) -> Iterator[Block]:
    known = {each.name: each for each in document.baselines}
    for name in dict.fromkeys([*known, *(each.baseline for each in document.comparisons)]):
        yield Heading(f"Against {name}", _baseline(known.get(name)))
        contrasts = [each for each in document.comparisons if each.baseline == name]
        if contrasts:
            yield _contrasts(name, contrasts)
        facts = [fact for each in contrasts if each.mcnemar for fact in _mcnemar(each.metric, each.mcnemar)]
        if facts:
            yield Facts(tuple(facts))


def _baseline(baseline: Baseline | None) -> str:
    if baseline is None:
        return ""
    if baseline.problem:
        return baseline.problem
    where = f"{baseline.path} {wording.short_digest(baseline.digest)}".strip()
    if baseline.same:
        return f"{where}: measured on the same rows"
    shared = (
        f", {wording.count(baseline.shared_rows, 'row')} in common"
        if baseline.shared_rows is not None
        else ""
    )
    return f"{where}: measured on other rows{shared}"


def _contrasts(name: str, contrasts: Sequence[Contrast]) -> Block:
    columns = (
        Column("metric", "name"),
        Column("before → now", "number"),
        Column("change", "number"),
        Column("against no change", "strip"),
        Column("from, to", "number", spoken=True),
        Column("says"),
    )
    rows = [
        (
            _named(each) + (f", {each.column} {each.group}" if each.column else ""),
            " → ".join(wording.estimate(number) or "?" for number in (each.baseline_value, each.value)),
            "" if each.change is None else wording.signed(each.change),
            _change_strip(each),
            wording.interval(each.interval),
            wording.says(each),
        )
        for each in contrasts
    ]
    return table(f"Change against {name}", columns, rows)


def _change_strip(each: Contrast) -> Content:
    ends = strip.finite(each.change, *(each.interval or ()))
    if not ends:
        return ""
    reach = max(map(abs, ends)) * 1.15 or 1.0
    return strip.row(Scale(-reach, reach), each.change, each.interval, reference=0.0)


def _mcnemar(metric: str, test: Mcnemar) -> Iterator[Fact]:
    yield Fact(f"rows that only this model has right ({metric})", f"{test.only_this_right:,}")
    yield Fact("only the baseline", f"{test.only_baseline_right:,}")
    if test.p_value is not None:
        yield Fact("McNemar's test", f"p = {test.p_value:.3g} ({test.method})")
