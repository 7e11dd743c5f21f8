"""What a gate is: a function from its specification and its evidence to a verdict.

A gate never guesses. Whatever keeps it from a number it can stand behind (a missing key, NaN, a boolean, a
file that is not JSON) is `fail` with the reason, never `pass`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from penstock.errors import PipelineError
from penstock.plan.model import GateSpec
from penstock.record import Record
from penstock.results import Evidence, GateResult, Verdict


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


Gate = Callable[[GateSpec, Mapping[str, Exhibit]], GateResult]
"""Judges exhibits, given by their paths; every path that the specification reads is there."""

GATES: Mapping[str, str] = {
    "schema": "penstock.gates.schema",
    "threshold": "penstock.gates.threshold",
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


def result(
    spec: GateSpec,
    verdict: Verdict,
    sentence: str,
    exhibits: Mapping[str, Exhibit],
    *,
    value: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    sample_size: int | None = None,
    details: tuple[str, ...] = (),
) -> GateResult:
    """A verdict on these exhibits, all of them evidence."""
    return GateResult(
        gate=spec.gate,
        name=spec.name,
        required=spec.required,
        verdict=verdict,
        sentence=sentence,
        evidence=tuple(exhibits[path].evidence for path in sorted(exhibits)),
        value=value,
        minimum=minimum,
        maximum=maximum,
        sample_size=sample_size,
        details=details,
    )
