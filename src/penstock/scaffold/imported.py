"""What importers find in other tools' files, in a draft: as stages of its own, or by reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.errors import PipelineError
from penstock.plan.importers import dvc, mlproject
from penstock.plan.importers.found import ANY_PYTHON, ForeignStage, Imported, Names
from penstock.plan.importing import format_of
from penstock.plan.problems import PipelineErrors, Problems
from penstock.plan.reads import Reads
from penstock.scaffold.draft import Draft, Item, Setting, StageDraft
from penstock.scaffold.render import flow
from penstock.scaffold.repository import Repository

_TOLD = ("DVC_ROOT", "DVC_STAGE")  # what a process started by DVC can ask for
_ASKS = ("DVC_ROOT", "DVC_STAGE", "dvclive")


def find(repository: Repository) -> str | None:
    """The file of another tool that a pipeline could take its stages from: the one in the root."""
    names = sorted(path for path in repository.files if "/" not in path and format_of(path) is not None)
    return names[0] if names else None


def read(file: str, repository: Repository, params: str | None = None, asked: Any = None) -> Imported:
    """What an importer makes of a file.

    Args:
        file: Relative to the repository's root.
        repository: Holds it.
        params: The pipeline's own file of parameters, if it has one.
        asked: The entry points of an `MLproject` that are wanted; `main` if absent.

    Raises:
        PipelineError: The file cannot be carried over; tells up to ten problems at once.
    """
    problems = Problems()
    reads = Reads(root=repository.root)
    if format_of(file) == dvc.NAME:
        found = dvc.read(file, reads, problems, Names(), params=params)
    else:
        wanted = mlproject.Asked(entry_points=asked)
        found = mlproject.read(file, reads, problems, Names(), wanted)
    problems.raise_if_any()
    return found


def refer(draft: Draft, file: str, repository: Repository, params: str | None) -> bool:
    """Have a draft take its stages from a file; whether it can."""
    try:
        found = read(file, repository, params)
    except PipelineError as error:
        several = error.problems if isinstance(error, PipelineErrors) else (error,)
        told = [str(each).replace("\n  ", "; ") for each in several]
        draft.left_out += told
        draft.source = Setting(file, refused="; ".join(told)[:500])
        return False
    draft.source = Setting(file, about=list(found.notes))
    draft.left_out += found.notes
    draft.foreign = [_stage(stage, found.file) for stage in found.stages]
    draft.found.append((file, ", ".join(stage.name for stage in draft.foreign[:8])))
    return bool(draft.foreign)


def write_out(draft: Draft, found: Imported, repository: Repository) -> None:
    """Have a draft say itself what a file comes to."""
    draft.imported_from = found.file
    variables = _asked_for(repository)
    for stage in found.stages:
        made = _stage(stage, found.file)
        made.settings = dict(_settings(stage.fields, variables=variables))
        draft.stages.append(made)
    if found.params is not None:
        draft.params = Setting(found.params)
    draft.data |= {name: dict(data) for name, data in found.data.items()}
    draft.notes += found.notes
    draft.left_out += found.notes
    environment = found.environment
    if environment.get("python", ANY_PYTHON) != ANY_PYTHON:
        draft.python = Setting(environment["python"], [f"as {found.file} has it"])
    if "requirements" in environment:
        draft.requirements = Setting(environment["requirements"])
    draft.packages = list(environment.get("packages", ()))
    draft.image = environment.get("image", "")


def _stage(stage: ForeignStage, file: str) -> StageDraft:
    fields = stage.fields
    about = [
        f"{file}:{stage.line}" + (f", called '{stage.called}' there" if stage.called != stage.name else "")
    ]
    if fields.get("description"):
        about.append(str(fields["description"]))
    outputs = fields.get("outputs", [])
    roles = outputs if isinstance(outputs, dict) else {}
    return StageDraft(
        name=stage.name,
        run=str(fields["run"]),
        about=about,
        inputs=[Item(path, pattern=True) for path in fields.get("inputs", ())],
        outputs=[Item(path, role=role) for role, path in roles.items()] or [Item(path) for path in outputs],
        params=list(fields.get("params", ())),
        cache=fields.get("cache", True) is True,
    )


def _settings(fields: Mapping[str, Any], *, variables: bool) -> Iterator[tuple[str, str]]:
    """Further lines of a stage, as they stand in the file."""
    given = {
        name: value
        for name, value in fields.get("variables", {}).items()
        if name not in _TOLD or variables or name in fields["run"]
    }
    if given:
        yield "variables", flow(given)
    if fields.get("persist"):
        yield "persist", flow(list(fields["persist"]))
    for key in ("observe", "overwrite"):
        if fields.get(key):
            yield key, "true"


def _asked_for(repository: Repository) -> bool:
    """Whether any script asks what only DVC tells its commands."""
    scripts = (path for path in repository.files if path.endswith((".py", ".sh", ".txt", ".toml")))
    return any(sign in (repository.text(path) or "") for path in scripts for sign in _ASKS)
