"""A metric in each group of a column, and every two groups against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ..common.program import Progress
from . import differences, independent, measures, metrics, options, slices
from .intervals import Bounds
from .predictions import Predictions
from .statistic import Statistic


@dataclass(frozen=True)
class Group:
    """The metric on the rows of one group.

    Attributes:
        value: Of the column.
        rows: Of the group.
        statistic: Absent where the metric has no value on them.
        bounds: With a `problem` where it has none, or no interval.
    """

    value: str
    rows: int
    statistic: Statistic | None
    bounds: Bounds


def fairness(
    table: Predictions, request: Mapping[str, Any], warnings: list[str], progress: Progress
) -> list[dict[str, Any]]:
    """The entries `fairness` of the document: one for each metric, column and confidence that is asked for.

    Raises:
        UnusableError: There is no such metric or column.
    """
    asked = dict.fromkeys(
        (str(each["metric"]), str(column), each.get("confidence"))
        for each in request["fairness"]
        for column in each["by"]
    )
    entries = []
    for cut in slices.sliced(table.table, (column for _, column, _ in asked), warnings):
        progress.say(f"comparing the groups of {cut.column}")
        wanted = [(name, confidence) for name, column, confidence in asked if column == cut.column]
        entries += _column(table, request, cut, wanted)
    return entries


def _column(
    table: Predictions,
    request: Mapping[str, Any],
    cut: slices.Slice,
    wanted: Sequence[tuple[str, float | None]],
) -> list[dict[str, Any]]:
    found = [metrics.find(name, options.bins(request)) for name, _ in wanted]
    levels = [confidence for _, confidence in wanted]
    groups: list[list[Group]] = [[] for _ in wanted]
    for each in cut.groups:
        sample = table.sample.take(each.rows)
        statistics = [measures.statistic_on(sample, metric) for metric in found]
        known = [(s, level) for s, level in zip(statistics, levels, strict=True) if isinstance(s, Statistic)]
        limits = iter(measures.bounds(known, options.resamples(request), f"{each.column}={each.value}"))
        for place, statistic in enumerate(statistics):
            if isinstance(statistic, Statistic):
                group = Group(each.value, sample.rows, statistic, next(limits))
            else:
                group = Group(each.value, sample.rows, None, Bounds(None, None, None, statistic))
            groups[place].append(group)
    return [
        {
            "metric": metric.name,
            "column": cut.column,
            "confidence": level,
            "better": metric.better,
            **described(some),
        }
        for metric, level, some in zip(found, levels, groups, strict=True)
    ]


def described(groups: Sequence[Group]) -> dict[str, Any]:
    """The `groups` and `pairs` of an entry.

    A pair names the group with the lower measure first, so that a ratio is at most 1, and exists unless both
    are 0. Groups are independent samples: their intervals are joined, which for a share of rows gives the
    interval of Newcombe on the difference and that of Donner and Zou on the ratio.
    """
    return {
        "groups": [_group(group) for group in groups],
        "pairs": [_pair(one, other) for one, other in combinations(groups, 2)],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "value": group.value,
        "rows": group.rows,
        "measure_rows": group.statistic.rows if group.statistic else 0,
        "measure": group.statistic.value if group.statistic else None,
        "interval": group.bounds.interval,
        "problem": group.bounds.problem,
    }


def _pair(one: Group, other: Group) -> dict[str, Any]:
    if one.statistic is None or other.statistic is None:
        without = one if one.statistic is None else other
        problem = f"{without.value}: {without.bounds.problem}"
        return {
            "groups": [one.value, other.value],
            "difference": None,
            "ratio": None,
            "problem": problem,
        }
    if one.statistic.value > other.statistic.value:
        one, other = other, one
    assert one.statistic is not None
    assert other.statistic is not None
    values = one.statistic.value, other.statistic.value
    joined = values[0], one.bounds, values[1], other.bounds
    apart, times = independent.difference(*joined), independent.ratio(*joined)
    error, log_error = _errors(one.statistic, other.statistic, apart, times)
    return {
        "groups": [one.value, other.value],
        "difference": {
            "value": values[0] - values[1],
            "standard_error": error,
            "interval": apart.interval,
        },
        "ratio": {
            "value": values[0] / values[1],
            "log_standard_error": log_error,
            "interval": times.interval,
        }
        if values[0] >= 0 < values[1]
        else None,
        "problem": apart.problem or times.problem,
    }


def _errors(one: Statistic, other: Statistic, apart: Bounds, times: Bounds) -> tuple[float | None, ...]:
    """Standard errors of the difference and of the ratio's logarithm; those of shares are never 0."""
    if one.hits is None or other.hits is None:
        return apart.standard_error, times.standard_error
    error = math.hypot(
        differences.proportion_error(one.hits, one.rows), differences.proportion_error(other.hits, other.rows)
    )
    return error, differences.log_ratio_error(one.hits, one.rows, other.hits, other.rows)
