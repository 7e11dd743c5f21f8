"""Names that may go to a server: what MLflow lets through has led out of its folders more than once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ..common.program import UnusableError

_MODEL = re.compile(r"[^\W_][\w .+-]{0,127}")
_ALIAS = re.compile(r"[^\W\d_][\w-]{0,63}")
_VERSION_LIKE = re.compile(r"v\d+")
_PART = re.compile(r"[\w .+=@,()~-]+")
_UNFIT_IN_KEY = re.compile(r"[^\w\-. /]")
_LONGEST_KEY = 250
_LONGEST_PATH = 500


def model(name: Any) -> str:
    """A registered model's name.

    Raises:
        UnusableError: It could be taken for a path, a part of an address or of a search.
    """
    if not isinstance(name, str) or not _MODEL.fullmatch(name) or name != name.strip() or ".." in name:
        raise UnusableError(
            f"model {name!r}: a model's name has letters, digits, spaces and . _ + - only, and starts with a"
            " letter or a digit"
        )
    return name


def alias(name: Any) -> str:
    """An alias, such as `champion`.

    Raises:
        UnusableError: MLflow keeps that name for itself, or it is none.
    """
    fits = isinstance(name, str) and _ALIAS.fullmatch(name)
    if not fits or name == "latest" or _VERSION_LIKE.fullmatch(name.lower()):
        raise UnusableError(
            f"alias {name!r}: an alias has letters, digits, _ and - only, starts with a letter, and is"
            " neither `latest` nor like `v1`"
        )
    return str(name)


def version(number: Any) -> str:
    """A version's number.

    Raises:
        UnusableError: It is none.
    """
    text = str(number)
    if not (text.isascii() and text.isdigit()) or text.startswith("0"):
        raise UnusableError(f"version {number!r}: a version is a number from 1")
    return text


def path(text: Any) -> str:
    """A relative path, as an output or an artifact has it.

    Raises:
        UnusableError: It leads elsewhere, or holds a sign that has a meaning in an address.
    """
    parts = text.split("/") if isinstance(text, str) else []
    if (
        not parts
        or len(text) > _LONGEST_PATH
        or not all(_PART.fullmatch(part) and part.strip(" .") and part == part.strip() for part in parts)
    ):
        raise UnusableError(
            f"path {text!r} cannot be kept by MLflow: it has to be relative and without `..`, and its names"
            " have letters, digits, spaces and . _ + = @ , ( ) ~ - only"
        )
    return str(PurePosixPath(text))


def keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values under names that MLflow accepts for parameters, metrics and tags."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = stem = _key(name)
        number = 1
        while key in found:
            number += 1
            key = f"{stem}_{number}"
        found[key] = value
    return found


def _key(name: str) -> str:
    key = _UNFIT_IN_KEY.sub("_", name)[: _LONGEST_KEY - 4] or "_"
    if key != PurePosixPath(key).as_posix() or key.startswith((".", "/")) or ".." in key.split("/"):
        key = key.replace("/", "_").lstrip(".") or "_"
    return key
