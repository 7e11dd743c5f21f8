"""Gates of a pipeline file: their names, what they demand, and which outputs are their evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from penstock.plan.asking import Asking, fairness_metrics
from penstock.plan.drafts import Draft
from penstock.plan.model import GateSpec
from penstock.plan.paths import inside
from penstock.plan.problems import listing, nearest, shown
from penstock.plan.schema_gates import (
    BenchmarkGates,
    CommandGate,
    DataGates,
    DriftGate,
    FairnessGate,
    GateFile,
    ImprovementGate,
    ModelTestsGates,
    NoRegressionGate,
    ReproducibleGate,
    SecurityGate,
    ThresholdGate,
)
from penstock.record import Record

METRICS = "metrics"
_METRICS_FILE = "metrics.json"
_NOT_DEMANDS = {
    "gate", "name", "required", "predictions", "confidence", "slice", "baseline", "metrics", "stage", "run",
    "inputs", "environment", "seeds", "criterion",
}  # fmt: skip
"""Fields of a gate that say what it is about, or that specifications put otherwise."""

Place = tuple[str, str]
"""(stage, output path)"""


def gates_of(asking: Asking, drafts: Sequence[Draft]) -> tuple[GateSpec, ...]:
    """The gates, each with the outputs that are its evidence; complaints go where those of `asking` go."""
    gating = _Gating(asking=asking, drafts=drafts)
    return tuple(gating.spec(at, gate) for at, gate in enumerate(asking.pipeline.gates))


def demands(gate: GateFile, *, confidence: float | None) -> dict[str, object]:
    """What a gate demands, as JSON values; nothing that was not given.

    Args:
        gate: As the pipeline file has it.
        confidence: Of its interval, if it judges one; none for the bare number.
    """
    given = gate.model_dump(mode="json", exclude=_NOT_DEMANDS)
    options: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if "confidence" in type(gate).model_fields:
        options["confidence"] = confidence
    for column, group in (getattr(gate, "slice", None) or {}).items():
        options |= {"column": column, "group": group}
    if isinstance(gate, FairnessGate):
        options |= {"metrics": list(fairness_metrics(gate))}
        options |= {"criterion": gate.criterion} if gate.criterion else {}
        options.pop("metric", None)
    if isinstance(gate, ReproducibleGate):
        options["stage"] = gate.stage
    return options


def metrics_place(wanted: str | None, drafts: Sequence[Draft]) -> tuple[Place | None, str, tuple[str, ...]]:
    """The file of metrics that is meant; else what is wrong, and notes.

    Args:
        wanted: Its path, or that of a file within an output; if absent, the only one there is.
    """
    places = [(draft.stage.name, output) for draft in drafts for output in draft.stage.outputs]
    paths = [output.path for _, output in places]
    if wanted is not None:
        for stage, output in places:
            if inside(wanted, output.path):
                return (stage, wanted), "", ()
        return None, f"no stage writes {wanted!r}", (*nearest(wanted, paths), listing("outputs", paths))
    found = [(stage, output.path) for stage, output in places if output.role == METRICS]
    found = found or [
        (stage, output.path) for stage, output in places if PurePosixPath(output.path).name == _METRICS_FILE
    ]
    if len(found) == 1:
        return found[0], "", ()
    what = "several outputs could hold its metric" if found else "no output is known to hold metrics"
    listed = listing("candidates" if found else "outputs", [path for _, path in found] or paths)
    return None, what, (listed, "name it: `metrics: <path>`")


class _Gating(Record, frozen=False):
    asking: Asking
    drafts: Sequence[Draft]
    names: dict[str, int] | None = None

    def spec(self, at: int, gate: GateFile) -> GateSpec:
        return GateSpec(
            gate=gate.gate,
            name=self._name(at, gate),
            required=gate.required,
            reads=self._reads(at, gate),
            options=self._options(at, gate),
            line=self.asking.document.line("gates", at),
        )

    def _name(self, at: int, gate: GateFile) -> str:
        subject = _subject(gate)
        name = gate.name or (f"{gate.gate}-{subject}" if subject else gate.gate)
        line = self.asking.document.line("gates", at)
        self.names = {} if self.names is None else self.names
        if name in self.names:
            self.asking.problems.add(
                self.asking.document.file,
                line,
                f"gate {at + 1}: there is a gate {name!r} on line {self.names[name]} already",
                ("give one of them another `name`",),
            )
        self.names.setdefault(name, line)
        return name

    def _options(self, at: int, gate: GateFile) -> Mapping[str, object]:
        point = isinstance(gate, ThresholdGate) and self.asking.is_point(gate)
        options = demands(gate, confidence=None if point else self.asking.confidence(gate))
        if isinstance(gate, NoRegressionGate | ImprovementGate):
            options |= self._comparison(at, gate)
        return options

    def _comparison(self, at: int, gate: NoRegressionGate | ImprovementGate) -> dict[str, object]:
        stage = self.asking.stages.get(self.asking.answers.get(at, ""))
        baseline = gate.baseline or getattr(stage, "baseline", None)
        return {
            "baseline": baseline.place if baseline else None,
            "baseline_missing": at in self.asking.missing,
            "first_version": self.asking.pipeline.policy.first_version,
        }

    def _reads(self, at: int, gate: GateFile) -> tuple[Place, ...]:
        if at in self.asking.answers:
            return self._answered(at, gate)
        match gate:
            case ThresholdGate() if self.asking.is_point(gate):
                place, what, notes = metrics_place(gate.metrics, self.drafts)
                if place is None:
                    self._complain(at, "metrics", what, notes)
                return (place,) if place else ()
            case _ if isinstance(gate, DataGates):
                return self._of_data(at, gate)
            case _ if isinstance(gate, BenchmarkGates | ModelTestsGates | SecurityGate):
                return self._of_recipe(at, gate, *_recipe_of(gate))
            case _:
                return ()  # its stage is wrong, which was said

    def _answered(self, at: int, gate: GateFile) -> tuple[Place, ...]:
        name = self.asking.answers[at]
        own = [draft.stage for draft in self.drafts if draft.stage.name == name]
        found = [(stage.name, output.path) for stage in own for output in stage.outputs]
        if isinstance(gate, ReproducibleGate) and gate.seeds is None:
            again = [draft.stage for draft in self.drafts if draft.stage.name == gate.stage]
            found += [(stage.name, output.path) for stage in again for output in stage.outputs]
        return tuple(found)

    def _of_data(self, at: int, gate: Any) -> tuple[Place, ...]:
        drafts = [draft for draft in self.drafts if draft.data == gate.data]
        if isinstance(gate, DriftGate):
            drafts = [draft for draft in drafts if getattr(self._file(draft), "reference", None)]
        known = self.asking.pipeline.data
        notes: tuple[str, ...]
        if len(drafts) == 1:
            stage = drafts[0].stage
            return tuple((stage.name, each.path) for each in stage.outputs if each.role == "validation")
        if gate.data not in known:
            what = f"there is no data set {shown(gate.data)}"
            notes = (*nearest(gate.data, known), listing("data sets", known))
        elif drafts:
            names = " and ".join(draft.stage.name for draft in drafts)
            what, notes = f"data set {gate.data!r} is validated by {names}", ("keep one of these stages",)
        elif isinstance(gate, DriftGate):
            what = f"no stage compares data set {gate.data!r} with a reference"
            notes = (f"`validate: {{uses: validate-data, data: {gate.data}, reference: <table>}}`",)
        else:
            what = f"no stage validates data set {gate.data!r}"
            notes = (f"add a stage: `validate: {{uses: validate-data, data: {gate.data}}}`",)
        self._complain(at, "data", what, notes)
        return ()

    def _file(self, draft: Draft) -> object:
        return self.asking.stages.get(draft.stage.name)

    def _of_recipe(self, at: int, gate: Any, recipe: str, role: str) -> tuple[Place, ...]:
        stages = [draft.stage for draft in self.drafts if draft.stage.uses == recipe]
        fitting = [stage for stage in stages if gate.stage in (None, stage.name)]
        if len(fitting) == 1:
            return tuple((fitting[0].name, each.path) for each in fitting[0].outputs if each.role == role)
        names = [stage.name for stage in stages]
        notes: tuple[str, ...]
        if not stages:
            what = f"no stage uses `{recipe}`"
            asked = "" if recipe == "security" else ", data: <table>"
            notes = (f"add one: `{recipe}: {{uses: {recipe}{asked}}}`",)
        elif gate.stage is not None:
            what = f"`stage` is {shown(gate.stage)}, which does not use `{recipe}`"
            notes = (*nearest(gate.stage, names), listing("stages that do", names))
        else:
            what, notes = f"several stages use `{recipe}`", (f"name one: `stage: {names[0]}`",)
        self._complain(at, "stage", what, notes)
        return ()

    def _complain(self, at: int, key: str, what: str, notes: tuple[str, ...]) -> None:
        document = self.asking.document
        line = document.line("gates", at, key)
        self.asking.problems.add(document.file, line, f"gate {at + 1}: {what}", notes)


def _recipe_of(gate: GateFile) -> tuple[str, str]:
    """The recipe that answers a gate, and the role of its document."""
    if isinstance(gate, BenchmarkGates):
        return "benchmark-model", "benchmark"
    recipe = "security" if isinstance(gate, SecurityGate) else "model-tests"
    return recipe, recipe


def _subject(gate: GateFile) -> str:
    """What a gate without a name is told apart from others of its kind by."""
    match gate:
        case FairnessGate():
            return str(gate.criterion or _last(gate.metric or ""))
        case CommandGate() | ReproducibleGate():
            return gate.stage if isinstance(gate, ReproducibleGate) else gate.name
        case _ if getattr(gate, "metric", None) is not None:
            words = [_last(str(getattr(gate, "metric", "")))]
            words += [f"{column}-{group}" for column, group in (getattr(gate, "slice", None) or {}).items()]
            return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(words))
        case _:
            return str(getattr(gate, "data", ""))


def _last(metric: str) -> str:
    """The function's own name of a metric `package.module:function`."""
    return metric.rpartition(":")[2]
