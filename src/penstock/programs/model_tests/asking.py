"""A loaded model together with the rows it is tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..common import models, packages
from ..common.outputs import OutputError, Outputs, Subject, normalised, subject, texts
from ..common.predictors import Predictor
from ..common.program import Progress, UnusableError
from ..common.rows import Rows
from ..measure.metrics import Metric
from .measuring import Measured, measured, metric_of


class PredictError(Exception):
    """The model raised, or gave what means nothing; the message is a clause: `it raised ...`.

    Attributes:
        raised: Whether it was an exception.
    """

    def __init__(self, clause: str, *, raised: bool) -> None:
        super().__init__(clause)
        self.raised = raised


def predicted(model: Predictor, rows: pd.DataFrame, about: Subject) -> Outputs:
    """What a model says of some rows.

    Raises:
        PredictError: It raised, or its answer cannot be read.
    """
    try:
        return normalised(answered(model, rows), about, len(rows))
    except OutputError as error:
        raise PredictError(f"it {error}", raised=False) from error


def answered(model: Predictor, rows: pd.DataFrame) -> Any:
    """The model's own answer; it gets a copy, so that it cannot change the rows.

    Raises:
        PredictError: It raised.
    """
    try:
        return model.answer(rows.copy())
    except Exception as error:
        raise PredictError(f"it raised {packages.told(error)}", raised=True) from error


@dataclass(frozen=True)
class Case:
    """What every test is given.

    Attributes:
        known: Rows whose truth is known; of these, `truth` is as text or numbers.
        outputs: What the model says of all rows.
        answer_classes: Whether the model itself says which classes it knows.
    """

    request: Mapping[str, Any]
    source: models.Source
    model: Predictor
    subject: Subject
    rows: Rows
    outputs: Outputs
    known: NDArray[np.int64]
    truth: Any
    confidence: float | None
    answer_classes: bool
    progress: Progress

    def predict(self, rows: pd.DataFrame) -> Outputs:
        """What the model says of other rows."""
        return predicted(self.model, rows, self.subject)

    def metric(self, name: str | None, where: str) -> Metric:
        """A metric by its name, else that of the request, else the usual one.

        Raises:
            UnusableError: It is unknown, or not for this model; or there is no target.
        """
        if self.truth is None:
            raise UnusableError(f"{where}: a metric needs the truth: name its column as `target`")
        return metric_of(name or self.request.get("metric"), self.subject, where if name else "metric")

    def measured(self, metric: Metric, outputs: Outputs) -> Measured:
        """A metric of the rows whose truth is known; `outputs` are of all rows.

        Raises:
            UnmeasurableError: It has no value.
        """
        return measured(metric, self.truth, outputs.take(self.known), self.subject)

    def named(self, row: int) -> str:
        """A row in a sentence: by its id if there is one, else by its place from 1."""
        column = self.request.get("id")
        return f"{column} {self.rows.table[column].iloc[row]}" if column else f"row {row + 1}"


def case(request: Mapping[str, Any], source: models.Source, model: Predictor, rows: Rows) -> Case:
    """The model's answers for all rows, and what they are compared with.

    Raises:
        PredictError: It cannot predict.
        UnusableError: The request does not go with the model.
    """
    answer = answered(model, rows.features)
    try:
        about = subject(answer, request, rows.truth)
        outputs = normalised(answer, about, len(rows))
    except OutputError as error:
        raise PredictError(f"it {error}", raised=False) from error
    known, truth = _truth(rows, about)
    return Case(
        request,
        source,
        model,
        about,
        rows,
        outputs,
        known,
        truth,
        request.get("confidence") or None,
        answer.classes is not None,
        Progress(),
    )


def _truth(rows: Rows, about: Subject) -> tuple[NDArray[np.int64], Any]:
    if rows.truth is None:
        return np.empty(0, np.int64), None
    known = np.flatnonzero(rows.truth.notna())
    values = rows.truth.iloc[known]
    if about.classes:
        return known, texts(values)
    if not pd.api.types.is_numeric_dtype(values):
        raise UnusableError(
            f"{rows.path}: target {rows.truth.name!r} holds {values.dtype}, and the model numbers"
        )
    return known, values.to_numpy(dtype=np.float64)
