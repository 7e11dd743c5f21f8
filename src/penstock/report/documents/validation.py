"""What `uses: validate-data` writes: checks of a table, its columns, drift and leakage."""

from __future__ import annotations

from penstock.record import Record
from penstock.report.documents.measures import Interval, Table


class Check(Record):
    """One thing that the schema demands."""

    name: str
    column: str | None = None
    passed: bool | None = None
    failures: int | None = None
    examples: tuple[object, ...] = ()
    problem: str | None = None


class Histogram(Record):
    """How often which values stand in a column: between edges, or one by one.

    Attributes:
        reference_counts: The same of the reference that drift is looked for against.
    """

    edges: tuple[float, ...] = ()
    values: tuple[object, ...] = ()
    counts: tuple[float, ...] = ()
    reference_counts: tuple[float, ...] = ()


class Column(Record):
    """What a column holds."""

    column: str
    type: str | None = None
    nulls: int | None = None
    distinct: int | None = None
    min: object = None
    max: object = None
    mean: float | None = None
    histogram: Histogram | None = None


class Newest(Record):
    """The latest moment in a column."""

    column: str
    value: str


class Effect(Record):
    """How far a distribution has moved."""

    name: str
    value: float | None = None
    interval: Interval | None = None
    threshold: float | None = None


class DriftColumn(Record):
    """Whether a column is distributed as in the reference."""

    column: str
    kind: str | None = None
    test: str | None = None
    statistic: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    effect: Effect | None = None
    drifted: bool | None = None
    problem: str | None = None
    histogram: Histogram | None = None


class Drift(Record):
    """The columns against a reference."""

    reference: Table = Table()
    confidence: float | None = None
    correction: str | None = None
    columns: tuple[DriftColumn, ...] = ()


class Split(Record):
    """A part of the data."""

    name: str
    path: str = ""
    rows: int | None = None


class Overlap(Record):
    """Rows that stand in two splits."""

    splits: tuple[str, ...]
    by: str = ""
    rows: int = 0
    share: float | None = None
    examples: tuple[object, ...] = ()


class Telling(Record):
    """A column that gives the target away."""

    column: str
    target: str = ""
    score: float | None = None
    method: str = ""


class Leakage(Record):
    """What the evaluation could know and should not."""

    splits: tuple[Split, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    telling: tuple[Telling, ...] = ()


class Validation(Record):
    """The whole document."""

    data: Table = Table()
    rows: int | None = None
    passed: bool | None = None
    summary: str = ""
    checks: tuple[Check, ...] = ()
    columns: tuple[Column, ...] = ()
    newest: Newest | None = None
    drift: Drift | None = None
    leakage: Leakage | None = None
    warnings: tuple[str, ...] = ()
