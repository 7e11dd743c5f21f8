"""The stages of a `dvc.yaml`: `vars` loaded, `foreach` and `matrix` written out, templates replaced."""

from __future__ import annotations

import configparser
import math
import posixpath
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from penstock.errors import PipelineError
from penstock.plan.importers.reading import content
from penstock.plan.importers.templates import (
    Context,
    Options,
    TemplateError,
    check,
    is_template,
    resolve,
    written,
)
from penstock.plan.importers.values import read_values
from penstock.plan.problems import Problems
from penstock.plan.reads import ABSENT, DIRECTORY, FILE, Reads
from penstock.plan.yaml_file import Document, Key
from penstock.record import Record, field

MAX_STAGES = 2000
DEFAULT_PARAMS = "params.yaml"
_CONFIG = ".dvc/config"
_GROUP = "@"


class Entry(Record):
    """One stage of `dvc.yaml` with its templates replaced.

    Attributes:
        name: As DVC calls it: `train`, `train@de`.
        place: Of its definition in the document, for lines.
        values: By key, as the schema of a stage has them, without `vars`.
    """

    name: str
    place: Key
    values: Mapping[str, Any]


class Entries(Record, frozen=False):
    """Resolves the stages of one document.

    Attributes:
        document: A checked `dvc.yaml`; its file is relative to the root of `reads`.
        given: Values to take for those of a file, by its path.
        imports: Files of `vars`, and which of their sections were taken: all if there are none.
    """

    document: Document
    reads: Reads
    problems: Problems
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    imports: dict[str, list[str]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where the file stands; empty for the root."""
        return posixpath.dirname(self.document.file)

    def all(self) -> list[Entry]:
        """Every stage, in the order of the file; those with problems are left out."""
        context = Context(options=self._options())
        try:
            self._load_default(context)
            self._load(context, self.document.mapping.get("vars") or [], self.folder, "", self.imports)
        except TemplateError as error:
            self._complain(("vars",), error)
            return []
        found: list[Entry] = []
        for name, definition in (self.document.mapping.get("stages") or {}).items():
            found += self._stage(name, definition, context)
            if len(found) > MAX_STAGES:
                what = f"there are more than {MAX_STAGES:,} stages"
                self.problems.add(self.document.file, self.document.line("stages", name), what)
                return []
        return found

    def top(self, key: str) -> object:
        """The value of a top-level section, its templates replaced where that can be done."""
        context = Context()
        try:
            self._load_default(context)
            self._load(context, self.document.mapping.get("vars") or [], self.folder, "", {})
            return resolve(self.document.mapping.get(key), context)
        except TemplateError:
            return self.document.mapping.get(key)

    def _options(self) -> Options:
        if self.reads.presence(_CONFIG) != FILE:
            return Options()
        data = content(_CONFIG, self.reads)
        config = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
        try:
            config.read_string(data.decode("utf-8", "replace"))
        except configparser.Error:
            return Options()
        return Options(
            negated=config.get("parsing", "bool", fallback="") == "boolean_optional",
            repeated=config.get("parsing", "list", fallback="") == "append",
        )

    def _load_default(self, context: Context) -> None:
        path = posixpath.join(self.folder, DEFAULT_PARAMS)
        if self.reads.presence(path) != ABSENT:
            self._load(context, [DEFAULT_PARAMS], self.folder, "", self.imports)

    def _load(
        self, context: Context, given: list[Any], folder: str, stage: str, imports: dict[str, list[str]]
    ) -> None:
        """Merge what `vars` names into a context.

        Raises:
            TemplateError: A file is not there, or something is given a second time.
        """
        if is_template(given):
            raise TemplateError("interpolating is not allowed in `vars`")
        for at, item in enumerate(given):
            if isinstance(item, dict):
                context.merge(item, f"{stage}{'.' if stage else ''}vars[{at}]")
            else:
                self._load_file(context, item, folder, imports)

    def _load_file(self, context: Context, item: str, folder: str, imports: dict[str, list[str]]) -> None:
        name, _, sections = item.partition(":")
        path = posixpath.normpath(posixpath.join(folder, name))
        keys = [key for key in sections.split(",") if key]
        if path in imports:
            before = imports[path]
            if not keys and not before:
                return
            if not before:
                raise TemplateError(f"cannot partially load '{item}' as it's already loaded.")
            if not keys or set(keys) & set(before):
                raise TemplateError(f"cannot load '{item}' as it's partially loaded already")
        if (there := self.reads.presence(path)) != FILE:
            how = "is a directory" if there == DIRECTORY else "does not exist"
            raise TemplateError(f"'{path}' {how}")
        try:
            values = self.given.get(path) or read_values(path, self.reads).mapping
        except PipelineError as error:
            raise TemplateError(str(error)) from None
        if missing := [key for key in keys if key not in values]:
            raise TemplateError(f"could not find '{missing[0]}' in '{path}'")
        context.merge({key: values[key] for key in keys} if keys else values, path)
        imports.setdefault(path, []).extend(keys)

    def _stage(self, name: str, definition: Mapping[str, Any], context: Context) -> list[Entry]:
        place: Key = ("stages", name)
        if _GROUP in name:
            what = f"'{_GROUP}' stands between a group and the name of a stage in it"
            self._complain(place, TemplateError(what), name)
            return []
        try:
            if "foreach" in definition:
                inner = (*place, "do")
                check(definition["do"])
                pairs = self._foreach(definition["foreach"], context)
                return self._generated(name, inner, definition["do"], pairs, context)
            if "matrix" in definition:
                template = {key: value for key, value in definition.items() if key != "matrix"}
                check(template)
                combinations = self._matrix(definition["matrix"], context)
                return self._generated(name, place, template, combinations, context)
            check(definition)
        except TemplateError as error:
            self._complain(place, error, name)
            return []
        entry = self._resolved(name, place, definition, context)
        return [entry] if entry is not None else []

    def _generated(
        self,
        name: str,
        place: Key,
        template: Mapping[str, Any],
        values: Mapping[str, Mapping[str, Any]],
        context: Context,
    ) -> list[Entry]:
        for key in values:
            if not key or _GROUP in key:
                raise TemplateError(
                    f"a stage of the group would be called '{name}{_GROUP}{key}', which names none"
                )
        found = (
            self._resolved(f"{name}{_GROUP}{key}", place, template, context.having(given))
            for key, given in values.items()
        )
        return [entry for entry in found if entry is not None]

    def _foreach(self, given: object, context: Context) -> dict[str, dict[str, Any]]:
        """What each stage of a group is called → what `item` and `key` are in it.

        Raises:
            TemplateError: It is neither a list nor a mapping.
        """
        data = resolve(given, context)
        if isinstance(data, dict):
            return {key: {"item": value, "key": key} for key, value in data.items()}
        if not isinstance(data, list):
            raise TemplateError(f"`foreach`: expected list/dictionary, got {type(data).__name__}")
        if any(isinstance(value, dict | list) for value in data):
            return {str(at): {"item": value} for at, value in enumerate(data)}
        return {_called(value, source): {"item": value} for value, source in _beside(data, given)}

    def _matrix(self, given: Mapping[str, Any], context: Context) -> dict[str, dict[str, Any]]:
        data = {key: list(values) for key, values in resolve(given, context).items()}
        if math.prod(len(values) for values in data.values()) > MAX_STAGES:
            raise TemplateError(f"`matrix` comes to more than {MAX_STAGES:,} stages")
        found: dict[str, dict[str, Any]] = {}
        lists = [
            [
                (key, f"{key}{at}" if isinstance(value, dict | list) else _called(value, source), value)
                for at, (value, source) in enumerate(_beside(values, given.get(key)))
            ]
            for key, values in data.items()
        ]
        for combination in product(*lists):
            called = "-".join(each[1] for each in combination)
            found[called] = {"key": called, "item": {key: value for key, _, value in combination}}
        return found

    def _resolved(
        self, name: str, place: Key, definition: Mapping[str, Any], context: Context
    ) -> Entry | None:
        key = None
        try:
            wdir = resolve(definition.get("wdir") or "", context, "wdir")
            given = definition.get("vars") or []
            if given:
                context = context.copy()
                key = "vars"
                folder = posixpath.normpath(posixpath.join(self.folder, str(wdir)))
                imports = {path: list(keys) for path, keys in self.imports.items()}
                self._load(context, given, "" if folder == "." else folder, name, imports)
            values = {}
            for key, value in definition.items():
                if key != "vars":
                    values[key] = resolve(value, context, key)
        except TemplateError as error:
            self._complain((*place, key) if key else place, error, name)
            return None
        return Entry(name=name, place=place, values=values)

    def _complain(self, place: Key, error: TemplateError, stage: str = "") -> None:
        what = f"stage {stage!r}: {error}" if stage else str(error)
        self.problems.add(self.document.file, self.document.line(*place), what, ("dvc refuses this too",))


def _beside(values: list[Any], given: object) -> Iterator[tuple[object, object]]:
    """Each value of a list and how the file writes it, which is a template if the whole list is one."""
    sources = given if isinstance(given, list) else [given] * len(values)
    return zip(values, sources, strict=False)


def _called(value: object, source: object) -> str:
    """A value in the name of a stage: DVC writes truth values of parameters as Python does."""
    return str(value) if is_template(source) else written(value, Options())
