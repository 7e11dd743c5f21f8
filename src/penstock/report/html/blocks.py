"""What sections of a page are made of. The template knows how each is shown; views only say what there is."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from penstock.record import Record
from penstock.results import GateResult

Content = str | Markup
"""Foreign text, or a picture made here."""


class Column(Record, kw_only=False):
    """A column of a table.

    Attributes:
        kind: `number`, `strip` for pictures, `name`, `code`, or empty for text.
        foot: Below the column, an axis say.
        spoken: The title is read out and not shown: the column goes with the one before it.
    """

    title: str
    kind: str = ""
    foot: Content = ""
    spoken: bool = False


class Table(Record, kw_only=False):
    """Rows of cells, the first of which names the row.

    Attributes:
        caption: Read out where the table is found; shown only if `titled`.
        hidden: How many rows there are that do not fit here.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Content, ...], ...]
    titled: bool = False
    hidden: int = 0

    @property
    def feet(self) -> bool:
        """Whether something stands below its columns."""
        return any(column.foot for column in self.columns)


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Content]],
    *,
    most: int = 400,
    titled: bool = False,
) -> Table:
    """A table of at most so many rows."""
    shown = tuple(tuple(row) for row in rows[:most])
    return Table(caption, tuple(columns), shown, titled, max(len(rows) - most, 0))


class Fact(Record, kw_only=False):
    """A name and what there is to say of it."""

    name: str
    content: Content
    code: bool = False


class Key(Record, kw_only=False):
    """What a mark in a picture means; `look` is the class of the mark."""

    look: str
    words: str


class Figure(Record):
    """A picture, with the numbers behind it."""

    title: str
    picture: Markup
    note: str = ""
    keys: tuple[Key, ...] = ()
    numbers: Table | None = None
    wide: bool = False


class Cell(Record, kw_only=False):
    """A count of a matrix, its share of the row, and how dark it is: 0 to 9."""

    count: str
    share: str
    level: int


class Matrix(Record, kw_only=False):
    """Counts of classes taken for classes."""

    title: str
    note: str
    labels: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    wide: bool = False


class Meter(Record, kw_only=False):
    """How much of a budget is used."""

    title: str
    used: int
    budget: int
    words: str
    over: bool = False


class Facts(Record, kw_only=False):
    """Names and contents."""

    facts: tuple[Fact, ...]


class Note(Record, kw_only=False):
    """A sentence that is set off: `warning`, `problem` or `info`."""

    kind: str
    text: str


class Log(Record, kw_only=False):
    """What a program printed."""

    title: str
    text: str
    open: bool = False


class Grid(Record, kw_only=False):
    """Blocks beside each other, where there is room."""

    blocks: tuple[Block, ...]


class Fold(Record, kw_only=False):
    """Blocks behind a title that opens them."""

    title: str
    blocks: tuple[Block, ...]
    open: bool = False
    note: str = ""
    id: str = ""


class Heading(Record, kw_only=False):
    """A heading within a section."""

    text: str
    note: str = ""


class Gate(Record):
    """A gate: its verdict, its number as a picture, and what both rest on.

    Attributes:
        parts: Its numbers, if it judges several.
        more: Those of them that pass, if they are many.
    """

    id: str
    gate: GateResult
    word: str
    picture: Markup | None
    facts: tuple[Fact, ...]
    parts: Table | None
    more: Table | None


class Bar(Record):
    """A stage on the timeline."""

    name: str
    state: str
    word: str
    time: str
    why: str
    picture: Markup
    id: str


class Timeline(Record, kw_only=False):
    """The stages of a run by time."""

    bars: tuple[Bar, ...]
    axis: Markup


Block = Table | Figure | Matrix | Meter | Facts | Note | Log | Grid | Fold | Heading | Gate | Timeline


class Section(Record):
    """A part of the page that one can go to."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    lead: str = ""


class Tile(Record, kw_only=False):
    """A number that says how a run went."""

    number: str
    words: str
    look: str = ""


class Page(Record):
    """All of it.

    Attributes:
        verdict: `passed`, `failed`, `inconclusive` or `interrupted`: how it looks.
        headline: The same in words.
        outcome: One sentence on why.
    """

    title: str
    subject: str
    verdict: str
    headline: str
    outcome: str
    facts: tuple[Fact, ...]
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    origin: str
