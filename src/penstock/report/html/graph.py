"""The stages as a picture: who reads what from whom, from left to right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from penstock.report.html.svg import element
from penstock.results import StageResult

MOST = 60
_WIDTH, _HEIGHT = 150, 34
_ACROSS, _DOWN = 56, 14
_MARGIN = 6
_CHARACTERS = 19


def draw(stages: Sequence[StageResult]) -> Markup | None:
    """Boxes in columns by how many stages stand before them; None if there is no such order to show."""
    if not 1 < len(stages) <= MOST or not any(stage.needs for stage in stages):
        return None
    columns = _columns(stages)
    tallest = max(map(len, columns))
    places: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(columns):
        above = (tallest - len(column)) * (_HEIGHT + _DOWN) / 2
        for row, stage in enumerate(column):
            places[stage.name] = (
                _MARGIN + number * (_WIDTH + _ACROSS),
                _MARGIN + above + row * (_HEIGHT + _DOWN),
            )
    width = 2 * _MARGIN + len(columns) * (_WIDTH + _ACROSS) - _ACROSS
    height = 2 * _MARGIN + tallest * (_HEIGHT + _DOWN) - _DOWN
    said = "; ".join(f"{stage.name} reads from {', '.join(stage.needs)}" for stage in stages if stage.needs)
    return element(
        "svg",
        *_edges(stages, places),
        *(_box(stage, places[stage.name]) for stage in stages),
        class_="graph",
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=said,
    )


def _columns(stages: Sequence[StageResult]) -> list[list[StageResult]]:
    """Each stage behind all that it needs; a name that a damaged report has in a circle counts once."""
    known = {stage.name: stage for stage in stages}
    depths: dict[str, int] = {}
    for _ in stages:  # no way is longer than there are stages
        before = dict(depths)
        for stage in stages:
            depths[stage.name] = max(
                (depths.get(need, 0) + 1 for need in stage.needs if need in known), default=0
            )
        if depths == before:
            break
    order = {depth: number for number, depth in enumerate(sorted(set(depths.values())))}
    columns: list[list[StageResult]] = [[] for _ in order]
    for stage in known.values():
        columns[order[depths[stage.name]]].append(stage)
    return columns


def _edges(stages: Sequence[StageResult], places: Mapping[str, tuple[float, float]]) -> Iterator[Markup]:
    for stage in stages:
        x, y = places[stage.name]
        for need in stage.needs:
            if need not in places:
                continue
            left, top = places[need]
            start, end = left + _WIDTH, x - 5
            middle = (start + end) / 2
            ys = top + _HEIGHT / 2, y + _HEIGHT / 2
            yield element(
                "path", class_="edge", d=f"M{start} {ys[0]}C{middle} {ys[0]} {middle} {ys[1]} {end} {ys[1]}"
            )
            yield element("path", class_="tip", d=f"M{end} {ys[1] - 4}l6 4l-6 4z")


def _box(stage: StageResult, place: tuple[float, float]) -> Markup:
    x, y = place
    name = stage.name if len(stage.name) <= _CHARACTERS else stage.name[: _CHARACTERS - 1] + "…"
    return element(
        "g",
        element("title", f"{stage.name}: {stage.state.value}"),
        element("rect", class_="box", x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=6),
        element("rect", class_="side", x=x, y=y, width=5, height=_HEIGHT, rx=2),
        element("text", name, x=x + 15, y=y + _HEIGHT / 2 + 4),
        class_=stage.state.value,
    )
