"""What the gates said, as a statement of in-toto's test results (predicate `test-result/v0.1`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..common.program import RefusedError
from . import documents

PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
PASSED, WARNED, FAILED = "PASSED", "WARNED", "FAILED"
_TOLD = ("name", "gate", "required", "verdict", "sentence", "value", "minimum", "maximum", "interval")
_KEPT = ("name", "gate", "required", "verdict")
"""What the stable form of a run always holds of a gate that was not skipped."""


def predicate(run: Mapping[str, Any], digest: str, *, passed: bool) -> dict[str, Any]:
    """What the statement says.

    Args:
        run: The whole `run.json`.
        digest: Of its stable form, by which a run is known.
        passed: Whether the pipeline let the model through.
    """
    gates = [{name: gate.get(name) for name in _TOLD} for gate in run["gates"]]
    return {
        "configuration": [
            {"name": "plan", "digest": {"sha256": run["plan"].removeprefix("sha256:")}},
            {"name": "run", "digest": {"sha256": digest.removeprefix("sha256:")}},
        ],
        "penstock_gates": gates,
        "penstock_passed": passed,
        **_summary(gates, passed=passed),
    }


def _summary(gates: Sequence[Mapping[str, Any]], *, passed: bool) -> dict[str, Any]:
    """The gates by what they said; a gate that is not required can only warn."""
    clean = [gate["name"] for gate in gates if gate["verdict"] == "pass"]
    failed = [gate["name"] for gate in gates if gate["required"] is True and gate["verdict"] == "fail"]
    warned = [gate["name"] for gate in gates if gate["name"] not in {*clean, *failed}]
    result = WARNED if warned else PASSED
    if failed or not passed:
        result = FAILED
    return {"result": result, "passedTests": clean, "warnedTests": warned, "failedTests": failed}


def read(predicate: Mapping[str, Any], where: str) -> tuple[str, list[dict[str, Any]]]:
    """The result and the gates of a statement whose parts agree with each other.

    Raises:
        RefusedError: They do not.
    """
    gates = documents.field(predicate, "penstock_gates", list, where)
    for gate in gates:
        for name in ("name", "gate", "verdict", "sentence"):
            documents.field(gate, name, str, where)
        documents.field(gate, "required", bool, where)
    passed = documents.field(predicate, "penstock_passed", bool, where)
    summary = _summary(gates, passed=passed)
    if any(predicate.get(name) != value for name, value in summary.items()):
        raise RefusedError(f"{where}: its result is not what its gates come to")
    return summary["result"], gates


def demand_same_run(
    predicate: Mapping[str, Any], gates: Sequence[Mapping[str, Any]], run: str, stable: bytes, where: str
) -> None:
    """Demand that a statement speaks about a run, and says of its gates what the run says.

    Args:
        run: Digest of `stable`.
        stable: The run without what differs between equal runs.

    Raises:
        RefusedError: It is about another run.
    """
    configuration = documents.field(predicate, "configuration", list, where)
    if {"name": "run", "digest": {"sha256": run.removeprefix("sha256:")}} not in configuration:
        raise RefusedError(f"{where}: the verdict of another run than {run[:19]}…")
    said = [_kept(gate) for gate in gates if gate["verdict"] != "skip"]
    try:
        judged = [_kept(gate) for gate in json.loads(stable)["gates"]]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise RefusedError(f"{where}: the run that it speaks about cannot be read") from None
    if said != judged:
        raise RefusedError(f"{where}: says of the gates what the run does not say")


def _kept(gate: Mapping[str, Any]) -> list[Any]:
    return [gate.get(name) for name in _KEPT]
