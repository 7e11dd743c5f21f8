"""From a stage of the pipeline file to the recipe that it stands for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePosixPath

from penstock.plan import (
    graph,
    packaging,
    recipes,
    recipes_dvc,
    recipes_models,
    recipes_registry,
    recipes_security,
)
from penstock.plan.asking import Asking, Wants
from penstock.plan.graph import Node
from penstock.plan.model import Environment, Output, Stage
from penstock.plan.paths import inside
from penstock.plan.problems import Problems, listing, nearest, shown
from penstock.plan.reads import Reads
from penstock.plan.schema_gates import ReproducibleGate, Seeds
from penstock.plan.schema_stages import (
    AnyStage,
    BenchmarkModelStage,
    CommandStage,
    DvcStage,
    LintStage,
    MeasureStage,
    ModelTestsStage,
    PackageModelStage,
    PytestStage,
    RegistryStage,
    RepeatStage,
    RunStage,
    SecurityStage,
    ValidateStage,
)
from penstock.record import Record

Drafted = tuple[Stage, Node]
"""A stage that is not linked yet, and what the graph knows of it."""


class Expanding(Record, frozen=False):
    """Makes recipes; of a stage that is too wrong there is none, and `problems` says why."""

    asking: Asking
    problems: Problems
    reads: Reads

    def recipe(self, name: str, stage: AnyStage, environment: Environment) -> recipes.Recipe | None:
        """What a stage does; not for one that repeats others."""
        made: recipes.Recipe | None
        match stage:
            case RunStage():
                made = recipes.Recipe(run=stage.run, inputs=tuple(stage.inputs), environment=environment)
            case LintStage():
                made = recipes.lint(stage, environment, self.reads)
            case PytestStage():
                made = recipes.pytest(stage, name, environment, self.reads)
            case CommandStage():
                made = recipes_models.command(stage, name, environment)
            case ValidateStage():
                made = self._validate(name, stage, environment)
            case MeasureStage():
                made = self._measure(name, stage, environment)
            case ModelTestsStage() | BenchmarkModelStage() | PackageModelStage():
                made = self._of_model(name, stage, environment)
            case DvcStage() | RegistryStage() | SecurityStage():
                made = self._outside(name, stage, environment)
            case RepeatStage():  # pragma: no cover - `repeat` is for these
                raise TypeError(stage)
        return made

    def repeat(self, name: str, stage: RepeatStage, others: Sequence[Drafted]) -> recipes.Recipe | None:
        """What runs a stage again, and those after it up to the one that writes the metric.

        Args:
            name: Of the stage that repeats.
            stage: With its gate.
            others: The stages that can be repeated.
        """
        gate = stage.gate
        again = self._repeated(name, gate, others)
        if again is None:
            return None
        written = [output.path for _, node in again for output in node.outputs]
        inputs = [each.path for _, node in again for each in node.inputs]
        inputs = [path for path in inputs if not any(inside(path, output) for output in written)]
        seeds = None
        if gate.seeds is not None:
            metrics = self._metrics(name, gate, again)
            if metrics is None or not self._has_parameter(name, gate.seeds, again):
                return None
            seeds = {**gate.seeds.model_dump(), "metrics": metrics, "metric": gate.metric}
        stages = [each for each, _ in again]
        return recipes_models.repeat(name, stages, tuple(dict.fromkeys(inputs)), seeds)

    def _repeated(self, name: str, gate: ReproducibleGate, others: Sequence[Drafted]) -> list[Drafted] | None:
        """The stages to run again, in order: the one named, and what leads from it to the metric."""
        own = {stage.name: (stage, node) for stage, node in others if stage.uses is None}
        if gate.stage not in own:
            what = f"there is no stage {shown(gate.stage)} with a command that could run again"
            self._complain(name, what, (*nearest(gate.stage, own), listing("stages", own)))
            return None
        if gate.seeds is None:
            return [own[gate.stage]]
        nodes = [node for _, node in others]
        links, order = graph.link(nodes, {}, "", Problems())
        after, chain = {gate.stage}, []
        for each in order:
            if each in after or after & {item.stage for item in links[each].produced}:
                after.add(each)
                chain += [own[each]] if each in own else []
        return chain

    def _metrics(self, name: str, gate: ReproducibleGate, again: list[Drafted]) -> str | None:
        """The file of metrics; drops from the stages what does not lead to it."""
        outputs = [(at, output) for at, (stage, _) in enumerate(again) for output in stage.outputs]
        found = [
            (at, gate.metrics or output.path)
            for at, output in outputs
            if (inside(gate.metrics, output.path) if gate.metrics else _is_metrics(output))
        ]
        if len(found) != 1:
            what = (
                "several outputs could hold the metric" if found else "no output is known to hold the metric"
            )
            paths = [output.path for _, output in outputs]
            self._complain(name, what, (listing("outputs", paths), "name it: `metrics: <path>`"))
            return None
        at, path = found[0]
        del again[at + 1 :]
        return path

    def _has_parameter(self, name: str, seeds: Seeds, again: Sequence[Drafted]) -> bool:
        for stage, _ in again:
            value: object = stage.params
            for part in seeds.parameter.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                return True
        what = f"no stage that runs again declares the parameter {shown(seeds.parameter)}"
        self._complain(name, what, ("add it to the `params` of the stage that reads it",))
        return False

    def _measure(self, name: str, stage: MeasureStage, environment: Environment) -> recipes.Recipe | None:
        table = self.asking.table_of(stage)
        if table is None:
            what = f"stage {name!r}: no output is known to be a predictions table"
            notes = ("name it: `predictions: <path>`",)
            self.problems.add(self.asking.document.file, self._line(name), what, notes)
            return None
        return recipes_models.measure(
            stage,
            name,
            table=table,
            wants=self.asking.wants.get(name, Wants()),
            confidence=self.asking.pipeline.policy.confidence,
            environment=environment,
            reads=self.reads,
        )

    def _of_model(
        self,
        name: str,
        stage: ModelTestsStage | BenchmarkModelStage | PackageModelStage,
        environment: Environment,
    ) -> recipes.Recipe | None:
        model = stage.model or self._model(name)
        if model is None:
            return None
        if isinstance(stage, PackageModelStage):
            judged = packaging.judged(self.asking, stage)
            return recipes_models.package_model(stage, name, model, judged, environment, self.reads)
        confidence = self.asking.pipeline.policy.confidence
        if isinstance(stage, ModelTestsStage):
            return recipes_models.model_tests(stage, name, model, confidence, environment, self.reads)
        return recipes_models.benchmark_model(stage, name, model, confidence, environment, self.reads)

    def _model(self, name: str) -> str | None:
        outputs = self.asking.outputs()
        found = [path for path, role in outputs.items() if role == "model"]
        found = found or [path for path in outputs if PurePosixPath(path).name.startswith("model")]
        if len(found) == 1:
            return found[0]
        what = "several outputs could be the model" if found else "no output is known to be a model"
        notes = (listing("outputs", found or outputs), "name it: `model: <path>`")
        self.problems.add(self.asking.document.file, self._line(name), f"stage {name!r}: {what}", notes)
        return None

    def _validate(self, name: str, stage: ValidateStage, environment: Environment) -> recipes.Recipe | None:
        document, known = self.asking.document, self.asking.pipeline.data
        notes: tuple[str, ...]
        if stage.data not in known:
            what = f"there is no data set {shown(stage.data)}"
            notes = (*nearest(stage.data, known), listing("data sets", known))
        elif known[stage.data].schema_ is None and stage.reference is None and stage.splits is None:
            what = f"data set {stage.data!r} has no schema"
            notes = (f"add `schema: <file>` to it (line {document.line('data', stage.data)})",)
        else:
            path = self.asking.places[stage.data]
            return recipes.validate_data(
                stage, name, known[stage.data], path, environment=environment, reads=self.reads
            )
        line = document.line("stages", name, "data")
        self.problems.add(document.file, line, f"stage {name!r}: {what}", notes)
        return None

    def _outside(
        self, name: str, stage: DvcStage | RegistryStage | SecurityStage, environment: Environment
    ) -> recipes.Recipe:
        """What looks beyond its workspace."""
        if isinstance(stage, DvcStage):
            return recipes_dvc.fetch(self.asking.tracked[stage.file], environment, self.reads)
        if isinstance(stage, RegistryStage):
            return recipes_registry.baseline(stage, name, environment, self.reads)
        pipeline = self.asking.pipeline
        environments = (pipeline.environment, *(each.environment for each in pipeline.stages.values()))
        return recipes_security.security(
            stage,
            name,
            locks=[each.requirements for each in environments if each and each.requirements],
            pipeline=os.path.relpath(self.asking.document.file, self.reads.root),
            environment=environment,
            reads=self.reads,
        )

    def _line(self, name: str) -> int:
        return self.asking.lines.get(name) or self.asking.document.line("stages", name)

    def _complain(self, name: str, what: str, notes: tuple[str, ...]) -> None:
        """Note what is wrong with a gate that implied a stage."""
        self.problems.add(self.asking.document.file, self._line(name), f"gate `reproducible`: {what}", notes)


def _is_metrics(output: Output) -> bool:
    return output.role == "metrics" or PurePosixPath(output.path).name == "metrics.json"
