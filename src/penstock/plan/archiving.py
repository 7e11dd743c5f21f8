"""`publish: archive`: which outputs it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from penstock.plan.drafts import Draft
from penstock.plan.graph import Declared
from penstock.plan.model import Archive
from penstock.plan.problems import Problems, listing, nearest, shown
from penstock.plan.schema import ArchiveFile, PipelineFile, Publish
from penstock.plan.yaml_file import Document

_METRICS_FILE = "metrics.json"
_ARCHIVED_ROLES = ("model", "metrics")

Place = tuple[str, str]
"""(stage, output path)"""


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
