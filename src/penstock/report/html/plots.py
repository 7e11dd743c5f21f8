"""The plots of a task: confusion, ROC, precision and recall, calibration, scores, residuals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.report import wording
from penstock.report.documents.measures import Calibration, Confusion, Counts, Curve, Measures, Residuals
from penstock.report.html import charts, svg
from penstock.report.html.blocks import Block, Cell, Column, Figure, Key, Matrix, Table, table
from penstock.report.html.charts import SERIES, SQUARE, Frame, series
from penstock.report.html.svg import Scale

_MOST_CLASSES = 25
_MOST_POINTS = 200
_LEVELS = 9


def figures(document: Measures) -> Iterator[Block]:
    """Every plot that the document has something for."""
    plots = document.plots
    if plots.confusion is not None and plots.confusion.labels:
        yield confusion(plots.confusion)
    yield from _curves(
        plots.roc,
        "ROC curve",
        ("false positive rate", "true positive rate"),
        diagonal="no better than chance",
    )
    yield from _curves(plots.precision_recall, "Precision and recall", ("recall", "precision"))
    yield from _calibrations(plots.calibration)
    if any(each.counts for each in plots.scores):
        yield _scores(plots.scores)
    if plots.residuals is not None:
        yield from _residuals(plots.residuals)


def confusion(confusion: Confusion) -> Matrix:
    """Counts with the share of the true class, shaded by it."""
    labels = confusion.labels[:_MOST_CLASSES]
    rows = []
    for counts in confusion.counts[: len(labels)]:
        total = sum(counts)
        cells = []
        for count in counts[: len(labels)]:
            part = min(max(count / total, 0.0), 1.0) if total > 0 else 0.0
            cells.append(Cell(f"{count:,}", wording.share(part), round(part * _LEVELS)))
        rows.append(tuple(cells))
    hidden = len(confusion.labels) - len(labels)
    more = f" {hidden} more classes are in the document." if hidden else ""
    return Matrix(
        "Confusion matrix",
        f"Rows are what is so, columns what was predicted; shares are of the row.{more}",
        labels,
        tuple(rows),
        wide=len(labels) > 4,  # noqa: PLR2004 - so many fit beside another plot
    )


def _curves(
    curves: Sequence[Curve], title: str, names: tuple[str, str], diagonal: str = ""
) -> Iterator[Figure]:
    known = [each for each in curves if each.points]
    if not known:
        return
    keys = [Key(series(number), each.class_) for number, each in enumerate(known[:SERIES]) if each.class_]
    lines = [SQUARE.line(each.points, series(number)) for number, each in enumerate(known[:SERIES])]
    if diagonal:
        lines.insert(0, SQUARE.line(((0, 0), (1, 1)), "diagonal"))
        keys.append(Key("diagonal", diagonal))
    hidden = f"{len(known) - SERIES} more classes are in the document." if len(known) > SERIES else ""
    yield Figure(
        title=title,
        picture=SQUARE.drawn(f"{title}: {names[1]} by {names[0]}", names, *lines),
        note=hidden,
        keys=tuple(keys),
        numbers=_points(title, known[:SERIES], names),
    )


def _points(title: str, curves: Sequence[Curve], names: tuple[str, str]) -> Table:
    several = len(curves) > 1
    thin = max(sum(len(each.points) for each in curves) // _MOST_POINTS, 1)
    rows = [
        (*([each.class_ or ""] if several else []), wording.number(x), wording.number(y))
        for each in curves
        for x, y in each.points[::thin]
    ]
    columns = (
        *([Column("class", "name")] if several else []),
        Column(names[0], "number"),
        Column(names[1], "number"),
    )
    return table(f"{title}: points", columns, rows)


def _calibrations(calibrations: Sequence[Calibration]) -> Iterator[Figure]:
    known = [each for each in calibrations if any(bin_.observed is not None for bin_ in each.bins)]
    for each in known[:SERIES]:
        parts = [SQUARE.line(((0, 0), (1, 1)), "diagonal")]
        filled = [
            (bin_.mean_score, bin_.observed, bin_.interval)
            for bin_ in each.bins
            if bin_.mean_score is not None and bin_.observed is not None
        ]
        parts += [SQUARE.whisker(x, interval, "whisker") for x, _, interval in filled if interval]
        points = [(x, y) for x, y, _ in filled]
        parts += [SQUARE.line(points, series(0)), SQUARE.dots(points, "dots", 4)]
        rows = [
            (
                ""
                if bin_.low is None or bin_.high is None
                else f"{wording.number(bin_.low)} to {wording.number(bin_.high)}",
                f"{bin_.rows:,}",
                wording.estimate(bin_.mean_score),
                wording.estimate(bin_.observed, bin_.interval),
            )
            for bin_ in each.bins
        ]
        columns = (
            Column("score", "name"),
            Column("rows", "number"),
            Column("mean score", "number"),
            Column("observed", "number"),
        )
        title = f"Calibration, {each.class_}" if each.class_ else "Calibration"
        yield Figure(
            title=title,
            note="On the line, of rows with score 0.3, three in ten are positive.",
            picture=SQUARE.drawn(
                f"{title}: observed share by mean score", ("mean score", "observed share"), *parts
            ),
            keys=(Key("diagonal", "calibrated"), Key(series(0), "this model, with intervals")),
            numbers=table(f"{title}: bins", columns, rows),
        )


def _scores(scores: Sequence[Counts]) -> Figure:
    """How scores are distributed among the rows of each true class; shares, since classes differ in size."""
    known = [each for each in scores if each.counts][:2]
    shares = [_shares(each) for each in known]
    scale = charts.span(*shares) or svg.Scale(0.0, 1.0)
    outline = shares[1] if len(shares) > 1 else []
    names = [each.class_ or "all" for each in known]
    keys = [Key("bar-key", f"rows that are {names[0]}")]
    keys += [Key("step", f"rows that are {names[1]}")] if outline else []
    columns = (Column("score", "name"), *(Column(name, "number") for name in names))
    rows = [
        (
            f"{wording.number(low)} to {wording.number(high)}",
            *(f"{each.counts[number]:,.0f}" for each in known if number < len(each.counts)),
        )
        for number, (low, high, _) in enumerate(shares[0])
    ]
    return Figure(
        title="Scores by true class",
        note="The less they overlap, the better the model tells the classes apart.",
        picture=charts.histogram(scale, shares[0], outline, label="distribution of scores by true class"),
        keys=tuple(keys),
        numbers=table("Scores: rows by true class", columns, rows),
    )


def _shares(counts: Counts) -> list[tuple[float, float, float]]:
    bars = charts.between(counts.edges, counts.counts)
    total = sum(height for *_, height in bars) or 1.0
    return [(low, high, height / total) for low, high, height in bars]


def _residuals(residuals: Residuals) -> Iterator[Figure]:
    bars = charts.between(residuals.edges, residuals.counts)
    scale = charts.span(bars)
    if scale is not None:
        columns = (Column("residual", "name"), Column("rows", "number"))
        rows = [
            (f"{wording.number(low)} to {wording.number(high)}", f"{height:,.0f}")
            for low, high, height in bars
        ]
        yield Figure(
            title="Residuals",
            note="Truth less prediction.",
            picture=charts.histogram(scale, bars, label="distribution of residuals"),
            numbers=table("Residuals: rows", columns, rows),
        )
    if residuals.points:
        reach = max(abs(y) for _, y in residuals.points) * 1.05 or 1.0
        frame = Frame(x=Scale.around(x for x, _ in residuals.points), y=Scale(-reach, reach))
        columns = (Column("prediction", "number"), Column("residual", "number"))
        rows = [(wording.number(x), wording.number(y)) for x, y in residuals.points[:_MOST_POINTS]]
        names = ("prediction", "residual")
        parts = (
            frame.line(((frame.x.low, 0.0), (frame.x.high, 0.0)), "zero"),
            frame.dots(residuals.points, "dots"),
        )
        yield Figure(
            title="Residuals by prediction",
            note="A good fit has no shape.",
            picture=frame.drawn("residuals by prediction", names, *parts),
            numbers=table("Residuals by prediction: some rows", columns, rows),
        )
