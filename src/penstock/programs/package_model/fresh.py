"""Loads a package where nothing but it and the environment is seen, and asks it about its example."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..common.program import RefusedError, UnusableError
from .layout import EXAMPLE
from .served import CODE

_CODE = """\
import importlib, json, os, sys
root, code, loader, example, alone, pipe = sys.argv[1:]
sys.path.insert(0, os.path.join(root, code))
import pandas as pd
from penstock_model.common import packages
with open(os.path.join(root, example), encoding="utf-8") as file:
    asked = json.load(file)
try:
    rows = pd.DataFrame(**asked["request"]["dataframe_split"])
    model = importlib.import_module(loader)._load_pyfunc(root)
    some = [model.predict(rows.iloc[[at]]) for at in range(min(len(rows), int(alone)))]
    said = pd.concat([model.predict(rows), *some])
    found = {"said": said.astype(object).where(said.notna(), None).to_numpy().tolist()}
except Exception as error:
    found = {"error": packages.told(error)}
with os.fdopen(int(pipe), "w") as file:
    json.dump(found, file)
"""
_ALONE = 10
"""Rows that are also asked about one by one: a service gets them so."""


def check(root: Path, loader: str) -> None:
    """Make sure that a package can be loaded by itself, and says what the model said.

    Args:
        loader: The module that MLflow imports.

    Raises:
        RefusedError: It says something else.
        UnusableError: It cannot be loaded.
    """
    found = _asked(root, loader)
    if "error" in found:
        raise UnusableError(
            f"{root}: the package cannot be used where only it is at hand: {found['error']}; "
            "add what is missing to the stage's `inputs`, or to the project's lock file"
        )
    example = json.loads((root / EXAMPLE).read_text(encoding="utf-8"))
    expected = example["expected"]
    for number, said in enumerate(found["said"]):
        at = number % len(expected)
        for column, one, other in zip(example["columns"], said, expected[at], strict=True):
            if not same(one, other, example["tolerance"] * largest(expected)):
                raise RefusedError(
                    f"{root}: of example row {at + 1} the package says {column} {one!r}, and the model said "
                    f"{other!r} among all rows: it depends on the rows beside, or on chance"
                )


def largest(rows: Sequence[Sequence[Any]]) -> float:
    """The largest number, by its absolute value, of some rows."""
    numbers = (value for row in rows for value in row if isinstance(value, int | float))
    return max((abs(value) for value in numbers), default=0.0)


def same(one: Any, other: Any, allowed: float) -> bool:
    """Whether two values of an answer are equal; numbers may differ by `allowed`."""
    if isinstance(one, bool | str) or isinstance(other, bool | str) or one is None or other is None:
        return type(one) is type(other) and bool(one == other)
    return math.isclose(one, other, rel_tol=0, abs_tol=allowed)


def _asked(root: Path, loader: str) -> dict[str, Any]:
    reading, writing = os.pipe()
    top = Path.cwd()
    known = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    elsewhere = [each for each in known if Path(each).is_absolute() and not Path(each).is_relative_to(top)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(root.resolve()), CODE, loader, EXAMPLE, str(_ALONE), str(writing)]
        command = [sys.executable, "-c", _CODE, *arguments]
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(elsewhere), "PYTHONDONTWRITEBYTECODE": "1"}
        child = subprocess.Popen(  # noqa: S603 - fixed
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=2, pass_fds=[writing]
        )
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            message = pipe.read()
        child.wait()
    if not message:
        return {"error": f"the process that loaded it ended with {child.returncode}"}
    found: dict[str, Any] = json.loads(message)
    return found
