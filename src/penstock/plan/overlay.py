"""What is laid over a pipeline file: a profile, variables of the environment, the command line.

Weakest first: parameter file or inline parameters, profile, `PENSTOCK_PARAM_train__max_iter=50`,
`--set train.max_iter=50`. The last one that names a setting decides, and the others are remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from penstock.errors import PipelineError, UsageError
from penstock.plan.model import EVENT_PROFILES, Overlay, Setting
from penstock.plan.problems import Problems, listing, nearest, shown
from penstock.plan.yaml_file import Document, Key, parse_value
from penstock.record import Record, field, replace

VARIABLE_PREFIX = "PENSTOCK_PARAM_"
_WHOLE = frozenset({"outputs"})  # a mapping of roles is one value: half of it makes no sense


class Merged(Record, frozen=False, kw_only=False):
    """A pipeline file with a profile merged over it.

    Attributes:
        settings: What the profile changed, by dotted name.
    """

    document: Document
    settings: dict[str, Setting] = field(default_factory=dict)


def choose_profile(overlay: Overlay, profiles: Iterable[str]) -> str | None:
    """The profile that is named, else the one that the file has for the event, if it has one.

    Raises:
        UsageError: There is no such event.
    """
    if overlay.event is not None and overlay.event not in EVENT_PROFILES:
        raise UsageError(
            f"there is no event {shown(overlay.event)}",
            where="--event",
            notes=(*nearest(overlay.event, EVENT_PROFILES), listing("events", EVENT_PROFILES)),
        )
    if overlay.profile is not None or overlay.event is None:
        return overlay.profile
    known = set(profiles)
    return next((name for name in EVENT_PROFILES[overlay.event] if name in known), None)


def merge_profile(document: Document, name: str, file: str) -> Merged:
    """Lay a profile over the file that it stands in; its parameters are left to `Params`.

    Raises:
        PipelineError: There is no such profile.
    """
    root = document.mapping
    profiles = root.get("profiles") or {}
    if name not in profiles:
        raise PipelineError(
            f"there is no profile {shown(name)}",
            where=f"{document.file}:{document.line('profiles')}",
            notes=(*nearest(name, profiles), listing("profiles", profiles)),
        )
    merged = Merged(Document(document.file, dict(root), dict(document.lines)))
    for key, value in (profiles[name] or {}).items():
        if key != "params":
            _lay(merged, value, (key,), ("profiles", name, key), file)
    return merged


def _lay(merged: Merged, value: Any, target: Key, source: Key, file: str) -> None:
    """Put a value at its place; mappings are merged key by key."""
    document = merged.document
    owner = _own(document.value, target[:-1])
    before = owner.get(target[-1])
    if isinstance(value, dict) and isinstance(before, dict) and target[-1] not in _WHOLE:
        owner[target[-1]] = dict(before)
        for key, inner in value.items():
            _lay(merged, inner, (*target, key), (*source, key), file)
        return
    lost = () if before is None else ((before, f"{file}:{document.line(*target)}"),)
    for place in _places(before):
        document.lines.pop((*target, *place), None)
    for place in _places(value):
        document.lines[*target, *place] = document.line(*source, *place)
    owner[target[-1]] = value
    name = ".".join(map(str, target))
    merged.settings[name] = Setting(
        name=name,
        value=value,
        origin=f"profile {source[1]} ({file}:{document.line(*source)})",
        overridden=lost,
    )


def _places(value: Any) -> Iterator[Key]:
    """The paths of everything in a value, its own first."""
    yield ()
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        for place in _places(each):
            yield (key, *place)


def _own(value: Any, path: Key) -> dict[Any, Any]:
    """The mapping at a path, every mapping on the way being a copy of its own."""
    for key in path:
        if not isinstance(value.get(key), dict):
            value[key] = {}
        value = value[key]
    owned: dict[Any, Any] = value
    return owned


class Params(Record, frozen=False, kw_only=False):
    """Parameters by dotted name, with where each value comes from."""

    _settings: dict[tuple[str, ...], Setting] = field(default_factory=dict)
    _sections: set[tuple[str, ...]] = field(default_factory=set)

    def declare(self, values: Mapping[str, Any], origin: Callable[[Key], str]) -> None:
        """Take over the parameters that there are.

        Raises:
            ValueError: A name cannot be written dotted; the arguments are its path and what is wrong.
        """
        for path, value in _leaves(values, ()):
            for name in path:
                if not name or "." in name or "=" in name:
                    raise ValueError(
                        path, f"the parameter's name {shown(name)} is empty, or holds a dot or `=`"
                    )
            self._settings[path] = Setting(name=".".join(path), value=value, origin=origin(path))
            self._sections.update(path[:end] for end in range(1, len(path)))

    def lay(self, path: tuple[str, ...], value: Any, origin: str) -> None:
        """Give a parameter a new value; a mapping gives those of a section values.

        Raises:
            LookupError: There is no such parameter; the arguments are what is wrong and notes.
        """
        if path in self._sections:
            if not isinstance(value, dict):
                raise LookupError(
                    f"{'.'.join(path)!r} is a section of parameters, {shown(value)} a single value",
                    (listing("parameters", self.names(path)),),
                )
            for key, inner in value.items():
                self.lay((*path, *key.split(".")), inner, origin)
            return
        before = self._settings.get(path)
        if before is None:
            name = ".".join(path)
            known = self.names()
            raise LookupError(
                f"there is no parameter {shown(name)}", (*nearest(name, known), listing("parameters", known))
            )
        if isinstance(value, dict) and before.value is not None and not isinstance(before.value, dict):
            raise LookupError(f"{before.name!r} is a single value, and {shown(value)} is not", ())
        lost = (*before.overridden, (before.value, before.origin))
        self._settings[path] = replace(before, value=value, origin=origin, overridden=lost)

    def names(self, below: tuple[str, ...] = ()) -> list[str]:
        """Dotted names of all parameters, or of those in a section."""
        return [".".join(path) for path in self._settings if path[: len(below)] == below]

    def known(self) -> list[str]:
        """Dotted names of all parameters and sections."""
        return [*self.names(), *sorted(".".join(path) for path in self._sections)]

    def select(self, name: str) -> dict[str, Any] | None:
        """A parameter or a section, nested as in the file; none if there is no such thing."""
        path = tuple(name.split("."))
        chosen = [each for each in self._settings if each[: len(path)] == path]
        return self._nested(chosen) if chosen else None

    def nested(self) -> dict[str, Any]:
        """All parameters, nested as in the file."""
        return self._nested(list(self._settings))

    @property
    def overridden(self) -> bool:
        """Whether anything was laid over what was declared."""
        return any(each.overridden for each in self._settings.values())

    def settings(self) -> tuple[Setting, ...]:
        """All of them, in the order of the file; names begin with `params.`."""
        return tuple(replace(each, name=f"params.{each.name}") for each in self._settings.values())

    def _nested(self, paths: list[tuple[str, ...]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in paths:
            inner = found
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = self._settings[path].value
        return found


def lay_profile(params: Params, values: Mapping[str, Any], name: str, file: str, document: Document) -> None:
    """Lay the parameters of a profile over the others.

    Raises:
        PipelineError: One of them does not exist.
    """
    for key, value in values.items():
        line = document.line("profiles", name, "params", key)
        try:
            params.lay(tuple(key.split(".")), value, f"profile {name} ({file}:{line})")
        except LookupError as error:
            what, notes = error.args
            raise PipelineError(
                f"profile {name!r}: {what}", where=f"{document.file}:{line}", notes=notes
            ) from None


def lay_environment(params: Params, overlay: Overlay) -> None:
    """Lay the values of `PENSTOCK_PARAM_...` over the parameters; case does not matter in their names.

    Raises:
        UsageError: One names no parameter, or more than one.
    """
    taken: dict[str, str] = {}
    for variable in sorted(overlay.environ):
        if not variable.startswith(VARIABLE_PREFIX):
            continue
        asked = variable.removeprefix(VARIABLE_PREFIX).replace("__", ".")
        found = [name for name in params.known() if name.casefold() == asked.casefold()]
        if len(found) > 1:
            raise UsageError(f"stands for each of {', '.join(found)}", where=variable, notes=("use --set",))
        name = found[0] if found else asked
        if name in taken:
            raise UsageError(
                f"sets {name!r}, and so does {taken[name]}", where=variable, notes=("unset one",)
            )
        taken[name] = variable
        _lay_text(params, name, overlay.environ[variable], variable, variable)


def lay_sets(params: Params, overlay: Overlay) -> None:
    """Lay the values of `--set` over the parameters, in their order.

    Raises:
        UsageError: One has no `=`, names no parameter or has no readable value.
    """
    for each in overlay.sets:
        name, equals, text = each.partition("=")
        if not equals:
            example = shown(name.strip())[1:-1] or "train.epochs"
            raise UsageError(
                f"{shown(each)} has no `=`", where="--set", notes=(f"write --set {example}=VALUE",)
            )
        _lay_text(params, name.strip(), text, "--set", f"--set {shown(name)[1:-1]}")


def _lay_text(params: Params, name: str, text: str, origin: str, where: str) -> None:
    try:
        params.lay(tuple(name.split(".")), parse_value(text, where), origin)
    except LookupError as error:
        what, notes = error.args
        raise UsageError(what, where=where, notes=notes) from None
    except PipelineError as error:
        raise UsageError(error.what, where=where, notes=error.notes) from None


def check_profiles(document: Document, problems: Problems) -> None:
    """Every profile changes stages that there are, whether it is chosen or not."""
    root = document.mapping
    stages = root["stages"]
    for name, profile in (root.get("profiles") or {}).items():
        for stage in (profile or {}).get("stages") or {}:
            if stage not in stages:
                line = document.line("profiles", name, "stages", stage)
                problems.add(
                    document.file,
                    line,
                    f"profile {name!r}: there is no stage {stage!r}",
                    (*nearest(stage, stages), listing("stages", stages)),
                )


def file_settings(merged: Merged, file: str) -> tuple[Setting, ...]:
    """Settings of the whole pipeline that the file or a profile gives, in the order of the file."""
    root = merged.document.mapping
    found = {}
    for key in ("environment", "variables", "policy", "publish"):
        for path, value in _leaves({key: root.get(key)}, ()):
            if value is not None:
                origin = f"{file}:{merged.document.line(*path)}"
                found[".".join(path)] = Setting(name=".".join(path), value=value, origin=origin)
    found.setdefault(
        "policy.on_inconclusive", Setting(name="policy.on_inconclusive", value="fail", origin="default")
    )
    return tuple((found | merged.settings).values())


def _leaves(values: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Lay nested parameters over others, section by section."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value
