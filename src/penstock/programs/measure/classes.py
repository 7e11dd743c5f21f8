"""Rows of classes: which classes there are, which one is positive, how likely each was held."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..common import tables
from ..common.classes import NEGATIVES, positive
from ..common.program import UnusableError
from ..common.tables import Column, shown
from .columns import Source, finite
from .sample import BINARY, MULTICLASS, Codes, Floats, Sample

SUM_TOLERANCE = 0.01
TWO = 2


def classified(source: Source, task: str) -> tuple[Sample, dict[str, str]]:
    """The sample of a task of classes, and the columns of probabilities by class.

    Raises:
        UnusableError: The classes do not fit together; names the line.
    """
    columns = source.probability_columns()
    classes = _classes(source, task, columns)
    place = {name: index for index, name in enumerate(classes)}
    place_of_positive = _positive(source, task, classes)
    probabilities = None
    if columns and set(classes) <= set(columns):
        probabilities = np.stack([_probability(source, columns[name]) for name in classes], axis=1)
    score = source.numbers("score") if task == BINARY else None
    if task == BINARY and score is None and columns and place_of_positive is not None:
        wanted = classes[place_of_positive] if place_of_positive < len(classes) else ""
        other = next(iter(columns.values()))
        score = (
            _probability(source, columns[wanted]) if wanted in columns else 1 - _probability(source, other)
        )
    prediction = source.maybe("prediction")
    sample = Sample(
        task,
        _coded(source.column("truth"), place),
        None if prediction is None else _coded(prediction, place),
        score,
        probabilities,
        classes=classes,
        positive=place_of_positive,
        improbable=_improbable(source, score, probabilities),
        table=source.table,
        numbers=np.arange(source.table.rows),
    )
    return sample, {name: columns[name] for name in classes if name in columns}


def _probability(source: Source, name: str) -> Floats:
    return finite(source.table, f"column {name!r}:", source.table.column(name))


def _coded(column: Column, place: Mapping[str, int]) -> Codes:
    return np.array([place[value] for value in column.values], dtype=np.int32)[column.codes]


def _classes(source: Source, task: str, columns: Mapping[str, str]) -> tuple[str, ...]:
    truths = set(source.column("truth").values)
    known = truths | (set(columns) if truths <= set(columns) else set())
    if source.like is not None:
        known |= set(source.like.classes)
    path = source.table.path
    if task == MULTICLASS and columns and (absent := sorted(known - set(columns))):
        raise UnusableError(
            f"{path}:1: class {shown(absent[0])} has no column of probabilities;"
            f" the others have ({', '.join(sorted(columns.values())[:6])})"
        )
    prediction = source.maybe("prediction")
    predicted = set(prediction.values) if prediction is not None else set()
    if prediction is not None:
        _refuse_other_spelling(source, known, prediction)
    asked = source.request.get("positive")
    every = known | predicted
    if asked is not None and asked not in every:
        if len(every) > 1:
            hint = tables.nearest(asked, every)
            raise UnusableError(f"{path}: positive {shown(asked)} is no class of the truth{hint}")
        known, every = known | {asked}, every | {asked}
    if task == BINARY and len(every) > TWO:
        _refuse_third(source, known)
    if prediction is not None and (unknown := predicted - known):
        _note_unknown(source, prediction, unknown, known, probable=bool(columns))
    return tuple(_in_order(every))


def _refuse_other_spelling(source: Source, known: set[str], prediction: Column) -> None:
    """`1.0` where the truth says `1` would silently be wrong on every row."""
    numbers = {float(text): text for text in known if _is_number(text)}
    spelt = {text.strip().casefold(): text for text in known}
    for text in prediction.values:
        if text in known:
            continue
        same = numbers.get(float(text)) if _is_number(text) else spelt.get(text.strip().casefold())
        if same is not None:
            raise UnusableError(
                f"{_first(source, prediction, text)}: prediction {shown(text)} and truth {shown(same)} look"
                " like one class written in two ways; write classes alike"
            )


def _refuse_third(source: Source, known: set[str]) -> None:
    truth, prediction = source.column("truth"), source.maybe("prediction")
    like = source.like.classes if source.like is not None else ()
    order = dict.fromkeys([*like, *truth.values, *(prediction.values if prediction else ()), *known])
    third = list(order)[TWO]
    part, column = (
        ("truth", truth) if third in truth.values or prediction is None else ("prediction", prediction)
    )
    where = _first(source, column, third) if third in column.values else source.table.path
    raise UnusableError(
        f"{where}: {part} {shown(third)} is a third class (of {len(order)}); a binary task has two"
    )


def _note_unknown(
    source: Source, prediction: Column, unknown: set[str], known: set[str], *, probable: bool
) -> None:
    text = next(value for value in prediction.values if value in unknown)
    what = f"{_first(source, prediction, text)}: prediction {shown(text)} is no class"
    if probable or not known & set(prediction.values):
        raise UnusableError(f"{what} ({', '.join(map(shown, _in_order(known)[:12]))})")
    source.warnings.append(f"{what} that any truth has; every such row is wrong")


def _first(source: Source, column: Column, text: str) -> str:
    return source.table.where(column.first(lambda value: value == text) or 0)


def _positive(source: Source, task: str, classes: Sequence[str]) -> int | None:
    asked, like = source.request.get("positive"), source.like
    if like is not None and like.positive is not None and like.positive < len(like.classes):
        asked = like.classes[like.positive]
    if asked is not None:
        return classes.index(asked)
    if task == MULTICLASS:
        return None
    if len(classes) == 1:
        # a class that no row has may still be the positive one
        return 1 if classes[0].strip().casefold() in NEGATIVES else None
    place, told = positive(classes)
    if not told:
        name = shown(classes[place])
        source.warnings.append(
            f"positive class: {name}, the last in order; say `positive` if it is the other"
        )
    return place


def _improbable(source: Source, score: Floats | None, probabilities: Floats | None) -> str | None:
    """Why scores are no probabilities."""
    for values in (score, probabilities):
        if values is None:
            continue
        outside = ((values < 0) | (values > 1)).reshape(len(values), -1)
        if outside.any():
            row = int(np.argmax(outside.any(axis=1)))
            number = float(values.reshape(len(values), -1)[row][np.argmax(outside[row])])
            return f"scores are no probabilities: {source.table.where(row)} has {number:g}"
    if probabilities is not None:
        sums = probabilities.sum(axis=1)
        row = int(np.argmax(np.abs(sums - 1) > SUM_TOLERANCE))
        if abs(sums[row] - 1) > SUM_TOLERANCE:
            return f"the probabilities of {source.table.where(row)} add up to {sums[row]:.4g}, not to 1"
    return None


def _is_number(text: str) -> bool:
    return not math.isnan(tables.number(text))


def _in_order(classes: Iterable[str]) -> list[str]:
    """Numbers by size, else as text."""
    found = sorted(classes)
    return sorted(found, key=float) if all(map(_is_number, found)) else found
