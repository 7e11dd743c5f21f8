"""JSON as gates read it: strict where `json` is lenient, because a lenient reader lets models pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NoReturn, TypeVar, cast

from penstock.record import Record

MAX_BYTES = 16 << 20
MAX_COUNT = 1 << 53
_DIGEST_LENGTH = len("sha256:") + 64

T = TypeVar("T")


class DocumentError(ValueError):
    """A file that a gate reads is not what it must be; the message says how."""


@lru_cache(maxsize=4)
def parse(content: bytes, path: str) -> object:
    """A JSON document without duplicate keys, NaN or infinities.

    Many gates read the same few documents, so the last ones are kept; nobody changes what is in them.

    Raises:
        DocumentError: It is not one.
    """
    if len(content) > MAX_BYTES:
        raise DocumentError(f"{path} has {len(content):,} bytes; a gate reads at most {MAX_BYTES:,}")
    try:
        text = content.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
        if "\\ud" in text.lower():  # the only way to half a character, which no report could write
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DocumentError(f"{path} holds half a character (a lone surrogate)") from None
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path} is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise DocumentError(f"{path}:{error.lineno} is not JSON: {error.msg.lower()}") from None
    except RecursionError:
        raise DocumentError(f"{path} is nested too deeply") from None
    except ValueError as error:  # raised by the hooks, and by int() for a number of thousands of digits
        raise DocumentError(f"{path}: {error}") from None
    return cast("object", found)


class Section(Record, kw_only=False):
    """An object in a document. Its accessors refuse what is not there or of another type than asked for.

    Attributes:
        path: Of the file.
        place: Where the object stands in it, such as `measures[3]`; empty for the document itself.
        values: What it holds.

    Raises:
        DocumentError: By every accessor; names the file, the place and the value.
    """

    path: str
    place: str
    values: Mapping[str, object]

    def error(self, key: str, what: str) -> DocumentError:
        """The complaint that a value is not what it must be."""
        return DocumentError(f"{self.path}: {self._at(key)} {what}")

    def raw(self, key: str) -> object:
        """A value of whatever type, null too."""
        if key not in self.values:
            raise self.error(key, "is missing")
        return self.values[key]

    def maybe(self, key: str, read: Callable[[str], T]) -> T | None:
        """What an accessor makes of a key, or None if the document says null."""
        return None if self.raw(key) is None else read(key)

    def number(self, key: str, *, minimum: float | None = None, maximum: float | None = None) -> float:
        """A finite number."""
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, f"is {shown(value)}, not a number")
        try:
            number = float(value)
        except OverflowError:
            raise self.error(key, "is too large for a number") from None
        self._within(key, number, minimum, maximum)
        return number

    def count(self, key: str, *, minimum: int = 0) -> int:
        """A whole number."""
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, f"is {shown(value)}, not a whole number")
        self._within(key, value, minimum, MAX_COUNT)
        return value

    def text(self, key: str, *, empty: bool = False) -> str:
        """A text, which may be empty only if that is said."""
        value = self.raw(key)
        if not isinstance(value, str) or not (value or empty):
            raise self.error(key, f"is {shown(value)}, not a text")
        return value

    def choice(self, key: str, *among: str) -> str:
        """One of some words."""
        value = self.text(key)
        if value not in among:
            raise self.error(key, f"is {shown(value)}, not {' or '.join(among)}")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.raw(key)
        if not isinstance(value, bool):
            raise self.error(key, f"is {shown(value)}, neither true nor false")
        return value

    def digest(self, key: str) -> str:
        """`sha256:` and 64 hexadecimal digits."""
        value = self.text(key)
        if len(value) != _DIGEST_LENGTH or not value.startswith("sha256:") or set(value[7:]) - _HEXADECIMAL:
            raise self.error(key, f"is {shown(value)}, not a SHA-256 digest")
        return value

    def interval(self, key: str) -> tuple[float, float]:
        """Two numbers, the lower one first; they may be equal."""
        ends = self.raw(key)
        if not isinstance(ends, list) or len(ends) != 2:  # noqa: PLR2004 - it has two ends
            raise self.error(key, f"is {shown(ends)}, not [lower, upper]")
        pair = Section(self.path, self._at(key), {"lower": ends[0], "upper": ends[1]})
        lower, upper = pair.number("lower"), pair.number("upper")
        if lower > upper:
            raise self.error(key, f"is {shown(ends)}: its lower end is above its upper end")
        return lower, upper

    def section(self, key: str) -> Section:
        """An object."""
        value = self.raw(key)
        if not isinstance(value, dict):
            raise self.error(key, f"is {shown(value)}, not an object")
        return Section(self.path, self._at(key), value)

    def sections(self, key: str) -> tuple[Section, ...]:
        """A list of objects."""
        found = []
        for at, value in enumerate(self._list(key)):
            if not isinstance(value, dict):
                raise self.error(f"{key}[{at}]", f"is {shown(value)}, not an object")
            found.append(Section(self.path, self._at(f"{key}[{at}]"), value))
        return tuple(found)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; it and they may be empty."""
        items = self._list(key)
        pairs = Section(self.path, self.place, {f"{key}[{at}]": item for at, item in enumerate(items)})
        return tuple(pairs.text(each, empty=True) for each in pairs.values)

    def _list(self, key: str) -> list[object]:
        value = self.raw(key)
        if not isinstance(value, list):
            raise self.error(key, f"is {shown(value)}, not a list")
        return value

    def _at(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def _within(self, key: str, number: float, minimum: float | None, maximum: float | None) -> None:
        if minimum is not None and number < minimum:
            raise self.error(key, f"is {shown(number)}, below {minimum:g}")
        if maximum is not None and number > maximum:
            raise self.error(key, f"is {shown(number)}, above {maximum:g}")


def document(content: bytes, path: str) -> Section:
    """A document that is an object.

    Raises:
        DocumentError: It is not one.
    """
    values = parse(content, path)
    if not isinstance(values, dict):
        raise DocumentError(f"{path} holds no JSON object")
    return Section(path, "", values)


def check_kind(found: Section, kind: str, version: int) -> Section:
    """The document, if it is of a kind and version of Penstock's own.

    Raises:
        DocumentError: It is of another one.
    """
    own, made = found.values.get("kind"), found.values.get("version")
    if own != kind:
        raise DocumentError(f"{found.path} is {_named(own)}, not of the kind {kind!r}")
    if type(made) is not int or made != version:
        raise DocumentError(
            f"{found.path} is of version {shown(made)}; this Penstock reads version {version}"
        )
    return found


def shown(value: object) -> str:
    """A value in one line of a message, cut if it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "nested too deeply"
    return text if len(text) <= 40 else text[:37] + "..."  # noqa: PLR2004 - leaves room for the sentence


_HEXADECIMAL = frozenset("0123456789abcdef")


def _named(kind: object) -> str:
    return f"a document of the kind {shown(kind)}" if isinstance(kind, str) else "no document of Penstock's"


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {shown(key)} stands there twice")
        found[key] = value
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number that can be judged")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{shown(text)} is too large for a number")
    return number
