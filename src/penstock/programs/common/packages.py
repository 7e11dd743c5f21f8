"""Packages and functions that a program takes from the environment it runs in."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from .program import UnusableError

_DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml"}
"""Those that are called otherwise than their module."""


def require(*modules: str, purpose: str) -> None:
    """Make sure that these can be imported.

    Args:
        purpose: What needs them, for the message.

    Raises:
        UnusableError: One cannot; names what to add.
    """
    missing = [_DISTRIBUTIONS.get(name, name) for name in modules if find_spec(name) is None]
    if missing:
        raise UnusableError(_missing(missing, purpose))


def load(module: str, *, purpose: str) -> ModuleType:
    """A module of the environment.

    Raises:
        UnusableError: It is not there, or something that it imports is not.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = (error.name or module).partition(".")[0]
        raise UnusableError(_missing([_DISTRIBUTIONS.get(name, name)], purpose)) from None


def function(reference: str, key: str) -> Callable[..., Any]:
    """A function of the user's: `package.module:function`, found from the workspace's root or PYTHONPATH.

    Args:
        key: Of the request that names it, for messages.

    Raises:
        UnusableError: There is none of that name, or importing its module fails.
    """
    where = f"{key}: {reference!r}"
    name, colon, attribute = reference.partition(":")
    if not colon or not all(part.isidentifier() for part in f"{name}.{attribute}".split(".")):
        raise UnusableError(f"{where} is not of the form package.module:function")
    see_workspace()
    try:
        found: Any = importlib.import_module(name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        remedy = "add its file to the stage's inputs, or its package to the environment's lock file"
        raise UnusableError(f"{where}: no module named {error.name!r}; {remedy}") from None
    except AttributeError as error:
        raise UnusableError(f"{where}: {error}") from None
    except Exception as error:  # noqa: BLE001 - it is the user's code
        raise UnusableError(f"{where}: importing it failed: {told(error)}") from None
    if not callable(found):
        raise UnusableError(f"{where} is no function but {type(found).__name__}")
    return found  # type: ignore[no-any-return]  # callable() narrows Any to nothing more


def told(error: BaseException) -> str:
    """An exception of somebody else's code in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300].removesuffix(": ")


def see_workspace() -> None:
    """Let modules be imported from the workspace's root, where Python saw only the program's own folder.

    What PYTHONPATH names is seen anyway.
    """
    place = str(Path.cwd())
    if place not in sys.path:
        sys.path.insert(0, place)


def _missing(distributions: list[str], purpose: str) -> str:
    names = " and ".join(distributions)
    return f"{purpose} needs {names}, which this environment lacks: add {names} to the project's lock file"


def has(module: str) -> bool:
    """Whether a module is installed."""
    return find_spec(module) is not None
