"""The files of a package: an MLflow model directory, the same bytes for the same model.

MLmodel, penstock.json, python_env.yaml, requirements.txt, example.json
data/    the model's own files, byte for byte
code/    what loads them, and the user's modules that it imports
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common import digests
from ..common.program import RefusedError, UnusableError
from . import served

PACKAGE = "penstock_model"
"""What the copies of our modules are called in a package."""
EXAMPLE = "example.json"
REQUIREMENTS = "requirements.txt"
_OWN = ".penstock"
"""What names of Penstock's own directories in a workspace begin with."""
_LOADER = (
    *(f"common/{name}.py" for name in ("__init__", "classes", "digests", "model_files", "models", "outputs")),
    *(f"common/{name}.py" for name in ("packages", "predictors", "program")),
    "package_model/__init__.py",
    "package_model/served.py",
)
"""`served`, and what it imports; a package that lacks one does not pass `fresh.check`."""
_SKIPPED = {"__pycache__", ".git"}


def fresh_folder(path: str) -> Path:
    """The package's directory, empty."""
    folder = Path(path)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def copy_model(model: Path, root: Path) -> str:
    """Copy the model's files; gives their path in the package.

    Raises:
        RefusedError: They changed meanwhile.
    """
    target = root / served.DATA / model.name
    target.parent.mkdir()
    if model.is_dir():
        shutil.copytree(model, target, symlinks=True)
    else:
        shutil.copyfile(model, target)
        shutil.copymode(model, target)
    if digests.of_path(target).digest != digests.of_path(model).digest:
        raise RefusedError(f"{model}: it changed while it was copied; let nothing write to it")
    return target.relative_to(root).as_posix()


def copy_loader(root: Path) -> str:
    """Copy what loads the model, and what that imports; gives the module that MLflow shall import."""
    top, target = Path(served.__file__).parent.parent, root / served.CODE / PACKAGE
    for name in _LOADER:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(top / name, target / name)
    (target / "__init__.py").write_text("", encoding="utf-8")
    return f"{PACKAGE}.package_model.served"


def copy_code(request: Mapping[str, Any], root: Path) -> list[str]:
    """Copy the user's modules if the model is made of any; gives where they are imported from, below `code`.

    All files of the workspace are copied then, the data and other outputs aside: a module may read what lies
    beside it.
    """
    if not any(_own_modules()):
        return []
    aside = [request[key] for key in ("model", "data", "predictions", "result") if request.get(key)]
    for path in _files(Path()):
        if any(path == Path(each) or path.is_relative_to(each) for each in aside):
            continue
        if path.parts[0] == PACKAGE:
            raise UnusableError(f"{path}: {PACKAGE} is what a package calls its own modules; rename it")
        target = root / served.CODE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    here = Path.cwd()
    places = [Path(each).resolve() for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    below = [each.relative_to(here.resolve()).as_posix() for each in places if _is_below(each, here)]
    return [each for each in below if each != "." and not each.startswith(_OWN)]


def _own_modules() -> Iterator[str]:
    """Modules in memory that come from the workspace."""
    here = Path.cwd()
    for module in [*sys.modules.values()]:
        file = getattr(module, "__file__", None)
        if file and _is_below(Path(file), here):
            place = Path(os.path.realpath(file)).relative_to(here.resolve())
            if not place.parts[0].startswith((_OWN, ".venv")):
                yield str(place)


def _is_below(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(folder.resolve())


def _files(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith(_OWN))
        yield from (Path(folder, name) for name in sorted(names) if not name.endswith(".pyc"))


def write_json(root: Path, name: str, value: Any) -> None:
    """Write a file of JSON values."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    (root / name).write_text(f"{text}\n", encoding="utf-8")


def write_mlmodel(root: Path, loader: str, python: str | None) -> None:
    """Write MLflow's own description, without the times and numbers that it would draw.

    There is no signature: MLflow would refuse 1 where a column had 1.0, and a missing value in a column of
    whole numbers. The package itself says which columns it needs (`served.typed`).
    """
    flavour = {"code": served.CODE, "env": {"virtualenv": "python_env.yaml"}, "loader_module": loader}
    environment: dict[str, Any] = {"build_dependencies": ["pip"], "dependencies": [f"-r {REQUIREMENTS}"]}
    if python:
        flavour["python_version"] = environment["python"] = python
    write_json(root, "MLmodel", {"flavors": {"python_function": flavour}})  # which is YAML too
    write_json(root, "python_env.yaml", environment)
