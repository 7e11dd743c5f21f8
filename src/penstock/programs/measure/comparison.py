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


class _Rows:
    """Which rows of a table are in a group; a column is looked at once.

    Args:
        warnings: What there is to say of columns.
    """

    def __init__(self, table: Predictions, cut: Sequence[slices.Slice], warnings: list[str]) -> None:
        self._table, self._warnings = table, warnings
        self._known = {each.column: {group.value: group.rows for group in each.groups} for each in cut}

    def groups(self, column: str) -> Mapping[str, NDArray[np.intp]]:
        """The rows of each group of a column.

        Raises:
            UnusableError: There is no such column.
        """
        if column not in self._known:
            cut = slices.sliced(self._table.table, [column], self._warnings)
            self._known[column] = {group.value: group.rows for each in cut for group in each.groups}
        return self._known[column]

    def sample(self, place: _Place, sample: Sample | None = None) -> Sample | None:
        """The rows of a place, of this table or of a sample with the same rows; None if there are none."""
        sample = sample or self._table.sample
        if place.column is None:
            return sample
        rows = self.groups(place.column).get(place.group or "")
        return None if rows is None else sample.take(rows)


def comparisons(
    table: Predictions,
    request: Mapping[str, Any],
    cut: Sequence[slices.Slice],
    warnings: list[str],
    progress: Progress,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The entries `baselines` and `comparisons` of the document.

    Two tables are compared row by row if they have the same evaluation set. Otherwise there is a number only
    where `unpaired` is asked for, and the rows count as independent.

    Args:
        cut: The slices of the table; others that a comparison names are added.
        warnings: Added to.

    Raises:
        UnusableError: A comparison asks for a baseline, a metric or a column that there is none of.
    """
    known = {}
    for asked in request.get("baselines") or ():
        progress.say(f"reading the baseline {asked['name']}")
        known[str(asked["name"])] = baselines.read(table, request, asked)
    ours = _Rows(table, cut, warnings)
    theirs = {name: _Rows(each.table, (), []) for name, each in known.items() if each.table}
    entries = []
    for place, wanted in _places(request, ours, known).items():
        progress.say(f"comparing with {place.baseline}")
        samples = _samples(ours, theirs.get(place.baseline), known[place.baseline], place)
        entries += _entries(place, wanted, samples, known[place.baseline], options.resamples(request))
    return [each.described() for each in known.values()], entries


_Wanted = list[tuple[Metric, float | None]]


def _places(request: Mapping[str, Any], ours: _Rows, known: Mapping[str, Baseline]) -> dict[_Place, _Wanted]:
    """What is compared where, so that metrics of the same rows can share their resamples."""
    found: dict[_Place, _Wanted] = {}
    for asked in request.get("comparisons") or ():
        name, column, group = str(asked["baseline"]), asked.get("column"), asked.get("group")
        if name not in known:
            raise UnusableError(f"comparisons: there is no baseline {name!r}")
        values = [None] if column is None else [str(group)] if group is not None else ours.groups(column)
        wanted = (metrics.find(str(asked["metric"]), options.bins(request)), asked.get("confidence"))
        for value in values:
            place = _Place(name, column, value, bool(asked.get("unpaired")))
            some = found.setdefault(place, [])
            if (wanted[0].name, wanted[1]) not in [(metric.name, level) for metric, level in some]:
                some.append(wanted)
    return found


@dataclass(frozen=True)
class _Samples:
    """Both sides of a comparison, and why one of them is absent."""

    ours: Sample | None
    theirs: Sample | None
    problem: str | None


def _samples(ours: _Rows, theirs: _Rows | None, baseline: Baseline, place: _Place) -> _Samples:
    one = ours.sample(place)
    if one is None:
        return _Samples(None, None, f"there are no rows with {place.column} {place.group!r}")
    if baseline.aligned is not None:
        return _Samples(one, ours.sample(place, baseline.aligned), None)
    if theirs is None or not place.unpaired:
        return _Samples(one, None, baseline.problem)
    try:
        other = theirs.sample(place)
    except UnusableError as error:
        return _Samples(one, None, str(error))
    return _Samples(one, other, f"the baseline has no rows with {place.column} {place.group!r}")


def _entries(
    place: _Place, wanted: _Wanted, samples: _Samples, baseline: Baseline, resamples: int
) -> list[dict[str, Any]]:
    ours, theirs = samples.ours, samples.theirs
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
        limits = iter(paired.bounds(both, resamples, seed))
    else:
        apart = [(each.first, each.second, each.confidence) for each in both]
        limits = iter(independent.bounds(apart, resamples, seed))
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
            entry |= _nothing(one, other, samples, confidence) | {"mcnemar": None}
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
    ours: Statistic | str, theirs: Statistic | str, samples: _Samples, confidence: float | None
) -> dict[str, Any]:
    """The entry of a change that has no value."""
    why = f"baseline: {theirs}" if isinstance(ours, Statistic) else ours
    if samples.ours is None or samples.theirs is None:
        why = str(samples.problem)
    return {
        "rows": samples.ours.rows if samples.ours else 0,
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
