"""YAML that cannot hurt: the subset that a pipeline file needs, with the line of every value.

Events are checked before anything is built from them, so a hostile file costs no more than its size. What
YAML 1.1 and YAML 1.2 read differently (`no`, `010`, `1:30`, `2024-01-01`) is refused instead of guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from penstock.errors import PipelineError
from penstock.record import Record, field

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_VALUES = 20_000
_MAX_INTEGER = 1 << 63

_CORE = "tag:yaml.org,2002:"
_TAGGED = {_CORE + name: kind for name, kind in (("int", int), ("float", float), ("bool", bool))}
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DISPUTED = re.compile(
    r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"
    r"|[-+]?0[0-9_]+(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|0o[0-7]+|[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+"
    r"|[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?"
)
# printable as YAML means it, without what a terminal or a log would act on
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# what is meant, as a rule, by what the parser says
_REMEDIES = {
    "cannot start any token": "put the text in quotes",
    "did not find expected key": "check the indentation: the keys of one mapping begin in one column",
    "mapping values are not allowed": "put a text with a colon in quotes, or check the indentation",
    "did not find expected ','": "close the bracket, or put a comma between the entries",
    "unexpected end of stream": "close the quote",
    "could not find expected ':'": "write `key: value`",
    "expected <block end>": "check the indentation: the entries of one list begin in one column",
}

Key = tuple[str | int, ...]
Event = Any  # the stubs make marks optional, and tags unknown, that parser events always have


class Document(Record, frozen=False, kw_only=False):
    """A YAML file's content and where each value stands.

    Attributes:
        file: As messages name it.
        value: Mappings, lists, text, numbers, booleans and null only.
        lines: From 1, by the path of keys and indices; a value in a mapping stands where its key does.
    """

    file: str
    value: object
    lines: dict[Key, int] = field(default_factory=dict)

    @property
    def mapping(self) -> dict[str, Any]:
        """The content of a file that `parse_mapping` read."""
        if not isinstance(self.value, dict):  # pragma: no cover - `parse_mapping` made sure
            raise TypeError("not a mapping")
        return self.value

    def line(self, *path: str | int) -> int:
        """The line of a value, or of the innermost one around it that is in the file."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


def read_file(path: Path, name: str, limit: int = MAX_BYTES) -> bytes:
    """The content of a small file.

    Args:
        path: Where it is.
        name: What messages call it.
        limit: Bytes that it may have.

    Raises:
        PipelineError: It is missing, unreadable, no regular file, or too large.
    """
    try:
        if not path.is_file():
            what = (
                "is a directory" if path.is_dir() else "does not exist" if not path.exists() else "is no file"
            )
            raise PipelineError(what, where=name)
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}", where=name
        ) from None
    if len(data) > limit:
        raise PipelineError(
            f"is larger than {limit:,} bytes", where=name, notes=("data belong into files of their own",)
        )
    return data


def parse(data: bytes, name: str, builder: type[Builder] | None = None) -> Document:
    """The one document of a YAML file.

    Args:
        data: Its content.
        name: What messages call it.
        builder: Makes values of what the parser finds; what is said above if absent.

    Raises:
        PipelineError: It is not YAML, not UTF-8, or uses what is refused here; names the line.
    """
    if len(data) > MAX_BYTES:
        raise PipelineError(f"is larger than {MAX_BYTES:,} bytes", where=name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PipelineError(
            f"byte {data[error.start]:#04x} is not UTF-8", where=f"{name}:{line}", notes=("save it as UTF-8",)
        ) from None
    if (found := _FORBIDDEN.search(text.replace("\r\n", "\n"))) is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise PipelineError(f"the character U+{ord(found[0]):04X} is refused", where=f"{name}:{line}")
    return (builder or Builder)(name).document(text)


def parse_mapping(data: bytes, name: str, builder: type[Builder] | None = None) -> Document:
    """Like `parse`, for a file that must hold a mapping; an empty file holds an empty one.

    Raises:
        PipelineError: As for `parse`, or it holds something else.
    """
    document = parse(data, name, builder)
    if document.value is None:
        document.value = {}
    if not isinstance(document.value, dict):
        raise PipelineError(
            f"holds a {_kind(document.value)}, not a mapping",
            where=f"{name}:{document.line()}",
            notes=("write `key: value` lines",),
        )
    return document


def parse_value(text: str, name: str) -> object:
    """A value as one writes it on a command line: a scalar, `[a, b]` or `{a: b}`.

    Raises:
        PipelineError: It is none.
    """
    try:
        return parse(text.encode("utf-8", "surrogatepass"), name).value
    except PipelineError as error:
        raise PipelineError(error.what, where=name, notes=error.notes) from None


class Builder:
    """Builds plain values from parser events, counting before it builds.

    Attributes:
        values: How many there are so far.
        lines: Where each stands.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.values = 0
        self.lines: dict[Key, int] = {}

    def document(self, text: str) -> Document:
        """All of a text."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        events = yaml.parse(text, Loader=loader)
        try:
            value = self._one_document(events)
        except yaml.MarkedYAMLError as error:
            self._refuse_syntax(error, text)
        except yaml.YAMLError as error:
            raise PipelineError(
                f"is not YAML: {str(error).splitlines()[0]}", where=f"{self._name}:1"
            ) from None
        return Document(self._name, value, self.lines)

    def _one_document(self, events: Iterator[Event]) -> object:
        value: object = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.refuse(event, "a second document begins here", "keep one document in the file")
            elif isinstance(event, yaml.NodeEvent):
                value = self.value(event, events, ())
        return value

    def value(self, event: Event, events: Iterator[Event], path: Key) -> object:
        """What begins with this event."""
        self.admit(event, path)
        self.lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            self._only_tag(event, "seq")
            items: list[object] = []
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                items.append(self.value(inner, events, (*path, len(items))))
            return items
        self._only_tag(event, "map")
        return self.mapping(events, path)

    def mapping(self, events: Iterator[Event], path: Key) -> dict[str, object]:
        """A mapping that has just begun."""
        found: dict[str, object] = {}
        while not isinstance(key_event := next(events), yaml.MappingEndEvent):
            key = self.key(key_event, path)
            if key in found:
                first = self.lines[*path, key]
                self.refuse(
                    key_event,
                    f"the key {key[:40]!r} stands here a second time",
                    f"it is first on line {first}",
                )
            self.lines[*path, key] = key_event.start_mark.line + 1
            found[key] = self.value(next(events), events, (*path, key))
        return found

    def key(self, event: Event, path: Key) -> str:
        """A key of a mapping."""
        self.admit(event, path)
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse(event, "a key must be a text, not a list or a mapping")
        if event.value == "<<" and event.implicit[0]:
            self.refuse(event, "merge keys (`<<`) are refused", "write the keys out")
        key = self.scalar(event)
        if not isinstance(key, str):
            self.refuse(
                event, f"the key {event.value!r} is not a text", f"write it in quotes: '{event.value}'"
            )
        return key

    def admit(self, event: Event, path: Key) -> None:
        """Refuse what may not stand here."""
        if isinstance(event, yaml.AliasEvent):
            self.refuse(event, f"the alias *{event.anchor!s:.40} is refused", "write the value out")
        if event.anchor is not None:
            self.refuse(
                event, f"the anchor &{event.anchor!s:.40} is refused", "write the value out where it is used"
            )
        self.count(event, path)

    def count(self, event: Event, path: Key) -> None:
        """Refuse one value too many, and one too deep."""
        self.values += 1
        if self.values > MAX_VALUES:
            self.refuse(event, f"there are more than {MAX_VALUES:,} values")
        if len(path) > MAX_DEPTH:
            self.refuse(event, f"values are nested more than {MAX_DEPTH} deep")

    def _only_tag(self, event: Event, kind: str) -> None:
        if event.tag not in (None, "!", _CORE + kind):
            self._refuse_tag(event)

    def _refuse_tag(self, event: Event) -> NoReturn:
        tag = event.tag.removeprefix(_CORE) if event.tag.startswith(_CORE) else event.tag
        self.refuse(event, f"the tag {tag[:40]!r} is refused here", "write a plain value")

    def scalar(self, event: Event) -> object:
        """A text, number, truth value or null."""
        text: str = event.value
        if (found := _FORBIDDEN.search(text)) is not None:
            self.refuse(event, f"the character U+{ord(found[0]):04X} is refused")
        if event.tag is None or event.tag == "!":
            return self.resolve(event) if event.implicit[0] else text
        if event.tag == _CORE + "str":
            return text
        kind = _TAGGED.get(event.tag or "")
        value = self.resolve(event) if kind else None
        if kind is float and type(value) is int:
            return float(value)
        if kind is None or type(value) is not kind:
            self._refuse_tag(event)
        return value

    def resolve(self, event: Event) -> object:
        """A plain scalar's value."""
        text: str = event.value
        if _NULL.fullmatch(text):
            return None
        if _BOOLEAN.fullmatch(text):
            return text[0] in "tT"
        if _INTEGER.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
            return self._integer(event)
        if _NOT_FINITE.fullmatch(text):
            self.refuse(event, f"{text} is not a number that can be used", "write a finite number")
        if _FLOAT.fullmatch(text):
            return self._float(event)
        if _DISPUTED.fullmatch(text):
            self.refuse(
                event,
                f"{text[:40]!r} means different things to different YAML readers",
                f"write '{text[:40]}' in quotes for the text; true, false or a decimal number otherwise",
            )
        return text

    def _integer(self, event: Event) -> int:
        text: str = event.value
        # longer ones cannot fit, and Python refuses to convert thousands of digits
        number = int(text, 16 if text.startswith("0x") else 10) if len(text) <= 20 else _MAX_INTEGER  # noqa: PLR2004
        if not -_MAX_INTEGER <= number < _MAX_INTEGER:
            self.refuse(event, f"{text[:40]} does not fit into 64 bits", "write it in quotes if it is a text")
        return number

    def _float(self, event: Event) -> float:
        number = float(event.value)
        if number in (float("inf"), float("-inf")):
            self.refuse(event, f"{event.value[:40]} is too large for a number")
        return number

    def refuse(self, event: Event, what: str, *notes: str) -> NoReturn:
        """Raise, with the event's line."""
        raise PipelineError(what, where=f"{self._name}:{event.start_mark.line + 1}", notes=notes)

    def _refuse_syntax(self, error: yaml.MarkedYAMLError, text: str) -> NoReturn:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        column = f" (column {mark.column + 1})" if mark else ""
        what = (error.problem or "unreadable").replace("\n", " ")
        notes: tuple[str, ...] = ()
        if mark and error.context_mark and error.context_mark.line != mark.line:
            notes = (f"{error.context or 'what it belongs to'} from line {error.context_mark.line + 1}",)
        remedy = next((words for sign, words in _REMEDIES.items() if sign in what), None)
        if mark and "\t" in text[mark.index : mark.index + 1]:
            what, remedy = "a tab stands where YAML wants spaces", "indent with spaces"
        if remedy:
            notes = (*notes, remedy)
        raise PipelineError(
            f"is not YAML: {what}{column}", where=f"{self._name}:{line}", notes=notes
        ) from None


def _kind(value: object) -> str:
    return "list" if isinstance(value, list) else "single value"
