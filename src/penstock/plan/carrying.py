"""The programs of recipes, as files that a stage finds in its workspace.

What is carried enters the stage's key, so a stage gets the modules that its program imports and no others.
"""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from penstock.plan.exchange import FOLDER, REQUEST

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
    return tuple(sorted(((_START, _STARTER), (REQUEST, text), *_modules(program))))


@cache
def _modules(program: str) -> tuple[tuple[str, str], ...]:
    """A program's package and what it imports of others, relative imports followed."""
    waiting = [f"{program}/main.py"]
    found: dict[str, str] = {}
    while waiting:
        path = waiting.pop()
        if path in found or not (_PROGRAMS / path).is_file():
            continue
        found[path] = (_PROGRAMS / path).read_text(encoding="utf-8")
        above = PurePosixPath(path).parent
        waiting += [f"{each}/__init__.py" for each in (above, *above.parents) if str(each) != "."]
        waiting += ["__init__.py", *_imported(found[path], above)]
    return tuple((f"{FOLDER}/{_PACKAGE}/{path}", text) for path, text in found.items())


def _imported(text: str, folder: PurePosixPath) -> Iterator[str]:
    """The files that a module's relative imports may mean."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folder if node.level == 1 else folder.parents[node.level - 2]
            base = base.joinpath(*(node.module or "").split("."))
            yield f"{base}.py"
            for name in node.names:
                yield (base / f"{name.name}.py").as_posix()
