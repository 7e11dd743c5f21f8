"""Measures predictions: metrics with their intervals, on all rows and on slices, and against baselines.

The recipe `measure` carries it into a stage where numpy is installed (and pyarrow, for Parquet). What bounds
the numbers have to keep is not asked here: gates judge the document that this writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common import program
from ..common.program import Progress, UnusableError
from . import measures, metrics, options, own, plots, predictions, slices
from .measures import Asked
from .predictions import Predictions

FEWEST_RESAMPLES = 100


def main(arguments: Sequence[str]) -> int:
    """Measure and write; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    found = document(request)
    program.write_document(request["result"], found)
    return f"{found['predictions']['rows']:,} rows: {len(found['measures'])} measures"


def document(request: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the request asks for.

    Raises:
        UnusableError: The request or a table cannot be used.
    """
    progress = Progress()
    _check(request)
    table = predictions.read(request)
    warnings = list(table.warnings)
    asked = _asked(request, table)
    cut = slices.sliced(table.table, request.get("slices") or (), warnings)
    groups = [group for each in cut for group in each.groups]
    resamples = options.resamples(request)
    warnings += _fewer_resamples(asked, table.table.rows, resamples)
    found = measures.measured(table.sample, asked, groups, resamples, progress)
    sample = table.sample
    return {
        "version": 1,
        "kind": "measures",
        "task": sample.task,
        "predictions": table.described(),
        "evaluation_set": table.evaluation_set,
        "classes": list(sample.classes) or None,
        "positive": None if sample.positive is None or sample.positive >= len(sample.classes)
        else sample.classes[sample.positive],
        "confidence": request.get("confidence", options.CONFIDENCE),
        "resamples": resamples,
        "bins": options.bins(request),
        "slices": [each.described() for each in cut],
        "measures": found,
        **_compared(table, request, cut, warnings, progress),
        "plots": plots.plots(sample, options.bins(request), request.get("confidence") or options.CONFIDENCE),
        "warnings": list(dict.fromkeys(warnings)),
    }  # fmt: skip


def _fewer_resamples(asked: Sequence[Asked], rows: int, resamples: int) -> list[str]:
    names = dict.fromkeys(each.metric.name for each in asked if ":" in each.metric.name and each.confidence)
    most = own.most_draws(rows)
    if most >= resamples:
        return []
    return [f"{name}: its interval is from {most:,} resamples, since it may be slow" for name in names]


def _compared(
    table: Predictions,
    request: Mapping[str, Any],
    cut: Sequence[slices.Slice],
    warnings: list[str],
    progress: Progress,
) -> dict[str, Any]:
    found: dict[str, Any] = {"baselines": [], "comparisons": [], "fairness": []}
    if request.get("baselines") or request.get("comparisons"):
        from . import comparison

        found["baselines"], found["comparisons"] = comparison.comparisons(
            table, request, cut, warnings, progress
        )
    if request.get("fairness"):
        from . import fairness

        found["fairness"] = fairness.fairness(table, request, warnings, progress)
    return found


def _check(request: Mapping[str, Any]) -> None:
    """Refuses numbers that mean nothing; a pipeline file has been checked before, other callers have not."""
    everything = [
        request,
        *(each for key in ("metrics", "comparisons", "fairness") for each in request.get(key) or ()),
    ]
    for each in everything:
        confidence = each.get("confidence")
        if confidence is not None and not 0 < confidence < 1:
            raise UnusableError(f"confidence {confidence} is not between 0 and 1")
    if options.resamples(request) < FEWEST_RESAMPLES:
        raise UnusableError(f"{request['resamples']} resamples are too few; at least {FEWEST_RESAMPLES}")
    if not 1 <= options.bins(request) <= 1000:  # noqa: PLR2004 - more bins than that show nothing
        raise UnusableError(f"{request['bins']} bins; between 1 and 1,000 mean something")


def _asked(request: Mapping[str, Any], table: Predictions) -> list[Asked]:
    wanted = list(request.get("metrics") or ())
    if not wanted:
        confidence = request.get("confidence", options.CONFIDENCE)
        wanted = [{"metric": name, "confidence": confidence} for name in metrics.usual(table.sample)]
    found = {str(each["metric"]): metrics.find(str(each["metric"]), options.bins(request)) for each in wanted}
    return measures.by_request(wanted, found)
