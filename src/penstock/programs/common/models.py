"""A model from its files: what it is, whether it may be loaded, and loading it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import digests, model_files, packages
from .predictors import OnnxPredictor, Predictor, predictor
from .program import UnusableError

Trust = str | tuple[str, ...] | None


class LoadError(Exception):
    """The model's own code, or the library of its format, failed to load it; the message is one line."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model that may be loaded.

    Attributes:
        path: As in the request.
        format: One of `model_files.FORMATS`, as in the request or as told from the files.
        danger: What loading it could do that loading data cannot; None if nothing.
    """

    path: Path
    format: str
    loader: str | None
    trust: Trust
    danger: str | None = None


def source(request: Mapping[str, Any]) -> Source:
    """The model that a request's `model`, `format`, `loader` and `trust` speak of.

    Raises:
        UnusableError: There is none, it cannot be told what it is, or it could run code that nobody trusts.
    """
    path, loader, trust = Path(request["model"]), request.get("loader"), request.get("trust")
    if not path.exists():
        raise UnusableError(f"{path}: there is no model; name the output of the stage that trains it")
    kind = request.get("format") or _told(path, loader)
    if kind not in model_files.FORMATS:
        raise UnusableError(f"format: {kind!r} is none of {', '.join(model_files.FORMATS)}")
    _check_loader(path, kind, loader)
    if isinstance(trust, list):
        trust = tuple(map(str, trust))
    if trust is not None and trust != "pickle" and not isinstance(trust, tuple):
        raise UnusableError(f"trust: {trust!r} is neither `pickle` nor a list of types that skops may load")
    danger = _danger(path, kind)
    if danger and trust != "pickle":
        raise UnusableError(f"{path}: not loaded: {danger}, and can run any code; {model_files.CONSENT}")
    return Source(path, kind, loader, trust, danger)


def _told(path: Path, loader: str | None) -> str:
    if loader is None:
        return model_files.guessed(path)
    is_tensors = path.is_file() and model_files.safetensors_problem(path) is None
    return "safetensors" if is_tensors else "loader"


def _check_loader(path: Path, kind: str, loader: str | None) -> None:
    if kind in ("loader", "safetensors"):
        if loader is None:
            what = "holds tensors and no model" if kind == "safetensors" else "has the format loader"
            raise UnusableError(
                f"{path}: {what}: name `loader: package.module:function`, which makes a model of the path"
            )
        problem = model_files.safetensors_problem(path) if kind == "safetensors" else None
        if problem:
            raise UnusableError(f"{path}: no safetensors file: {problem}")
    elif loader is not None:
        raise UnusableError(f"loader: means nothing for the format {kind}; leave one of them out")


def _danger(path: Path, kind: str) -> str | None:
    if kind == "pickle":
        return "it is a pickle"
    return model_files.mlflow_content(path).danger if kind == "mlflow" else None


def described(model: Source) -> dict[str, Any]:
    """What documents say of a model."""
    content = digests.of_path(model.path)
    return {
        "path": str(model.path),
        "digest": content.digest,
        "format": model.format,
        "trust": list(model.trust) if isinstance(model.trust, tuple) else model.trust,
        "size_bytes": content.size_bytes,
        "files": content.files,
    }


def warnings(model: Source) -> list[str]:
    """What a reader of a document must know of how the model was loaded."""
    if model.danger is None:
        return []
    return [f"{model.path} was loaded with `trust: pickle`: {model.danger}, and could run any code"]


def load(model: Source) -> Predictor:
    """The model, ready to predict.

    Raises:
        UnusableError: A package or a user's trust is missing.
        LoadError: It cannot be loaded.
    """
    packages.see_workspace()
    try:
        return _LOADERS[model.format](model)
    except (UnusableError, LoadError):
        raise
    except ModuleNotFoundError as error:
        raise UnusableError(
            f"{model.path}: loading it needs the module {error.name!r}: add its package to the "
            "project's lock file, or its file to the stage's inputs"
        ) from None
    except Exception as error:
        raise LoadError(f"{model.path} cannot be loaded as {model.format}: {packages.told(error)}") from error


def _skops(path: Path, trust: Trust) -> Predictor:
    io = packages.load("skops.io", purpose=f"{path}: loading a skops file")
    allowed = trust if isinstance(trust, tuple) else ()
    unknown = sorted(set(io.get_untrusted_types(file=path)) - set(allowed))
    if unknown:
        raise UnusableError(
            f"{path}: not loaded: it holds types that skops does not know to be harmless; "
            f"look at them, and if they are, say `trust: [{', '.join(unknown)}]`"
        )
    return predictor(io.load(path, trusted=list(allowed)), str(path))


def _onnx(path: Path) -> Predictor:
    runtime = packages.load("onnxruntime", purpose=f"{path}: loading an ONNX file")
    return OnnxPredictor(runtime, path)


def _mlflow(model: Source) -> Predictor:
    content = model_files.mlflow_content(model.path)
    if content.format == "skops":
        return _skops(content.path, model.trust)
    if content.format == "onnx":
        return _onnx(content.path)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    purpose = f"{model.path}: loading an MLflow model directory"
    pyfunc = packages.load("mlflow.pyfunc", purpose=purpose)
    if content.flavour != "python_function":
        flavour = packages.load(f"mlflow.{content.flavour}", purpose=purpose)
        native = flavour.load_model(str(model.path))
        if hasattr(native, "predict_proba"):  # which pyfunc hides
            return predictor(native, str(model.path))
    return predictor(pyfunc.load_model(str(model.path), suppress_warnings=True), str(model.path))


def _by_loader(model: Source) -> Predictor:
    function = packages.function(model.loader or "", "loader")
    return predictor(function(str(model.path)), f"loader {model.loader}")


def _pickle(model: Source) -> Predictor:
    # joblib reads plain pickles too
    name = "joblib" if packages.has("joblib") else "pickle"
    module = importlib.import_module(name)
    if name == "joblib":
        return predictor(module.load(model.path), str(model.path))
    with model.path.open("rb") as file:
        return predictor(module.load(file), str(model.path))


_LOADERS: Mapping[str, Callable[[Source], Predictor]] = {
    "mlflow": _mlflow,
    "skops": lambda model: _skops(model.path, model.trust),
    "onnx": lambda model: _onnx(model.path),
    "safetensors": _by_loader,
    "loader": _by_loader,
    "pickle": _pickle,
}
