"""The worst group of rows: does the model keep a bound in every one?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..common.rows import check_columns
from ..measure.intervals import Interval
from ..measure.metrics import Metric
from ..measure.sample import UnmeasurableError
from .asking import Case
from .judging import FAIL, INCONCLUSIVE, PASS, Result, counted, within
from .measuring import Measured, bounds, measured
from .options import Options

MOST_GROUPS = 200
_LEAST_ROWS = 30
_ORDER = (FAIL, INCONCLUSIVE, PASS)


@dataclass(frozen=True)
class _Bound:
    """What every group must keep, and what it takes to judge it.

    Attributes:
        groups: Their number, by which the level of a failure is divided.
    """

    low: float | None
    high: float | None
    least_rows: int
    confidence: float | None
    groups: int

    def text(self) -> str:
        ends = (("at least", self.low), ("at most", self.high))
        return " and ".join(f"{word} {limit:g}" for word, limit in ends if limit is not None)

    def verdict(self, found: Measured, interval: Interval | None, rows: int) -> str:
        if rows < self.least_rows:
            return INCONCLUSIVE
        if self.confidence is None:
            return within(found.value, None, self.low, self.high)
        if interval is None:
            return INCONCLUSIVE
        verdict = within(found.value, interval, self.low, self.high)
        if verdict != FAIL:
            return verdict
        wider = bounds(found, 1 - (1 - self.confidence) / self.groups).interval
        return FAIL if within(found.value, wider, self.low, self.high) == FAIL else INCONCLUSIVE


@dataclass(frozen=True)
class _Group:
    name: str
    value: float | None
    interval: Interval | None
    rows: int
    verdict: str
    problem: str | None

    def text(self) -> str:
        if self.value is None:
            return f"{self.name}: {self.problem} ({counted(self.rows)})"
        between = f" [{self.interval[0]:.4g}, {self.interval[1]:.4g}]" if self.interval else ""
        return f"{self.name}: {self.value:.4g}{between} ({counted(self.rows)})"


def worst_slice(case: Case, options: Options) -> Result:
    """A metric in every group of the values of some columns; the worst one decides.

    All groups must keep the bound, so each one's own interval must lie within it (an intersection-union test
    needs no correction). For a failure one group suffices, so the level is divided by their number
    (Bonferroni). A group of fewer than `min_rows`, or without an interval, is inconclusive.

    Args:
        case: The model's answers.
        options: `name`, `by` (columns), `metric`, `min` or `max`, `min_rows`.
    """
    name, by = options.text("name"), options.names("by")
    metric = case.metric(options.text("metric"), f"{options.where}.metric")
    low, high = options.bounds()
    least = options.whole("min_rows", _LEAST_ROWS, 1, 1 << 31)
    options.finish()
    if by is None:
        raise options.wrong("by", "is missing: name the columns whose values make the groups")
    if low is None and high is None:
        raise options.wrong("min", "is missing: give `min` or `max`")
    check_columns(by, case.rows.table.columns, f"{options.where}.by")
    name = name or f"{metric.name} by {', '.join(by)}"
    groups = list(_groups(case, list(dict.fromkeys(by))))
    if not groups or len(groups) > MOST_GROUPS:
        what = f"{len(groups)} groups, of which {MOST_GROUPS} can be looked at; choose other columns"
        return Result(name, "slice", FAIL, f"{name}: {what}", minimum=low, maximum=high)
    bound = _Bound(low, high, least, case.confidence, len(groups))
    return _judged(name, [_measured(case, metric, bound, *group) for group in groups], bound)


def _judged(name: str, groups: list[_Group], bound: _Bound) -> Result:
    def rank(group: _Group) -> tuple[int, float]:
        """Those that decide first, then the worst: the lowest if there is a lower bound."""
        value = group.value or 0.0
        return _ORDER.index(group.verdict), value if bound.low is not None else -value

    ranked = sorted(groups, key=rank)
    worst, examples = ranked[0], [group.text() for group in ranked]
    sentence = (
        f"{name}: the worst of {counted(len(groups), 'group')} is {worst.text()}; "
        f"every one must be {bound.text()}"
    )
    value, interval, rows = worst.value, worst.interval, worst.rows
    return Result(
        name, "slice", worst.verdict, sentence, value, interval, bound.low, bound.high, rows, examples
    )


def _groups(case: Case, by: list[str]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Names of groups, and places of their rows among those whose truth is known."""
    columns = case.rows.table[by].iloc[case.known].astype(object)
    keys = columns.where(columns.notna(), "missing").astype(str)
    grouped = keys.reset_index(drop=True).groupby(by, sort=True)
    for key, places in grouped.indices.items():
        values = key if isinstance(key, tuple) else (key,)
        yield ", ".join(f"{c} {v}" for c, v in zip(by, values, strict=True)), np.asarray(places)


def _measured(case: Case, metric: Metric, bound: _Bound, name: str, places: NDArray[np.int64]) -> _Group:
    rows, outputs = len(places), case.outputs.take(case.known[places])
    try:
        found = measured(metric, case.truth[places], outputs, case.subject)
    except UnmeasurableError as error:
        return _Group(name, None, None, rows, INCONCLUSIVE, str(error))
    interval = bounds(found, case.confidence).interval
    return _Group(name, found.value, interval, rows, bound.verdict(found, interval, rows), None)
