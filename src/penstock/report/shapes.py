"""Records made of JSON values, or the first value that does not fit, by its place."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from penstock.record import Record, defaults, fields

R = TypeVar("R", bound=Record)

SCALARS: dict[type, tuple[tuple[type, ...], str, str]] = {
    str: ((str,), "string", "text"),
    bool: ((bool,), "boolean", "true or false"),
    int: ((int,), "integer", "a whole number"),
    float: ((float, int), "number", "a number"),
}
"""Type → the types of JSON values that are taken for it, its name in a JSON schema, and in words."""

MAX_NUMBER = 1e150
"""Of a foreign document: beyond it, sums and squares of numbers are none that can be drawn."""

_SHOWN_CHARACTERS = 60


class MismatchError(Exception):
    """A value that does not fit; says where it stands and what would."""

    def __init__(self, at: str, value: Any, wanted: str) -> None:
        shown = repr(value)
        cut = "…" if len(shown) > _SHOWN_CHARACTERS else ""
        super().__init__(f"{at or 'it'} is {shown[:_SHOWN_CHARACTERS]}{cut}, not {wanted}")


def build(kind: type[R], value: Any, *, foreign: bool = False) -> R:
    """A record with the fields that a JSON object holds.

    Args:
        foreign: The document is another program's: fields that the record does not have are passed over,
            numbers are such as can be reckoned with, and a field `class_` is called `class`.

    Raises:
        MismatchError: A value does not fit its field.
    """
    record: R = _Builder(foreign=foreign).record(kind, value, "")
    return record


class _Builder(Record):
    """Goes through a value and the type that it is to have, side by side."""

    foreign: bool

    def value(self, kind: Any, value: Any, at: str) -> Any:
        origin, arguments = get_origin(kind), get_args(kind)
        if kind is object or (origin is UnionType and value is None):
            return value
        if origin is UnionType:
            return self.value(arguments[0], value, at)
        if origin is tuple:
            return self.tuple(arguments, value, at)
        if origin is Mapping:
            return self.mapping(arguments[1], value, at)
        if kind in SCALARS:
            return self.scalar(kind, value, at)
        return self.choice(kind, value, at) if issubclass(kind, Enum) else self.record(kind, value, at)

    def key(self, name: str) -> str:
        """What the field is called in the document."""
        return name.removesuffix("_") if self.foreign else name

    def scalar(self, kind: type, value: Any, at: str) -> Any:
        accepted, _, words = SCALARS[kind]
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise MismatchError(at, value, words)
        if self.foreign and isinstance(value, (int, float)) and not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise MismatchError(at, value, f"within ±{MAX_NUMBER:g}")
        return kind(value) if self.foreign else value

    def choice(self, kind: type[Enum], value: Any, at: str) -> Any:
        choices = [member.value for member in kind]
        if value not in choices:
            raise MismatchError(at, value, f"one of {', '.join(choices)}")
        return kind(value)

    def mapping(self, kind: Any, value: Any, at: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise MismatchError(at, value, "a mapping")
        return {name: self.value(kind, item, f"{at}.{name}") for name, item in value.items()}

    def tuple(self, arguments: tuple[Any, ...], value: Any, at: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise MismatchError(at, value, "a list")
        if arguments[-1] is not ... and len(value) != len(arguments):
            raise MismatchError(at, value, f"a list of {len(arguments)}")
        return tuple(self.value(arguments[0], item, f"{at}[{number}]") for number, item in enumerate(value))

    def record(self, kind: Any, value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            raise MismatchError(at, value, "a mapping")
        known = hints(kind)
        prefix = f"{at}." if at else ""
        if not self.foreign:
            for name in value.keys() - known.keys():
                raise MismatchError(prefix + str(name), value[name], "a field of a report")
        for name in required(kind):
            if self.key(name) not in value:
                raise MismatchError(prefix + self.key(name), None, "there")
        built = {
            name: self.value(hint, value[key], prefix + key)
            for name, hint in known.items()
            if (key := self.key(name)) in value
        }
        try:
            return kind(**built)
        except ValueError as error:
            raise MismatchError(at, value.get("name"), f"a {kind.__name__}: {error}") from None


@cache
def hints(kind: type) -> dict[str, Any]:
    """The fields of a record with their types."""
    return get_type_hints(kind)


@cache
def required(kind: type[Record]) -> tuple[str, ...]:
    """The fields of a record that have no default."""
    return tuple(name for name in fields(kind) if name not in defaults(kind))
