"""Models of every kind behind one call: rows in, what the model says of them out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from .program import UnusableError

if TYPE_CHECKING:
    import pandas as pd

_NUMPY_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}
_TEXT = "tensor(string)"
_LABEL_TYPES = ("tensor(int64)", "tensor(int32)", "tensor(string)", "tensor(bool)")
_EXECUTION = ("CUDAExecutionProvider", "ROCMExecutionProvider", "CPUExecutionProvider")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said of some rows, in its own types.

    Attributes:
        scores: Of every class, if the model gives any beside the predictions.
        classes: In the order of the scores' columns, if the model knows them.
    """

    predictions: Any
    scores: Any = None
    classes: Sequence[Any] | None = None


class Predictor(Protocol):
    """A loaded model.

    Attributes:
        native: What was loaded.
    """

    native: Any

    def call(self, rows: pd.DataFrame) -> Any:
        """Predict once, as a service would; gives what the model gives."""

    def answer(self, rows: pd.DataFrame) -> Answer:
        """All that the model says of some rows."""


def predictor(native: Any, where: str) -> Predictor:
    """A model in memory, ready to predict.

    Raises:
        UnusableError: It neither has `predict` nor can be called.
    """
    if not callable(getattr(native, "predict", None)) and not callable(native):
        raise UnusableError(
            f"{where}: holds a {type(native).__name__}, which has no `predict` and cannot be called: "
            "save the model itself, or name a `loader` that makes one"
        )
    return ObjectPredictor(native)


class ObjectPredictor:
    """An object with `predict` (and `predict_proba`), or one that is called with a DataFrame."""

    def __init__(self, native: Any) -> None:
        self.native = native
        own = getattr(native, "predict", None)
        self._predict = own if callable(own) else native

    def call(self, rows: pd.DataFrame) -> Any:
        """Predict once."""
        return self._predict(rows)

    def answer(self, rows: pd.DataFrame) -> Answer:
        """Predictions, and probabilities where the model has them."""
        classes = getattr(self.native, "classes_", None)
        score = getattr(self.native, "predict_proba", None)
        scores = score(rows) if callable(score) else None
        return Answer(self._predict(rows), scores, None if classes is None else list(classes))


class OnnxPredictor:
    """An ONNX file in onnxruntime; one input for all columns together, or one named after each column."""

    def __init__(self, runtime: ModuleType, path: Path) -> None:
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors; it would warn of what a user cannot change
        at_hand = set(runtime.get_available_providers())
        providers = [name for name in _EXECUTION if name in at_hand]
        self.native = runtime.InferenceSession(str(path), options, providers=providers)
        self._outputs = self.native.get_outputs()
        named = self.native.get_modelmeta().custom_metadata_map.get("classes")
        self._classes = json.loads(named) if named else None

    def call(self, rows: pd.DataFrame) -> Any:
        """Predict once, the columns' way into tensors included."""
        return self.native.run(None, self._feed(rows))

    def answer(self, rows: pd.DataFrame) -> Answer:
        """The outputs, told apart by their types: labels, and the scores beside them."""
        values = self.call(rows)
        labels = [value for value, about in self._typed(values) if about.type in _LABEL_TYPES]
        others = [(value, about) for value, about in self._typed(values) if about.type not in _LABEL_TYPES]
        if not labels:
            return Answer(others[0][0], classes=self._classes)
        for value, about in others:
            if about.type.startswith("seq(map"):
                return _from_mappings(labels[0], value)
            if len(about.shape) == 2:  # noqa: PLR2004 - rows and classes
                return Answer(labels[0], value, self._classes)
        return Answer(labels[0], classes=self._classes)

    def _typed(self, values: Sequence[Any]) -> list[tuple[Any, Any]]:
        return list(zip(values, self._outputs, strict=True))

    def _feed(self, rows: pd.DataFrame) -> dict[str, Any]:
        inputs = self.native.get_inputs()
        if all(item.name in rows.columns for item in inputs):
            return {item.name: _tensor(rows[[item.name]], item, len(item.shape) == 1) for item in inputs}
        if len(inputs) > 1:
            missing = [item.name for item in inputs if item.name not in rows.columns]
            raise ValueError(f"the rows lack the columns that the model's inputs are called: {missing}")
        width = inputs[0].shape[-1]
        if isinstance(width, int) and width != len(rows.columns):
            raise ValueError(f"the model takes {width} columns, and the rows have {len(rows.columns)}")
        return {inputs[0].name: _tensor(rows, inputs[0], flat=False)}


def _tensor(columns: pd.DataFrame, about: Any, flat: bool) -> Any:  # noqa: FBT001 - one call has it positional
    if about.type == _TEXT:
        values = columns.astype(object).where(columns.notna(), "").astype(str).to_numpy(dtype=object)
    elif about.type in _NUMPY_TYPES:
        values = columns.to_numpy(dtype=_NUMPY_TYPES[about.type])
    else:
        raise ValueError(f"input {about.name!r} of type {about.type} takes no columns of a table")
    return values[:, 0] if flat else values


def _from_mappings(labels: Any, scores: Sequence[Mapping[Any, float]]) -> Answer:
    classes = list(scores[0]) if scores else None
    return Answer(labels, [[row[name] for name in classes or ()] for row in scores], classes)
