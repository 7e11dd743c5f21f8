"""What `uses: measure` writes: metrics of a predictions table, whole and by slices, with their intervals."""

from __future__ import annotations

from penstock.record import Record

Interval = tuple[float, float]


class Table(Record):
    """The predictions that were measured."""

    path: str = ""
    digest: str = ""
    rows: int = 0


class Measure(Record):
    """One metric of the whole table, or of the rows in which `column` has the value `group`.

    Attributes:
        better: `higher`, `lower`, or absent for a metric that has no direction.
        rows: That the number rests on.
        problem: Why there is no value.
    """

    metric: str
    value: float | None = None
    interval: Interval | None = None
    confidence: float | None = None
    better: str | None = None
    column: str | None = None
    group: str | None = None
    method: str | None = None
    rows: int | None = None
    standard_error: float | None = None
    problem: str | None = None


class Baseline(Record):
    """What the predictions were compared with."""

    name: str
    path: str = ""
    digest: str = ""
    rows: int | None = None
    evaluation_set: str = ""
    same: bool | None = None
    shared_rows: int | None = None
    problem: str | None = None


class Mcnemar(Record):
    """Whether two classifiers are wrong equally often: the rows that only one of them has right."""

    only_this_right: int
    only_baseline_right: int
    p_value: float | None = None
    method: str = ""


class Contrast(Record):
    """A metric here and of a baseline; `change` is the first less the second."""

    baseline: str
    metric: str
    value: float | None = None
    baseline_value: float | None = None
    change: float | None = None
    interval: Interval | None = None
    confidence: float | None = None
    better: str | None = None
    column: str | None = None
    group: str | None = None
    paired: bool | None = None
    rows: int | None = None
    method: str | None = None
    problem: str | None = None
    mcnemar: Mcnemar | None = None


class FairGroup(Record):
    """A metric in one group."""

    value: str
    rows: int | None = None
    measure: float | None = None
    interval: Interval | None = None
    problem: str | None = None


class Estimate(Record):
    """A number with its interval."""

    value: float | None = None
    interval: Interval | None = None


class FairPair(Record):
    """A metric of one group against that of another."""

    groups: tuple[str, ...]
    difference: Estimate | None = None
    ratio: Estimate | None = None
    problem: str | None = None


class Fairness(Record):
    """A metric by the groups of a column."""

    metric: str
    column: str
    confidence: float | None = None
    groups: tuple[FairGroup, ...] = ()
    pairs: tuple[FairPair, ...] = ()


class Confusion(Record):
    """How often which class was taken for which: a row for each true class, a column for each predicted."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Curve(Record):
    """Points of a curve, (x, y); `class_` is the class it is for, if there are several."""

    points: tuple[tuple[float, float], ...]
    class_: str | None = None


class CalibrationBin(Record):
    """The rows whose score is in a range: what was predicted of them, and what was so."""

    low: float | None = None
    high: float | None = None
    rows: int = 0
    mean_score: float | None = None
    observed: float | None = None
    interval: Interval | None = None


class Calibration(Record):
    """The bins of a class."""

    bins: tuple[CalibrationBin, ...]
    class_: str | None = None


class Counts(Record):
    """A histogram; `class_` is the true class of its rows, if it is of one."""

    edges: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    class_: str | None = None


class Residuals(Record):
    """What a regression missed by: a histogram, and (prediction, residual) of some rows."""

    edges: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    points: tuple[tuple[float, float], ...] = ()


class Plots(Record):
    """What plots are made of, each where it applies."""

    confusion: Confusion | None = None
    roc: tuple[Curve, ...] = ()
    precision_recall: tuple[Curve, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    scores: tuple[Counts, ...] = ()
    residuals: Residuals | None = None


class Measures(Record):
    """The whole document."""

    task: str = ""
    predictions: Table = Table()
    evaluation_set: str = ""
    positive: str | None = None
    confidence: float | None = None
    resamples: int | None = None
    measures: tuple[Measure, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    comparisons: tuple[Contrast, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    plots: Plots = Plots()
    warnings: tuple[str, ...] = ()


class Headline(Record):
    """As much of the document as stands in a summary: building the rest would take longer.

    Attributes:
        measures: Of all rows.
        groups: Of some metrics in some groups.
    """

    predictions: Table = Table()
    evaluation_set: str = ""
    measures: tuple[Measure, ...] = ()
    groups: tuple[Measure, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    comparisons: tuple[Contrast, ...] = ()
