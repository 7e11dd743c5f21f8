"""The programs of recipes, as files that a stage finds in its workspace.

What is carried enters the stage's key, so a stage gets the packages that its program is made of and no more.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FOLDER = ".penstock-recipe"
REQUEST = f"{FOLDER}/request.json"
"""What a program is asked to do, as JSON."""

_PROGRAMS = Path(__file__).parent.parent / "programs"
_PACKAGE = "penstock_programs"
_START = f"{FOLDER}/start.py"
_STARTER = f"""\
import importlib
import sys

sys.exit(importlib.import_module(f"{_PACKAGE}.{{sys.argv[1]}}.main").main(sys.argv[2:]))
"""


def command(program: str) -> str:
    """The shell command that starts a program on its request."""
    return shlex.join(["python", _START, program, REQUEST])


def files(program: str, request: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """(path, text) of all that a program is started with.

    Args:
        program: Name of a package below `penstock.programs`.
        request: JSON values; equal requests give equal text.
    """
    text = json.dumps(request, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    return tuple(sorted(((_START, _STARTER), (REQUEST, text), *_modules("common"), *_modules(program))))


@cache
def _modules(package: str) -> tuple[tuple[str, str], ...]:
    found = [_PROGRAMS / "__init__.py", *sorted((_PROGRAMS / package).rglob("*.py"))]
    return tuple(
        (f"{FOLDER}/{_PACKAGE}/{path.relative_to(_PROGRAMS).as_posix()}", path.read_text(encoding="utf-8"))
        for path in found[package != "common" :]
    )
