"""The gate `reproducible`: a stage run again writes the same, or, with other seeds, nearly the same."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.gates.base import (
    Exhibit,
    Exhibits,
    evidence,
    exhibit,
    needed_option,
    result,
    strict,
    text_option,
)
from penstock.gates.bounds import Bounds, Number, case, cut, single, writer
from penstock.gates.document import DocumentError, Section
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

_TWICE = 2


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if all repetitions wrote the same outputs, or their metrics lie close enough together.

    Args:
        spec: With the options `stage`, and for seeds `metric` and `max_spread`.
        exhibits: The document of repetitions; without seeds, after it the outputs that the stage wrote in
            this run.
    """
    document = evidence(spec, exhibits, "reproducibility")
    stage, repetitions = document.text("stage"), document.sections("repetitions")
    if stage != (text_option(spec, "stage") or stage):
        raise document.error("stage", f"is {cut(stage)}, not {spec.options['stage']}")
    if not repetitions:
        raise document.error("repetitions", "is empty, so nothing was repeated")
    metric = text_option(spec, "metric")
    if metric is not None:
        return _spread(spec, exhibits, stage, repetitions, metric)
    own = exhibit(spec, exhibits).path
    written = [exhibits[path] for path in sorted(exhibits) if path != own]
    differing, outputs = _differing(document, repetitions, written)
    again = "again" if len(repetitions) == 1 else f"{len(repetitions)} times again"
    if differing:
        sentence = f"{cut(stage)}, run {again}, wrote {len(differing)} of {outputs} outputs otherwise"
        details = [f"{cut(path)} differs" for path in differing]
        return result(spec, Verdict.FAIL, f"{sentence}: {cut(differing[0])}", exhibits, details=details)
    what = "the same output" if outputs == 1 else f"the same {outputs} outputs"
    return result(spec, Verdict.PASS, f"{cut(stage)}, run {again}, wrote {what}", exhibits)


def _spread(
    spec: GateSpec, exhibits: Exhibits, stage: str, repetitions: Sequence[Section], metric: str
) -> GateResult:
    seeds = [each.count("seed", minimum=-(1 << 63)) for each in repetitions]
    if len(set(seeds)) != len(seeds) or len(seeds) < _TWICE:
        raise DocumentError(f"{repetitions[0].path}: a spread takes two different seeds, it has {seeds}")
    values = [each.section("metrics").number(metric) for each in repetitions]
    label = f"spread of {metric} over {len(seeds)} seeds of {stage}"
    number = Number(label=label, value=max(values) - min(values), exact=True)
    judged = case(number, Bounds(maximum=needed_option(spec, "max_spread")))
    write = writer(*values)
    each = [f"seed {seed}: {write(value)}" for seed, value in zip(seeds, values, strict=True)]
    return single(spec, exhibits, judged, details=each)


def _differing(
    document: Section, repetitions: Sequence[Section], written: Sequence[Exhibit]
) -> tuple[list[str], int]:
    """The outputs that are not the same everywhere, and how many there are."""
    runs = [_digests(each) for each in repetitions]
    if written:
        runs.insert(0, {each.path: each.digest for each in written})
    if len(runs) < _TWICE:
        raise document.error("repetitions", "has one entry, and nothing to hold it against")
    if any(run.keys() != runs[0].keys() or not run for run in runs):
        raise document.error("repetitions", "do not all have the same outputs")
    differing = [path for path in sorted(runs[0]) if len({run[path] for run in runs}) > 1]
    same = document.maybe("same", document.flag)
    if same is not None and not same and not differing:
        raise document.error("same", "is false, but all digests are the same")
    return differing, len(runs[0])


def _digests(repetition: Section) -> dict[str, str]:
    found: dict[str, str] = {}
    for output in repetition.sections("outputs"):
        path = output.text("path")
        if path in found:
            raise output.error("path", f"is {cut(path)}, which is there twice")
        found[path] = output.digest("digest")
    return found
