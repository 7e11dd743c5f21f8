"""What a gate is: a function from its specification and its evidence to a verdict.

A gate never guesses. Whatever keeps it from a number it can stand behind (a missing key, NaN, a boolean, a
file that is not JSON) is `fail` with the reason, never `pass`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from importlib import import_module
from typing import Any, cast

from penstock.errors import PipelineError
from penstock.gates.document import DocumentError, Section, check_kind, document
from penstock.plan.model import GateSpec
from penstock.record import Record
from penstock.results import FIRST_VERSION, Evidence, GateResult, Verdict

MAX_DETAILS = 10
CONFIDENCE = 0.95
"""Of a gate that does not say, as for a plan made in code."""


class Exhibit(Record, kw_only=False):
    """One output that a gate looks at.

    Attributes:
        content: The whole file.
        digest: Of `content`.
        problem: Why there is no content, if there is none: the output is a directory, say.
    """

    path: str
    content: bytes
    digest: str
    problem: str | None = None

    @property
    def evidence(self) -> Evidence:
        """How a verdict names it."""
        return Evidence(path=self.path, digest=self.digest)


Exhibits = Mapping[str, Exhibit]
Gate = Callable[[GateSpec, Exhibits], GateResult]
"""Judges exhibits, given by their paths; every path that the specification reads is there."""

GATES: Mapping[str, str] = {
    "schema": "penstock.gates.schema",
    "threshold": "penstock.gates.threshold",
    "calibration": "penstock.gates.threshold",
    "no-regression": "penstock.gates.comparison",
    "improvement": "penstock.gates.comparison",
    "fairness": "penstock.gates.fairness",
    "drift": "penstock.gates.drift",
    "freshness": "penstock.gates.freshness",
    "latency": "penstock.gates.performance",
    "memory": "penstock.gates.performance",
    "model-size": "penstock.gates.performance",
    "model-tests": "penstock.gates.model_tests",
    "robustness": "penstock.gates.model_tests",
    "explainability": "penstock.gates.explainability",
    "reproducible": "penstock.gates.reproducible",
    "security": "penstock.gates.security",
    "command": "penstock.gates.command",
}
"""Kind of gate → the module whose `judge` it is; imported only when a pipeline asks for it."""


def gate(kind: str) -> Gate:
    """The gate of a kind.

    Raises:
        PipelineError: There is no such kind.
    """
    if kind not in GATES:  # the loader refuses it with a line; this guards plans made in code
        raise PipelineError(f"there is no gate {kind!r}", notes=(f"the gates are {', '.join(GATES)}",))
    return cast("Gate", import_module(GATES[kind]).judge)


def strict(judge: Gate) -> Gate:
    """A gate that answers `fail`, with the reason, to a document that it cannot rest on."""

    @wraps(judge)
    def judged(spec: GateSpec, exhibits: Exhibits) -> GateResult:
        try:
            return judge(spec, exhibits)
        except DocumentError as error:
            sentence = f"{error}; a gate passes only what it can read"
            return result(spec, Verdict.FAIL, sentence, exhibits)

    return judged


def exhibit(spec: GateSpec, exhibits: Exhibits) -> Exhibit:
    """The document that a gate judges: the first of what it reads.

    Raises:
        DocumentError: It has no content.
    """
    path = spec.reads[0][1] if spec.reads else next(iter(exhibits))
    found = exhibits[path]
    if found.problem:
        raise DocumentError(f"{found.problem}, so there is nothing to judge")
    return found


def evidence(spec: GateSpec, exhibits: Exhibits, kind: str, version: int = 1) -> Section:
    """The document that a gate judges.

    Raises:
        DocumentError: It cannot be read, or is of another kind or version.
    """
    found = exhibit(spec, exhibits)
    return check_kind(document(found.content, found.path), kind, version)


def result(spec: GateSpec, verdict: Verdict, sentence: str, exhibits: Exhibits, **facts: Any) -> GateResult:
    """A verdict on these exhibits, all of them evidence.

    Args:
        facts: Further fields of the `GateResult`; of `details`, the first ten lines at most.
    """
    facts["details"] = limited(facts.get("details", ()))
    return GateResult(
        gate=spec.gate,
        name=spec.name,
        required=spec.required,
        verdict=verdict,
        sentence=sentence,
        evidence=tuple(exhibits[path].evidence for path in sorted(exhibits)),
        **facts,
    )


def limited(lines: Iterable[str]) -> tuple[str, ...]:
    """At most ten lines, the last one saying how many are left out."""
    every = tuple(lines)
    if len(every) <= MAX_DETAILS:
        return every
    left = len(every) - MAX_DETAILS + 1
    return (*every[: MAX_DETAILS - 1], f"and {left} more")


def without_baseline(spec: GateSpec, exhibits: Exhibits) -> GateResult | None:
    """The verdict of a gate whose baseline is not there yet; none if it is there."""
    if spec.options.get("baseline_missing") is not True:
        return None
    baseline = spec.options.get("baseline")
    what = f"the baseline {baseline} is not there" if baseline else "there is no baseline"
    return first_version(spec, exhibits, what)


def first_version(spec: GateSpec, exhibits: Exhibits, what: str) -> GateResult:
    """The verdict of a gate that has nothing to compare with, by the policy.

    Args:
        what: Why, as a clause.
    """
    if spec.options.get("first_version") == "skip":
        sentence = f"{what}: a first version has nothing to be compared with"
        return result(spec, Verdict.SKIP, sentence, exhibits, reason=FIRST_VERSION)
    remedy = "for a first version, allow it in the pipeline file: `policy: {first_version: skip}`"
    return result(spec, Verdict.FAIL, f"{what}, so nothing was compared; {remedy}", exhibits)


def number_option(spec: GateSpec, name: str) -> float | None:
    """A number that the pipeline file gives, or none."""
    value = spec.options.get(name)
    return None if value is None else float(cast("float", value))


def needed_option(spec: GateSpec, name: str) -> float:
    """A number that the pipeline file must give.

    Raises:
        PipelineError: It does not; the loader says so with a line, this guards plans made in code.
    """
    value = number_option(spec, name)
    if value is None:
        raise PipelineError(f"gate {spec.name!r}: `{name}` is missing")
    return value


def text_option(spec: GateSpec, name: str) -> str | None:
    """A text that the pipeline file gives, or none."""
    value = spec.options.get(name)
    return None if value is None else str(value)


def list_option(spec: GateSpec, name: str) -> tuple[str, ...]:
    """The texts that the pipeline file lists; none if it lists none."""
    return tuple(str(each) for each in cast("Iterable[object]", spec.options.get(name) or ()))


def confidence_of(spec: GateSpec) -> float | None:
    """Of the interval that a gate judges; none for the bare number."""
    value = spec.options.get("confidence", CONFIDENCE)
    return None if value is None else float(cast("float", value))
