"""What metrics are computed from: truth, prediction and score of some rows."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.tables import Table

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
Rows = NDArray[np.intp]

BINARY, MULTICLASS, REGRESSION, RANKING = TASKS = ("binary", "multiclass", "regression", "ranking")
CLASSIFICATION = (BINARY, MULTICLASS)


class UnmeasurableError(Exception):
    """A metric has no value on these rows; the message says why, as a clause: `no row is truly 'yes'`."""


class MissingColumnError(UnmeasurableError):
    """The table lacks a column that a metric needs."""


@dataclass(frozen=True)
class Sample:
    """Rows of a predictions table, as arrays of one length.

    Attributes:
        task: One of `TASKS`.
        truth: Places in `classes`; numbers for regression and ranking.
        prediction: The same of what was predicted; absent if the table has no such column.
        score: Of the positive class, or what rows are ranked by; any finite numbers.
        probabilities: (rows, classes), finite, as they stand in the table.
        query: Which query each row of a ranking belongs to.
        classes: Every class as text, in order.
        positive: Place of the positive class, where one is known.
        improbable: Why the scores are no probabilities, if they are none.
        table: Where the rows are from; functions of the user's get more of it.
        numbers: Which of its rows each row is.
        kept: What was computed for one metric and serves others.
    """

    task: str
    truth: NDArray[Any]
    prediction: NDArray[Any] | None = None
    score: Floats | None = None
    probabilities: Floats | None = None
    query: Codes | None = None
    classes: tuple[str, ...] = ()
    positive: int | None = None
    improbable: str | None = None
    table: Table | None = None
    numbers: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    kept: dict[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.truth)

    def take(self, rows: NDArray[Any]) -> Sample:
        """The sample of some rows, by their places or by a mask."""

        def some(array: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if array is None else array[rows]

        return replace(
            self,
            truth=self.truth[rows],
            prediction=some(self.prediction),
            score=some(self.score),
            probabilities=some(self.probabilities),
            query=some(self.query),
            numbers=self.numbers[rows],
            kept={},
        )

    # What metrics ask for: each raises UnmeasurableError where it is not there.

    @functools.cached_property
    def predicted(self) -> NDArray[Any]:
        """The predictions."""
        if self.prediction is None:
            raise MissingColumnError("the table has no column of predictions")
        return self.prediction

    @functools.cached_property
    def scored(self) -> Floats:
        """The scores."""
        if self.score is None:
            raise MissingColumnError("the table has no column of scores")
        return self.score

    @functools.cached_property
    def class_scores(self) -> Floats:
        """(rows, classes), also for two classes of which only one has a column of scores."""
        if self.probabilities is not None:
            return self.probabilities
        if self.task == BINARY and self.positive is not None and len(self.classes) <= 2:  # noqa: PLR2004
            first = self.scored if self.positive == 0 else 1 - self.scored
            return np.stack([first, 1 - first], axis=1)
        raise MissingColumnError("the table has no columns of class probabilities (`score_<class>`)")

    @functools.cached_property
    def is_positive(self) -> NDArray[np.bool_]:
        """Which rows truly are of the positive class; of a ranking, which are relevant (above 0)."""
        if self.task == RANKING:
            return np.asarray(self.truth > 0)
        return np.asarray(self.truth == self.positive_class)

    @property
    def positive_class(self) -> int:
        """Place of the positive class."""
        if self.positive is None:
            what = "it is not known which class is positive: name it (`positive: <class>`)"
            if self.task == MULTICLASS:
                what = "there are more than two classes: name one (`positive: <class>`), or take the average"
            raise UnmeasurableError(what)
        return self.positive

    def name(self, place: int) -> str:
        """A class in a message."""
        return repr(self.classes[place]) if place < len(self.classes) else "the other class"

    def require_probabilities(self) -> None:
        """Raises where the scores are none."""
        if self.improbable is not None:
            raise UnmeasurableError(self.improbable)
