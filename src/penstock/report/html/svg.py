"""The elements that pictures are made of, scales, and numbers beside axes.

Places along a picture are percentages where its width is the reader's and its letters shall not grow with it.
Nothing here writes a `style`, which the page's policy forbids; looks are the style sheet's, by class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from penstock.inert import one_line
from penstock.record import Record

NEAR, FAR = 0.04, 0.96
"""Shares of the width beyond which a label is set against its place instead of around it."""


def element(name: str, *children: str, **attributes: object) -> Markup:
    """An element; text in it is made inert and escaped, markup is kept.

    Args:
        attributes: `class_` and `stroke_width` for `class` and `stroke-width`; None leaves one out.
    """
    head = f"<{name}{_attributes(attributes)}"
    inside = "".join(each if isinstance(each, Markup) else escape(one_line(each)) for each in children)
    # `head` and `inside` are markup already
    return Markup(f"{head}>{inside}</{name}>" if children else f"{head}/>")  # noqa: S704


def _attributes(attributes: dict[str, object]) -> str:
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for name, value in attributes.items()
        if value is not None
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return one_line(str(value))


def join(parts: Iterable[Markup]) -> Markup:
    """Markup, one behind the other."""
    return Markup("").join(parts)


def picture(*children: str, label: str | None, class_: str, height: int) -> Markup:
    """A picture as wide as its place, in pixels across its height.

    Args:
        label: What it shows, for those who cannot see it; None where the text beside it says so.
    """
    return element(
        "svg",
        *children,
        class_=class_,
        width="100%",
        height=height,
        **_spoken(label),
    )


def chart(*children: str, label: str, class_: str, size: tuple[int, int]) -> Markup:
    """A picture that grows and shrinks with its place, letters too."""
    return element(
        "svg",
        *children,
        class_=class_,
        viewBox=f"0 0 {size[0]} {size[1]}",
        **_spoken(label),
    )


def _spoken(label: str | None) -> dict[str, object]:
    return {"aria_hidden": "true"} if label is None else {"role": "img", "aria_label": label}


def percent(share: float) -> str:
    """A share of the width; what lies outside of the picture is put at its edge."""
    return f"{min(max(share, 0.0), 1.0) * 100:.1f}".removesuffix(".0") + "%"


class Scale(Record, kw_only=False):
    """The numbers along an axis, `low` < `high`."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float], margin: float = 0.08) -> Scale:
        """One that holds these values, with some room on both sides."""
        known = [value for value in values if math.isfinite(value)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        if not math.isfinite(high - low):
            low, high = low / 4, high / 4  # nobody measures such; the picture must not break all the same
        room = (high - low) * margin or abs(high) * margin or 1.0
        return cls(low - room, high + room)

    def share(self, value: float) -> float:
        """Where a value stands: 0 at `low`, 1 at `high`."""
        return (value - self.low) / (self.high - self.low)

    def place(self, value: float) -> str:
        """Where a value stands, as a percentage."""
        return percent(self.share(value))

    def width(self, low: float, high: float) -> str:
        """How wide a range is, as far as it lies within."""
        ends = [min(max(self.share(value), 0.0), 1.0) for value in (low, high)]
        return percent(max(ends[1] - ends[0], 0.0))

    def ticks(self, most: int = 5) -> tuple[float, ...]:
        """Round numbers within, at most so many."""
        span = self.high - self.low
        if not (math.isfinite(span) and span > 0):
            return ()
        power = 10.0 ** math.floor(math.log10(span / most))
        steps = (factor * power for factor in (1, 2, 2.5, 5, 10, 20))
        for step in steps:
            first = math.ceil(self.low / step - 1e-9)
            last = math.floor(self.high / step + 1e-9)
            if step > 0 and 0 < last - first + 1 <= most:
                return tuple(number * step for number in range(first, last + 1))
        return ()


def labels(values: Sequence[float]) -> Iterator[str]:
    """The numbers beside an axis, with as many decimals as tell neighbours apart, and no more."""
    step = min((abs(b - a) for a, b in pairwise(values) if a != b), default=1.0)
    largest = max((abs(value) for value in values), default=0.0)
    if largest >= 1e6 or 0 < largest < 1e-4:  # noqa: PLR2004 - too long, in full
        yield from (f"{value:.3g}" for value in values)
        return
    decimals = next((n for n in range(7) if abs(round(step, n) - step) <= step * 1e-6), 6)
    for value in values:
        yield f"{value + 0.0:,.{decimals}f}".replace("-0", "0", 1) if not value else f"{value:,.{decimals}f}"


def anchor(share: float) -> str:
    """How a label is set so that it stays within the picture."""
    return "start" if share < NEAR else "end" if share > FAR else "middle"


def axis(scale: Scale, *, y: int, most: int = 5) -> Markup:
    """Numbers below a picture whose places are percentages."""
    values = scale.ticks(most)
    return join(
        element(
            "text", text, class_="tick", x=scale.place(value), y=y, text_anchor=anchor(scale.share(value))
        )
        for value, text in zip(values, labels(values), strict=True)
    )
