"""JSON in one form only: what is read must be, byte for byte, what would be written.

So there is nothing to interpret: no name twice, no NaN, no second way to write a number or a text, nothing
behind the end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from ..common.program import RefusedError

T = TypeVar("T")


def encode(document: Mapping[str, Any]) -> bytes:
    """The one text of a document: sorted names, no spaces, ASCII, and a line end.

    Raises:
        ValueError: It holds NaN or an infinity.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"{text}\n".encode("ascii")


def decode(data: bytes, where: str) -> dict[str, Any]:
    """Read what `encode` wrote.

    Args:
        where: The file, for messages.

    Raises:
        RefusedError: It wrote something else.
    """
    try:
        document = json.loads(data.decode("ascii"))
        json.dumps(document, ensure_ascii=False).encode("utf-8")  # a lone surrogate could not be shown
        if isinstance(document, dict) and encode(document) == data:
            return document
    except (ValueError, RecursionError):
        pass
    raise RefusedError(f"{where}: not as Penstock writes it: it was changed or damaged")


def field(document: Any, name: str, kind: type[T], where: str) -> T:
    """A value of an object, of the type that it must have; `bool` is no `int`.

    Raises:
        RefusedError: It is not there, or of another type.
    """
    value = document.get(name) if isinstance(document, dict) else None
    if type(value) is not kind:
        raise RefusedError(f"{where}: {name!r} is not what it has to be: it was not written by Penstock")
    return value


def texts(document: Any, name: str, where: str) -> list[str]:
    """A list of texts in an object.

    Raises:
        RefusedError: It is none.
    """
    found = field(document, name, list, where)
    if not all(type(each) is str for each in found):
        raise RefusedError(f"{where}: {name!r} holds something that is no text")
    return found
