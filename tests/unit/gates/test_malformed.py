"""Every document that a gate reads, damaged in every place: none passes that is not whole, none breaks a gate."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gate_samples import (
    DIGEST,
    Document,
    baseline,
    benchmark,
    by_groups,
    command,
    comparison,
    decide,
    measures,
    model_tests,
    reproducibility,
    score,
    security,
    share,
    validation,
)
from penstock.gates.power import survey
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

FAIR = {"a": (800, 1000), "b": (805, 1000)}
CASES: dict[str, tuple[str, Document, dict[str, Any]]] = {
    "threshold": ("threshold", measures(share("recall", 90, 100)), {"metric": "recall", "min": 0.8}),
    "threshold of a bootstrap": (
        "threshold",
        measures(score("rmse", 2.0, [1.8, 2.2], 300, better="lower")),
        {"metric": "rmse", "max": 2.5, "min": 1.0},
    ),
    "calibration": (
        "calibration",
        measures(score("brier_score", 0.1, [0.08, 0.12], 400)),
        {"max_brier": 0.2},
    ),
    "no-regression": (
        "no-regression",
        measures(comparisons=(comparison(0.01, [-0.01, 0.03]),)),
        {"metric": "accuracy", "margin": 0.02, "baseline": "champion"},
    ),
    "improvement": (
        "improvement",
        measures(comparisons=(comparison(0.05, [0.03, 0.07]),), baselines=(baseline(),)),
        {"metric": "accuracy", "by": 0.02, "baseline": "champion"},
    ),
    "fairness": (
        "fairness",
        measures(fairness=(by_groups(FAIR),)),
        {"metrics": ["recall"], "by": ["sex"], "max_difference": 0.1, "min_ratio": 0.8, "min": 0.7},
    ),
    "drift": ("drift", validation(), {"data": "churn"}),
    "schema": ("schema", validation(), {"data": "churn"}),
    "freshness": ("freshness", validation(), {"data": "churn", "max_age": 4e9}),
    "latency": ("latency", benchmark(), {"p50_ms": 3, "p99_ms": 9, "cold_start_s": 2, "max_ratio": 1.1}),
    "memory": ("memory", benchmark(), {"load_mb": 200, "peak_mb": 200}),
    "model-size": ("model-size", benchmark(), {"max_mb": 3}),
    "model-tests": ("model-tests", model_tests(), {}),
    "robustness": ("robustness", model_tests(), {"max_drop": 0.05}),
    "explainability": ("explainability", model_tests(), {"max_share": 0.9, "forbidden": ["zip"]}),
    "reproducible": (
        "reproducible",
        reproducibility(
            repetitions=[
                {"seed": seed, "outputs": [{"path": "m", "digest": DIGEST}], "metrics": {"auc": 0.8}}
                for seed in (1, 2)
            ],
            same=True,
        ),
        {"stage": "train", "metric": "auc", "max_spread": 0.1},
    ),
    "security": ("security", security(), {"max_severity": {"secrets": "none", "code": "low"}}),
    "command": ("command", command(), {}),
}
READ = {
    # what each gate rests on; anything else in the document may be what it will
    "measures": (
        "version",
        "kind",
        "predictions.path",
        "predictions.digest",
        "predictions.rows",
        "evaluation_set",
    ),
    "validation": ("version", "kind", "data", "rows"),
    "benchmark": ("version", "kind", "model.path", "model.digest"),
    "model-tests": ("version", "kind", "model.path", "model.digest"),
    "reproducibility": ("version", "kind", "stage", "repetitions"),
    "command": ("version", "kind", "exit_code", "problem", "result"),
    "security": ("version", "kind", "date", "checks", "findings", "left_out", "baseline", "warnings"),
}
ALSO_READ = {
    "threshold": ("measures",),
    "threshold of a bootstrap": ("measures",),
    "calibration": ("measures",),
    "no-regression": ("baselines", "comparisons"),
    "improvement": ("baselines", "comparisons"),
    "fairness": ("fairness",),
    "drift": ("drift",),
    "schema": ("checks", "passed"),
    "freshness": ("newest",),
    "latency": ("latency[0]", "cold_start_s", "baseline", "machine", "confidence"),
    "memory": ("memory",),
    "model-size": ("model.size_bytes", "model.files"),
    "model-tests": ("tests", "rows", "warnings"),
    "robustness": ("robustness", "warnings"),
    "explainability": ("importance",),
}
UNREAD = (
    # of what a gate reads, what says nothing to it
    "baselines[0].path", "baselines[0].rows", "baselines[0].shared_rows", "checks[0].name", "checks[0].column",
    "checks[0].failures", "checks[0].examples", "drift.reference.rows", "drift.correction",
    "drift.columns[0].kind", "drift.columns[0].test", "drift.columns[0].statistic", "drift.columns[0].psi",
    "drift.columns[0].wasserstein", "drift.columns[0].histogram", "drift.columns[1].kind",
    "drift.columns[1].test", "drift.columns[1].statistic", "drift.columns[1].psi",
    "drift.columns[1].wasserstein", "drift.columns[1].histogram", "latency[0].mean_ms", "latency[0].p95_ms",
    "latency[0].histogram", "baseline.path", "machine.memory_bytes", "machine.system", "machine.python",
    "machine.accelerator", "baseline.machine.processor", "baseline.machine.cores",
    "baseline.machine.memory_bytes", "baseline.machine.system", "baseline.machine.python",
    "baseline.machine.accelerator", "baseline.ratios[0].p95", "baseline.ratios[1].p50",
    "baseline.ratios[1].p95", "baseline.ratios[1].p99", "importance.rows", "tests[0].kind", "tests[1].kind",
    "robustness[0].standard_error", "fairness[0].better", "repetitions[0].outputs", "repetitions[1].outputs",
    "importance.features[0].feature", "importance.features[1].feature",
    *(f"checks[{n}].{name}" for n in range(5) for name in ("tool", "examined")),
    *(
        f"findings[{n}].{name}"
        for n in range(2)
        for name in ("rule", "path", "line", "commit", "message", "remedy", "package")
    ),
    "baseline.entries", "baseline.used",
)  # fmt: skip
Path = tuple[str | int, ...]


def places(value: object, path: Path = ()) -> Iterator[Path]:
    """Every key and every item of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def named(path: Path) -> str:
    text = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
    return text.removeprefix(".")


def within(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith((f"{root}.", f"{root}[")) for root in roots)


def changed(document: Document, path: Path, change: Any) -> Document:
    """A copy in which one place is what `change` makes of it; DROP takes it away."""
    copied = copy.deepcopy(document)
    inner: Any = copied
    for key in path[:-1]:
        inner = inner[key]
    if change is DROP:
        del inner[path[-1]]
    else:
        inner[path[-1]] = change
    return copied


DROP = object()
WRONG_TYPES: tuple[Any, ...] = (
    "",
    "0.9",
    [],
    {},
    [[]],
    {"value": 0.9},
    True,
    float("nan"),
    float("inf"),
    -1e999,
)
"""Of no use anywhere; NaN and infinities are written as `json` does, and no number may be any of them."""


def damages(case: str) -> Iterator[tuple[str, Document]]:
    """Whatever the gate rests on, missing or of a type or size that it cannot be of."""
    _, document, _ = CASES[case]
    roots = (*READ[document["kind"]], *ALSO_READ.get(case, ()))
    for path in places(document):
        name = named(path)
        if not within(name, roots) or within(name, UNREAD):
            continue
        inner: Any = document
        for key in path:
            inner = inner[key]
        if isinstance(path[-1], str):
            yield f"{name} is missing", changed(document, path, DROP)
        for wrong in WRONG_TYPES:
            if fits(inner, wrong, name):
                continue
            yield f"{name} is {wrong!r}", changed(document, path, wrong)
        if isinstance(inner, int | float) and not isinstance(inner, bool):
            yield f"{name} is huge", changed(document, path, 10**400)
            yield f"{name} is nested", changed(document, path, [[[[inner]]]])
        if isinstance(inner, list) and len(inner) == 2 and all(isinstance(each, float) for each in inner):
            yield f"{name} is reversed", changed(document, path, [inner[1] + 1, inner[0]])
            yield f"{name} has three ends", changed(document, path, [*inner, 1])
        if name.endswith(("rows", "calls", "_bytes", "files", "batch", "starts", "repeats")):
            yield f"{name} is negative", changed(document, path, -1)
            yield f"{name} is a half", changed(document, path, 0.5)


def fits(value: object, wrong: object, name: str) -> bool:
    """Whether a wrong value is none, there: a list may be empty, a text may be any text."""
    if isinstance(wrong, float):
        return False
    if isinstance(wrong, bool):
        return isinstance(value, bool)
    if isinstance(wrong, str):
        return isinstance(value, str) and (wrong != "" or name.endswith(("group", "sentence", "output")))
    empty_is_fine = name.endswith(("examples", "warnings", "problems"))
    return wrong == [] and isinstance(value, list) and empty_is_fine


DAMAGED = [(case, what, document) for case in CASES for what, document in damages(case)]


def judged(case: str, document: object) -> GateResult:
    kind, _, options = CASES[case]
    return decide(kind, document, **options)


@pytest.mark.parametrize("case", CASES)
def test_a_whole_document_passes(case: str) -> None:
    assert judged(case, CASES[case][1]).verdict is Verdict.PASS


@pytest.mark.parametrize("case", CASES)
def test_what_a_gate_rests_on_may_not_be_damaged(case: str) -> None:
    damaged = [(what, document) for of, what, document in DAMAGED if of == case]
    assert len(damaged) >= 20
    passed = [what for what, document in damaged if judged(case, document).verdict is Verdict.PASS]
    assert passed == []


def test_there_are_many_such_documents() -> None:
    assert len(DAMAGED) > 1000


@pytest.mark.parametrize("case", CASES)
def test_no_damage_anywhere_breaks_a_gate(case: str) -> None:
    _, document, _ = CASES[case]
    for path in places(document):
        for change in (DROP, None, 0, -1, 1e300, -1e300, 1e-300, 10**400, "x", *WRONG_TYPES):
            result = judged(case, changed(document, path, change))
            assert len(result.details) <= 10
            assert len(result.sentence) < 1000
            json.dumps([result.value, result.interval], allow_nan=False)


@pytest.mark.parametrize(
    "case", [case for case, (_, document, _) in CASES.items() if document["kind"] == "measures"]
)
def test_no_damage_breaks_what_is_said_of_a_gates_power(case: str) -> None:
    kind, document, options = CASES[case]
    spec = GateSpec(gate=kind, name=case, reads=(("measure", "m.json"),), options=options)
    (whole,) = survey([spec], {"m.json": json.dumps(document).encode()})
    assert whole.rows is not None
    for path in places(document):
        for change in (DROP, None, 0, -1, 1e300, 1e-300, 10**400, *WRONG_TYPES):
            content = json.dumps(changed(document, path, change)).encode()
            (found,) = survey([spec], {"m.json": content}, rows=100)
            assert found.sentence


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "content",
    [
        b"", b" ", b"null", b"[]", b"{}", b"0", b'"pass"', b"true", b"NaN", b"{", b'{"version": 1}', b"\xff",
        b"\x00", b"[" * 100_000, b'{"a":' * 5_000, b'{"kind": "measures", "kind": "command", "version": 1}',
        b'{"exit_code": 0}', b'{"passed": true, "checks": [{"passed": true}], "rows": 1, "version": 2}',
    ],
    ids=range(18),
)  # fmt: skip
def test_what_is_no_such_document_never_passes(case: str, content: bytes) -> None:
    assert judged(case, content).verdict is Verdict.FAIL


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", [0, 3, 2**70, "1", 1.0, 1.5, True, None, [1]])
@pytest.mark.parametrize("other", ["own", "of another kind"])
def test_an_unknown_version_or_kind_never_passes(case: str, version: object, other: str) -> None:
    _, document, _ = CASES[case]
    kind = document["kind"] if other == "own" else "health"
    assert judged(case, {**document, "version": version, "kind": kind}).verdict is Verdict.FAIL


@pytest.mark.parametrize("case", CASES)
def test_the_document_of_another_program_never_passes(case: str) -> None:
    kinds = {CASES[case][1]["kind"]} | ({"model-tests", "benchmark"} if case == "model-size" else set())
    for _, document, _ in CASES.values():
        if document["kind"] not in kinds:
            assert judged(case, document).verdict is Verdict.FAIL
