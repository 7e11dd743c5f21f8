from __future__ import annotations

import json
from typing import Any

import pytest

from gate_samples import (
    DIGEST,
    MODEL,
    OTHER_DIGEST,
    Document,
    benchmark,
    command,
    decide,
    importance,
    model_test,
    model_tests,
    noise,
    reproducibility,
    timed,
)
from penstock.digest import of_bytes
from penstock.gates.base import Exhibit, gate
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

# Latency, memory, size


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ({"p50_ms": 2.2}, "pass"),
        ({"p50_ms": 2.19}, "inconclusive"),
        ({"p50_ms": 1.8}, "inconclusive"),
        ({"p50_ms": 1.79}, "fail"),
        ({"p95_ms": 3.31, "p99_ms": 4.41}, "pass"),
        ({"p95_ms": 3.31, "p99_ms": 4.0}, "inconclusive"),
        ({"p95_ms": 1.0, "p99_ms": 4.0}, "fail"),
        ({"cold_start_s": 1.4}, "pass"),
        ({"cold_start_s": 1.0}, "fail"),
        ({"max_ratio": 1.06}, "pass"),
        ({"max_ratio": 1.05}, "inconclusive"),
        ({"max_ratio": 0.97}, "fail"),
        ({"p50_ms": 9.0, "batch": 32}, "pass"),
        ({"p50_ms": 7.0, "batch": 32}, "fail"),
    ],
)
def test_latency_is_judged_by_its_interval(bounds: dict[str, float], verdict: str) -> None:
    assert decide("latency", benchmark(), **bounds).verdict.value == verdict


def test_latency_says_milliseconds_and_calls() -> None:
    result = decide("latency", benchmark(), p95_ms=3.1)
    assert result.sentence == (
        "p95 latency (batches of 1) 3 ms, 95 % interval [2.7, 3.3], leaves open whether it is at most "
        "3.1 ms (200 calls); about 1,800 calls would decide"
    )
    assert (result.sample_size, result.rows_to_decide) == (None, None)
    assert result.details == ("measured on Example 9000, 2 cores",)
    both = decide("latency", benchmark(), p50_ms=3, cold_start_s=2)
    assert [each.label for each in both.parts] == ["p50 latency (batches of 1), ms", "cold start, s"]


def test_another_machine_decides_nothing_about_the_ratio() -> None:
    document = benchmark()
    document["baseline"] |= {"same_machine": False}
    document["baseline"]["machine"] |= {"identity": OTHER_DIGEST}
    document["baseline"]["ratios"] = None
    result = decide("latency", document, max_ratio=2.0)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "another machine; measure it again on this one" in result.sentence
    document["baseline"]["machine"] |= {"identity": DIGEST}
    assert decide("latency", document, max_ratio=2.0).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("document", "options"),
    [
        (benchmark(), {}),
        (benchmark(), {"p50_ms": 9, "batch": 8}),
        (benchmark(latency=[]), {"p50_ms": 9}),
        (benchmark(latency=[timed(1, 2.0), timed(1, 2.0)]), {"p50_ms": 9}),
        (benchmark(latency=[timed(1, 2.0) | {"calls": 0}]), {"p50_ms": 9}),
        (benchmark(latency=[timed(1, -2.0)]), {"p50_ms": 9}),
        (benchmark(latency=[timed(1, 2.0) | {"p50_ms": {"value": 2.0, "interval": None}}]), {"p50_ms": 9}),
        (benchmark(latency=[timed(1, 2.0) | {"p50_ms": 2.0}]), {"p50_ms": 9}),
        (benchmark(baseline=None), {"max_ratio": 2}),
        (benchmark(cold_start_s=None), {"cold_start_s": 2}),
        (benchmark(model={**MODEL, "digest": None}), {"p50_ms": 9}),
        (model_tests(), {"p50_ms": 9}),
    ],
)
def test_what_was_not_timed_fails(document: Document, options: dict[str, Any]) -> None:
    assert decide("latency", document, **options).verdict is Verdict.FAIL


def test_too_few_calls_for_an_interval_decide_nothing() -> None:
    few = {"value": 3.0, "interval": None, "problem": "200 calls are too few for an interval; it takes 368"}
    document = benchmark(latency=[timed(1, 2.0) | {"p99_ms": few}])
    result = decide("latency", document, p50_ms=9, p99_ms=9)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.sentence == (
        "1 of 2 leave it open: p99 latency (batches of 1) 3 ms decides nothing (200 calls): 200 calls are too few "
        "for an interval; it takes 368"
    )
    assert decide("latency", document, p99_ms=9, confidence=None).verdict is Verdict.PASS
    both = {"value": 3.0, "interval": [2.0, 4.0], "problem": "too few"}
    document = benchmark(latency=[timed(1, 2.0) | {"p99_ms": both}])
    assert decide("latency", document, p99_ms=9).verdict is Verdict.FAIL


def test_a_ratio_without_an_interval_is_a_point_and_says_so() -> None:
    document = benchmark()
    document["baseline"]["ratios"] = [{"batch": 1, "p50": 1.05, "p95": 1.2, "p99": None}]
    result = decide("latency", document, max_ratio=1.1, p50_ms=9)
    assert result.verdict is Verdict.PASS
    assert "p50 latency to the baseline's (batches of 1): point estimate, no interval" in result.details
    assert decide("latency", document, max_ratio=1.1).verdict is Verdict.FAIL
    assert decide("latency", document, max_ratio=1.1, p99_ms=9).verdict is Verdict.FAIL


def test_without_confidence_a_latency_is_a_point() -> None:
    result = decide("latency", benchmark(), p50_ms=2.0, confidence=None)
    assert result.verdict is Verdict.PASS
    assert "point estimate, no interval" in result.details


@pytest.mark.parametrize(
    ("options", "verdict", "value"),
    [
        ({"load_mb": 120}, "pass", 120.0),
        ({"load_mb": 119.9}, "fail", 120.0),
        ({"peak_mb": 150}, "pass", 150.0),
        ({"load_mb": 200, "peak_mb": 100}, "fail", 150.0),
        ({}, "fail", None),
    ],
)
def test_memory_is_that_of_the_process_in_millions_of_bytes(
    options: dict[str, float], verdict: str, value: float | None
) -> None:
    result = decide("memory", benchmark(), **options)
    assert (result.verdict.value, result.value) == (verdict, value)


@pytest.mark.parametrize("key", ["before_bytes", "loaded_bytes", "peak_bytes"])
@pytest.mark.parametrize("value", [None, -1, 0.5, "1", True])
def test_memory_that_is_no_count_of_bytes_fails(key: str, value: object) -> None:
    document = benchmark()
    document["memory"][key] = value
    assert decide("memory", document, load_mb=1e9, peak_mb=1e9).verdict is Verdict.FAIL


def test_the_size_of_a_model_is_exact() -> None:
    for document in (benchmark(), model_tests()):
        result = decide("model-size", document, max_mb=2.5)
        assert (result.verdict, result.value) == (Verdict.PASS, 2.5)
        assert result.sentence == "size of the model 2.5 MB is at most 2.5 MB"
        assert result.details == ("2,500,000 bytes in 2 files",)
        assert decide("model-size", document, max_mb=2.4999).verdict is Verdict.FAIL
    assert decide("model-size", command(), max_mb=9).verdict is Verdict.FAIL


# Model tests, robustness, importance


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["fail", "inconclusive"], "fail"),
        (["inconclusive", "fail", "pass"], "fail"),
    ],
)
def test_a_model_is_as_good_as_its_worst_test(verdicts: list[str], verdict: str) -> None:
    tests = [model_test(f"t{at}", each) for at, each in enumerate(verdicts)]
    result = decide("model-tests", model_tests(*tests))
    assert result.verdict.value == verdict
    assert [each.verdict.value for each in result.parts] == verdicts


def test_the_tests_that_fail_are_named_with_examples_and_the_warnings() -> None:
    tests = [
        model_test("nan", "fail", examples=["row 3: nan"]),
        model_test("smoke"),
        model_test("one class", "fail"),
    ]
    result = decide("model-tests", model_tests(*tests, warnings=["a pickle was loaded"]))
    assert result.sentence == "2 of 3 tests fail: nan: nan fail"
    assert result.details == ("e.g. row 3: nan", "one class: one class fail", "a pickle was loaded")
    assert decide("model-tests", model_tests()).sentence == "all 2 tests pass"


@pytest.mark.parametrize(
    "test",
    [
        model_test("t", "skip"), model_test("t", "PASS"), model_test("t", verdict=None),
        model_test("t", verdict=True), model_test("t", value=0.2, maximum=0.1),
        model_test("t", value=0.2, minimum=0.3), model_test("t", interval=[1, 0]), model_test(""),
    ],
)  # fmt: skip
def test_a_test_without_a_sound_verdict_fails(test: Document) -> None:
    assert decide("model-tests", model_tests(model_test("good"), test)).verdict is Verdict.FAIL


def test_no_tests_are_no_pass() -> None:
    assert decide("model-tests", model_tests(tests=[])).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("interval", "max_drop", "verdict"),
    [([-0.02, 0.0], 0.02, "pass"), ([-0.02, 0.0], 0.019, "inconclusive"), ([-0.05, -0.02], 0.01, "fail")],
)
def test_a_metric_may_fall_by_so_much_under_noise(
    interval: list[float], max_drop: float, verdict: str
) -> None:
    entry = noise(sum(interval) / 2, interval)
    assert decide("robustness", model_tests(robustness=[entry]), max_drop=max_drop).verdict.value == verdict
    worse = [-interval[1], -interval[0]]
    entry = noise(sum(worse) / 2, worse, better="lower", metric="rmse")
    result = decide("robustness", model_tests(robustness=[entry]), max_drop=max_drop)
    assert result.verdict.value == verdict
    assert result.sentence.startswith("change of rmse under noise 0.1 ")


def test_the_worst_noise_decides_and_names_choose() -> None:
    document = model_tests(
        robustness=[noise(0.0, [-0.001, 0.001]), noise(-0.3, [-0.31, -0.29], name="missing 0.5")]
    )
    assert decide("robustness", document, max_drop=0.1).verdict is Verdict.FAIL
    assert decide("robustness", document, max_drop=0.1, names=["noise 0.1"]).verdict is Verdict.PASS
    missing = decide("robustness", document, max_drop=0.1, names=["swapped 0.1"])
    assert "no noise swapped 0.1 was tried (but noise 0.1, missing 0.5)" in missing.sentence


@pytest.mark.parametrize(
    "entry",
    [
        noise(0.0, None), noise(0.0, [-0.1, 0.1], change=None, problem="no rows"),
        noise(0.0, [-0.1, 0.1], change=0.1), noise(0.0, [0.1, 0.2]), noise(0.0, [-0.1, 0.1], rows=0),
        noise(0.0, [-0.1, 0.1], better=None), noise(0.0, [-0.1, 0.1], method=None),
    ],
)  # fmt: skip
def test_a_change_under_noise_that_is_not_known_fails(entry: Document) -> None:
    assert decide("robustness", model_tests(robustness=[entry]), max_drop=9.0).verdict is Verdict.FAIL
    assert decide("robustness", model_tests(robustness=[]), max_drop=9.0).verdict is Verdict.FAIL


def explained(options: dict[str, Any], **features: float) -> GateResult:
    return decide("explainability", model_tests(importance=importance(**features)), **options)


def test_no_feature_may_have_too_much_of_the_importance() -> None:
    result = explained({"max_share": 0.75}, age=0.3, plan=0.1)
    assert (result.verdict, result.maximum) == (Verdict.PASS, 0.75)
    assert result.value == pytest.approx(0.75)
    result = explained({"max_share": 0.74}, age=0.3, plan=0.1)
    assert result.verdict is Verdict.FAIL
    assert result.sentence == "share of age 0.75 is above the maximum 0.74"
    assert [each.verdict.value for each in result.parts] == ["fail", "pass"]


@pytest.mark.parametrize(("value", "verdict"), [(0.0, "pass"), (0.001, "fail"), (-0.001, "fail")])
def test_a_forbidden_feature_may_not_matter_at_all(value: float, verdict: str) -> None:
    result = explained({"forbidden": ["sex"]}, age=0.3, sex=value)
    assert result.verdict.value == verdict
    assert (result.verdict is Verdict.FAIL) == ("sex is forbidden" in result.sentence)
    assert explained({"forbidden": ["zip"]}, age=0.3).verdict is Verdict.PASS


def test_so_many_features_must_matter() -> None:
    assert explained({"min_features": 2}, age=0.3, plan=0.1, sex=0.0).verdict is Verdict.PASS
    assert explained({"min_features": 3}, age=0.3, plan=0.1, sex=0.0).verdict is Verdict.FAIL


def test_importance_that_was_not_measured_or_contradicts_itself_explains_nothing() -> None:
    assert decide("explainability", model_tests(importance=None)).verdict is Verdict.FAIL
    assert explained({}, age=0.0).verdict is Verdict.FAIL
    assert explained({}, age=-0.1, plan=0.0).verdict is Verdict.FAIL
    assert explained({}).verdict is Verdict.FAIL
    for changes in ({"share": 0.1}, {"share": None}, {"share": 1.5}, {"feature": "plan"}, {"value": None}):
        found = importance(age=0.3, plan=0.1)
        found["features"][0] |= changes
        assert decide("explainability", model_tests(importance=found)).verdict is Verdict.FAIL


# Reproducible


def repeated(document: Document, written: dict[str, str], **options: Any) -> GateResult:
    content = json.dumps(document).encode()
    exhibits = {"r.json": Exhibit("r.json", content, of_bytes(content))}
    exhibits |= {path: Exhibit(path, b"", digest, "is a directory") for path, digest in written.items()}
    reads = (("repeat", "r.json"), *(("train", path) for path in written))
    spec = GateSpec(gate="reproducible", name="r", reads=reads, options={"stage": "train", **options})
    return gate("reproducible")(spec, exhibits)


def test_a_stage_that_writes_the_same_again_is_reproducible() -> None:
    document = reproducibility(DIGEST, OTHER_DIGEST)
    result = repeated(document, {"build/0": DIGEST, "build/1": OTHER_DIGEST})
    assert result.verdict is Verdict.PASS
    assert result.sentence == "train, run again, wrote the same 2 outputs"
    assert len(result.evidence) == 3
    result = repeated(document, {"build/0": DIGEST, "build/1": DIGEST})
    assert result.verdict is Verdict.FAIL
    assert result.sentence == "train, run again, wrote 1 of 2 outputs otherwise: build/1"


@pytest.mark.parametrize(
    ("document", "written"),
    [
        (reproducibility(DIGEST), {}),
        (reproducibility(DIGEST), {"build/0": DIGEST, "build/1": DIGEST}),
        (reproducibility(DIGEST, DIGEST), {"build/0": DIGEST}),
        (reproducibility(repetitions=[]), {"build/0": DIGEST}),
        (reproducibility(stage="other"), {"build/0": DIGEST}),
        (reproducibility("sha256:0"), {"build/0": "sha256:0"}),
        (reproducibility(same=False), {"build/0": DIGEST}),
        (reproducibility(same="yes"), {"build/0": DIGEST}),
    ],
)
def test_what_was_not_held_against_anything_is_not_reproducible(
    document: Document, written: dict[str, str]
) -> None:
    assert repeated(document, written).verdict is Verdict.FAIL


def seeds(*values: float | None) -> Document:
    repetitions = [
        {"seed": seed, "outputs": [], "metrics": {"auc": value}} for seed, value in enumerate(values)
    ]
    return reproducibility(repetitions=repetitions, same=False, parameter="train.seed")


def test_the_spread_over_seeds_is_bounded() -> None:
    result = repeated(seeds(0.8, 0.82, 0.79), {}, metric="auc", max_spread=0.031)
    assert result.verdict is Verdict.PASS
    assert result.value == pytest.approx(0.03)
    assert result.details == ("seed 0: 0.8", "seed 1: 0.82", "seed 2: 0.79")
    assert repeated(seeds(0.8, 0.82, 0.79), {}, metric="auc", max_spread=0.029).verdict is Verdict.FAIL
    for broken in (seeds(0.8), seeds(), seeds(0.8, None), seeds(0.8, 0.8)):
        if len(broken["repetitions"]) == 2:
            broken["repetitions"][1]["seed"] = 0
        assert repeated(broken, {}, metric="auc", max_spread=1.0).verdict is Verdict.FAIL


# Commands


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, "pass"), (4, "inconclusive"), (1, "fail"), (3, "fail"), (137, "fail")]
)
def test_a_command_says_by_its_exit_code(code: int, verdict: str) -> None:
    result = decide("command", command(code))
    assert result.verdict.value == verdict
    assert result.sentence == f"revenue holds (the command ended with {code})"
    assert (result.value, result.interval, result.sample_size) == (0.4, (0.3, 0.5), 90)
    assert result.details == (() if code == 0 else ("first", "last"))


def test_a_command_needs_write_nothing() -> None:
    result = decide("command", command(result=None))
    assert (result.verdict, result.sentence) == (Verdict.PASS, "the command ended with 0")


@pytest.mark.parametrize(
    "changes",
    [
        {"problem": "$PENSTOCK_VERDICT is no JSON"}, {"exit_code": None}, {"exit_code": -1}, {"exit_code": 256},
        {"exit_code": False}, {"exit_code": 0.0}, {"result": []}, {"result": {"value": "high"}}, {"result": {}},
    ],
)  # fmt: skip
def test_a_command_whose_verdict_cannot_be_read_never_passes(changes: Document) -> None:
    assert decide("command", command(**changes)).verdict is Verdict.FAIL
