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


@dataclass(frozen=True)
class _Group:
    name: str
    measured: Measured | None
    bounds: Interval | None
    rows: int
    problem: str | None

    def text(self) -> str:
        if self.measured is None:
            return f"{self.name}: {self.problem} ({counted(self.rows)})"
        between = f" [{self.bounds[0]:.4g}, {self.bounds[1]:.4g}]" if self.bounds else ""
        return f"{self.name}: {self.measured.value:.4g}{between} ({counted(self.rows)})"


def worst_slice(case: Case, options: Options) -> Result:
    """A metric in every group of the values of some columns; the worst one is judged.

    All groups must keep the bound, so each one's own interval must lie within it (an intersection-union test
    needs no correction). For a failure one group suffices, so the level is divided by their number
    (Bonferroni). A group of fewer than `min_rows`, or without an interval, is inconclusive.

    Args:
        case: The model's answers.
        options: `name`, `by` (columns), `metric`, `min` or `max`, `min_rows`.
    """
    name, by = options.text("name"), options.names("by")
    metric = case.metric(options.text("metric"), f"{options.where}.metric")
    low, high = options.number("min"), options.number("max")
    least = options.whole("min_rows", _LEAST_ROWS, 1, 1 << 31)
    options.finish()
    if by is None:
        raise options.wrong("by", "is missing: name the columns whose values make the groups")
    check_columns(by, case.rows.table.columns, f"{options.where}.by")
    if low is None and high is None:
        raise options.wrong("min", "is missing: give `min` or `max`")
    name = name or f"{metric.name} by {', '.join(by)}"
    groups = list(_groups(case, by))
    if not groups or len(groups) > MOST_GROUPS:
        what = f"{len(groups)} groups, of which {MOST_GROUPS} can be looked at; choose other columns"
        return Result(name, "slice", FAIL, f"{name}: {what}", minimum=low, maximum=high)
    found = [_measured(case, metric, *group) for group in groups]
    verdict = _verdict(found, low, high, least, case.confidence)
    ranked = sorted(found, key=lambda group: _rank(group, low))
    worst = ranked[0]
    bound = " and ".join(
        f"{word} {limit:g}" for word, limit in (("at least", low), ("at most", high)) if limit is not None
    )
    sentence = (
        f"{name}: the worst of {counted(len(found), 'group')} is {worst.text()}; every one must be {bound}"
    )
    return Result(
        name,
        "slice",
        verdict,
        sentence,
        worst.measured.value if worst.measured else None,
        worst.bounds,
        low,
        high,
        worst.rows,
        [group.text() for group in ranked],
    )


def _groups(case: Case, by: list[str]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Names of groups, and places of their rows among those whose truth is known."""
    columns = case.rows.table[by].iloc[case.known].astype(object)
    keys = columns.where(columns.notna(), "missing").astype(str)
    grouped = keys.reset_index(drop=True).groupby(by, sort=True)
    for key, places in grouped.indices.items():
        values = key if isinstance(key, tuple) else (key,)
        yield ", ".join(f"{c} {v}" for c, v in zip(by, values, strict=True)), np.asarray(places)


def _measured(case: Case, metric: Metric, name: str, places: NDArray[np.int64]) -> _Group:
    try:
        outputs = case.outputs.take(case.known[places])
        found = measured(metric, case.truth[places], outputs, case.subject)
    except UnmeasurableError as error:
        return _Group(name, None, None, len(places), str(error))
    return _Group(name, found, bounds(found, case.confidence).interval, len(places), None)


def _verdict(
    groups: list[_Group], low: float | None, high: float | None, least: int, confidence: float | None
) -> str:
    verdicts = set()
    for group in groups:
        unbounded = confidence is not None and group.bounds is None
        if group.measured is None or group.rows < least or unbounded:
            verdicts.add(INCONCLUSIVE)
            continue
        verdict = within(group.measured.value, group.bounds, low, high)
        if verdict == FAIL and confidence is not None:
            wider = bounds(group.measured, 1 - (1 - confidence) / len(groups)).interval
            if within(group.measured.value, wider, low, high) != FAIL:
                verdict = INCONCLUSIVE
        verdicts.add(verdict)
    return next((verdict for verdict in (FAIL, INCONCLUSIVE) if verdict in verdicts), PASS)


def _rank(group: _Group, low: float | None) -> tuple[bool, float]:
    """Groups without a value first, then the worst: the lowest if there is a lower bound."""
    if group.measured is None:
        return False, 0.0
    return True, group.measured.value if low is not None else -group.measured.value
