from __future__ import annotations

import json

import pytest

from gate_samples import measures, share
from penstock.digest import of_bytes
from penstock.errors import EXIT_GATE_INCONCLUSIVE, EXIT_OK, PipelineError
from penstock.gates.base import Exhibit, gate
from penstock.gates.policy import decide, exit_code, stops
from penstock.plan.model import GateSpec, Plan
from penstock.record import replace
from penstock.results import FIRST_VERSION, Evidence, GateResult, Verdict

METRICS = b'{"good": 1.0, "bad": 0.0}'


def spec(name: str, metric: str, *, required: bool = True) -> GateSpec:
    return GateSpec(
        gate="threshold",
        name=name,
        required=required,
        reads=(("evaluate", "m.json"),),
        options={"metric": metric, "min": 0.5},
    )


def verdicts(*gates: GateSpec) -> list[tuple[str, str]]:
    plan = Plan(name="p", pipeline_file="p.yaml", profile=None, stages=(), gates=gates)
    exhibit = Exhibit("m.json", METRICS, of_bytes(METRICS))
    return [(each.name, each.verdict.value) for each in decide(plan, {("evaluate", "m.json"): exhibit})]


def result(verdict: Verdict, *, required: bool = True, reason: str | None = None) -> GateResult:
    evidence = (Evidence(path="m", digest="d"),)
    return GateResult(
        gate="g", name="n", verdict=verdict, required=required, sentence="s", evidence=evidence, reason=reason
    )


def test_the_first_required_gate_that_fails_skips_the_rest() -> None:
    assert verdicts(spec("a", "good"), spec("b", "bad"), spec("c", "good")) == [
        ("a", "pass"),
        ("b", "fail"),
        ("c", "skip"),
    ]


def test_an_advisory_gate_that_fails_stops_nothing() -> None:
    assert verdicts(spec("a", "bad", required=False), spec("b", "good")) == [("a", "fail"), ("b", "pass")]


def test_a_gate_without_evidence_is_skipped_with_the_reason() -> None:
    plan = Plan(name="p", pipeline_file="p", profile=None, stages=(), gates=(spec("a", "good"),))
    (skipped,) = decide(plan, {("evaluate", "m.json"): "stage 'evaluate' has no result"})
    assert skipped.verdict is Verdict.SKIP
    assert skipped.sentence == "stage 'evaluate' has no result"


@pytest.mark.parametrize(
    ("verdict", "policy", "stopped", "code"),
    [
        (Verdict.PASS, "fail", False, 0),
        (Verdict.FAIL, "fail", True, 3),
        (Verdict.FAIL, "warn", True, 3),
        (Verdict.INCONCLUSIVE, "fail", True, 4),
        (Verdict.INCONCLUSIVE, "warn", False, 0),
        (Verdict.SKIP, "fail", True, 0),
    ],
)
def test_what_a_verdict_means_is_policy(verdict: Verdict, policy: str, stopped: bool, code: int) -> None:  # noqa: FBT001
    assert stops(result(verdict), policy) is stopped
    assert exit_code((result(verdict),), policy) == code
    assert exit_code((result(verdict, required=False),), policy) == 0


def test_a_first_version_without_a_baseline_stops_nothing() -> None:
    first = result(Verdict.SKIP, reason=FIRST_VERSION)
    assert stops(first, "fail") is False
    assert exit_code((first, result(Verdict.PASS)), "fail") == 0
    compared = GateSpec(
        gate="no-regression",
        name="a",
        reads=(("evaluate", "m.json"),),
        options={"metric": "good", "margin": 0.1, "baseline_missing": True, "first_version": "skip"},
    )
    assert verdicts(compared, spec("b", "good")) == [("a", "skip"), ("b", "pass")]
    strict = replace(compared, options={**compared.options, "first_version": "fail"})
    assert verdicts(strict, spec("b", "good")) == [("a", "fail"), ("b", "skip")]


@pytest.mark.parametrize(
    ("on_inconclusive", "code", "after"),
    [("fail", EXIT_GATE_INCONCLUSIVE, "skip"), ("warn", EXIT_OK, "pass")],
)
def test_an_inconclusive_gate_ends_with_its_own_exit_code(
    on_inconclusive: str, code: int, after: str
) -> None:
    document = json.dumps(measures(share("accuracy", 80, 100))).encode()
    reads = (("measure", "d.json"),)
    gates = tuple(
        GateSpec(gate="threshold", name=name, reads=reads, options={"metric": "accuracy", "min": least})
        for name, least in (("open", 0.79), ("sure", 0.5))
    )
    plan = Plan(
        name="p", pipeline_file="p", profile=None, stages=(), gates=gates, on_inconclusive=on_inconclusive
    )
    exhibit = Exhibit("d.json", document, of_bytes(document))
    results = tuple(decide(plan, {("measure", "d.json"): exhibit}))
    assert [each.verdict.value for each in results] == ["inconclusive", after]
    assert exit_code(results, on_inconclusive) == code


def test_an_output_without_content_is_nothing_to_judge() -> None:
    plan = Plan(name="p", pipeline_file="p", profile=None, stages=(), gates=(spec("a", "good"),))
    folder = Exhibit("m.json", b"", of_bytes(b""), "m.json is a directory")
    (failed,) = decide(plan, {("evaluate", "m.json"): folder})
    assert failed.verdict is Verdict.FAIL
    assert failed.sentence.startswith("m.json is a directory, so there is nothing to judge")


def test_a_failure_outweighs_what_is_inconclusive() -> None:
    assert exit_code((result(Verdict.INCONCLUSIVE), result(Verdict.FAIL)), "fail") == 3


def test_a_verdict_needs_evidence_and_has_no_truth_value() -> None:
    with pytest.raises(ValueError, match="pass without evidence"):
        GateResult(gate="g", name="n", verdict=Verdict.PASS, required=True, sentence="s")
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(result(Verdict.SKIP))


def test_an_unknown_kind_is_refused_with_those_that_exist() -> None:
    with pytest.raises(PipelineError, match="the gates are schema, threshold"):
        gate("vibes")
