"""`dvc.yaml` as stages, as far as it says things that a pipeline file can say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from penstock.errors import PipelineError
from penstock.plan import yaml_file
from penstock.scaffold.chain import code, role_of, slug, unique
from penstock.scaffold.draft import Draft, Item, StageDraft
from penstock.scaffold.source import Library

FILE = "dvc.yaml"
_LISTS = ("deps", "outs", "metrics", "plots", "params")
_KNOWN = frozenset({"cmd", "desc", "meta", "always_changed", *_LISTS})
_STORAGE = frozenset({"cache", "desc", "type", "labels", "meta", "remote", "push", "hash"})
_DRAWING = frozenset({"x", "y", "x_label", "y_label", "title", "template", "header"})


class _RefusedError(Exception):
    """A stage that cannot be carried over, and why."""


@dataclass(slots=True)
class _Reading:
    document: yaml_file.Document
    draft: Draft
    library: Library
    params_file: str
    bases: set[str]
    taken: set[str] = field(default_factory=set)

    def where(self, *path: str | int) -> str:
        return f"{FILE}:{self.document.line(*path)}"

    def leave_out(self, what: str, *path: str | int) -> str:
        text = f"{self.where(*path)}: {what}"
        self.draft.left_out.append(text)
        return text


def read(draft: Draft, library: Library, *, params_file: str, bases: set[str]) -> bool:
    """Add the stages of `dvc.yaml`; whether there were any.

    Args:
        params_file: What `params` of a stage are about when they name no file.
        bases: Gets the directories that must be on the module search path.
    """
    repository = library.repository
    if FILE not in repository.files:
        return False
    try:
        document = yaml_file.parse_mapping(repository.data(FILE) or b"", FILE)
    except PipelineError as error:
        draft.left_out.append(str(error).replace("\n  ", "; "))
        return False
    top = document.value if isinstance(document.value, dict) else {}
    reading = _Reading(document, draft, library, params_file, bases, {stage.name for stage in draft.stages})
    for key in top:
        if key != "stages":
            draft.notes.append(reading.leave_out(f"'{key}' is not carried over", key))
    stages = top.get("stages")
    if not isinstance(stages, dict):
        return False
    for name, stage in stages.items():
        draft.stages.append(_stage(reading, name, stage))
    draft.found.append(("dvc.yaml", ", ".join(list(stages)[:8])))
    return bool(stages)


def _stage(reading: _Reading, name: str, stage: object) -> StageDraft:
    found = StageDraft(unique(slug(name, "stage"), reading.taken), about=[reading.where("stages", name)])
    told = len(reading.draft.left_out)
    try:
        _fill(reading, found, name, stage if isinstance(stage, dict) else {})
    except _RefusedError as refused:
        found.refused = f"{reading.where('stages', name)}: stage '{name}': {refused}"
        command = stage.get("cmd") if isinstance(stage, dict) else None
        found.run = found.run or str(command or "")
    found.about += reading.draft.left_out[told:]
    if found.refused:
        reading.draft.left_out.append(found.refused)
    return found


def _fill(reading: _Reading, found: StageDraft, name: str, stage: dict[str, object]) -> None:
    for key in ("foreach", "matrix"):
        if key in stage:
            raise _RefusedError(f"`{key}` is not carried over; write its stages out")
    if stage.get("wdir") not in (None, "."):
        raise _RefusedError(f"`wdir: {stage['wdir']}` is not carried over; every stage runs in the root")
    _refuse_templates(stage)
    found.run = _command(stage.get("cmd"))
    if found.name != name:
        found.about.append(f"called '{name}' there")
    if isinstance(stage.get("desc"), str):
        found.about.append(str(stage["desc"]))
    found.cache = stage.get("always_changed") is not True
    found.inputs = [Item(path) for path, _ in _paths(reading, name, stage, "deps")]
    found.outputs = list(_outputs(reading, name, stage))
    _params(reading, found, stage)
    _imports(reading, found)
    for key in stage:
        if key not in _KNOWN | {"wdir"}:
            reading.leave_out(f"`{key}` is not carried over", "stages", name, key)


def _refuse_templates(value: object) -> None:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and "${" in each:
            raise _RefusedError(f"`{each.strip().splitlines()[0]}` is a template; write its value")


def _command(value: object) -> str:
    lines = value if isinstance(value, list) else [value]
    if not lines or not all(isinstance(line, str) and line.strip() for line in lines):
        raise _RefusedError("it has no `cmd`")
    return "\n".join(str(line).strip() for line in lines)


def _paths(
    reading: _Reading, name: str, stage: dict[str, object], key: str
) -> Iterator[tuple[str, dict[str, object]]]:
    listed = stage.get(key) or []
    for number, item in enumerate(listed if isinstance(listed, list) else [listed]):
        if isinstance(item, str):
            yield _clean(item), {}
        elif isinstance(item, dict):
            for path, given in item.items():
                options = given if isinstance(given, dict) else {}
                for option in options:
                    if option not in _STORAGE | _DRAWING:
                        reading.leave_out(
                            f"`{option}` of {path} is not carried over", "stages", name, key, number
                        )
                yield _clean(path), options
        else:
            raise _RefusedError(f"`{key}` holds {item!r}, which is no path")


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", ".")) if path[:1] != "/" else path


def _outputs(reading: _Reading, name: str, stage: dict[str, object]) -> Iterator[Item]:
    for key in ("outs", "metrics", "plots"):
        for path, _ in _paths(reading, name, stage, key):
            metrics = key == "metrics" and path.endswith(".json")
            role = "metrics" if metrics else role_of(path) if key == "outs" else ""
            yield Item(
                path, "" if key == "outs" else key, "" if role == "metrics" and key == "outs" else role
            )


def _params(reading: _Reading, found: StageDraft, stage: dict[str, object]) -> None:
    listed = stage.get("params") or []
    for item in listed if isinstance(listed, list) else [listed]:
        if isinstance(item, str):
            _param(reading, found, reading.params_file or "params.yaml", [item])
        elif isinstance(item, dict):
            for path, keys in item.items():
                _param(
                    reading, found, _clean(path), [str(key) for key in keys] if isinstance(keys, list) else []
                )


def _param(reading: _Reading, found: StageDraft, path: str, keys: list[str]) -> None:
    if path == reading.params_file and keys:
        found.params += [key for key in keys if key not in found.params]
    elif all(item.path != path for item in found.inputs):
        found.inputs.append(Item(path, "the whole file: only params.yaml is read by keys"))


def _imports(reading: _Reading, found: StageDraft) -> None:
    """DVC runs in the work tree and needs no list of what a script imports; a workspace does."""
    files = reading.library.repository.files
    given = [item.path for item in found.inputs]
    for word in _words(found.run):
        module = word.replace(".", "/") + ".py" if re.fullmatch(r"[\w.]+", word) else ""
        scripts = [
            path for path in (_clean(word), module, f"src/{module}") if path.endswith(".py") and path in files
        ]
        for script in scripts[:1]:
            closure = reading.library.closure(script)
            for source in closure:
                reading.bases |= source.bases
            if scripts[0].startswith("src/") and scripts[0] != _clean(word):
                reading.bases.add("src")
            for item in code(closure):
                if not any(item.path == path or item.path.startswith(f"{path}/") for path in given):
                    given.append(item.path)
                    how = "the command names it" if item.path == script else f"{script} imports it"
                    found.inputs.append(Item(item.path, f"not in dvc.yaml: {how}"))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
