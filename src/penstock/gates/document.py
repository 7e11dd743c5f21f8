"""JSON as gates read it: strict where `json` is lenient, because a lenient reader lets models pass."""

from __future__ import annotations

import json
from typing import NoReturn

MAX_BYTES = 16 << 20


class DocumentError(ValueError):
    """A file that a gate reads is not what it must be; the message says how."""


def parse(content: bytes, path: str) -> object:
    """A JSON document without duplicate keys, NaN or infinities.

    Raises:
        DocumentError: It is not one.
    """
    if len(content) > MAX_BYTES:
        raise DocumentError(f"{path} has {len(content):,} bytes; a gate reads at most {MAX_BYTES:,}")
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path} is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise DocumentError(f"{path}:{error.lineno} is not JSON: {error.msg.lower()}") from None
    except RecursionError:
        raise DocumentError(f"{path} is nested too deeply") from None
    except ValueError as error:  # raised by the hooks, and by int() for a number of thousands of digits
        raise DocumentError(f"{path}: {error}") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands there twice")
        found[key] = value
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number that can be judged")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large for a number")
    return number
