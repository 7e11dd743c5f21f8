"""Two runs beside each other: verdicts, metrics with what changed, stages, and what went into them.

`comparison` says whether two runs are the same; this is for people who know that they are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from penstock.cache.compare import Manifests
from penstock.record import Record
from penstock.report.comparison import compare_runs, paired
from penstock.report.documents.measures import Contrast, Headline, Measure
from penstock.report.documents.read import headlines
from penstock.results import Change, GateResult, RunReport, StageResult


class Told(Record, kw_only=False):
    """A run with what its programs wrote.

    Attributes:
        documents: By the path of the output that each is.
        place: Where its run.json is.
    """

    report: RunReport
    documents: Mapping[str, bytes]
    place: str


class MetricChange(Record):
    """A metric of all rows in two runs.

    Attributes:
        path: The document that has it.
        change: The second value less the first.
        how: Where the interval of the change comes from, or why there is none.
    """

    path: str
    metric: str
    better: str | None
    before: Measure | None
    after: Measure | None
    change: float | None
    interval: tuple[float, float] | None
    how: str


class Versus(Record):
    """What there is to see of two runs; each entry has what the first run has and what the second."""

    sides: tuple[Told, Told]
    gates: tuple[tuple[str, GateResult | None, GateResult | None], ...]
    metrics: tuple[MetricChange, ...]
    stages: tuple[tuple[str, StageResult | None, StageResult | None], ...]
    differences: tuple[Change, ...]


def versus(one: Told, two: Told, manifests: Manifests) -> Versus:
    """Put two runs beside each other.

    Args:
        manifests: Where manifests of both runs' directories are looked up.

    Raises:
        PipelineError: A report has two stages, gates or outputs of one name.
    """
    comparison = compare_runs(one.report, two.report, manifests)
    found = [*comparison.plan]
    for parting in comparison.partings:
        found += parting.above
    found += [note.change for note in comparison.notes]
    digests = ("plan", "digest")
    return Versus(
        sides=(one, two),
        gates=tuple(paired(one.report.gates, two.report.gates)),
        metrics=tuple(_metrics(headlines(one.documents), headlines(two.documents))),
        stages=tuple(paired(one.report.stages, two.report.stages)),
        differences=tuple(dict.fromkeys(each for each in found if (each.what, each.name) != digests)),
    )


def _metrics(one: Mapping[str, Headline], two: Mapping[str, Headline]) -> Iterator[MetricChange]:
    for path in sorted({*one, *two}):
        mine, theirs = one.get(path, Headline()), two.get(path, Headline())
        before, after = (_by_name(each) for each in (mine, theirs))
        for key in dict.fromkeys((*after, *before)):
            yield _metric(path, before.get(key), after.get(key), (mine, theirs))


def _by_name(headline: Headline) -> dict[tuple[str, float | None], Measure]:
    return {(each.metric, each.confidence): each for each in headline.measures}


def _metric(
    path: str, before: Measure | None, after: Measure | None, headlines: tuple[Headline, Headline]
) -> MetricChange:
    change = interval = None
    known = after or before
    how = "only in one of the runs"
    if before and after:
        how = after.problem or before.problem or "no interval of the change"
        if before.value is not None and after.value is not None:
            change = after.value - before.value
            interval, how = _interval(before, after, headlines)
    return MetricChange(
        path=path,
        metric=known.metric if known else "",
        better=known.better if known else None,
        before=before,
        after=after,
        change=change,
        interval=interval,
        how=how,
    )


def _interval(
    before: Measure, after: Measure, headlines: tuple[Headline, Headline]
) -> tuple[tuple[float, float] | None, str]:
    """Of a change: as the second run measured it, if the first is its baseline; else from both."""
    measured = _measured(after, *headlines)
    if measured is not None:
        return measured.interval, "paired" if measured.paired else "unpaired"
    errors = (before.standard_error, after.standard_error)
    if None in errors or not after.confidence or before.value is None or after.value is None:
        return None, "no interval of the change"
    from statistics import NormalDist

    reach = NormalDist().inv_cdf(0.5 + after.confidence / 2) * math.hypot(*(each or 0.0 for each in errors))
    same = headlines[0].evaluation_set == headlines[1].evaluation_set
    rows = "unpaired" if same else "unpaired, other rows"
    change = after.value - before.value
    return (change - reach, change + reach), rows


def _measured(after: Measure, one: Headline, two: Headline) -> Contrast | None:
    names = {each.name for each in two.baselines if each.digest and each.digest == one.predictions.digest}
    for each in two.comparisons:
        if each.baseline in names and each.metric == after.metric and each.confidence == after.confidence:
            return each
    return None
