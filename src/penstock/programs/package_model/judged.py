"""Whether the model says what was judged: its predictions against the table that the gates saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..common import tables
from ..common.classes import positive
from ..common.outputs import Subject, texts
from ..common.program import RefusedError, UnusableError
from ..common.tables import Table
from .served import PREDICTION, SCORE

TOLERANCE = 1e-6
"""Of the largest value of a column: batches of other sizes add in another order."""

_PREFIXES = ("score_", "probability_")
_FEWEST_DECIMALS = 2
_PAIR = 2


@dataclass(frozen=True)
class Judged:
    """The table that was judged, and which of its rows are of the data.

    Attributes:
        rows: Of the data, each with the row of the table beside it in `places`.
        compared: Columns that were held against the model's answers.
    """

    path: str
    digest: str
    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    compared: tuple[str, ...]


def compare(request: Mapping[str, Any], answers: pd.DataFrame, subject: Subject) -> Judged:
    """Hold the model's answers for all rows of the data against the table of a request's `predictions`.

    Args:
        answers: In the order of the data.
        subject: What the model predicts.

    Raises:
        RefusedError: The model says something else of a row.
        UnusableError: The table cannot be compared with the data.
    """
    path, named = str(request["predictions"]), request.get("columns") or {}
    table = tables.read(path)
    rows, places = _paired(request, table, str(named.get("id") or "id"), len(answers))
    columns = dict(_columns(table, answers, subject, named))
    if not columns:
        raise UnusableError(f"{path}:1: no column holds predictions that could be compared with the model's")
    wrong = np.zeros(len(rows), dtype=bool)
    for ours, theirs in columns.items():
        said, judged = answers[ours].iloc[rows], table.columns[theirs].take(places)
        differ = _other_labels if ours == PREDICTION and subject.classes else _other_numbers
        wrong |= differ(said, judged, subject)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        place = int(places[first])
        told = _told(answers.iloc[rows[first]], table, place, columns)
        remedy = _remedy(answers, table, rows, places, columns, subject)
        raise RefusedError(
            f"{table.where(place)}: the model does not say what was judged: of {len(rows):,} rows "
            f"{int(wrong.sum()):,} differ, the first: {told}; {remedy}"
        )
    return Judged(path, table.digest, rows, places, tuple(columns.values()))


def _paired(
    request: Mapping[str, Any], table: Table, key: str, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the data, and the rows of the table that are about them."""
    path, name = str(request["data"]), request.get("id")
    if name is None or key not in table.columns:
        if table.rows != count:
            what = f"{path} names no `id`" if name is None else f"there is no column {key!r}"
            raise UnusableError(
                f"{table.path}: {table.rows:,} rows, and {path} has {count:,}: which belongs to which? {what}"
            )
        return np.arange(count), np.arange(count)
    ours = tables.read(path, lambda each: each == name).column(str(name), "id").texts()
    theirs = table.columns[key].texts()
    if ours == theirs:
        return np.arange(count), np.arange(count)
    for ids, where in ((ours, path), (theirs, table.path)):
        if len(set(ids)) != len(ids):
            twice = next(each for each in ids if ids.count(each) > 1)
            raise UnusableError(f"{where}: the id {twice!r} is there twice; it must name one row")
    known = {each: place for place, each in enumerate(theirs)}
    rows = [row for row, each in enumerate(ours) if each in known]
    if not rows:
        raise UnusableError(
            f"{path}: no row has an id of {table.path}: name the rows that were judged as `data`"
        )
    return np.array(rows), np.array([known[ours[row]] for row in rows])


def _columns(
    table: Table, answers: pd.DataFrame, subject: Subject, named: Mapping[str, str]
) -> Sequence[tuple[str, str]]:
    """The model's columns, each with the one that was judged."""
    found = []
    for ours in answers.columns:
        theirs = [named.get(ours) or ours]
        if ours.startswith("score_"):
            name = ours.removeprefix("score_")
            theirs = [f"{prefix}{name}" for prefix in _PREFIXES]
        elif ours == SCORE and subject.positive is not None:
            theirs += [f"{prefix}{subject.positive}" for prefix in _PREFIXES]
        found += [(ours, each) for each in theirs if each in table.columns][:1]
    return found


def _other_labels(said: pd.Series[Any], judged: tables.Column, subject: Subject) -> NDArray[np.bool_]:
    names = _names({value for value in judged.texts() if value}, subject)
    called = np.array([names.get(_plain(value), value) or None for value in judged.texts()], dtype=object)
    found: NDArray[np.bool_] = texts(said) != called
    return found


def _names(judged: set[str], subject: Subject) -> dict[str, str]:
    """What the table calls a class → what the model's answers call it."""
    classes = subject.classes
    plain = {_plain(name) for name in judged}
    if plain <= set(classes):
        return {name: name for name in classes}
    if plain <= set(subject.own):
        return dict(zip(subject.own, classes, strict=True))
    pair = next(
        (pair for pair in (("0", "1"), ("False", "True"), tuple(sorted(plain))) if plain <= {*pair}), ()
    )
    if len(pair) == len(classes) == _PAIR:
        place, sure = positive(pair)
        if sure and subject.positive is not None:
            other = next(name for name in classes if name != subject.positive)
            return {pair[place]: subject.positive, pair[1 - place]: other}
    return {}


def _plain(name: str) -> str:
    """A class that was written as 1.0 is the class 1."""
    value = tables.number(name)
    return str(int(value)) if value.is_integer() else name


def _other_numbers(said: pd.Series[Any], judged: tables.Column, _subject: Subject) -> NDArray[np.bool_]:
    """Rows where two numbers differ by more than the table's rounding, or `TOLERANCE`, explains."""
    ours, theirs = said.to_numpy(dtype=np.float64), judged.numbers()
    finite = np.abs(theirs[np.isfinite(theirs)])
    decimals = max(
        (len(text.partition(".")[2]) for text in {*judged.texts()} if "e" not in text.lower()), default=0
    )
    rounding = 0.5001 * 10.0**-decimals if decimals >= _FEWEST_DECIMALS else 0.0
    allowed = rounding + TOLERANCE * (float(finite.max()) if finite.size else 0.0)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)) | (np.abs(ours - theirs) <= allowed)
    found: NDArray[np.bool_] = ~same
    return found


def _told(said: pd.Series[Any], table: Table, place: int, columns: Mapping[str, str]) -> str:
    judged = ", ".join(f"{theirs} {table.columns[theirs].texts()[place]}" for theirs in columns.values())
    return (
        f"judged {judged}, and the model says {', '.join(f'{ours} {_short(said[ours])}' for ours in columns)}"
    )


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _remedy(  # noqa: PLR0917 - what a comparison has
    answers: pd.DataFrame,
    table: Table,
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    columns: Mapping[str, str],
    subject: Subject,
) -> str:
    """What to do; if another threshold explains it all, which."""
    general = "package the model that was judged, or give it a `loader` that predicts as the evaluation does"
    if not {PREDICTION, SCORE} <= columns.keys() or subject.positive is None:
        return general
    scores = answers[SCORE].iloc[rows]
    if _other_numbers(scores, table.columns[columns[SCORE]].take(places), subject).any():
        return general
    judged = table.columns[columns[PREDICTION]].take(places).texts()
    names = _names({*judged}, subject)
    chosen = np.array([names.get(_plain(value)) == subject.positive for value in judged])
    low, high = scores[~chosen].max(), scores[chosen].min()
    if not low < high:
        return general
    # halfway between the two, with no more digits than needed
    halfway = (low + high) / 2
    middle = next((value for digits in range(1, 17) if low < (value := round(halfway, digits)) <= high), high)
    return f"the scores agree, so say which score is enough: `threshold: {middle:g}`"
