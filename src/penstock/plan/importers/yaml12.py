"""YAML as other tools write and read it: version 1.2, with anchors, aliases and merge keys.

What `yaml_file` refuses, because its readers disagree, has one meaning to the tool whose file this is. The
bounds are the same: an alias counts as everything that it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy

import yaml

from penstock.plan.yaml_file import MAX_DEPTH, MAX_VALUES, Builder, Document, Event, Key, parse_mapping

_MERGE = "<<"
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_NULL = re.compile(r"~|null|Null|NULL|")
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0b(?P<two>[01_]+)|0o(?P<eight>[0-7_]+)|0x(?P<sixteen>[0-9a-fA-F_]+)"
    r"|(?P<ten>[0-9][0-9_]*))"
)
_BASES = {"two": 2, "eight": 8, "sixteen": 16, "ten": 10}
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
)
_NOT_FINITE = re.compile(r"(?P<sign>[-+]?)\.(?:(?P<inf>inf|Inf|INF)|nan|NaN|NAN)")


def read_mapping(data: bytes, name: str, builder: type[Builder] | None = None) -> Document:
    """The mapping that a file holds; an empty file holds an empty one.

    Args:
        data: Its content.
        name: What messages call it.
        builder: Makes values of what the parser finds; those of YAML 1.2 if absent.

    Raises:
        PipelineError: It is not YAML, too large, or holds something else; names the line.
    """
    return parse_mapping(data, name, builder or Yaml12)


class Yaml12(Builder):
    """Builds values as YAML 1.2 means them; a date stays the text that it is."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._anchors: dict[str, object] = {}
        self._pending: set[str] = set()

    def value(self, event: Event, events: Iterator[Event], path: Key) -> object:
        """A value; that of an alias is a copy, all of which stands where the alias does."""
        if isinstance(event, yaml.AliasEvent):
            return self._copy(event, path)
        anchor = event.anchor
        if anchor is not None:
            self._pending.add(anchor)
        found = super().value(event, events, path)
        if anchor is not None:
            self._pending.discard(anchor)
            self._anchors[anchor] = found
        return found

    def admit(self, event: Event, path: Key) -> None:
        """Anchors are no matter here."""
        self.count(event, path)

    def mapping(self, events: Iterator[Event], path: Key) -> dict[str, object]:
        """A mapping; what is merged into it comes first, and gives way to its own keys."""
        found = super().mapping(events, path)
        if _MERGE not in found:
            return found
        merged: dict[str, object] = {}
        given = found.pop(_MERGE)
        for each in given if isinstance(given, list) else [given]:
            if isinstance(each, dict):
                merged = {**each, **merged}
        return {**merged, **found}

    def key(self, event: Event, path: Key) -> str:
        """A key as text; numbers and truth values as DVC writes them."""
        if isinstance(event, yaml.AliasEvent):
            found = self._copy(event, path)
        elif isinstance(event, yaml.ScalarEvent):
            self.admit(event, path)
            if event.value == _MERGE and event.implicit[0]:
                return _MERGE
            found = self.scalar(event)
        else:
            found = event
        if isinstance(found, bool):
            return "true" if found else "false"
        if found is None or isinstance(found, str | int | float):
            return str(found)
        return self.refuse(event, "a key must be a text, not a list or a mapping")

    def resolve(self, event: Event) -> object:
        """A plain scalar's value."""
        text: str = event.value
        if _NULL.fullmatch(text):
            return None
        if _BOOLEAN.fullmatch(text):
            return text[0] in "tT"
        if (found := _INTEGER.fullmatch(text)) is not None:
            kind = found.lastgroup or "ten"
            digits = found[kind].replace("_", "")
            if digits and len(digits) <= 64:  # noqa: PLR2004 - longer ones are identifiers
                return int(found["sign"] + digits, _BASES[kind])
        elif _FLOAT.fullmatch(text):
            return float(text.replace("_", ""))
        elif (found := _NOT_FINITE.fullmatch(text)) is not None:
            return float(found["sign"] + ("inf" if found["inf"] else "nan"))
        return text

    def _copy(self, event: Event, path: Key) -> object:
        self.lines.setdefault(path, event.start_mark.line + 1)
        if event.anchor not in self._anchors:
            how = "stands within what it names" if event.anchor in self._pending else "names nothing above it"
            self.refuse(event, f"the alias *{event.anchor!s:.40} {how}")
        value = self._anchors[event.anchor]
        waiting = [(value, len(path))]
        while waiting:
            each, depth = waiting.pop()
            self.values += 1
            if self.values > MAX_VALUES:
                self.refuse(event, f"there are more than {MAX_VALUES:,} values, those of aliases counted")
            if depth > MAX_DEPTH:
                self.refuse(event, f"values are nested more than {MAX_DEPTH} deep")
            inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
            waiting += [(one, depth + 1) for one in inner]
        return deepcopy(value)


class Yaml11(Yaml12):
    """Builds values as PyYAML does, which MLflow reads its files with."""

    def resolve(self, event: Event) -> object:
        """A plain scalar's value."""
        loader = yaml.SafeLoader("")
        tag = loader.resolve(yaml.ScalarNode, event.value, (True, False))  # type: ignore[no-untyped-call] # stubs
        node = yaml.ScalarNode(tag, event.value)
        try:
            found = loader.construct_object(node)
        except (ValueError, yaml.YAMLError):
            return str(event.value)
        return found if found is None or isinstance(found, bool | int | float | str) else str(found)
