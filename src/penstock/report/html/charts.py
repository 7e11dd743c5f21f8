"""Pictures with two axes: curves, points, histograms. Dashes tell series apart, not colour alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup

from penstock.record import Record
from penstock.report.html import svg
from penstock.report.html.svg import Scale, element

_WIDTH, _HEIGHT = 360, 268
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 40
SERIES = 6
"""As many can be told apart."""

HISTOGRAM_HEIGHT = 170
_FLOOR = 140
SPARK_HEIGHT = 26
_NAMES_CHARACTERS, _LEAST_CHARACTERS = 44, 4


class Frame(Record):
    """A rectangle with an axis along its bottom and one along its left side."""

    x: Scale
    y: Scale

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point stands, in the units of the picture; at the edge if it lies outside."""
        shares = [min(max(share, 0.0), 1.0) for share in (self.x.share(x), self.y.share(y))]
        return (
            _LEFT + shares[0] * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - shares[1] * (_HEIGHT - _TOP - _BOTTOM),
        )

    def drawn(self, label: str, names: tuple[str, str], *inside: Markup) -> Markup:
        """The whole picture."""
        return svg.chart(
            *self._lines(),
            *inside,
            element(
                "text",
                names[0],
                class_="name",
                x=(_LEFT + _WIDTH - _RIGHT) / 2,
                y=_HEIGHT - 4,
                text_anchor="middle",
            ),
            element(
                "text",
                names[1],
                class_="name",
                transform=f"translate(11 {(_TOP + _HEIGHT - _BOTTOM) / 2}) rotate(-90)",
                text_anchor="middle",
            ),
            label=label,
            class_="chart",
            size=(_WIDTH, _HEIGHT),
        )

    def _lines(self) -> Iterator[Markup]:
        values = self.x.ticks(6)
        for value, text in zip(values, svg.labels(values), strict=True):
            x, y = self.at(value, self.y.low)
            yield element("line", class_="grid-line", x1=x, x2=x, y1=_TOP, y2=y)
            yield element("text", text, x=x, y=y + 16, text_anchor="middle")
        values = self.y.ticks(6)
        for value, text in zip(values, svg.labels(values), strict=True):
            x, y = self.at(self.x.low, value)
            yield element("line", class_="grid-line", x1=x, x2=_WIDTH - _RIGHT, y1=y, y2=y)
            yield element("text", text, x=x - 6, y=y + 4, text_anchor="end")

    def line(self, points: Iterable[tuple[float, float]], look: str) -> Markup:
        """A line through points."""
        places = (self.at(*point) for point in points)
        path = "L".join(f"{_short(x)} {_short(y)}" for x, y in places)
        return element("path", class_=look, d=f"M{path}") if path else Markup("")

    def dots(self, points: Iterable[tuple[float, float]], look: str, radius: float = 2.5) -> Markup:
        """A dot at each point; one path for all, since there may be hundreds."""
        path = "".join(f"M{_short(x)} {_short(y)}h0" for x, y in (self.at(*point) for point in points))
        return (
            element("path", class_=look, d=path, stroke_width=2 * radius, stroke_linecap="round")
            if path
            else Markup("")
        )

    def whisker(self, x: float, interval: tuple[float, float], look: str) -> Markup:
        """An upright line from one end of an interval to the other."""
        (left, low), (_, high) = self.at(x, interval[0]), self.at(x, interval[1])
        return element("line", class_=look, x1=left, x2=left, y1=low, y2=high)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


UNIT = Scale(0.0, 1.0)
SQUARE = Frame(x=UNIT, y=UNIT)


def series(number: int) -> str:
    """How the line of a number looks."""
    return f"series s{number % SERIES}"


def histogram(
    scale: Scale,
    bars: Sequence[tuple[float, float, float]],
    outline: Sequence[tuple[float, float, float]] = (),
    *,
    label: str,
    names: Sequence[str] = (),
) -> Markup:
    """Bars above a range, and the outline of others to see them against.

    Args:
        bars: (low, high, height), the height a count or a share.
        outline: The same, as steps.
        names: What stands below each bar instead of an axis of numbers.
    """
    top = max((height for *_, height in (*bars, *outline)), default=0.0) or 1.0
    return svg.picture(
        element("line", class_="zero", x1="0", x2="100%", y1=_FLOOR, y2=_FLOOR),
        *_bars(scale, bars, top, _FLOOR - 6),
        *_steps(scale, outline, top, _FLOOR - 6),
        _names(scale, bars, names) if names else svg.axis(scale, y=_FLOOR + 18),
        label=label,
        class_="histogram",
        height=HISTOGRAM_HEIGHT,
    )


def _names(scale: Scale, bars: Sequence[tuple[float, float, float]], names: Sequence[str]) -> Markup:
    """Names below bars, as long as there is room for them."""
    longest = _NAMES_CHARACTERS // max(len(bars), 1)
    if longest < _LEAST_CHARACTERS:
        return Markup("")
    return svg.join(
        element(
            "text",
            name if len(name) <= longest else name[: longest - 1] + "…",
            x=scale.place((low + high) / 2),
            y=_FLOOR + 18,
            text_anchor="middle",
        )
        for (low, high, _), name in zip(bars, names, strict=False)
    )


def _bars(
    scale: Scale, bars: Iterable[tuple[float, float, float]], top: float, room: float, floor: int = _FLOOR
) -> Iterator[Markup]:
    for low, high, height in bars:
        if height > 0 and high > low:
            tall = height / top * room
            yield element(
                "rect",
                class_="bar",
                x=scale.place(low),
                width=scale.width(low, high),
                y=floor - tall,
                height=tall,
            )


def _steps(
    scale: Scale, steps: Sequence[tuple[float, float, float]], top: float, room: float
) -> Iterator[Markup]:
    before, end = 0.0, None
    for low, high, height in steps:
        tall, left = height / top * room, scale.place(low)
        if end is not None and low > end:  # values that have no order stand apart
            right = scale.place(end)
            yield element("line", class_="step", x1=right, x2=right, y1=_FLOOR - before, y2=_FLOOR)
            before = 0.0
        yield element("line", class_="step", x1=left, x2=left, y1=_FLOOR - before, y2=_FLOOR - tall)
        yield element(
            "line", class_="step", x1=left, x2=scale.place(high), y1=_FLOOR - tall, y2=_FLOOR - tall
        )
        before, end = tall, high
    if steps:
        right = scale.place(steps[-1][1])
        yield element("line", class_="step", x1=right, x2=right, y1=_FLOOR - before, y2=_FLOOR)


def spark(counts: Sequence[float]) -> Markup:
    """A histogram as small as a word."""
    heights = [max(count, 0.0) for count in counts]
    if not heights or not max(heights):
        return Markup("")
    bars = [
        (number / len(heights), (number + 0.85) / len(heights), height)
        for number, height in enumerate(heights)
    ]
    parts = _bars(UNIT, bars, max(heights), SPARK_HEIGHT - 2, SPARK_HEIGHT)
    return svg.picture(*parts, label=None, class_="spark", height=SPARK_HEIGHT)


def between(edges: Sequence[float], counts: Sequence[float]) -> list[tuple[float, float, float]]:
    """Bars of a histogram that is given by its edges; those without two edges are left out."""
    return [
        (low, high, max(count, 0.0))
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if high > low
    ]


def one_by_one(counts: Sequence[float]) -> list[tuple[float, float, float]]:
    """Bars of values that have no order, each with a place of its own."""
    return [(number + 0.1, number + 0.9, max(count, 0.0)) for number, count in enumerate(counts)]


def span(*groups: Sequence[tuple[float, float, float]]) -> Scale | None:
    """The scale on which bars stand without room beside them; None if there are none."""
    ends = [end for bars in groups for low, high, _ in bars for end in (low, high)]
    return Scale(min(ends), max(ends)) if ends and max(ends) > min(ends) else None
