"""Gates and publications of a pipeline file: which outputs they are about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from penstock.plan.drafts import Draft
from penstock.plan.graph import Declared
from penstock.plan.model import Archive, GateSpec
from penstock.plan.paths import inside
from penstock.plan.problems import Problems, listing, nearest, shown
from penstock.plan.schema import ArchiveFile, PipelineFile, Publish, SchemaGate, ThresholdGate
from penstock.plan.yaml_file import Document
from penstock.record import Record

METRICS = "metrics"
_METRICS_FILE = "metrics.json"
_ARCHIVED_ROLES = ("model", METRICS)

Place = tuple[str, str]
"""(stage, output path)"""


def gates_of(
    pipeline: PipelineFile, document: Document, drafts: Sequence[Draft], problems: Problems
) -> tuple[GateSpec, ...]:
    """The gates, each with the outputs that are its evidence."""
    found: list[GateSpec] = []
    options: dict[str, object]
    names: dict[str, int] = {}
    for at, gate in enumerate(pipeline.gates):
        line = document.line("gates", at)
        if isinstance(gate, SchemaGate):
            reads = _schema_reads(gate, pipeline, drafts, _Complaints(document, at, problems))
            name, options = f"schema-{gate.data}", {"data": gate.data}
        else:
            reads = _threshold_reads(gate, drafts, _Complaints(document, at, problems))
            name, options = f"threshold-{gate.metric}", _bounds(gate)
        name = gate.name or name
        if name in names:
            problems.add(
                document.file,
                line,
                f"gate {at + 1}: there is a gate {name!r} on line {names[name]} already",
                ("give one of them another `name`",),
            )
        names.setdefault(name, line)
        found.append(
            GateSpec(
                gate=gate.gate,
                name=name,
                required=gate.required,
                reads=(reads,) if reads else (),
                options=options,
                line=line,
            )
        )
    return tuple(found)


def archive_of(
    pipeline: PipelineFile, document: Document, drafts: Sequence[Draft], problems: Problems
) -> tuple[Archive | None, Declared | None]:
    """The archive that is published, and its directory as the graph checks it; none if there is none."""
    publish = pipeline.publish
    if not isinstance(publish, Publish) or publish.archive is None:
        return None, None
    asked = publish.archive
    contents = _listed(asked, document, drafts, problems) if asked.contents is not None else _usual(drafts)
    if not contents and not (asked.contents and problems):
        outputs = [output.path for draft in drafts for output in draft.stage.outputs]
        problems.add(
            document.file,
            document.line("publish", "archive"),
            "`publish.archive` finds no output that is a model or holds metrics",
            (listing("outputs", outputs), "name them: `contents: [<path>, ...]`"),
        )
    path = Declared(asked.path, document.line("publish", "archive", "path"))
    return Archive(path=asked.path, contents=tuple(sorted(set(contents)))), path


def _bounds(gate: ThresholdGate) -> dict[str, object]:
    options: dict[str, object] = {"metric": gate.metric}
    if gate.min is not None:
        options["min"] = gate.min
    if gate.max is not None:
        options["max"] = gate.max
    return options


class _Complaints(Record, kw_only=False):
    """Where complaints about one gate go."""

    document: Document
    at: int
    problems: Problems

    def add(self, key: str, what: str, notes: tuple[str, ...]) -> None:
        line = self.document.line("gates", self.at, key)
        self.problems.add(self.document.file, line, f"gate {self.at + 1}: {what}", notes)


def _schema_reads(
    gate: SchemaGate, pipeline: PipelineFile, drafts: Sequence[Draft], complaints: _Complaints
) -> Place | None:
    places = [
        (draft.stage.name, output.path)
        for draft in drafts
        if draft.data == gate.data
        for output in draft.stage.outputs
        if output.role == "validation"
    ]
    if len(places) == 1:
        return places[0]
    notes: tuple[str, ...]
    if gate.data not in pipeline.data:
        what = f"there is no data set {shown(gate.data)}"
        notes = (*nearest(gate.data, pipeline.data), listing("data sets", pipeline.data))
    elif places:
        what = f"data set {gate.data!r} is validated by {' and '.join(place[0] for place in places)}"
        notes = ("keep one of these stages",)
    else:
        what = f"no stage validates data set {gate.data!r}"
        notes = (f"add a stage: `validate: {{uses: validate-data, data: {gate.data}}}`",)
    complaints.add("data", what, notes)
    return None


def _threshold_reads(gate: ThresholdGate, drafts: Sequence[Draft], complaints: _Complaints) -> Place | None:
    places = [(draft.stage.name, output) for draft in drafts for output in draft.stage.outputs]
    paths = [output.path for _, output in places]
    notes: tuple[str, ...]
    if gate.metrics is not None:
        for stage, output in places:
            if inside(gate.metrics, output.path):
                return stage, gate.metrics
        what = f"no stage writes {gate.metrics!r}"
        notes = (*nearest(gate.metrics, paths), listing("outputs", paths))
    else:
        found = [(stage, output.path) for stage, output in places if output.role == METRICS]
        found = found or [
            (stage, output.path)
            for stage, output in places
            if PurePosixPath(output.path).name == _METRICS_FILE
        ]
        if len(found) == 1:
            return found[0]
        what = "several outputs could hold its metric" if found else "no output is known to hold metrics"
        notes = (
            listing("candidates" if found else "outputs", [path for _, path in found] or paths),
            "name it: `metrics: <path>`",
        )
    complaints.add("metrics", what, notes)
    return None


def _listed(
    asked: ArchiveFile, document: Document, drafts: Sequence[Draft], problems: Problems
) -> list[Place]:
    found: list[Place] = []
    outputs = [(draft.stage.name, output) for draft in drafts for output in draft.stage.outputs]
    for at, name in enumerate(asked.contents or ()):
        chosen = [(stage, output.path) for stage, output in outputs if name in (output.path, output.role)]
        if not chosen:
            known = [output.path for _, output in outputs]
            roles = [output.role for _, output in outputs if output.role]
            problems.add(
                document.file,
                document.line("publish", "archive", "contents", at),
                f"`publish.archive.contents[{at}]`: no output is, or is called, {shown(name)}",
                (*nearest(name, [*known, *roles]), listing("outputs", known)),
            )
        found += chosen
    return found


def _usual(drafts: Sequence[Draft]) -> list[Place]:
    return [
        (draft.stage.name, output.path)
        for draft in drafts
        for output in draft.stage.outputs
        if output.role in _ARCHIVED_ROLES or _called_so(output.path)
    ]


def _called_so(path: str) -> bool:
    name = PurePosixPath(path).name
    return name == _METRICS_FILE or name.startswith("model")
