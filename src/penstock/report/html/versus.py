"""Two runs beside each other, as a page."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.report import wording
from penstock.report.comparison_text import pair
from penstock.report.html import strip
from penstock.report.html.blocks import Column, Content, Fact, Page, Section, Tile, table
from penstock.report.html.page import write
from penstock.report.html.svg import Scale
from penstock.report.versus import MetricChange, Versus
from penstock.report.versus_text import gate, stage


def render(versus: Versus) -> bytes:
    """The page."""
    one, two = versus.sides
    subject = " and ".join(dict.fromkeys(each.report.pipeline for each in versus.sides))
    return write(
        Page(
            title=f"{subject}: two runs",
            subject=subject,
            verdict="compared",
            headline="Two runs",
            outcome=f"From A, {wording.headline(one.report)}, to B, {wording.headline(two.report)}.",
            facts=tuple(_facts(versus)),
            tiles=tuple(_tiles(versus)),
            sections=tuple(_sections(versus)),
            origin=f"Penstock {two.report.penstock}",
        )
    )


def _facts(versus: Versus) -> Iterator[Fact]:
    for letter, side in zip("AB", versus.sides, strict=True):
        report = side.report
        commit = f", commit {report.commit[:12]}{report.commit[40:]}" if report.commit else ""
        said = (
            f"{report.run_id}, {wording.moment(report.started_at)}, {report.executor}{commit}, {side.place}"
        )
        yield Fact(letter, said)


def _tiles(versus: Versus) -> Iterator[Tile]:
    known = ([None if each is None else each.verdict for each in pair] for _, *pair in versus.gates)
    verdicts = sum(mine is not theirs for mine, theirs in known)
    yield Tile(str(verdicts), "verdict differs" if verdicts == 1 else "verdicts differ")
    changed = sum(bool(each.change) for each in versus.metrics)
    yield Tile(str(changed), "metric changed" if changed == 1 else "metrics changed")
    differences = len(versus.differences)
    yield Tile(
        str(differences), "difference in what went in" if differences == 1 else "differences in what went in"
    )


def _sections(versus: Versus) -> Iterator[Section]:
    if versus.gates:
        rows = [(name, gate(mine, theirs)) for name, mine, theirs in versus.gates]
        columns = (Column("gate", "name"), Column("A → B"))
        yield Section(id="gates", title="Gates", blocks=(table("Gates of both runs", columns, rows),))
    if versus.metrics:
        yield _metrics(versus)
    if versus.stages:
        stages = [(name, stage(mine, theirs)) for name, mine, theirs in versus.stages]
        columns = (Column("stage", "name"), Column("A → B"))
        yield Section(id="stages", title="Stages", blocks=(table("Stages of both runs", columns, stages),))
    if versus.differences:
        changes = [pair(change) for change in versus.differences]
        columns = (Column("what", "name"), Column("A | B"))
        blocks = (table("What went into the runs and differs", columns, changes),)
        yield Section(id="differences", title="What differs", blocks=blocks)


def _metrics(versus: Versus) -> Section:
    several = len({each.path for each in versus.metrics}) > 1
    rows = [
        (
            each.metric + wording.ARROWS.get(each.better or "", "") + (f" ({each.path})" if several else ""),
            _value(each),
            _both(each),
            "" if each.change is None else wording.signed(each.change),
            wording.interval(each.interval),
            each.how,
        )
        for each in versus.metrics
    ]
    columns = (
        Column("metric", "name"),
        Column("A → B", "number"),
        Column("A above B", "strip"),
        Column("change", "number"),
        Column("from, to", "number", spoken=True),
        Column("interval of the change"),
    )
    return Section(
        id="metrics",
        title="Metrics",
        lead="A change is paired where B was measured against A, row by row. Elsewhere its interval comes"
        " from both standard errors, and is wider than need be if the rows are the same.",
        blocks=(table("Metrics of all rows", columns, rows),),
    )


def _value(each: MetricChange) -> str:
    values = (side.value if side else None for side in (each.before, each.after))
    return " → ".join("?" if value is None else wording.number(value) for value in values)


def _both(each: MetricChange) -> Content:
    """Both values with their intervals on one scale, the first run's above the second's."""
    sides = [side for side in (each.before, each.after) if side and side.value is not None]
    numbers = [n for side in sides for n in strip.finite(side.value, *(side.interval or ()))]
    if not numbers:
        return ""
    scale = Scale.around(numbers)
    return strip.pair(
        scale, *((side.value, side.interval) if side else (None, None) for side in (each.before, each.after))
    )
