"""A number with its interval on a line, against the bounds that it is judged by.

What it says is in shapes too: full and round is within the bounds, a lozenge is outside, hollow and dashed is
undecided.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from markupsafe import Markup

from penstock.report import wording
from penstock.report.html import svg
from penstock.report.html.svg import Scale, element
from penstock.results import GateResult, Judged, Verdict

HEIGHT = 62
ROW_HEIGHT = 22
_TOP, _MIDDLE, _BOTTOM = 16, 29, 42


def scale_of(judged: Iterable[GateResult | Judged]) -> Scale | None:
    """One scale that shows values, intervals and bounds of all; None if there is nothing to show."""
    values: list[float] = []
    for each in judged:
        values += finite(each.value, *(each.interval or ()), each.minimum, each.maximum)
    return Scale.around(values, 0.16) if values else None


def finite(*values: float | None) -> list[float]:
    """Those that are there."""
    return [value for value in values if value is not None and math.isfinite(value)]


def gate(judged: GateResult | Judged, label: str) -> Markup | None:
    """The picture of a gate's number with an axis; None if it has none that could be drawn."""
    scale = scale_of([judged])
    if scale is None or not finite(judged.value):
        return None
    return svg.picture(
        _allowed(scale, judged.minimum, judged.maximum, _TOP, _BOTTOM),
        element("line", class_="base", x1="0", x2="100%", y1=_MIDDLE, y2=_MIDDLE),
        svg.join(_bounds(scale, judged)),
        _number(scale, judged.value, judged.interval, judged.verdict.value, _MIDDLE),
        svg.axis(scale, y=HEIGHT - 5),
        label=label,
        class_=f"strip {judged.verdict.value}",
        height=HEIGHT,
    )


def row(
    scale: Scale,
    value: float | None,
    interval: tuple[float, float] | None,
    *,
    bounds: tuple[float | None, float | None] = (None, None),
    look: str = "plain",
    reference: float | None = None,
) -> Markup:
    """The same without axis and words, for a table that has the numbers.

    Args:
        look: `pass`, `fail`, `inconclusive`, `skip`, or `plain` for a number that nobody judges.
        reference: Where a line shows what the number is to be seen against.
    """
    middle = ROW_HEIGHT // 2
    lines = [
        element("line", class_=kind, x1=scale.place(at), x2=scale.place(at), y2=ROW_HEIGHT)
        for kind, at in (("reference", reference), *(("bound", bound) for bound in bounds))
        if at is not None
    ]
    return svg.picture(
        _allowed(scale, *bounds, 0, ROW_HEIGHT),
        *lines,
        _number(scale, value, interval, look, middle),
        label=None,
        class_=f"strip row {look}",
        height=ROW_HEIGHT,
    )


def pair(
    scale: Scale,
    first: tuple[float | None, tuple[float, float] | None],
    second: tuple[float | None, tuple[float, float] | None],
) -> Markup:
    """Two numbers with their intervals, one above the other."""
    parts = []
    for look, (value, interval), middle in (("first", first, 8), ("second", second, 22)):
        parts.append(element("g", _number(scale, value, interval, "plain", middle), class_=look))
    return svg.picture(*parts, label=None, class_="strip plain", height=30)


def bar(scale: Scale, value: float | None, interval: tuple[float, float] | None) -> Markup:
    """A bar from nothing to a value, with a whisker for its interval."""
    middle = ROW_HEIGHT // 2
    parts = []
    if value is not None:
        ends = sorted((0.0, value))
        parts.append(
            element("rect", class_="bar", x=scale.place(ends[0]), width=scale.width(*ends), y=4, height=14)
        )
    if interval is not None:
        parts.append(_whisker(scale, interval, middle))
    zero = scale.place(0.0)
    parts.append(element("line", class_="zero", x1=zero, x2=zero, y1=0, y2=ROW_HEIGHT))
    return svg.picture(*parts, label=None, class_="strip plain", height=ROW_HEIGHT)


def axis_row(scale: Scale) -> Markup:
    """The axis of a column of rows."""
    return svg.picture(svg.axis(scale, y=12, most=4), label=None, class_="strip axis", height=16)


def _whisker(scale: Scale, interval: tuple[float, float], middle: int) -> Markup:
    low, high = sorted(interval)
    ends = (
        element("line", class_="cap", x1=scale.place(end), x2=scale.place(end), y1=middle - 4, y2=middle + 4)
        for end in (low, high)
    )
    line = element("line", class_="cap", x1=scale.place(low), x2=scale.place(high), y1=middle, y2=middle)
    return svg.join((line, *ends))


def _allowed(scale: Scale, minimum: float | None, maximum: float | None, top: int, bottom: int) -> Markup:
    if minimum is None and maximum is None:
        return Markup("")
    low = scale.low if minimum is None else minimum
    high = scale.high if maximum is None else maximum
    return element(
        "rect", class_="allowed", x=scale.place(low), width=scale.width(low, high), y=top, height=bottom - top
    )


def _bounds(scale: Scale, judged: GateResult | Judged) -> Iterator[Markup]:
    for name, bound in (("at least", judged.minimum), ("at most", judged.maximum)):
        if bound is None:
            continue
        at = scale.place(bound)
        yield element("line", class_="bound", x1=at, x2=at, y1=_TOP - 3, y2=_BOTTOM + 3)
        yield element(
            "text",
            f"{name} {wording.number(bound)}",
            class_="bound-label",
            x=at,
            y=_TOP - 6,
            text_anchor="start" if name == "at least" and scale.share(bound) < 0.7 else "end",  # noqa: PLR2004 - towards what is allowed, while there is room
        )


def _number(
    scale: Scale, value: float | None, interval: tuple[float, float] | None, look: str, middle: int
) -> Markup:
    parts = []
    if interval is not None and len(finite(*interval)) == len(interval):
        low, high = sorted(interval)
        parts.append(
            element(
                "rect",
                class_="interval",
                x=scale.place(low),
                width=scale.width(low, high),
                y=middle - 4,
                height=8,
                rx=3,
            )
        )
    if value is not None and math.isfinite(value):
        parts.append(_mark(scale.place(value), look, middle))
    return svg.join(parts)


def _mark(at: str, look: str, middle: int) -> Markup:
    if look == Verdict.FAIL:
        lozenge = element("path", class_="value", d="M0 -7L7 0L0 7L-7 0Z")
        return element("svg", lozenge, x=at, y=middle, overflow="visible")
    return element("circle", class_="value", cx=at, cy=middle, r=5)
