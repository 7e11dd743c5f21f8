"""What stages found out, put before the gates, and how often an evaluation set has decided."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from penstock import digest
from penstock.errors import InputError
from penstock.gates import policy
from penstock.gates.base import Exhibit
from penstock.inert import one_line
from penstock.observer import Observer
from penstock.plan.model import Plan
from penstock.record import Record, field
from penstock.report import scans
from penstock.results import GateResult, Holdout, Verdict
from penstock.runner.assess import Walk
from penstock.runner.reasons import History

DOCUMENTS = ("measures", "validation", "model-tests", "benchmark", "reproducibility", "command", "security")
"""Roles of the outputs that programs of recipes write: reports show them."""

MAX_WARNINGS = 20
_WARNING_CHARACTERS = 300
_DECIDED = (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)

T = TypeVar("T")
Place = tuple[str, str]
"""(stage, output path)"""


class Judgement(Record, Generic[T], frozen=False):
    """Judges a run's outputs.

    Attributes:
        documents: What programs found out, by the path of the output that each is; known after `verdicts`.
    """

    plan: Plan
    walk: Walk[T]
    observer: Observer
    documents: dict[str, bytes] = field(default_factory=dict)
    _roles: dict[str, str] = field(default_factory=dict)
    _parsed: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    async def verdicts(self) -> tuple[GateResult, ...]:
        """What the gates say, in the order of the pipeline file."""
        asked = {evidence for spec in self.plan.gates for evidence in spec.reads}
        exhibits = {each: await self._exhibit(*each) for each in sorted(asked | {*self._found()})}
        for (_, path), exhibit in exhibits.items():
            if path in self._roles and isinstance(exhibit, Exhibit):
                self.documents[path] = exhibit.content
        self._parsed = {path: _parsed(content) for path, content in self.documents.items()}
        results = []
        for result in policy.decide(self.plan, exhibits):
            self.observer.gate_decided(result)
            results.append(result)
        return tuple(results)

    def holdouts(self, results: tuple[GateResult, ...], history: History) -> tuple[Holdout, ...]:
        """How often the evaluation sets that these verdicts rest on have decided, this time included."""
        decided = {each.path for gate in results if gate.verdict in _DECIDED for each in gate.evidence}
        found = []
        for path, document in self._read("measures"):
            predictions = document.get("predictions")
            facts = predictions if isinstance(predictions, dict) else {}
            evaluation_set, rows, table = (
                document.get("evaluation_set"),
                facts.get("rows"),
                facts.get("digest"),
            )
            if path not in decided or not (isinstance(evaluation_set, str) and isinstance(table, str)):
                continue
            decisions = history.decided(evaluation_set, table)
            if decisions is not None and isinstance(rows, int):
                budget = self.plan.holdout_budget
                found.append(
                    Holdout(evaluation_set=evaluation_set, rows=rows, decisions=decisions, budget=budget)
                )
        return tuple(found)

    def warnings(self, holdouts: tuple[Holdout, ...]) -> tuple[str, ...]:
        """What a reader of the verdicts must know beside them."""
        found = [
            f"the evaluation set {each.evaluation_set[:19]} ({each.rows:,} rows) has judged"
            f" {each.decisions} models; the policy's budget is {each.budget}, since whoever chooses by the"
            " same rows again and again chooses by their luck: take new rows"
            for each in holdouts
            if each.decisions > each.budget
        ]
        for role in DOCUMENTS:
            for path, document in self._read(role):
                warnings = document.get("warnings")
                told = (
                    [text for text in warnings if isinstance(text, str)] if isinstance(warnings, list) else []
                )
                found += [f"{path}: {one_line(text)[:_WARNING_CHARACTERS]}" for text in told]
        return tuple(found[:MAX_WARNINGS])

    def _found(self) -> Iterator[Place]:
        """The documents that stages of this run have written."""
        for stage in self.plan.stages:
            outcome = self.walk.outcomes.get(stage.name)
            for output in stage.outputs:
                if (
                    stage.uses
                    and output.role in (*DOCUMENTS, *scans.ROLES)
                    and outcome is not None
                    and outcome.tree is not None
                ):
                    self._roles[output.path] = output.role
                    yield stage.name, output.path

    async def _exhibit(self, stage: str, path: str) -> Exhibit | str:
        outcome = self.walk.outcomes.get(stage)
        if outcome is None or outcome.tree is None:
            return f"stage {stage!r} has no result in this run"
        try:
            content = await self.walk.executor.read(outcome.tree, path)
        except InputError as error:
            whole = next(part for part in outcome.parts if f"{path}/".startswith(f"{part.path}/"))
            return Exhibit(path, b"", whole.digest, error.what)
        return Exhibit(path, content, digest.of_bytes(content))

    def _read(self, role: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The documents of a role; of one that cannot be read, gates say what is wrong."""
        for path, document in self._parsed.items():
            if self._roles.get(path) == role:
                yield path, document


def _parsed(content: bytes) -> Mapping[str, Any]:
    """A document; nothing is in one that cannot be read."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
