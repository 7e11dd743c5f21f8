"""`MLproject`: entry points as stages of a pipeline file, with the parameters that they are given."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any

from penstock.plan.importers import yaml12
from penstock.plan.importers.found import ForeignStage, Imported, Names
from penstock.plan.importers.mlproject_environment import Found, environment_of
from penstock.plan.importers.reading import content
from penstock.plan.importers.shell import script
from penstock.plan.paths import path_problem
from penstock.plan.problems import Problems, listing, nearest, shown
from penstock.plan.reads import Reads
from penstock.plan.yaml_file import Document, Key
from penstock.record import Record, field

NAME = "MLproject"
MAIN = "main"
TRACKED = "build/mlflow"
"""Where what an entry point logs to MLflow goes, below it in a directory of its own."""

_SCRIPTS = {".py": "python", ".sh": "bash"}
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_ENVIRONMENTS = ("python_env", "conda_env", "docker_env")


class Asked(Record, kw_only=False):
    """Which entry points a pipeline file wants, and with what.

    Attributes:
        document: The pipeline file.
        entry_points: As it has them: names, or a mapping of names to parameters; nothing for `main` alone.
        place: Where they stand in it.
    """

    document: Document | None = None
    entry_points: Any = None
    place: Key = ("stages", "entry_points")


def read(path: str, reads: Reads, problems: Problems, names: Names, asked: Asked) -> Imported:
    """The stages of an `MLproject`.

    Args:
        path: Of the file, relative to the root of `reads`.
        reads: Reads it and what it names.
        problems: Gets what MLflow refuses too, and what no pipeline can have.
        names: Gives the stages theirs.
        asked: Which entry points are wanted.

    Raises:
        PipelineError: The file is not there, or not YAML.
    """
    document = yaml12.read_mapping(content(path, reads), path, yaml12.Yaml11)
    reading = _Reading(document=document, reads=reads, problems=problems, names=names, asked=asked)
    return reading.imported()


class _Reading(Record, frozen=False):
    document: Document
    reads: Reads
    problems: Problems
    names: Names
    asked: Asked
    notes: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def folder(self) -> str:
        return posixpath.dirname(self.document.file)

    def imported(self) -> Imported:
        top = self.document.mapping
        known = top.get("entry_points")
        if known is not None and not isinstance(known, dict):
            self._refuse(("entry_points",), f"`entry_points` is {shown(known)}, not a mapping")
            return Imported(file=self.document.file, stages=())
        for key in top:
            if key not in ("name", "entry_points", *_ENVIRONMENTS):
                self._note((key,), f"`{key}` is not carried over")
        environment = environment_of(self.document, self.reads, self.problems)
        wanted = self._wanted(known or {})
        stages = [self._stage(name, given, known or {}, environment) for name, given in wanted]
        for name in known or {}:
            if name not in dict(wanted):
                remedy = f"`entry_points: [..., {name}]` in the pipeline file adds it"
                self._note(("entry_points", name), f"entry point {name!r} is not run: {remedy}")
        notes = sorted({*self.notes, *environment.notes}, key=lambda note: note[:2])
        return Imported(
            file=self.document.file,
            stages=tuple(stage for stage in stages if stage is not None),
            environment=environment.fields,
            notes=tuple(f"{file}:{line}: {what}" for file, line, what in notes),
        )

    def _note(self, place: Key, what: str) -> None:
        self.notes.append((self.document.file, self.document.line(*place), what))

    def _refuse(self, place: Key, what: str, *notes: str) -> None:
        self.problems.add(self.document.file, self.document.line(*place), what, notes)

    def _wanted(self, known: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """The entry points to run, and the parameters that the pipeline file gives them."""
        asked = self.asked.entry_points
        if asked is None:
            if MAIN in known or not known:
                return [(MAIN, {})]
            return [(next(iter(known)), {})]
        if isinstance(asked, list) and all(isinstance(name, str) for name in asked):
            asked = dict.fromkeys(asked)
        if isinstance(asked, dict) and all(
            given is None or isinstance(given, dict) for given in asked.values()
        ):
            return [(name, dict(given or {})) for name, given in asked.items()]
        what = "`entry_points` is neither a list of names nor a mapping of names to parameters"
        self._complain((), what, "write `entry_points: {main: {alpha: 0.5}}`")
        return []

    def _complain(self, place: Key, what: str, *notes: str) -> None:
        """Note what is wrong with the pipeline file, where there is one."""
        if self.asked.document is None:
            self._refuse(("entry_points",), what, *notes)
            return
        document = self.asked.document
        self.problems.add(document.file, document.line(*self.asked.place, *place), what, notes)

    def _stage(
        self, name: str, given: Mapping[str, Any], known: Mapping[str, Any], environment: Found
    ) -> ForeignStage | None:
        place: Key = ("entry_points", name)
        declared = known.get(name)
        if declared is None:
            program = _SCRIPTS.get(posixpath.splitext(name)[1])
            if program is None:
                notes = (*nearest(name, known), listing("entry points", known))
                self._complain((name,), f"{self.document.file} has no entry point {shown(name)}", *notes)
                return None
            declared = {"command": f"{program} {shlex.quote(name)}"}
        command = declared.get("command") if isinstance(declared, dict) else None
        if not isinstance(command, str) or not command.strip():
            self._refuse(place, f"entry point {name!r} has no `command`")
            return None
        parameters = declared.get("parameters") or {}
        if not isinstance(parameters, dict):
            self._refuse((*place, "parameters"), f"entry point {name!r}: `parameters` is no mapping")
            return None
        values = self._values(name, parameters, given)
        text = None if values is None else self._command(name, command, values, given)
        if text is None or values is None:
            return None
        line = self.document.line(*place)
        title = self.names.give(name, self.folder)
        fields = self._fields(title, text, list(self._inputs(name, parameters, values)))
        fields["variables"] |= dict(environment.variables)
        lines: dict[Key, int] = {(): line, ("run",): self.document.line(*place, "command")}
        return ForeignStage(name=title, called=name, fields=fields, line=line, lines=lines)

    def _fields(self, name: str, command: str, inputs: list[str]) -> dict[str, Any]:
        kept = f"{TRACKED}/{name}"
        up = posixpath.relpath(kept, self.folder or ".")
        # last, for one that logs nothing: MLflow takes a directory that is there for a store that is made
        made = script([command, f"mkdir -p {up}"], self.folder)
        return {
            "run": made,
            "inputs": inputs,
            "outputs": {"mlruns": kept},
            "variables": {"MLFLOW_TRACKING_URI": f"file:{up}", "MLFLOW_ALLOW_FILE_STORE": "true"},
            "observe": True,
            "overwrite": True,
        }

    def _values(
        self, name: str, parameters: Mapping[str, Any], given: Mapping[str, Any]
    ) -> dict[str, str] | None:
        """Texts of all declared parameters; none if one is missing."""
        found: dict[str, str] = {}
        missing = []
        for key, about in parameters.items():
            default = about.get("default") if isinstance(about, dict) else None
            value = given.get(key, default)
            if value is None:
                missing.append(key)
            found[key] = str(value)
        for key in missing:
            what = f"entry point {name!r}: parameter {key!r} has no default, so a value must be given"
            example = f"entry_points: {{{name}: {{{key}: ...}}}}"
            self._refuse(
                ("entry_points", name, "parameters", key),
                what,
                f"beside `from: {self.document.file}`, write `{example}`",
            )
        return None if missing else found

    def _command(
        self, name: str, command: str, values: Mapping[str, str], given: Mapping[str, Any]
    ) -> str | None:
        """The command with its parameters in it, quoted as MLflow does; further ones become options."""
        place: Key = ("entry_points", name, "command")
        made = []
        try:
            for literal, key, spec, conversion in Formatter().parse(command):
                made.append(literal)
                if key is None:
                    continue
                if key not in values or spec or conversion:
                    what = f"entry point {name!r}: `{{{key}}}` in its command is none of its parameters"
                    self._refuse(place, what, listing("parameters", values))
                    return None
                made.append(shlex.quote(values[key]))
        except ValueError as error:
            self._refuse(place, f"entry point {name!r}: its command cannot be filled in: {error}")
            return None
        more = [
            f"--{shlex.quote(key)} {shlex.quote(str(value))}"
            for key, value in given.items()
            if key not in values
        ]
        return " ".join(("".join(made).strip(), *more))

    def _inputs(self, name: str, parameters: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[str]:
        """Files and directories that parameters name."""
        for key, about in parameters.items():
            kind = about.get("type", "string") if isinstance(about, dict) else about
            if kind != "path":
                continue
            place: Key = ("entry_points", name, "parameters", key)
            value = values[key]
            path = posixpath.normpath(posixpath.join(self.folder, value))
            if _REMOTE.match(value):
                what = (
                    f"entry point {name!r}: parameter {key!r} is {shown(value)}, which MLflow would download"
                )
                self._refuse(place, what, "fetch it in a stage of its own, and give the path of its output")
            elif path_problem(path, pattern=False) is not None:
                self._note(place, f"{shown(value)} is no path in the project: a change there goes unnoticed")
            else:
                yield path
