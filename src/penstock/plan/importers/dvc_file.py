"""What a `dvc.yaml` may say: DVC's own rules for its shape, checked before anything is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from penstock.plan.importers import yaml12
from penstock.plan.problems import Problems, listing, nearest, shown
from penstock.plan.yaml_file import Document, Key

TOP = ("vars", "stages", "params", "metrics", "plots", "artifacts", "datasets")
STAGE = (
    *("cmd", "wdir", "deps", "params", "vars", "outs", "metrics", "plots"),
    *("frozen", "always_changed", "desc", "meta", "matrix"),
)
_EACH = ("foreach", "do")
_NOTES = ("desc", "type", "labels", "meta")
_OUTPUT = (*_NOTES, "cache", "persist", "remote", "push", "checkpoint")
_DRAWING = ("template", "x", "y", "x_label", "y_label", "title", "header")
OUTPUTS = {"outs": _OUTPUT, "metrics": _OUTPUT, "plots": (*_OUTPUT, *_DRAWING)}
_SWITCHES = ("cache", "persist", "push", "checkpoint")
REFUSES = "dvc refuses the file for it"


class Complaints:
    """Notes what is wrong with a file at its lines."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self._document = document
        self._problems = problems

    def add(self, place: Key, what: str, *notes: str) -> None:
        """Note a problem at a value, named by keys and indices."""
        self._problems.add(self._document.file, self._document.line(*place), what, notes)

    def kind(self, place: Key, value: object, kinds: type | tuple[type, ...], what: str) -> bool:
        """Whether a value is of a kind; notes it if not."""
        if isinstance(value, kinds) and not (kinds is int and isinstance(value, bool)):
            return True
        name = ".".join(str(part) for part in place if isinstance(part, str))
        self.add(place, f"`{name}` is {shown(value)}, not {what}", REFUSES)
        return False

    def keys(self, place: Key, value: Mapping[str, object], known: Iterable[str], whose: str) -> None:
        """Note keys that are not known."""
        known = tuple(known)
        for key in value:
            if key not in known:
                what = f"{shown(key)} is no key of {whose}"
                self.add((*place, key), what, *nearest(key, known), listing("keys", known, 16), REFUSES)


def read(data: bytes, name: str, problems: Problems) -> Document:
    """A `dvc.yaml`, checked; what is wrong goes to `problems`.

    Raises:
        PipelineError: It is not YAML, or holds no mapping.
    """
    document = yaml12.read_mapping(data, name)
    complaints = Complaints(document, problems)
    top = document.mapping
    complaints.keys((), top, TOP, "dvc.yaml")
    _list(complaints, ("vars",), top.get("vars"), (str, dict), "paths and mappings")
    stages = top.get("stages")
    if stages is not None and complaints.kind(("stages",), stages, dict, "a mapping"):
        for stage, definition in stages.items():
            _entry(complaints, ("stages", stage), definition)
    return document


def _entry(complaints: Complaints, place: Key, definition: object) -> None:
    if not complaints.kind(place, definition, dict, "a mapping") or not isinstance(definition, dict):
        return
    if not definition.keys() & set(_EACH):
        _stage(complaints, place, definition)
        return
    complaints.keys(place, definition, _EACH, "a stage with `foreach`")
    for key in _EACH:
        if key not in definition:
            complaints.add(place, f"there is no `{key}` beside `{_EACH[1 - _EACH.index(key)]}`", REFUSES)
    if "foreach" in definition:
        what = "a list, a mapping, or a template for one"
        complaints.kind((*place, "foreach"), definition["foreach"], (list, dict, str), what)
    inner = definition.get("do")
    if "do" in definition and complaints.kind((*place, "do"), inner, dict, "a mapping") and inner is not None:
        _stage(complaints, (*place, "do"), inner)


def _stage(complaints: Complaints, place: Key, stage: Mapping[str, Any]) -> None:
    complaints.keys(place, stage, STAGE, "a stage")
    if "cmd" not in stage:
        complaints.add(place, "the stage has no `cmd`", REFUSES)
    for key, check in _CHECKS.items():
        if key in stage:
            check(complaints, (*place, key), stage[key])
    for key, options in OUTPUTS.items():
        _outputs(complaints, (*place, key), stage.get(key, []), options)


def _cmd(complaints: Complaints, place: Key, value: object) -> None:
    given = value if isinstance(value, list) else [value]
    lines = [line for line in given if isinstance(line, str)]
    if not given or len(lines) < len(given):
        complaints.add(place, f"`cmd` is {shown(value)}, neither a command nor a list of some", REFUSES)
    elif not any(line.strip() for line in lines):
        complaints.add(place, "`cmd` is empty", REFUSES)


def _text(complaints: Complaints, place: Key, value: object) -> None:
    complaints.kind(place, value, str, "a text")


def _switch(complaints: Complaints, place: Key, value: object) -> None:
    complaints.kind(place, value, bool, "true or false")


def _paths(complaints: Complaints, place: Key, value: object) -> None:
    _list(complaints, place, value, str, "paths")


def _mixed(complaints: Complaints, place: Key, value: object) -> None:
    _list(complaints, place, value, (str, dict), "texts and mappings")


def _matrix(complaints: Complaints, place: Key, value: object) -> None:
    if complaints.kind(place, value, dict, "a mapping") and isinstance(value, dict):
        for name, values in value.items():
            complaints.kind((*place, name), values, (str, list), "a list, or a template for one")


_CHECKS: dict[str, Callable[[Complaints, Key, object], None]] = {
    "cmd": _cmd,
    "wdir": _text,
    "desc": _text,
    "frozen": _switch,
    "always_changed": _switch,
    "deps": _paths,
    "params": _mixed,
    "vars": _mixed,
    "matrix": _matrix,
}


def _list(
    complaints: Complaints, place: Key, value: object, kinds: type | tuple[type, ...], of_what: str
) -> None:
    if value is None and len(place) == 1:
        return
    if complaints.kind(place, value, list, f"a list of {of_what}") and isinstance(value, list):
        for at, item in enumerate(value):
            complaints.kind((*place, at), item, kinds, f"one of the {of_what} that belong there")


def _outputs(complaints: Complaints, place: Key, value: object, options: tuple[str, ...]) -> None:
    _mixed(complaints, place, value)
    for at, item in enumerate(value if isinstance(value, list) else []):
        for path, given in item.items() if isinstance(item, dict) else ():
            inner = (*place, at, path)
            several = given if isinstance(given, list) and place[-1] == "plots" else [given]
            for each in several:
                if not complaints.kind(inner, each, dict, "a mapping of options"):
                    continue
                complaints.keys(inner, each, options, "an output")
                for switch in _SWITCHES:
                    if switch in each:
                        complaints.kind((*inner, switch), each[switch], bool, "true or false")
