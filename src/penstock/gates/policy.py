"""All the gates of a plan, in order, and what their verdicts mean for the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from penstock.errors import EXIT_GATE_FAILED, EXIT_GATE_INCONCLUSIVE, EXIT_OK
from penstock.gates.base import Exhibit, gate
from penstock.plan.model import GateSpec, Plan
from penstock.results import FIRST_VERSION, GateResult, Verdict

Exhibits = Mapping[tuple[str, str], "Exhibit | str"]
"""(stage, path) → the output, or the reason why there is none; for all that the gates read."""


def decide(plan: Plan, exhibits: Exhibits) -> Iterator[GateResult]:
    """The verdicts in the order of the pipeline file.

    The first required gate that does not pass ends it: what follows is `skip`, since nothing that it could
    say would let the model through.
    """
    stopped_by: str | None = None
    for spec in plan.gates:
        if stopped_by is not None:
            yield _skip(spec, f"gate {stopped_by!r} did not pass")
            continue
        verdict = _judge(spec, exhibits)
        yield verdict
        if spec.required and stops(verdict, plan.on_inconclusive):
            stopped_by = spec.name


def stops(result: GateResult, on_inconclusive: str) -> bool:
    """Whether a required gate's verdict keeps the model from being published."""
    match result.verdict:
        case Verdict.PASS:
            return False
        case Verdict.FAIL:
            return True
        case Verdict.SKIP:
            return result.reason != FIRST_VERSION
        case Verdict.INCONCLUSIVE:
            return on_inconclusive == "fail"


def exit_code(results: tuple[GateResult, ...], on_inconclusive: str) -> int:
    """What the verdicts make the command end with; skipped gates follow from something else."""
    stopping = [each.verdict for each in results if each.required and stops(each, on_inconclusive)]
    if Verdict.FAIL in stopping:
        return EXIT_GATE_FAILED
    if Verdict.INCONCLUSIVE in stopping:
        return EXIT_GATE_INCONCLUSIVE
    return EXIT_OK


def _judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    read: dict[str, Exhibit] = {}
    for stage, path in spec.reads:
        found = exhibits[stage, path]
        if isinstance(found, str):
            return _skip(spec, found)
        read[path] = found
    return gate(spec.gate)(spec, read)


def _skip(spec: GateSpec, sentence: str) -> GateResult:
    return GateResult(
        gate=spec.gate,
        name=spec.name,
        required=spec.required,
        verdict=Verdict.SKIP,
        sentence=sentence,
    )
