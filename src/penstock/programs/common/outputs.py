"""What a model says, in one form: class labels as text, class probabilities, or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .classes import positive as positive_place
from .predictors import Answer
from .program import UnusableError

TASKS = ("binary", "multiclass", "regression", "ranking")
MOST_CLASSES = 20
"""Whole numbers of more different values than this are taken for measurements."""

_ENCODED = ({"False", "True"}, {"0", "1"})
_SCORE_PREFIXES = ("score_", "probability_")
_TABLE = 2  # axes
_PAIR = 2  # classes

Floats = NDArray[np.float64]


class OutputError(Exception):
    """A model's answer has no meaning for the rows it was asked about; the message is half a sentence."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a model predicts.

    Attributes:
        task: One of `TASKS`.
        classes: As text, in the order of the scores' columns; none for numbers.
        positive: Of two classes the one that recall and the like are about.
        own: What the model itself calls the classes, in the same order; none if it calls them the same.
    """

    task: str
    classes: tuple[str, ...] = ()
    positive: str | None = None
    own: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outputs:
    """A model's answer for n rows.

    Attributes:
        labels: Text, None where the model gave none; shape (n,). None unless it predicts classes.
        numbers: Shape (n,). None if it predicts classes.
        scores: Shape (n, classes). None unless the model gives them.
    """

    labels: NDArray[np.object_] | None = None
    numbers: Floats | None = None
    scores: Floats | None = None

    def take(self, rows: NDArray[np.int64]) -> Outputs:
        """The same of some rows."""
        return Outputs(
            None if self.labels is None else self.labels[rows],
            None if self.numbers is None else self.numbers[rows],
            None if self.scores is None else self.scores[rows],
        )


def joined(parts: Sequence[Outputs]) -> Outputs:
    """The answers for several tables, as the answer for all their rows."""

    def column(name: str) -> Any:
        pieces = [getattr(part, name) for part in parts]
        return None if any(piece is None for piece in pieces) else np.concatenate(pieces)

    return Outputs(column("labels"), column("numbers"), column("scores"))


def texts(values: Any) -> NDArray[np.object_]:
    """Class labels as text: 1, 1.0 and "1" are the same class; None where there is none."""
    codes, different = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=True)
    names: NDArray[np.object_] = np.array([*(_text(value) for value in different), None], dtype=object)
    found: NDArray[np.object_] = names[codes]  # the code of what is missing is -1
    return found


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def subject(answer: Answer, request: Mapping[str, Any], truth: pd.Series[Any] | None) -> Subject:
    """What the model predicts, as the request says or else as its answer shows.

    Classes: what has probabilities, text, truth values, or at most 20 different whole numbers of an integer
    type. Anything else is a number.

    Raises:
        UnusableError: The request's `task` or `positive` does not go with the model.
        OutputError: The answer cannot be read.
    """
    task, positive = request.get("task"), request.get("positive")
    if task not in (None, *TASKS):
        raise UnusableError(f"task: {task!r} is none of {', '.join(TASKS)}")
    if task in ("regression", "ranking") or (task is None and not _is_of_classes(answer, truth)):
        return Subject(task or "regression")
    own = _classes(answer, truth)
    classes = _called(own, truth)
    kind = task or ("binary" if len(classes) <= _PAIR else "multiclass")
    if kind == "binary" and len(classes) > _PAIR:
        raise UnusableError(f"task: binary, and there are the classes {', '.join(classes)}: say multiclass")
    if positive is not None and str(positive) not in classes:
        raise UnusableError(f"positive: the model knows no class {positive!r}, but {', '.join(classes)}")
    if kind == "binary" and positive is None:
        positive = classes[positive_place(classes)[0]] if len(classes) == _PAIR else classes[-1]
    return Subject(kind, classes, None if positive is None else str(positive), () if own == classes else own)


def _is_of_classes(answer: Answer, truth: pd.Series[Any] | None) -> bool:
    if answer.scores is not None or answer.classes is not None:
        return True
    predictions, scores = _parts(answer)
    if predictions is None or scores is not None:
        return True
    values = pd.Series(predictions)
    if truth is not None and not pd.api.types.is_numeric_dtype(truth):
        return True
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return True
    return bool(pd.api.types.is_integer_dtype(values) and values.nunique() <= MOST_CLASSES)


def _classes(answer: Answer, truth: pd.Series[Any] | None) -> tuple[str, ...]:
    named = answer.classes if answer.classes is not None else _score_names(answer)
    if named:
        return tuple(str(name) for name in texts(list(named)))
    known = set() if truth is None else {str(name) for name in texts(truth.dropna().unique())}
    predictions, scores = _parts(answer)
    if predictions is not None and not _are_probabilities(predictions, sorted(known)):
        said = {str(name) for name in texts(pd.Series(predictions).dropna().unique())}
        usual = next((pair for pair in _ENCODED if said <= pair), said)
        known = known | said if known & said or not said else set(usual)
    classes = tuple(sorted(known, key=_order))
    width = len(classes) if scores is None else scores.shape[1]
    if width != len(classes):
        raise OutputError(f"gave scores of {width} classes, and {len(classes)} are known")
    if not classes:
        raise OutputError("gave no class for any row")
    return classes


def _called(own: tuple[str, ...], truth: pd.Series[Any] | None) -> tuple[str, ...]:
    """What the truth calls the model's classes.

    A model that was trained on 0 and 1, or on truth values, is often asked about No and Yes: two classes of
    other names are matched where names say which one is the positive one.
    """
    values = set() if truth is None else {str(name) for name in texts(truth.dropna().unique())}
    if not values or values & set(own):
        return own
    names = tuple(sorted(values, key=_order))
    if len(names) == len(own) == _PAIR:
        (place, sure), (own_place, own_sure) = positive_place(names), positive_place(own)
        if sure and own_sure:
            return names if place == own_place else names[::-1]
    raise UnusableError(
        f"target {truth.name!r} holds {', '.join(names[:5])}, and the model predicts {', '.join(own[:5])}: "  # type: ignore[union-attr]
        "name a target that holds what the model predicts"
    )


def _order(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name


def normalised(answer: Answer, about: Subject, rows: int) -> Outputs:
    """A model's answer in one form.

    Args:
        rows: That it was asked about.

    Raises:
        OutputError: It has another number of rows or columns, or holds what is no number.
    """
    predictions, scores = _parts(answer)
    for what, part in (("prediction", predictions), ("score", scores)):
        if part is not None and len(part) != rows:
            raise OutputError(f"gave {len(part):,} {what}s for {rows:,} rows")
    if not about.classes:
        if predictions is None:
            raise OutputError("gave no predictions" if scores is None else "gave several numbers for a row")
        return Outputs(numbers=_numbers(predictions))
    if scores is not None:
        scores = _in_order(scores, answer.classes, about)
    if predictions is None and scores is None:
        raise OutputError("gave no predictions")
    if scores is None and _are_probabilities(predictions, about.classes):
        scores = _of_both(_numbers(predictions), about)
        predictions = None
    if predictions is None:
        assert scores is not None
        return Outputs(labels=_likeliest(scores, about), scores=scores)
    labels = texts(predictions)
    if about.own:
        called = dict(zip(about.own, about.classes, strict=True))
        labels = np.array([called.get(label, label) for label in labels], dtype=object)
    return Outputs(labels=labels, scores=scores)


def _in_order(scores: Floats, classes: Sequence[Any] | None, about: Subject) -> Floats:
    """Scores with the columns in the order of the subject's classes (another copy may have another order)."""
    if scores.shape[1] != len(about.classes):
        raise OutputError(f"gave scores of {scores.shape[1]} classes instead of {len(about.classes)}")
    wanted = about.own or about.classes
    given = wanted if classes is None else tuple(str(name) for name in texts(list(classes)))
    if set(given) == set(about.classes):  # trained on the truth's own names
        wanted = about.classes
    if set(given) != set(wanted):
        raise OutputError(f"gave scores of the classes {', '.join(given)} instead of {', '.join(wanted)}")
    return scores[:, [given.index(name) for name in wanted]]


def _are_probabilities(predictions: Any, classes: Sequence[Any]) -> bool:
    """Whether a binary classifier gave its positive class's probability instead of a class."""
    values = np.asarray(predictions)
    if values.dtype.kind != "f" or len(classes) > _PAIR or not len(values):
        return False
    return bool(np.any(values != np.rint(values)))


def _of_both(probability: Floats, about: Subject) -> Floats:
    is_last = about.positive == about.classes[-1]
    columns = (1 - probability, probability) if is_last else (probability, 1 - probability)
    return np.column_stack(columns)


def _likeliest(scores: Floats, about: Subject) -> NDArray[np.object_]:
    names = np.array([*about.classes, None], dtype=object)
    unknown = np.isnan(scores).any(axis=1)
    return names[np.where(unknown, len(about.classes), np.argmax(np.nan_to_num(scores), axis=1))]


def _parts(answer: Answer) -> tuple[Any, Floats | None]:
    """Predictions, one-dimensional, and scores, two-dimensional; either may be missing."""
    raw = answer.predictions
    if isinstance(raw, Mapping) or (isinstance(raw, pd.DataFrame) and "prediction" in raw):
        names = _score_names(answer)
        scores = np.column_stack([_numbers(raw[name]) for name in names.values()]) if names else None
        return np.asarray(raw["prediction"]) if "prediction" in raw else None, scores
    scores = None if answer.scores is None else _matrix(answer.scores)
    values = np.asarray(raw) if hasattr(raw, "__len__") else None
    if values is None:
        raise OutputError(f"gave a {type(raw).__name__} instead of a value for each row")
    if values.ndim == _TABLE and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1:
        return values, scores
    if values.ndim == _TABLE and scores is None:
        return None, _matrix(values)
    raise OutputError(f"gave an array of shape {values.shape} instead of a value for each row")


def _score_names(answer: Answer) -> dict[str, str]:
    """Classes that columns called `score_<class>` or `probability_<class>` speak of, with their names."""
    raw = answer.predictions
    names = list(raw) if isinstance(raw, Mapping | pd.DataFrame) else []
    return {
        str(name).removeprefix(prefix): name
        for prefix in _SCORE_PREFIXES
        for name in names
        if str(name).startswith(prefix)
    }


def _matrix(values: Any) -> Floats:
    scores = _numbers(values)
    if scores.ndim != _TABLE:
        raise OutputError(f"gave scores of shape {scores.shape} instead of one for each row and class")
    return scores


def _numbers(values: Any) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise OutputError(f"gave what is no number, such as {_strange(values)}") from None


def _strange(values: Any) -> str:
    flat = np.asarray(values, dtype=object).ravel()
    found = next((value for value in flat if not isinstance(value, int | float | np.number)), flat[:1])
    return repr(found)[:60]
