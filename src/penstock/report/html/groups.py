"""Metrics by groups of rows, and what is fair about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.report import wording
from penstock.report.documents.measures import Estimate, Fairness, Interval, Measure, Measures
from penstock.report.html import strip
from penstock.report.html.blocks import Block, Column, Content, Fold, Heading, Table, table
from penstock.report.html.svg import Scale

_MOST_ROWS = 150


def blocks(document: Measures) -> Iterator[Block]:
    """The groups of every metric, and every comparison between groups."""
    sliced = [each for each in document.measures if each.column is not None]
    if sliced:
        yield Heading("By groups", "The dotted line is the metric of all rows.")
    for number, metric in enumerate(dict.fromkeys(each.metric for each in sliced)):
        measures = [each for each in sliced if each.metric == metric]
        columns = len({each.column for each in measures})
        note = f"{wording.count(len(measures), 'group')} of {wording.count(columns, 'column')}"
        whole = next(
            (each.value for each in document.measures if each.metric == metric and each.column is None), None
        )
        yield Fold(metric, (_slices(metric, measures, whole),), open=number == 0, note=note)
    if document.fairness:
        yield Heading("Fairness", "Groups against each other: their difference and their ratio.")
    for each in document.fairness:
        yield Fold(f"{each.metric} by {each.column}", tuple(_fairness(each)), open=True)


def _slices(metric: str, measures: Sequence[Measure], whole: float | None) -> Table:
    rows = [
        (f"{each.column} = {each.group}", each.value, each.interval, each.problem or _rows(each.rows))
        for each in measures
    ]
    return _estimates(f"{metric} by groups", ("group", "value"), rows, whole)


def _fairness(each: Fairness) -> Iterator[Block]:
    rows = [
        (group.value, group.measure, group.interval, group.problem or _rows(group.rows))
        for group in each.groups
    ]
    if rows:
        caption = f"{each.metric} of the groups of {each.column}"
        yield _estimates(caption, (each.column, each.metric), rows)
    if each.pairs:
        yield _pairs(each)


def _estimates(
    caption: str,
    titles: tuple[str, str],
    entries: Sequence[tuple[str, float | None, Interval | None, str]],
    whole: float | None = None,
) -> Table:
    """Numbers with their intervals on one scale, and what each rests on."""
    numbers = [n for _, value, interval, _ in entries for n in strip.finite(value, *(interval or ()))]
    scale = Scale.around([*strip.finite(whole), *numbers])
    rows = [
        (
            name,
            wording.estimate(value),
            strip.row(scale, value, interval, reference=whole),
            wording.interval(interval),
            basis,
        )
        for name, value, interval, basis in entries
    ]
    columns = (
        Column(titles[0], "name"),
        Column(titles[1], "number"),
        Column("interval", "strip", strip.axis_row(scale)),
        Column("from, to", "number", spoken=True),
        Column("rests on"),
    )
    return table(caption, columns, rows, most=_MOST_ROWS)


def _pairs(each: Fairness) -> Table:
    ratios = [
        n
        for pair in each.pairs
        if pair.ratio
        for n in strip.finite(pair.ratio.value, *(pair.ratio.interval or ()))
    ]
    scale = Scale.around([*ratios, 1.0])
    columns = (
        Column("groups", "name"),
        Column("difference", "number"),
        Column("ratio", "number"),
        Column("ratio against 1", "strip", strip.axis_row(scale)),
        Column("remark"),
    )
    rows = [
        (
            " and ".join(pair.groups),
            _estimate(pair.difference),
            _estimate(pair.ratio),
            _ratio(scale, pair.ratio),
            pair.problem or "",
        )
        for pair in each.pairs
    ]
    return table(f"{each.metric}: groups of {each.column} against each other", columns, rows, most=_MOST_ROWS)


def _ratio(scale: Scale, ratio: Estimate | None) -> Content:
    return (
        strip.row(scale, ratio.value, ratio.interval, reference=1.0)
        if ratio and ratio.value is not None
        else ""
    )


def _estimate(estimate: Estimate | None) -> str:
    return wording.estimate(estimate.value, estimate.interval) if estimate else ""


def _rows(rows: int | None) -> str:
    return "" if rows is None else wording.count(rows, "row")
