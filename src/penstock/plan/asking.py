"""What gates ask for, before any stage is drafted: which stage answers, and what it must measure for that.

Data that DVC keeps ask for a stage too: the one that fetches them.

Gates judge documents, and stages write them. Where a pipeline has no stage for what a gate asks, one is
implied: it shows in `penstock plan` like any other. What a gate asks (metrics, slices, confidence, baselines)
enters the request of its stage; what it demands (bounds, margins) does not, so that another bound measures
nothing anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from penstock.plan.dvc_files import DvcFile, data_path, read_dvc_file
from penstock.plan.metrics import CRITERIA, is_measured
from penstock.plan.problems import Problems, listing, shown
from penstock.plan.reads import ABSENT, FILE, Reads
from penstock.plan.recipes_registry import BASELINES
from penstock.plan.schema import PipelineFile
from penstock.plan.schema_gates import (
    CalibrationGate,
    CommandGate,
    FairnessGate,
    GateFile,
    ImprovementGate,
    NoRegressionGate,
    ReproducibleGate,
    ThresholdGate,
)
from penstock.plan.schema_parts import Baseline
from penstock.plan.schema_publish import Publish
from penstock.plan.schema_stages import (
    AnyStage,
    CommandStage,
    DvcStage,
    MeasureStage,
    RegistryStage,
    RepeatStage,
    RunStage,
)
from penstock.plan.yaml_file import Document
from penstock.record import Record, field

PREDICTIONS = "predictions"
_TABLES = ("predictions.csv", "predictions.parquet")
_ECE, _BRIER = "expected_calibration_error", "brier_score"


class Wants(Record, frozen=False):
    """What gates ask of one stage that measures; each is a JSON value of its request.

    Attributes:
        compared: The baseline that the stage itself names: all metrics are compared with it.
    """

    metrics: list[dict[str, object]] = field(default_factory=list)
    slices: list[str] = field(default_factory=list)
    baselines: list[dict[str, object]] = field(default_factory=list)
    comparisons: list[dict[str, object]] = field(default_factory=list)
    fairness: list[dict[str, object]] = field(default_factory=list)
    compared: str | None = None

    def add(self, what: list[dict[str, object]], value: Mapping[str, object]) -> None:
        """Ask for something once."""
        if value not in what:
            what.append(dict(value))


class Asking(Record, frozen=False):
    """Goes through the gates of a pipeline file and finds out who answers them.

    Attributes:
        implied: Stages that the file does not have, by name.
        lines: Of the gates and data sets that implied them.
        wants: What is asked of each stage that measures, by its name.
        answers: The stage that answers each gate, by the gate's position; none for one that reads a file of
            bare numbers, or whose stage the file names by its recipe.
        missing: Positions of gates whose baseline is not there yet.
        places: Where each data set lies, by its name.
        tracked: What the `.dvc` files of data sets say, by their paths.
    """

    pipeline: PipelineFile
    document: Document
    reads: Reads
    problems: Problems
    implied: dict[str, AnyStage] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    wants: dict[str, Wants] = field(default_factory=dict)
    answers: dict[int, str] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    places: dict[str, str] = field(default_factory=dict)
    tracked: dict[str, DvcFile] = field(default_factory=dict)

    def ask(self) -> None:
        """Ask for all data sets and gates.

        Raises:
            PipelineError: A `.dvc` file cannot be honoured.
        """
        self._place_data()
        for at, gate in enumerate(self.pipeline.gates):
            match gate:
                case ThresholdGate() | CalibrationGate() | FairnessGate():
                    self._measured(at, gate)
                case NoRegressionGate() | ImprovementGate():
                    self._compared(at, gate)
                case CommandGate():
                    inputs, environment = list(gate.inputs), gate.environment
                    stage = CommandStage(uses="command", run=gate.run, inputs=inputs, environment=environment)
                    self.answers[at] = self._imply(f"gate-{_plain(gate.name)}", at, stage)
                case ReproducibleGate():
                    name = f"repeat-{gate.stage}"[:50].rstrip("-")
                    self.answers[at] = self._imply(name, at, self._again(gate))
                case _:
                    pass
        for measuring, own in self._measuring().items():
            wants = self.wants.setdefault(measuring, Wants())
            if own.baseline is not None:
                wants.compared = self._baseline(own.baseline, own, wants)

    def _place_data(self) -> None:
        """Find out where data sets lie; one stage fetches all that a `.dvc` file stands for."""
        secrets: dict[str, list[str]] = {}
        fetched: dict[str, str] = {}
        for name, data in self.pipeline.data.items():
            self.places[name] = data.path or ""
            if data.dvc is None:
                continue
            line = self.document.line("data", name, "dvc")
            if self.reads.presence(data.dvc) != FILE:
                what = f"data set {name!r}: {data.dvc!r} is not there"
                notes = (f"make it: dvc add {data.dvc.removesuffix('.dvc')}",)
                self.problems.add(self.document.file, line, what, notes)
                continue
            if data.dvc not in self.tracked:
                self.tracked[data.dvc] = read_dvc_file(data.dvc, self.reads)
                fetched[data.dvc] = self._free(f"fetch-{_plain(name)}")
                self.lines[fetched[data.dvc]] = line
            secrets.setdefault(data.dvc, []).extend(data.secrets)
            stage = DvcStage(uses="dvc", file=data.dvc, secrets=secrets[data.dvc])
            self.implied[fetched[data.dvc]] = stage
            try:
                self.places[name] = data_path(self.tracked[data.dvc], data.path)
            except ValueError as error:
                what, notes = error.args
                self.problems.add(self.document.file, line, f"data set {name!r}: {what}", notes)

    @property
    def stages(self) -> Mapping[str, AnyStage]:
        """Those of the file and the implied ones, in that order."""
        return {**self.pipeline.stages, **self.implied}

    def confidence(self, gate: GateFile) -> float | None:
        """That of a gate's interval; none for the bare number."""
        own = getattr(gate, "confidence", None)
        return (self.pipeline.policy.confidence if own is None else own) or None

    def table_of(self, stage: MeasureStage) -> str | None:
        """The predictions table that a stage measures."""
        return stage.predictions or next(iter(self._tables()), None)

    def is_point(self, gate: ThresholdGate) -> bool:
        """Whether a gate judges a bare number from a file of metrics."""
        if gate.metrics is not None:
            return True
        if gate.predictions is not None:
            return False
        known = self._tables() or self._measuring()
        return not known or not (is_measured(gate.metric) or gate.slice is not None)

    def outputs(self) -> dict[str, str | None]:
        """Path → role of every output that commands of the user's own write."""
        found: dict[str, str | None] = {}
        for stage in self.pipeline.stages.values():
            if isinstance(stage, RunStage):
                outputs = stage.outputs
                pairs = outputs.items() if isinstance(outputs, dict) else ((None, path) for path in outputs)
                found |= {path: role for role, path in pairs}
        return found

    def _again(self, gate: ReproducibleGate) -> RepeatStage:
        """A stage that runs with what another one runs with."""
        stage = self.pipeline.stages.get(gate.stage)
        if not isinstance(stage, RunStage):
            return RepeatStage(uses="repeat", gate=gate)
        return RepeatStage(
            uses="repeat",
            gate=gate,
            variables=stage.variables,
            secrets=stage.secrets,
            environment=stage.environment,
            accelerator=stage.accelerator,
        )

    def _measured(self, at: int, gate: ThresholdGate | CalibrationGate | FairnessGate) -> None:
        if isinstance(gate, ThresholdGate) and self.is_point(gate):
            return
        wants = self._wants(at, gate)
        if wants is None:
            return
        confidence = self.confidence(gate)
        match gate:
            case ThresholdGate():
                wants.add(wants.metrics, {"metric": gate.metric, "confidence": confidence})
                wants.slices += [each for each in gate.slice or () if each not in wants.slices]
            case CalibrationGate():
                for metric, bound in ((_ECE, gate.max_ece), (_BRIER, gate.max_brier)):
                    if bound is not None:
                        wants.add(wants.metrics, {"metric": metric, "confidence": confidence})
            case FairnessGate():
                for metric in fairness_metrics(gate):
                    groups = {"metric": metric, "by": list(gate.by), "confidence": confidence}
                    wants.add(wants.fairness, groups)

    def _compared(self, at: int, gate: NoRegressionGate | ImprovementGate) -> None:
        wants = self._wants(at, gate)
        if wants is None:
            return
        stage = self.stages[self.answers[at]]
        baseline = gate.baseline or (stage.baseline if isinstance(stage, MeasureStage) else None)
        if baseline is None:
            self._complain(
                at, "baseline", "names no baseline", ("add `baseline: <predictions table>` to it",)
            )
            return
        name = self._baseline(baseline, stage, wants)
        if name is None:
            self.missing.add(at)
            return
        confidence = self.confidence(gate)
        wants.add(wants.metrics, {"metric": gate.metric, "confidence": confidence})
        asked: dict[str, object] = {
            "metric": gate.metric,
            "baseline": name,
            "confidence": confidence,
            "unpaired": gate.unpaired,
        }
        for column, group in (gate.slice or {}).items():
            asked |= {"column": column, "group": group}
            wants.slices += [column] if column not in wants.slices else []
        wants.add(wants.comparisons, asked)

    def _baseline(self, baseline: Baseline, stage: AnyStage, wants: Wants) -> str | None:
        """The name of a baseline in the request; none if it is not there yet."""
        if baseline.registry is not None:
            return self._registered(baseline, wants)
        path = baseline.place
        written = path in self.outputs()
        if not written and self.reads.presence(path) == ABSENT:
            return None
        member = None
        if baseline.run is not None and isinstance(stage, MeasureStage):
            member = baseline.predictions or self.table_of(stage)
        wants.add(wants.baselines, {"name": path, "path": path, "member": member})
        return path

    def _registered(self, baseline: Baseline, wants: Wants) -> str:
        """The name of a baseline that a stage fetches from the registry."""
        publish = self.pipeline.publish
        mlflow = publish.mlflow if isinstance(publish, Publish) else None
        model = baseline.model or (mlflow.model if mlflow else None)
        if model is None:
            what = f"the baseline {shown(baseline.registry)} is of no model"
            notes = (f"name it: `baseline: {{registry: {baseline.registry}, model: <name>}}`",)
            self.problems.add(self.document.file, self.document.line("gates"), what, notes)
            return baseline.place
        uri = baseline.tracking_uri or (mlflow.tracking_uri if mlflow else None)
        stage = RegistryStage(
            uses="registry",
            model=model,
            alias=baseline.registry or "",
            tracking_uri=uri,
            predictions=baseline.predictions,
            cache=False,
        )
        known = [name for name, each in self.implied.items() if each == stage]
        name = known[0] if known else self._free(f"baseline-{_plain(stage.alias)}")
        self.implied[name] = stage
        self.lines.setdefault(name, self.document.line("gates"))
        path = f"{BASELINES}/{name}"
        wants.add(wants.baselines, {"name": baseline.place, "path": path, "member": None, "fetched": True})
        return baseline.place

    def _wants(self, at: int, gate: GateFile) -> Wants | None:
        """What is asked of the stage that measures for a gate; a stage is implied if there is none."""
        wanted = getattr(gate, "predictions", None)
        measuring = self._measuring()
        fitting = [name for name, stage in measuring.items() if wanted in (None, self.table_of(stage))]
        tables = self._tables()
        if len(fitting) == 1:
            name = fitting[0]
        elif fitting or (wanted is None and len(tables) != 1):
            several = fitting or tables
            what = "several predictions tables could be meant" if several else "no predictions table is known"
            notes = [listing("tables", several)] if several else []
            notes.append(
                "name it: `predictions: <path>`"
                if several
                else "name the output that holds it: `outputs: {predictions: <path>}`"
            )
            self._complain(at, "predictions", what, tuple(notes))
            return None
        else:
            stage = MeasureStage(uses="measure", predictions=wanted or tables[0])
            name = self._imply("measure", at, stage)
        self.answers[at] = name
        return self.wants.setdefault(name, Wants())

    def _measuring(self) -> dict[str, MeasureStage]:
        return {name: stage for name, stage in self.stages.items() if isinstance(stage, MeasureStage)}

    def _tables(self) -> list[str]:
        """The outputs that are predictions tables, by their role, else by their name."""
        roles = list(self.outputs().items())
        named = [path for path, role in roles if role == PREDICTIONS]
        return named or [path for path, _ in roles if PurePosixPath(path).name in _TABLES]

    def _imply(self, name: str, at: int, stage: AnyStage) -> str:
        free = self._free(name)
        self.implied[free] = stage
        self.lines[free] = self.document.line("gates", at)
        return free

    def _free(self, name: str) -> str:
        taken = {*self.stages}
        return next(each for each in _numbered(name) if each not in taken)

    def _complain(self, at: int, key: str, what: str, notes: Sequence[str]) -> None:
        line = self.document.line("gates", at, key)
        self.problems.add(self.document.file, line, f"gate {at + 1}: {what}", notes)


def fairness_metrics(gate: FairnessGate) -> tuple[str, ...]:
    """The metrics that a gate compares between groups."""
    return (gate.metric,) if gate.metric is not None else CRITERIA[gate.criterion or ""]


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in range(2, 10_000):
        yield f"{name}-{number}"


def _plain(name: str) -> str:
    """A gate's name as that of a stage."""
    return "".join(sign if sign.isalnum() else "-" for sign in name.lower()).strip("-")[:50]
