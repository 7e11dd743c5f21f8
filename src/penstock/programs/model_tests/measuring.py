"""The metrics of `measure`, of a model's answers in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..common.outputs import Outputs, Subject
from ..common.program import UnusableError
from ..measure import measures, metrics, paired
from ..measure.intervals import Bounds
from ..measure.metrics import Metric
from ..measure.paired import Pair
from ..measure.sample import BINARY, MULTICLASS, RANKING, REGRESSION, Sample, UnmeasurableError
from ..measure.statistic import Statistic

RESAMPLES = 2000
SUM_TOLERANCE = 0.01
"""What probabilities of one row may miss 1 by; some models count in 16 bits."""

_SEED = "model-tests"
_USUAL = {
    BINARY: "accuracy",
    MULTICLASS: "accuracy",
    REGRESSION: "mean_absolute_error",
    RANKING: "roc_auc",
}
_NO_BOUNDS = Bounds(None, None, None)


def metric_of(name: str | None, subject: Subject, where: str) -> Metric:
    """A metric by its name, or the usual one of the task.

    Raises:
        UnusableError: There is none of this name, or it is for another task.
    """
    chosen = name or _USUAL[subject.task]
    if ":" in chosen:
        raise UnusableError(f"{where}: {chosen!r}: functions of your own are for the recipe `measure`")
    try:
        found = metrics.find(chosen)
    except UnusableError as error:
        raise UnusableError(f"{where}: {error}") from None
    if subject.task not in found.tasks:
        raise UnusableError(f"{where}: {chosen} is no metric of a {subject.task} task")
    if found.better is None:
        raise UnusableError(f"{where}: of {chosen} neither more nor less is better")
    return found


@dataclass(frozen=True)
class Measured:
    """A metric on some rows of which the truth is known."""

    metric: Metric
    sample: Sample
    statistic: Statistic

    @property
    def value(self) -> float:
        """The number."""
        return self.statistic.value


def measured(metric: Metric, truth: Any, outputs: Outputs, subject: Subject) -> Measured:
    """A metric on some rows.

    Args:
        metric: Of the subject's task.
        truth: Class labels as text, or numbers, of the same rows as `outputs`.
        outputs: What the model said.
        subject: What it predicts.

    Raises:
        UnmeasurableError: It has no value on them.
    """
    if not len(truth):
        raise UnmeasurableError("there is no row with a known truth")
    for values in (outputs.numbers, outputs.scores):
        if values is not None and not np.isfinite(values).all():
            raise UnmeasurableError("the model gave values that are not finite")
    sample = _of_numbers if outputs.labels is None else _of_classes
    rows = sample(truth, outputs, subject)
    return Measured(metric, rows, metric.statistic(rows))


def _of_numbers(truth: Any, outputs: Outputs, subject: Subject) -> Sample:
    places = np.arange(len(truth))
    if subject.task == REGRESSION:
        return Sample(REGRESSION, truth, prediction=outputs.numbers, numbers=places)
    return Sample(subject.task, truth, score=outputs.numbers, numbers=places)


def _of_classes(truth: NDArray[np.object_], outputs: Outputs, subject: Subject) -> Sample:
    labels, scores = outputs.labels, outputs.scores
    assert labels is not None
    if any(label is None for label in labels):
        raise UnmeasurableError("the model gave no prediction for some rows")
    strange = sorted(set(truth.tolist()) - set(subject.classes))
    classes = (*subject.classes, *strange)
    place = {name: index for index, name in enumerate(classes)}
    unknown = set(labels.tolist()) - set(classes)
    if unknown:
        raise UnmeasurableError(f"the model predicted {min(unknown)!r}, a class that nobody knows")
    positive = None if subject.positive is None else place[subject.positive]
    improbable = None
    if scores is not None:
        if (scores < 0).any() or (np.abs(scores.sum(axis=1) - 1) > SUM_TOLERANCE).any():
            improbable = "the model's scores are no probabilities"
        scores = np.column_stack([scores, np.zeros((len(truth), len(strange)))])
    return Sample(
        subject.task,
        np.array([place[name] for name in truth], np.int32),
        prediction=np.array([place[name] for name in labels], np.int32),
        score=None if scores is None or positive is None else scores[:, positive],
        probabilities=scores,
        classes=classes,
        positive=positive,
        improbable=improbable,
        numbers=np.arange(len(truth)),
    )


def bounds(found: Measured, confidence: float | None) -> Bounds:
    """An interval of a metric, by a formula where there is one, else from resamples."""
    return measures.bounds([(found.statistic, confidence)], RESAMPLES, _SEED)[0]


def changes(before: Measured, after: Sequence[Measured], confidence: float | None) -> list[Bounds]:
    """Intervals of `after - before`, paired by row."""
    if confidence is None:
        return [_NO_BOUNDS] * len(after)
    pairs = [
        Pair(each.metric, each.sample, before.sample, each.statistic, before.statistic, confidence)
        for each in after
    ]
    return paired.bounds(pairs, RESAMPLES, _SEED)


def sign(metric: Metric) -> int:
    """1 if more is better, -1 if less is."""
    return 1 if metric.better == metrics.HIGHER else -1
