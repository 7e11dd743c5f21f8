"""What a published run says of itself, as far as it fits together: digest, outputs and verdicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..common.program import RefusedError

_DONE = ("ran", "cached")
_FIRST_VERSION = "first-version"


def passed(run: Mapping[str, Any]) -> str | None:
    """Why the run's verdicts do not let its model through; None if they do.

    Every required gate has passed (or had nothing to compare the first version with), and there is one.
    """
    unfinished = [stage["name"] for stage in run["stages"] if stage["state"] not in (*_DONE, "skipped")]
    if unfinished:
        return f"stage {unfinished[0]!r} did not end well"
    required = [gate for gate in run["gates"] if gate["required"] is not False]
    for gate in required:
        first = gate["verdict"] == "skip" and gate.get("reason") == _FIRST_VERSION
        if gate["verdict"] != "pass" and not first:
            return f"gate {gate['name']!r}: {gate['verdict']}: {gate['sentence']}"
    if not any(gate["verdict"] == "pass" for gate in required):
        return "no required gate has judged it"
    return None


def outputs(run: Mapping[str, Any], stable: bytes, digest: str) -> Mapping[str, str]:
    """Path → digest of everything that the run made.

    Args:
        run: Its report.
        stable: The same without what differs between equal runs; its digest is the run's.
        digest: The run's, as the registry has it.

    Raises:
        RefusedError: They are not of one run.
    """
    made = f"sha256:{hashlib.sha256(stable).hexdigest()}"
    if made != digest:
        raise RefusedError(
            f"stable.json is {made[:19]}…, but the version is of run {digest[:19]}…:"
            " it was changed or swapped"
        )
    try:
        known = json.loads(stable)
        _agree(run, known)
        return {path: made for stage in known["stages"] for path, made in stage["outputs"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedError(f"the run's records are damaged: {error!r}") from None


def _agree(run: Mapping[str, Any], stable: Mapping[str, Any]) -> None:
    """Refuses a report whose stages or verdicts are not those that the run's digest stands for."""
    for name in ("pipeline", "plan", "profile", "params"):
        if run[name] != stable[name]:
            raise RefusedError(f"run.json and stable.json differ in {name}: one was changed or swapped")
    keys = {stage["name"]: stage["key"] for stage in run["stages"]}
    if keys != {stage["name"]: stage["key"] for stage in stable["stages"]}:
        raise RefusedError("run.json and stable.json differ in stages: one was changed or swapped")
    verdicts = {gate["name"]: (gate["verdict"], gate["required"]) for gate in run["gates"]}
    known = {gate["name"]: (gate["verdict"], gate["required"]) for gate in stable["gates"]}
    # what was skipped is not in the stable form
    if {name: said for name, said in verdicts.items() if said[0] != "skip"} != known:
        raise RefusedError("run.json and stable.json differ in verdicts: one was changed or swapped")
