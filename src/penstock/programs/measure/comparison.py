"""Metrics against those of baselines, paired on the same rows or, where that will do, on any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.program import Progress, UnusableError
from . import baselines, confusion, differences, independent, metrics, options, paired, slices
from .baselines import Baseline
from .intervals import Bounds
from .measures import statistic_on
from .metrics import Metric
from .predictions import Predictions
from .sample import Sample
from .statistic import Proportion, Statistic


@dataclass(frozen=True)
class _Place:
    """Which rows are compared with which baseline: all of them, or those of a group.

    Attributes:
        unpaired: Other rows than ours will do.
    """

    baseline: str
    column: str | None
    group: str | None
    unpaired: bool


def comparisons(
    table: Predictions, request: Mapping[str, Any], cut: Sequence[slices.Slice], progress: Progress
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The entries `baselines` and `comparisons` of the document.

    Two tables are compared row by row if they have the same evaluation set. Otherwise there is a number only
    where `unpaired` is asked for, and the rows count as independent.

    Args:
        cut: The slices of the table; others that a comparison names are added.

    Raises:
        UnusableError: A comparison asks for a baseline, a metric, a column or a group that there is none of.
    """
    known = {}
    for asked in request.get("baselines") or ():
        progress.say(f"reading the baseline {asked['name']}")
        known[str(asked["name"])] = baselines.read(table, request, asked)
    entries = []
    for place, wanted in _places(request, table, cut, known).items():
        progress.say(f"comparing with {place.baseline}")
        entries += _entries(table, known[place.baseline], place, wanted, request)
    return [each.described() for each in known.values()], entries


_Wanted = list[tuple[Metric, float | None]]


def _places(
    request: Mapping[str, Any],
    table: Predictions,
    cut: Sequence[slices.Slice],
    known: Mapping[str, Baseline],
) -> dict[_Place, _Wanted]:
    """What is compared where, so that metrics of the same rows can share their resamples."""
    groups = {each.column: [group.value for group in each.groups] for each in cut}
    found: dict[_Place, _Wanted] = {}
    for asked in request.get("comparisons") or ():
        name, column, group = str(asked["baseline"]), asked.get("column"), asked.get("group")
        if name not in known:
            raise UnusableError(f"comparisons: there is no baseline {name!r}")
        if column is not None and column not in groups:
            groups[column] = [each.value for each in _groups(table, column)]
        values = [None] if column is None else groups[column] if group is None else [str(group)]
        wanted = (metrics.find(str(asked["metric"]), options.bins(request)), asked.get("confidence"))
        for value in values:
            place = _Place(name, column, value, bool(asked.get("unpaired")))
            some = found.setdefault(place, [])
            if (wanted[0].name, wanted[1]) not in [(metric.name, level) for metric, level in some]:
                some.append(wanted)
    return found


def _groups(table: Predictions, column: str) -> list[slices.Group]:
    return [group for each in slices.sliced(table.table, [column], []) for group in each.groups]


def _entries(
    table: Predictions, baseline: Baseline, place: _Place, wanted: _Wanted, request: Mapping[str, Any]
) -> list[dict[str, Any]]:
    ours = _sample(table, place)
    theirs, problem = _theirs(table, baseline, place)
    if ours is None:
        problem = f"there are no rows with {place.column} {place.group!r}"
    sides = [
        tuple(statistic_on(sample, metric) if sample else "there are no rows" for sample in (ours, theirs))
        for metric, _ in wanted
    ]
    both = [
        paired.Pair(metric, ours, theirs, one, other, confidence or options.CONFIDENCE)
        for (one, other), (metric, confidence) in zip(sides, wanted, strict=True)
        if ours and theirs and isinstance(one, Statistic) and isinstance(other, Statistic)
    ]
    seed = f"{place.column}={place.group}" if place.column else ""
    if baseline.same:
        limits = iter(paired.bounds(both, options.resamples(request), seed))
    else:
        apart = [(each.first, each.second, each.confidence) for each in both]
        limits = iter(independent.bounds(apart, options.resamples(request), seed))
    entries = []
    for (metric, confidence), (one, other) in zip(wanted, sides, strict=True):
        entry: dict[str, Any] = {
            "baseline": place.baseline,
            "metric": metric.name,
            "better": metric.better,
            "column": place.column,
            "group": place.group,
            "paired": baseline.same,
        }
        if isinstance(one, Statistic) and isinstance(other, Statistic):
            entry |= _change(one, other, confidence, next(limits))
            entry["mcnemar"] = _mcnemar(metric, one, other) if baseline.same else None
        else:
            entry |= _nothing(one, other, ours, confidence, problem) | {"mcnemar": None}
        entries.append(entry)
    return entries


def _change(ours: Statistic, theirs: Statistic, confidence: float | None, limits: Bounds) -> dict[str, Any]:
    return {
        "rows": ours.rows,
        "value": ours.value,
        "baseline_value": theirs.value,
        "change": ours.value - theirs.value,
        "interval": None if confidence is None else limits.interval,
        "confidence": confidence,
        "method": None if confidence is None else limits.method,
        "standard_error": limits.standard_error,
        "problem": None if confidence is None else limits.problem,
    }


def _nothing(
    ours: Statistic | str,
    theirs: Statistic | str,
    sample: Sample | None,
    confidence: float | None,
    problem: str | None,
) -> dict[str, Any]:
    """The entry of a change that has no value."""
    why = problem or (ours if isinstance(ours, str) else f"baseline: {theirs}")
    return {
        "rows": sample.rows if sample else 0,
        "value": ours.value if isinstance(ours, Statistic) else None,
        "baseline_value": theirs.value if isinstance(theirs, Statistic) else None,
        "change": None,
        "interval": None,
        "confidence": confidence,
        "method": None,
        "standard_error": None,
        "problem": why,
    }


def _mcnemar(metric: Metric, ours: Statistic, theirs: Statistic) -> dict[str, Any] | None:
    """Beside accuracy on the same rows: whether one model is right more often than the other."""
    if metric.build is not confusion.accuracy:
        return None
    assert isinstance(ours, Proportion)
    assert isinstance(theirs, Proportion)
    this, other = paired.discordant(ours, theirs)
    return {
        "only_this_right": this,
        "only_baseline_right": other,
        "p_value": differences.mcnemar(this, other),
        "method": "exact",
    }


def _rows(table: Predictions, place: _Place) -> NDArray[np.intp] | None:
    if place.column is None:
        return np.arange(table.table.rows)
    return next((each.rows for each in _groups(table, place.column) if each.value == place.group), None)


def _sample(table: Predictions, place: _Place) -> Sample | None:
    rows = _rows(table, place)
    return None if rows is None else table.sample.take(rows)


def _theirs(table: Predictions, baseline: Baseline, place: _Place) -> tuple[Sample | None, str | None]:
    """The baseline's rows to compare with, or why there are none."""
    if baseline.table is None:
        return None, baseline.problem
    if baseline.aligned is not None:
        rows = _rows(table, place)
        return None if rows is None else baseline.aligned.take(rows), None
    if not place.unpaired:
        common = f"{baseline.shared_rows:,} rows in common of {table.table.rows:,}"
        return None, f"the baseline was measured on a different evaluation set ({common})"
    try:
        theirs = _sample(baseline.table, place)
    except UnusableError as error:
        return None, str(error)
    return theirs, None if theirs else f"the baseline has no rows with {place.column} {place.group!r}"
