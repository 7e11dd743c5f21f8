"""What kind of task a table is about, where nobody says so."""

from __future__ import annotations

import numpy as np

from ..common.program import UnusableError
from ..common.tables import Column, Table, number, shown
from .sample import BINARY, MULTICLASS, RANKING, REGRESSION

MOST_NUMERIC_CLASSES = 20
TWO = 2
MISSING = ("na", "n/a", "nan", "-nan", "null", "none", "missing", "?", "-", "inf", "-inf", "infinity")


def inferred(
    table: Table, truth: Column, prediction: Column | None, *, scored: bool, probable: bool, queried: bool
) -> tuple[str, str | None]:
    """The task, and why it is taken for that one where it might well be another.

    Args:
        scored: There is a column of scores.
        probable: There are columns of class probabilities.
        queried: There is a column that names the query of a row.

    Raises:
        UnusableError: It cannot be told.
    """
    values = {*truth.values, *(prediction.values if prediction else ())}
    _refuse_mixture(table, truth, prediction)
    classes = BINARY if len(values) <= TWO else MULTICLASS
    if probable or not all(np.isfinite(number(value)) for value in values):
        return classes, None
    if prediction is None:
        return _by_score(table, truth, scored=scored, queried=queried)
    return _by_numbers(table, truth, values)


def _refuse_mixture(table: Table, truth: Column, prediction: Column | None) -> None:
    """A measurement with a hole in it must not pass for a class."""
    for part, column in (("truth", truth), ("prediction", prediction)):
        others = [value for value in column.values if not np.isfinite(number(value))] if column else []
        numbers = len(column.values) - len(others) if column else 0
        holes = [value for value in others if value.strip().casefold() in MISSING]
        if column and others and (numbers > MOST_NUMERIC_CLASSES or (numbers and holes)):
            wrong = holes[0] if holes else others[0]
            row = column.first(lambda value, wrong=wrong: value == wrong) or 0  # type: ignore[misc]
            raise UnusableError(
                f"{table.where(row)}: {part} {shown(wrong)} is no number, but {numbers} others are;"
                " correct it, or say what `task` this is"
            )


def _by_score(table: Table, truth: Column, *, scored: bool, queried: bool) -> tuple[str, None]:
    if not scored:
        raise UnusableError(
            f"{table.path}:1: there is neither a column 'prediction' nor one of scores;"
            " name one: `columns: {prediction: <name>}`"
        )
    if queried:
        return RANKING, None
    if len(truth.values) <= TWO:
        return BINARY, None
    raise UnusableError(
        f"{table.path}:1: the truth has {len(truth.values)} numbers, and there is a score but no prediction;"
        " say `task: ranking`, or name the predictions: `columns: {prediction: <name>}`"
    )


def _by_numbers(table: Table, truth: Column, values: set[str]) -> tuple[str, str | None]:
    numbers = [number(value) for value in values]
    if len(set(numbers)) <= TWO:
        return BINARY, None
    if len(set(truth.values)) <= TWO and all(0 <= each <= 1 for each in numbers):
        raise UnusableError(
            f"{table.path}:1: the truth has two values, and the predictions are fractions; call that column"
            " 'score' if they are probabilities, or say `task: regression`"
        )
    whole = all(each.is_integer() for each in numbers)
    if whole and len(values) <= MOST_NUMERIC_CLASSES and values == set(truth.values):
        return MULTICLASS, f"truth and prediction are {len(values)} whole numbers"
    return REGRESSION, "truth and prediction are whole numbers" if whole else None
