"""A packaged model as MLflow serves it: loaded as the pipeline loads it, asked as it was judged.

This module and those that it imports are copied into the package, so they name nothing but each other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..common import models
from ..common.outputs import Outputs, Subject, normalised
from ..common.predictors import Predictor

ABOUT = "penstock.json"
"""What the package is, beside MLflow's own file."""
CODE = "code"
DATA = "data"
PREDICTION, SCORE = "prediction", "score"


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> Served:  # noqa: ARG001 - MLflow's name and form
    """What MLflow calls to load the package at a path."""
    root = Path(path)
    about = json.loads((root / ABOUT).read_text(encoding="utf-8"))
    for place in reversed(about["paths"]):
        sys.path.insert(0, str(root / CODE / place))
    request = {key: about["model"][key] for key in ("format", "loader", "trust")}
    source = models.source(request | {"model": str(root / about["file"])})
    return Served(models.load(source), about)


class Served:
    """A loaded package.

    Args:
        about: The content of `penstock.json`.
    """

    def __init__(self, model: Predictor, about: Mapping[str, Any]) -> None:
        self._model = model
        self._features = {each["name"]: each["type"] for each in about["features"]}
        self._subject = subject_of(about["subject"])
        self._threshold = about["threshold"]

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 - MLflow's form
        """A row for each row: `prediction`, and `score` (of the positive class) or `score_<class>`.

        Raises:
            ValueError: A column is missing.
            OutputError: The model's answer has no meaning for these rows.
        """
        rows = typed(self._named(data), self._features)
        outputs = normalised(self._model.answer(rows), self._subject, len(rows))
        return answers(outputs, self._subject, self._threshold)

    def _named(self, data: Any) -> pd.DataFrame:
        table = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
        if isinstance(table.columns, pd.RangeIndex) and len(table.columns) == len(self._features):
            return table.set_axis(list(self._features), axis=1)
        return table


def subject_of(about: Mapping[str, Any]) -> Subject:
    """What the model predicts, as `penstock.json` says."""
    return Subject(about["task"], tuple(about["classes"]), about["positive"], tuple(about["own"]))


def typed(table: pd.DataFrame, features: Mapping[str, str]) -> pd.DataFrame:
    """The columns that the model gets, in its order, with the types that it was judged with.

    JSON knows numbers and texts only: 1.0 comes as 1, a column of missing values as no type at all.

    Raises:
        ValueError: A column is missing.
    """
    missing = [name for name in features if name not in table.columns]
    if missing:
        raise ValueError(f"the rows lack the columns {', '.join(missing)}")
    return pd.DataFrame({name: _as(table[name], kind) for name, kind in features.items()}, index=table.index)


def _as(column: pd.Series[Any], kind: str) -> pd.Series[Any]:
    if str(column.dtype) == kind:
        return column
    try:
        if kind.startswith(("int", "uint")):
            numbers = pd.to_numeric(column)
            whole = numbers.notna().all() and np.all(numbers == np.rint(numbers))
            return numbers.astype(kind if whole else "float64")
        if kind.startswith("datetime64"):
            return pd.to_datetime(column).astype(kind)
        if kind in ("object", "str", "string"):
            return column.astype(object).where(column.notna(), np.nan).astype(kind)
        return column.astype(kind)
    except (TypeError, ValueError, OverflowError):
        return column  # the model says what it thinks of it


def answers(outputs: Outputs, about: Subject, threshold: float | None) -> pd.DataFrame:
    """A model's answer as a table.

    Args:
        threshold: From this score of the positive class on, it is predicted; the likelier one if absent.
    """
    if outputs.labels is None:
        return pd.DataFrame({PREDICTION: outputs.numbers})
    labels, scores = outputs.labels, outputs.scores
    columns: dict[str, Any] = {}
    if scores is not None and about.task == "binary" and about.positive is not None:
        columns[SCORE] = scores[:, about.classes.index(about.positive)]
        if threshold is not None:
            other = next(name for name in about.classes if name != about.positive)
            labels = np.where(columns[SCORE] >= threshold, about.positive, other).astype(object)
    elif scores is not None:
        columns = {f"{SCORE}_{name}": scores[:, place] for place, name in enumerate(about.classes)}
    return pd.DataFrame({PREDICTION: _shown(labels, about), **columns})


def _shown(labels: Any, about: Subject) -> Any:
    """Labels as whole numbers where all classes are such, else as texts."""
    if all(name.removeprefix("-").isdecimal() and str(int(name)) == name for name in about.classes):
        return np.array([None if label is None else int(label) for label in labels], dtype=object)
    return labels
