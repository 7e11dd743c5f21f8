"""`stages: {from: dvc.yaml}`: another tool's stages laid into a pipeline file, as if they were written there.

Stages of one's own stand beside them. One that has an imported stage's name, and no recipe, changes that
stage field by field: `train: {timeout: 2h}`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.plan.importers import dvc, mlproject
from penstock.plan.importers.found import ForeignStage, Imported, Names
from penstock.plan.paths import path_problem
from penstock.plan.problems import Line, Problems, listing, shown
from penstock.plan.reads import Reads
from penstock.plan.yaml_file import Document, Key
from penstock.record import Record

FROM, ENTRY_POINTS = "from", "entry_points"
KNOWN = (dvc.NAME, mlproject.NAME)

Values = Mapping[str, Mapping[str, Any]]


class Expanded(Record, kw_only=False):
    """A pipeline file with all its stages in it.

    Attributes:
        notes: What is not carried over, as `file:line: sentence`.
    """

    document: Document
    notes: tuple[str, ...] = ()


def expand(document: Document, reads: Reads, given: Values | None = None) -> Expanded:
    """A pipeline file with the stages that it takes from others.

    Args:
        document: Not checked yet.
        reads: Reads the other files, relative to its root.
        given: Values to take for those of a file of parameters, by its path.

    Raises:
        PipelineError: A file is not there, not what it should be, or says what cannot be carried over.
    """
    problems = Problems()
    root = dict(document.mapping)
    own = dict(root["stages"])
    files, entry_points = own.pop(FROM), own.pop(ENTRY_POINTS, None)
    params = root.get("params") if isinstance(root.get("params"), str) else None
    found: list[Imported] = []
    names = Names()
    asked = mlproject.Asked(document=document, entry_points=entry_points)
    for place, file in _files(files):
        match _format(file, document, place, problems):
            case mlproject.NAME:
                found.append(mlproject.read(file, reads, problems, names, asked))
                entry_points = None
            case dvc.NAME:
                found.append(dvc.read(file, reads, problems, names, params=params, given=given))
                params = params or found[-1].params
            case _:
                pass
    if entry_points is not None:
        what = f"`{ENTRY_POINTS}` belongs to `{FROM}: {mlproject.NAME}`"
        problems.add(document.file, document.line("stages", ENTRY_POINTS), what)
    problems.raise_if_any()
    laid = Document(document.file, root, dict(document.lines))
    root["stages"] = _stages(found, own, laid)
    if params is not None:
        root.setdefault("params", params)
    _lay_beside(found, root)
    return Expanded(laid, tuple(note for each in found for note in each.notes))


def _files(given: Any) -> Iterator[tuple[Key, Any]]:
    if isinstance(given, list):
        yield from ((("stages", FROM, at), each) for at, each in enumerate(given))
    else:
        yield ("stages", FROM), given


def format_of(file: str) -> str | None:
    """The name of the format that a file has, told by its own."""
    base = posixpath.basename(file).lower()
    return next((name for name in KNOWN if name.lower() == base), None)


def _format(file: Any, document: Document, place: Key, problems: Problems) -> str | None:
    """The name of the format of a file that may be one; what is wrong goes to `problems`."""
    problem = path_problem(file, pattern=False) if isinstance(file, str) else ("which is no path",)
    if problem is None:
        name = format_of(file)
        if name is not None:
            return name
        problem = ("which is none of the files that stages can be taken from", listing("files", KNOWN))
    what = f"`{FROM}` is {shown(file)}, {problem[0]}"
    problems.add(document.file, document.line(*place), what, problem[1:])
    return None


def _stages(found: list[Imported], own: dict[str, Any], document: Document) -> dict[str, Any]:
    """All stages; those of other files first."""
    stages: dict[str, Any] = {}
    for imported in found:
        for stage in imported.stages:
            stages[stage.name] = _changed(stage, own.get(stage.name))
            _place(stage, imported.file, own.get(stage.name), document)
    return {**stages, **{name: stage for name, stage in own.items() if name not in stages}}


def _changed(stage: ForeignStage, own: Any) -> Any:
    if own is None:
        return dict(stage.fields)
    if not isinstance(own, dict) or "uses" in own:
        return own
    variables = own.get("variables")
    merged = {**stage.fields, **own}
    if isinstance(variables, dict):
        merged["variables"] = {**stage.fields.get("variables", {}), **variables}
    return merged


def _place(stage: ForeignStage, file: str, own: Any, document: Document) -> None:
    """Have messages name the other file where it says what they are about."""
    given = own if isinstance(own, dict) else {}
    for place, line in stage.lines.items():
        if not place or place[0] not in given:
            document.lines["stages", stage.name, *place] = Line(line, file)


def _lay_beside(found: list[Imported], root: dict[str, Any]) -> None:
    """Add what stages need beside them, where the pipeline file does not say it itself."""
    for imported in found:
        for key, value in (("data", imported.data), ("environment", imported.environment)):
            before = root.get(key)
            if value and isinstance(before, dict | None):
                root[key] = {**value, **(before or {})}
