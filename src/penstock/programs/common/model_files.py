"""What a model's files are, told from their content, and whether loading them could run code.

Nothing here loads a model, and nothing is ever taken for a pickle that a user did not call one.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import packages
from .program import UnusableError

FORMATS = ("mlflow", "skops", "onnx", "safetensors", "loader", "pickle")
SAFER = "save the model as skops, ONNX or safetensors instead"
CONSENT = f"if it is your own, say `trust: pickle`; otherwise {SAFER}"

_HEAD_BYTES = 64
_HEADER_LIMIT_BYTES = 100_000_000  # of safetensors' own reader
_MLMODEL_LIMIT_BYTES = 10_000_000
_NUMPY = b"\x93NUMPY"
_PICKLED = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_PICKLE_NAMES = (".pkl", ".pickle", ".joblib")
_ONNX_VERSION = b"\x08"  # the tag of `ir_version`, which writers put first
_ONNX_NEXT = (
    b"\x12",
    b"\x1a",
    b"\x22",
    b"\x28",
    b"\x32",
    b"\x3a",
    b"\x42",
)  # tags of the fields 2 to 8 of a ModelProto
_NATIVE = {"xgboost": (".xgb", ".ubj", ".json"), "lightgbm": (".lgb", ".txt"), "catboost": (".cb", ".cbm")}
"""Flavours whose own file format holds no code, and the names that MLflow gives such files."""


def guessed(path: Path) -> str:
    """The format of what lies at a path.

    Raises:
        UnusableError: It is none that can be told, or a pickle, which is never guessed.
    """
    if path.is_dir():
        if (path / "MLmodel").is_file():
            return "mlflow"
        names = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
        raise UnusableError(
            f"{path}: a directory that is no MLflow model (no file MLmodel; it holds {names}): "
            "name the model's file, or a `loader`"
        )
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"PK") and _holds_a_schema(path):
        return "skops"
    if safetensors_problem(path) is None:
        return "safetensors"
    if head[:1] == _ONNX_VERSION and head[2:3] in _ONNX_NEXT:
        return "onnx"
    raise UnusableError(f"{path}: {_unknown(path, head)}")


def _holds_a_schema(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "schema.json" in archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError):
        return False


def _unknown(path: Path, head: bytes) -> str:
    if head.startswith(_PICKLED) or path.suffix.lower() in _PICKLE_NAMES:
        return (
            "looks like a pickle, which can run any code when it is loaded; "
            f"if it is your own, say `format: pickle` and `trust: pickle`; otherwise {SAFER}"
        )
    if head.startswith(_NUMPY):
        return "an array of NumPy is no model yet: name a `loader` that makes one of it"
    return f"its format cannot be told from its content: say `format`, one of {', '.join(FORMATS)}"


def safetensors_problem(path: Path) -> str | None:
    """Why a file is not of the format safetensors; None if it is.

    Source: https://huggingface.co/docs/safetensors, "Format": 8 bytes of length, a JSON header, the data.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not len(b"{}") <= length <= min(size - 8, _HEADER_LIMIT_BYTES):
            return "its first 8 bytes are not the length of a header"
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            return "its header is no JSON"
    if not isinstance(header, dict):
        return "its header is no mapping"
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        ends = tensor.get("data_offsets") if isinstance(tensor, dict) else None
        if not isinstance(ends, list) or not all(isinstance(end, int) for end in ends):
            return f"tensor {name!r} has no place in it"
        if not 0 <= ends[0] <= ends[-1] <= size - 8 - length:
            return f"tensor {name!r} lies outside of it"
    return None


@dataclass(frozen=True, slots=True)
class MlflowContent:
    """What an MLflow model directory holds.

    Attributes:
        format: `skops` or `onnx` if its file can be loaded as such, without MLflow; else `mlflow`.
        path: That file, or the directory.
        flavour: The one that loads it.
        danger: What loading it could do that data cannot; None if nothing.
    """

    format: str
    path: Path
    flavour: str
    danger: str | None


def mlflow_content(path: Path) -> MlflowContent:
    """What loads an MLflow model directory.

    Only flavours that are known to hold data alone go without consent. skops and ONNX files are loaded
    directly: MLflow would trust whatever types the directory itself says to trust.

    Raises:
        UnusableError: It is no MLflow model, or points out of itself.
    """
    flavours = _flavours(path)
    own_code = [name for name, options in flavours.items() if options.get("code")]
    sklearn, onnx = flavours.get("sklearn"), flavours.get("onnx")
    if sklearn is not None and sklearn.get("serialization_format") == "skops" and not own_code:
        return MlflowContent("skops", _inside(path, sklearn.get("pickled_model")), "sklearn", None)
    if onnx is not None and not own_code:
        return MlflowContent("onnx", _inside(path, onnx.get("data")), "onnx", None)
    for name in _NATIVE:
        if name in flavours:
            danger = _own_code(own_code) or _native_danger(path, name, flavours)
            return MlflowContent("mlflow", path, name, danger)
    if sklearn is not None:
        danger = f"its flavour sklearn is saved as {sklearn.get('serialization_format') or 'pickle'}"
        return MlflowContent("mlflow", path, "sklearn", danger)
    flavour = "python_function" if "python_function" in flavours else min(flavours)
    danger = _own_code(own_code) or f"its flavour {flavour} may unpickle, or run code that comes with it"
    return MlflowContent("mlflow", path, flavour, danger)


def _own_code(flavours: list[str]) -> str | None:
    return f"its flavour {flavours[0]} brings code of its own" if flavours else None


def _native_danger(path: Path, name: str, flavours: Mapping[str, Mapping[str, Any]]) -> str | None:
    options = flavours[name]
    file = str(options.get("data") or flavours.get("python_function", {}).get("data") or "")
    kind = str(options.get("model_class") or f"{name}.")
    if _inside(path, file).suffix not in _NATIVE[name]:
        return f"its flavour {name} is saved in {file!r}, which may be a pickle"
    if not kind.startswith(f"{name}."):
        return f"its flavour {name} would be loaded into {kind}"
    return None


def _flavours(path: Path) -> dict[str, dict[str, Any]]:
    yaml = packages.load("yaml", purpose=f"{path}: reading an MLflow model directory")
    place = path / "MLmodel"
    if not place.is_file():
        raise UnusableError(f"{path}: no MLflow model directory: it has no file MLmodel")
    try:
        text = place.read_bytes()
        document = yaml.safe_load(text) if len(text) <= _MLMODEL_LIMIT_BYTES else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnusableError(f"{place}: no YAML: {' '.join(str(error).split())}") from None
    found = document.get("flavors") if isinstance(document, dict) else None
    if not isinstance(found, dict) or not found:
        raise UnusableError(f"{place}: names no flavours")
    return {str(name): options if isinstance(options, dict) else {} for name, options in found.items()}


def _inside(path: Path, name: object) -> Path:
    place = path / str(name or "")
    if not name or not place.resolve().is_relative_to(path.resolve()):
        raise UnusableError(f"{path / 'MLmodel'}: its model's file, {name!r}, is not in the directory")
    return place
