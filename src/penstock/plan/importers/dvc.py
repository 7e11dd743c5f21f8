"""`dvc.yaml` as stages of a pipeline file."""

from __future__ import annotations

import glob
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.errors import PipelineError
from penstock.plan.importers import dvc_file
from penstock.plan.importers.dvc_entries import DEFAULT_PARAMS, Entries, Entry
from penstock.plan.importers.dvc_outputs import Out, declared, outputs, said_of
from penstock.plan.importers.found import ANY_PYTHON, ForeignStage, Imported, Names
from penstock.plan.importers.reading import content
from penstock.plan.importers.shell import script
from penstock.plan.paths import inside, is_pattern, path_problem
from penstock.plan.problems import Problems, shown
from penstock.plan.reads import ABSENT, DIRECTORY, FILE, Reads
from penstock.plan.yaml_file import Document, Key, parse_mapping
from penstock.record import Record, field

NAME = "dvc.yaml"
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*://")


def read(
    path: str,
    reads: Reads,
    problems: Problems,
    names: Names,
    *,
    params: str | None = None,
    given: Mapping[str, Mapping[str, Any]] | None = None,
) -> Imported:
    """The stages of a `dvc.yaml`.

    Args:
        path: Of the file, relative to the root of `reads`.
        reads: Reads it and what it names.
        problems: Gets what DVC refuses too, and what no pipeline can have.
        names: Gives the stages theirs.
        params: The pipeline's own file of parameters, if it has one.
        given: Values to take for those of a file, by its path.

    Raises:
        PipelineError: The file is not there, or not YAML.
    """
    document = dvc_file.read(content(path, reads), path, problems)
    if problems:
        return Imported(file=path, stages=())
    entries = Entries(document=document, reads=reads, problems=problems, given=given or {})
    found = entries.all()
    reading = _Reading(document=document, entries=entries, reads=reads, problems=problems, names=names)
    return reading.imported(found, params)


class _Param(Record, kw_only=False):
    """A parameter file that a stage declares; all of it if there are no keys."""

    path: str
    keys: tuple[str, ...]
    place: Key


class _Reading(Record, frozen=False):
    """Turns resolved entries into stages."""

    document: Document
    entries: Entries
    reads: Reads
    problems: Problems
    names: Names
    notes: list[tuple[int, str]] = field(default_factory=list)
    data: dict[str, dict[str, str]] = field(default_factory=dict)
    writers: dict[str, str] = field(default_factory=dict)
    """Output → its stage."""
    inner: dict[str, str] = field(default_factory=dict)
    """Directory → an output that lies in it."""

    def imported(self, found: Sequence[Entry], params: str | None) -> Imported:
        """All of the file."""
        params = params or self._params_file(found)
        values = self._values(params)
        roles = self._top()
        stages = []
        for entry in found:
            if entry.values.get("frozen"):
                what = f"stage {entry.name!r} is frozen: it is not run, what it wrote is read as it stands"
                self._note(entry.place, what)
                self._refuse_overlaps(entry, list(self._outs(entry, self._folder(entry))))
            else:
                stages.append(self._stage(entry, params, values, roles))
        notes = dict.fromkeys(f"{self.document.file}:{line}: {what}" for line, what in sorted(self.notes))
        return Imported(
            file=self.document.file,
            stages=tuple(stages),
            params=params if values is not None else None,
            data=self.data,
            environment={"python": ANY_PYTHON},
            notes=tuple(notes),
        )

    def _note(self, place: Key, what: str) -> None:
        self.notes.append((self.document.line(*place), what))

    def _refuse(self, place: Key, what: str, *notes: str) -> None:
        self.problems.add(self.document.file, self.document.line(*place), what, notes)

    def _folder(self, entry: Entry) -> str:
        """Where a stage runs, relative to the root; empty for the root, and where that is outside."""
        folder = posixpath.normpath(posixpath.join(self.entries.folder, str(entry.values.get("wdir") or ".")))
        if folder.startswith(("..", "/")):
            what = f"stage {entry.name!r}: it runs in {shown(folder)}, outside of the project"
            self._refuse((*entry.place, "wdir"), what, "let `root` be the directory that holds it")
            return ""
        return "" if folder == "." else folder

    def _stage(
        self,
        entry: Entry,
        params: str | None,
        values: Mapping[str, Any] | None,
        roles: Mapping[str, str],
    ) -> ForeignStage:
        folder = self._folder(entry)
        lines: dict[Key, int] = {(): self.document.line(*entry.place)}
        outs = list(self._outs(entry, folder))
        self._refuse_overlaps(entry, outs)
        inputs = dict(self._deps(entry, folder))
        keys: list[str] = []
        for each in _params(entry, folder):
            if each.path == params and each.keys and values is not None and not _covers(inputs, each.path):
                keys += self._keys(entry, each, values)
            elif self.reads.presence(each.path) == FILE:
                inputs.setdefault(each.path, self.document.line(*each.place))
            else:
                self._refuse(
                    each.place, f"stage {entry.name!r}: the parameter file {each.path!r} is not there"
                )
        fields = self._fields(entry, folder, outs)
        fields["inputs"] = list(inputs)
        if keys:
            fields["params"] = list(dict.fromkeys(keys))
        if outs:
            fields["outputs"], lines_of = declared(outs, roles)
            lines |= {("outputs", key): self.document.line(*place) for key, place in lines_of.items()}
        lines |= {("inputs", at): line for at, line in enumerate(inputs.values())}
        name = self.names.give(entry.name, self.entries.folder)
        return ForeignStage(name=name, called=entry.name, fields=fields, line=lines[()], lines=lines)

    def _fields(self, entry: Entry, folder: str, outs: Sequence[Out]) -> dict[str, Any]:
        """All but paths and parameters."""
        values = entry.values
        file = self.document.file
        top = posixpath.relpath(".", folder) if folder else "."
        fields: dict[str, Any] = {
            "run": script(self._commands(entry), folder),
            "variables": {
                "DVC_ROOT": top,
                "DVC_STAGE": entry.name if file == NAME else f"{file}:{entry.name}",
            },
            "observe": True,
            "overwrite": True,
        }
        if isinstance(values.get("desc"), str) and values["desc"].strip():
            fields["description"] = values["desc"]
        if kept := [out.path for out in outs if out.persist]:
            fields["persist"] = kept
        # what has neither dependencies nor outputs runs at every `dvc repro`
        if values.get("always_changed") or not any(
            values.get(key) for key in ("deps", "params", *dvc_file.OUTPUTS)
        ):
            fields["cache"] = False
        for key, what in (("meta", "is for people"),):
            if values.get(key):
                self._note((*entry.place, key), f"`{key}` of stage {entry.name!r} {what}: not carried over")
        return fields

    def _commands(self, entry: Entry) -> list[str]:
        """Each in a shell of its own: DVC takes the lines of a text for several."""
        given = entry.values.get("cmd")
        lines = given.splitlines() if isinstance(given, str) else given if isinstance(given, list) else []
        commands = [line for line in lines if isinstance(line, str) and line.strip()]
        if len(commands) < len([line for line in lines if line]) or not commands:
            self._refuse(
                (*entry.place, "cmd"), f"stage {entry.name!r}: `cmd` comes to {shown(given)}, no command"
            )
        return commands or ["false"]

    def _deps(self, entry: Entry, folder: str) -> Iterator[tuple[str, int]]:
        for at, dep in enumerate(entry.values.get("deps") or []):
            place = (*entry.place, "deps", at)
            text = str(dep)
            path = posixpath.normpath(posixpath.join(folder, text))
            if _ELSEWHERE.match(text) or path.startswith(("/", "..")):
                what = f"dependency {shown(text)} of stage {entry.name!r} is outside of the project"
                self._note(place, f"{what}: a change there goes unnoticed")
                continue
            line = self.document.line(*place)
            problem = path_problem(path, pattern=False) if not is_pattern(path) and path != "." else None
            if problem is not None:
                self._note(place, f"dependency {shown(text)} of stage {entry.name!r}, {problem[0]}: left out")
                continue
            self._fetched(path)
            yield self._selection(path), line

    def _selection(self, path: str) -> str:
        """A path as an input: signs of patterns in it stand for themselves."""
        if path == ".":
            return "**"
        if not is_pattern(path):
            return path
        return glob.escape(path) + ("/**" if self.reads.presence(path) == DIRECTORY else "")

    def _fetched(self, path: str) -> None:
        """Declare data that DVC keeps and that are not there: a path, or a directory above it."""
        while path and self.reads.presence(f"{path}.dvc") != FILE:
            path = posixpath.dirname(path)
        # whether data are there is looked up last: a plan from afar brings over what is looked up
        if path and self.reads.presence(path) == ABSENT:
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", path).strip("-._")[:60] or "data"
            self.data.setdefault(name, {"dvc": f"{path}.dvc"})

    def _outs(self, entry: Entry, folder: str) -> Iterator[Out]:
        for out in outputs(entry, folder):
            problem = path_problem(out.path, pattern=False)
            if _ELSEWHERE.match(out.given) or out.path.startswith(("/", "..")):
                problem = ("which is outside of the project", "let the stage write below the project")
            if problem is not None:
                what = f"stage {entry.name!r}: output {shown(out.given)}, {problem[0]}"
                self._refuse(out.place, what, *problem[1:])
                continue
            for what in said_of(out):
                self._note(out.place, f"{what} of output {shown(out.given)} is not carried over")
            yield out

    def _refuse_overlaps(self, entry: Entry, outs: Sequence[Out]) -> None:
        """Every file has one writer, frozen stages counted."""
        for out in outs:
            folders = list(_folders(out.path))
            held = next((path for path in (out.path, *folders) if path in self.writers), None)
            other = held or self.inner.get(out.path)
            if other is not None:
                both = f"{self.writers[other]}, {entry.name}"
                what = f"output {other!r} is specified in: {both}"
                if other != out.path:
                    what = f"the output paths {other!r} and {out.path!r} overlap, those of {both}"
                self._refuse(
                    out.place, what, "dvc refuses this too: give every output one path and one stage"
                )
            self.writers.setdefault(out.path, entry.name)
            for folder in folders:
                self.inner.setdefault(folder, out.path)

    def _keys(self, entry: Entry, param: _Param, values: Mapping[str, Any]) -> Iterator[str]:
        """Parameters by name; where DVC counts into a list, all of the list."""
        for key in param.keys:
            name: list[str] = []
            inner: Any = values
            for part in key.split("."):
                if not isinstance(inner, dict) or part not in inner:
                    break
                name.append(part)
                inner = inner[part]
            if not name or (len(name) < key.count(".") + 1 and not isinstance(inner, list)):
                what = f"stage {entry.name!r}: parameter {shown(key)} is missing from {param.path!r}"
                self._refuse(param.place, what, "dvc refuses this too")
            else:
                yield ".".join(name)

    def _params_file(self, found: Sequence[Entry]) -> str | None:
        """The file that most stages name parameters of."""
        used = Counter(
            each.path
            for entry in found
            for each in _params(entry, self._folder(entry))
            if each.keys and each.path.endswith((".yaml", ".yml"))
        )
        default = posixpath.join(self.entries.folder, DEFAULT_PARAMS)
        return default if used[default] else next((path for path, _ in used.most_common(1)), None)

    def _values(self, path: str | None) -> Mapping[str, Any] | None:
        """The parameters of a file, if Penstock can take single ones from it."""
        if path is None or self.reads.presence(path) != FILE:
            return None
        try:
            values = parse_mapping(content(path, self.reads), path).mapping
        except PipelineError:
            return None
        return values if _nameable(values) else None

    def _top(self) -> dict[str, str]:
        """Paths that the file calls metrics, or models, outside of its stages → their roles."""
        top = self.document.mapping
        for key in ("plots", "datasets"):
            if top.get(key):
                self._note((key,), f"`{key}` is not carried over: reports of Penstock draw their own")
        folder = self.entries.folder
        metrics = self.entries.top("metrics")
        artifacts = self.entries.top("artifacts") or {}
        roles = {}
        for name, artifact in artifacts.items() if isinstance(artifacts, dict) else ():
            given = artifact if isinstance(artifact, dict) else {}
            if given.get("type") == "model" and isinstance(given.get("path"), str):
                roles[posixpath.normpath(posixpath.join(folder, given["path"]))] = "model"
            self._note(
                ("artifacts", name),
                f"artifact {name!r} is not registered by that name: `publish` says what is, and where",
            )
        for path in metrics if isinstance(metrics, list) else []:
            roles[posixpath.normpath(posixpath.join(folder, str(path)))] = "metrics"
        return roles


def _params(entry: Entry, folder: str) -> list[_Param]:
    """The parameters that a stage declares, by file; all of a file if one entry means all."""
    found: dict[str, _Param] = {}
    whole: set[str] = set()
    for at, item in enumerate(entry.values.get("params") or []):
        given = item if isinstance(item, dict) else {DEFAULT_PARAMS: [item]}
        for name, keys in given.items():
            path = posixpath.normpath(posixpath.join(folder, str(name)))
            if not keys:
                whole.add(path)
            before = found[path].keys if path in found else ()
            more = tuple(str(key) for key in keys) if isinstance(keys, list) else ()
            found[path] = _Param(path, (*before, *more), (*entry.place, "params", at))
    return [_Param(path, () if path in whole else each.keys, each.place) for path, each in found.items()]


def _folders(path: str) -> Iterator[str]:
    """The directories above a path, the nearest first."""
    while path := posixpath.dirname(path):
        yield path


def _covers(inputs: Mapping[str, int], path: str) -> bool:
    return any(inside(path, each) or each == "**" for each in inputs)


def _nameable(values: Mapping[str, Any]) -> bool:
    """Whether every parameter can be written as a dotted name."""
    return all(
        key and not set(key) & set(".=") and (not isinstance(value, dict) or _nameable(value))
        for key, value in values.items()
    )
