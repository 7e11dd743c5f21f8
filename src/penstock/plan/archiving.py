"""Which outputs are published: by `publish: archive`, and by all else that publishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from penstock.plan.drafts import Draft
from penstock.plan.graph import Declared
from penstock.plan.model import Archive
from penstock.plan.problems import Problems, listing, nearest, shown
from penstock.plan.schema import PipelineFile
from penstock.plan.schema_publish import Publish
from penstock.plan.yaml_file import Document

_METRICS_FILE = "metrics.json"

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

    def unknown(at: int, name: str, notes: tuple[str, ...]) -> None:
        what = f"`publish.archive.contents[{at}]`: no output is, or is called, {shown(name)}"
        problems.add(document.file, document.line("publish", "archive", "contents", at), what, notes)

    contents = listed(drafts, asked.contents, unknown) if asked.contents is not None else usual(drafts)
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


def listed(
    drafts: Sequence[Draft], names: Sequence[str], unknown: Callable[[int, str, tuple[str, ...]], None]
) -> list[Place]:
    """The outputs of these paths or roles.

    Args:
        unknown: Told of a name that means none: its position, itself, and notes.
    """
    found: list[Place] = []
    outputs = [(draft.stage.name, output) for draft in drafts for output in draft.stage.outputs]
    for at, name in enumerate(names):
        chosen = [(stage, output.path) for stage, output in outputs if name in (output.path, output.role)]
        if not chosen:
            known = [output.path for _, output in outputs]
            roles = [output.role for _, output in outputs if output.role]
            unknown(at, name, (*nearest(name, [*known, *roles]), listing("outputs", known)))
        found += chosen
    return found


def usual(drafts: Sequence[Draft]) -> list[Place]:
    """Models and metrics: what is published where the file names nothing."""
    return [*models(drafts), *of_roles(drafts, "metrics", _METRICS_FILE)]


def models(drafts: Sequence[Draft]) -> list[Place]:
    """The outputs that are models, by their role or name."""
    return [
        (draft.stage.name, output.path)
        for draft in drafts
        for output in draft.stage.outputs
        if output.role == "model" or PurePosixPath(output.path).name.startswith("model")
    ]


def of_roles(drafts: Sequence[Draft], *roles: str) -> list[Place]:
    """The outputs in these roles, or whose file is called so."""
    return [
        (draft.stage.name, output.path)
        for draft in drafts
        for output in draft.stage.outputs
        if output.role in roles or PurePosixPath(output.path).name in roles
    ]
