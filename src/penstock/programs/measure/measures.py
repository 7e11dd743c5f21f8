"""Every metric on all rows and on every group of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.program import Progress
from .bootstrap import Resampled, resample
from .intervals import Bounds
from .metrics import Metric
from .sample import Sample, UnmeasurableError
from .slices import Group
from .statistic import Counts, Statistic, Weighted

FEWEST_TO_RESAMPLE = 10


@dataclass(frozen=True)
class Asked:
    """A metric and the confidence of its interval; none for the bare number."""

    metric: Metric
    confidence: float | None


def measured(
    sample: Sample, asked: Sequence[Asked], groups: Iterable[Group], resamples: int, progress: Progress
) -> list[dict[str, Any]]:
    """The entries `measures` of the document: of the whole first, then group by group."""
    found = list(_entries(sample, asked, None, resamples))
    for group in groups:
        progress.say(f"measuring {group.column} {group.value!r}")
        found += _entries(sample.take(group.rows), asked, group, resamples)
    return found


def _entries(
    sample: Sample, asked: Sequence[Asked], group: Group | None, resamples: int
) -> list[dict[str, Any]]:
    statistics: dict[str, Statistic | str] = {
        each.metric.name: statistic_on(sample, each.metric) for each in asked
    }
    wanted = [
        (s, each.confidence) for each in asked if isinstance(s := statistics[each.metric.name], Statistic)
    ]
    found = iter(bounds(wanted, resamples, "" if group is None else f"{group.column}={group.value}"))
    entries = []
    for each in asked:
        statistic = statistics[each.metric.name]
        limits = next(found) if isinstance(statistic, Statistic) else None
        entries.append(_entry(each, group, statistic, limits, sample))
    return entries


def statistic_on(sample: Sample, metric: Metric) -> Statistic | str:
    """The metric on these rows, or why it has no value on them."""
    try:
        return metric.statistic(sample)
    except UnmeasurableError as error:
        return str(error)


def bounds(statistics: Sequence[tuple[Statistic, float | None]], resamples: int, seed: str) -> list[Bounds]:
    """The interval of each, from a formula where there is one, else from resamples.

    Args:
        statistics: Each with the confidence of its interval, of the same rows.
        seed: Names the rows.
    """
    found: list[Bounds | None] = []
    for statistic, confidence in statistics:
        closed = statistic.closed(confidence or 0.95)  # the standard error is the same for any confidence
        if confidence is None:
            closed = Bounds(None, None, closed.standard_error if closed else None)
        found.append(closed or too_few(statistic))
    drawn: dict[tuple[int, int], list[Statistic]] = {}
    for (statistic, _), known in zip(statistics, found, strict=True):
        if known is None:
            drawn.setdefault((statistic.units, statistic.draws or resamples), []).append(statistic)
    resampled: dict[int, Resampled] = {}
    for (_, draws), together in drawn.items():
        some = list(dict.fromkeys(together))
        resampled |= dict(zip(map(id, some), resample(some, draws, seed), strict=True))
    return [
        known or resampled[id(statistic)].bounds(confidence or 0.95)
        for (statistic, confidence), known in zip(statistics, found, strict=True)
    ]


def too_few(statistic: Statistic) -> Bounds | None:
    """The bounds of what is not resampled, because it rests on so few rows."""
    assert isinstance(statistic, Counts | Weighted)
    if statistic.units < FEWEST_TO_RESAMPLE:
        return Bounds(None, None, None, f"{statistic.units} rows are too few for an interval")
    return None


def _entry(
    asked: Asked, group: Group | None, statistic: Statistic | str, limits: Bounds | None, sample: Sample
) -> dict[str, Any]:
    known = statistic if isinstance(statistic, Statistic) else None
    interval = limits.interval if limits else None
    return {
        "metric": asked.metric.name,
        "better": asked.metric.better,
        "column": group.column if group else None,
        "group": group.value if group else None,
        "value": known.value if known else None,
        "interval": list(interval) if interval else None,
        "confidence": asked.confidence,
        "method": limits.method if limits and interval else None,
        "rows": known.rows if known else sample.rows,
        "standard_error": limits.standard_error if limits else None,
        "proportion": asked.metric.proportion,
        "hits": known.hits if known else None,
        "problem": limits.problem if limits else statistic,
    }


def by_request(metrics: Sequence[Mapping[str, Any]], found: Mapping[str, Metric]) -> list[Asked]:
    """What a request asks for, each once."""
    pairs = dict.fromkeys((str(each["metric"]), each.get("confidence")) for each in metrics)
    return [Asked(found[name], confidence) for name, confidence in pairs]
