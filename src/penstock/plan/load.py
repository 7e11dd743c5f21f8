"""From a pipeline file to a plan: read, overlay, check, expand, link."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from penstock.errors import PipelineError
from penstock.plan import graph
from penstock.plan import overlay as overlays
from penstock.plan.archiving import archive_of
from penstock.plan.asking import Asking
from penstock.plan.compiled import plan_digest
from penstock.plan.complaints import complain
from penstock.plan.drafts import Draft, Drafting
from penstock.plan.gating import gates_of
from penstock.plan.model import Overlay, Plan, Secret, Setting, Stage
from penstock.plan.packaging import imply_packages
from penstock.plan.paths import path_problem
from penstock.plan.problems import Problems, shown
from penstock.plan.publishing import deliveries_of
from penstock.plan.reads import DIRECTORY, FILE, Reads, presence
from penstock.plan.schema import PipelineFile
from penstock.plan.yaml_file import Document, Key, parse_mapping, read_file
from penstock.record import Record, replace


class Loaded(Record):
    """A plan and what it rests on.

    Attributes:
        root: Absolute.
        read: Absolute path → digest or presence, of everything that was looked at.
    """

    root: Path
    plan: Plan
    read: Mapping[str, str]


def load(pipeline_path: Path, overlay: Overlay, reads: Reads | None = None) -> Loaded:
    """The plan that a pipeline file and an overlay come to.

    Args:
        reads: Told what is looked at, also where that ends in an error; moved to the pipeline's root.

    Raises:
        PipelineError: The file, or one that it names, is wrong; tells up to ten problems at once.
        UsageError: The overlay names what is not there.
    """
    name = os.path.relpath(pipeline_path) if pipeline_path.is_absolute() else str(pipeline_path)
    data = read_file(pipeline_path, name)
    written = parse_mapping(data, name)
    reads = reads or Reads(root=pipeline_path.absolute().parent)
    document, notes = _expanded(written, pipeline_path, reads)
    pipeline = _validated(document)
    overlay = replace(overlay, profile=overlays.choose_profile(overlay, pipeline.profiles))
    root = find_root(pipeline_path, pipeline.root, document)
    reads.root = root
    reads.content(pipeline_path.absolute(), data)
    file = os.path.relpath(pipeline_path.absolute(), root)
    merged, pipeline = _laid(document, pipeline, overlay, file)
    params, params_file = _params(pipeline, document, overlay, reads, file)
    if document is not written and params.overridden:
        # what other tools' files make of parameters is made of the ones that count
        document, notes = _expanded(written, pipeline_path, reads, {params_file: params.nested()})
        merged, pipeline = _laid(document, _validated(document), overlay, file)
    compiler = _Compiler(
        pipeline=pipeline, document=merged.document, file=file, overlay=overlay, params=params, reads=reads
    )
    plan = replace(compiler.plan(params_file, overlays.file_settings(merged, file)), notes=notes)
    return Loaded(root=root, plan=replace(plan, digest=plan_digest(plan)), read=reads.seen)


def _expanded(
    document: Document,
    pipeline_path: Path,
    reads: Reads,
    given: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Document, tuple[str, ...]]:
    """The file with the stages in it that it takes from other tools' files, and notes on them."""
    stages = document.mapping.get("stages")
    if not isinstance(stages, dict) or not isinstance(stages.get("from"), str | list):
        return document, ()
    from penstock.plan import importing

    declared = document.mapping.get("root")
    reads.root = find_root(pipeline_path, declared if isinstance(declared, str) else None, document)
    expanded = importing.expand(document, reads, given)
    return expanded.document, expanded.notes


def _laid(
    document: Document, pipeline: PipelineFile, overlay: Overlay, file: str
) -> tuple[overlays.Merged, PipelineFile]:
    """The file with its profile laid over it, and checked again if there is one."""
    if overlay.profile is None:
        return overlays.Merged(document), pipeline
    merged = overlays.merge_profile(document, overlay.profile, file)
    return merged, _validated(merged.document)


def find_root(pipeline_path: Path, declared: str | None, document: Document) -> Path:
    """The directory that a pipeline's paths are relative to.

    Raises:
        PipelineError: `root` is absolute or no directory.
    """
    where = f"{document.file}:{document.line('root')}"
    base = pipeline_path.absolute().parent
    if declared is None:
        return Path(os.path.normpath(base.parent if base.name == "pipelines" else base))
    if declared.startswith(("/", "~")):
        raise PipelineError(
            f"`root` is {shown(declared)}, which is not there on another machine",
            where=where,
            notes=("write it relative to this file",),
        )
    root = Path(os.path.normpath(base / declared))
    if presence(str(root)) != DIRECTORY:
        raise PipelineError(
            f"`root` is {shown(declared)}, which is no directory",
            where=where,
            notes=("write it relative to the directory of this file",),
        )
    return root


def _validated(document: Document) -> PipelineFile:
    problems = Problems()
    try:
        pipeline = PipelineFile.model_validate(document.value)
    except ValidationError as error:
        complain(error, PipelineFile, document, problems)
        problems.raise_if_any()
        raise  # pragma: no cover - a validation error has at least one finding
    overlays.check_profiles(document, problems)
    problems.raise_if_any()
    return pipeline


def _params(
    pipeline: PipelineFile, document: Document, overlay: Overlay, reads: Reads, file: str
) -> tuple[overlays.Params, str]:
    """The parameters after all overlays, and where stages find theirs."""
    params = overlays.Params()
    params_file = "params.yaml"
    if isinstance(pipeline.params, str):
        params_file = pipeline.params
        _declare_file(params, params_file, document, reads)
    elif pipeline.params is not None:
        _declare(params, pipeline.params, document, ("params",), file)
    if overlay.profile is not None:
        profile = pipeline.profiles[overlay.profile]
        overlays.lay_profile(params, profile.params, overlay.profile, file, document)
    overlays.lay_environment(params, overlay)
    overlays.lay_sets(params, overlay)
    return params, params_file


def _declare_file(params: overlays.Params, path: str, document: Document, reads: Reads) -> None:
    if reads.presence(path) != FILE:
        raise PipelineError(
            f"`params` is {path!r}, which is no file",
            where=f"{document.file}:{document.line('params')}",
            notes=(f"it is looked for at {os.path.relpath(reads.root / path)}",),
        )
    data = read_file(reads.root / path, path)
    reads.content(reads.root / path, data)
    found = parse_mapping(data, path)
    _declare(params, found.mapping, found, (), path)


def _declare(
    params: overlays.Params, values: Mapping[str, Any], document: Document, above: Key, file: str
) -> None:
    try:
        params.declare(values, lambda path: f"{file}:{document.line(*above, *path)}")
    except ValueError as error:
        path, what = error.args
        raise PipelineError(what, where=f"{document.file}:{document.line(*above, *path)}") from None


class _Compiler(Record, frozen=False):
    """Turns a checked pipeline file into a plan, noting what does not fit together."""

    pipeline: PipelineFile
    document: Document
    file: str
    overlay: Overlay
    params: overlays.Params
    reads: Reads

    def plan(self, params_file: str, settings: tuple[Setting, ...]) -> Plan:
        problems = Problems()
        asking = Asking(pipeline=self.pipeline, document=self.document, reads=self.reads, problems=problems)
        asking.ask()
        imply_packages(asking)
        drafting = Drafting(
            pipeline=self.pipeline,
            document=self.document,
            overlay=self.overlay,
            params=self.params,
            params_file=params_file,
            reads=self.reads,
            problems=problems,
            asking=asking,
        )
        drafts = drafting.drafts()
        reserved = self._reserved(drafts, params_file)
        nodes = [draft.node for draft in drafts]
        links, order = graph.link(nodes, reserved, self.document.file, problems)
        gates = gates_of(asking, drafts)
        archive, declared = archive_of(self.pipeline, self.document, drafts, problems)
        if declared is not None:
            graph.refuse_archive_overlap(declared, nodes, reserved, self.document.file, problems)
        deliveries = deliveries_of(self.pipeline, self.document, drafts, self.reads, problems)
        problems.raise_if_any()
        stages = {draft.stage.name: _linked(draft, links[draft.stage.name]) for draft in drafts}
        return Plan(
            name=self.pipeline.name,
            pipeline_file=self.file,
            profile=self.overlay.profile,
            stages=tuple(stages[name] for name in order),
            gates=gates,
            archive=archive,
            deliveries=deliveries,
            secrets=self._secrets(),
            ignore=tuple(self.pipeline.ignore),
            on_inconclusive=self.pipeline.policy.on_inconclusive,
            holdout_budget=self.pipeline.policy.holdout_budget,
            params=self.params.nested(),
            settings=(*self.params.settings(), *settings),
        )

    def _reserved(self, drafts: list[Draft], params_file: str) -> dict[str, str]:
        """What no stage may write over → what it is."""
        found = {}
        if path_problem(self.file, pattern=False) is None:
            found[self.file] = "the pipeline file"
        if isinstance(self.pipeline.params, str):
            found[params_file] = "the parameter file"
        for draft in drafts:
            lock = draft.stage.environment.requirements
            if lock is not None:
                found[lock] = "the lock file"
        for secret in self.pipeline.secrets.values():
            if (
                secret is not None
                and secret.file is not None
                and path_problem(secret.file, pattern=False) is None
            ):
                found[secret.file] = "the secret"
        return found

    def _secrets(self) -> tuple[Secret, ...]:
        found = []
        for name, source in self.pipeline.secrets.items():
            file = source.file if source else None
            env = source.env if source else None
            found.append(Secret(name=name, env=None if file else env or name, file=file))
        return tuple(found)


def _linked(draft: Draft, links: graph.Links) -> Stage:
    return replace(draft.stage, sources=links.sources, produced=links.produced)
