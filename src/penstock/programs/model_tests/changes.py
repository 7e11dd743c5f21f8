"""Declared changes of rows: what a test or a disturbance does to the columns that a model gets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..common.program import UnusableError
from ..common.rows import check_columns
from ..common.tables import shown
from .options import Options

SEED = 20_261_121
OPERATIONS = ("set", "add", "multiply", "swap", "drop", "replace", "noise")
_PAIR = 2

Step = Callable[[Any, np.random.Generator], Any]


@dataclass(frozen=True)
class Change:
    """Steps on columns; no column has more than one, so their order means nothing."""

    steps: Mapping[str, Step]

    def applied(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows after the change; the same every time."""
        draws = np.random.default_rng(SEED)
        return rows.assign(**{name: step(rows[name], draws) for name, step in sorted(self.steps.items())})

    def touched(self, before: pd.DataFrame, after: pd.DataFrame) -> NDArray[np.bool_]:
        """Which rows differ."""
        names = list(self.steps)
        one, other = before[names].astype(object), after[names].astype(object)
        same = (one == other) | (one.isna() & other.isna())
        differ: NDArray[np.bool_] = ~same.to_numpy(dtype=bool).all(axis=1)
        return differ


def read(options: Options, key: str, rows: pd.DataFrame) -> Change:
    """The change that a key declares, as a mapping from operations to columns.

    Raises:
        UnusableError: An operation or a column is unknown, or they do not go together.
    """
    where = f"{options.where}.{key}"
    value = options.take(key)
    if not isinstance(value, Mapping) or not value:
        raise UnusableError(f"{where}: {value!r} is no mapping of {', '.join(OPERATIONS)}")
    steps: dict[str, Step] = {}
    declared = Options(value, where)
    for operation in OPERATIONS:
        asked = declared.take(operation)
        for name, argument in _per_column(asked, f"{where}.{operation}").items():
            place = f"{where}.{operation}"
            check_columns([name], rows.columns, place)
            if name in steps:
                raise UnusableError(f"{place}: {shown(name)} is changed by another operation already")
            steps[name] = _READERS[operation](argument, rows[name], f"{place}.{name}")
    declared.finish()
    return Change(steps)


def _per_column(asked: object, where: str) -> dict[str, Any]:
    if asked is None:
        return {}
    if where.endswith(".drop"):
        names = [asked] if isinstance(asked, str) else asked
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return dict.fromkeys(names)
        raise UnusableError(f"{where}: {asked!r} is no list of columns")
    if not isinstance(asked, Mapping):
        raise UnusableError(f"{where}: {asked!r} is no mapping from columns")
    return {str(name): argument for name, argument in asked.items()}


def _number(argument: object, column: pd.Series[Any], where: str) -> float:
    if isinstance(argument, bool) or not isinstance(argument, int | float):
        raise UnusableError(f"{where}: {argument!r} is no number")
    if not is_numeric(column):
        raise UnusableError(f"{where}: the column holds {column.dtype} and no numbers")
    return argument


def is_numeric(column: pd.Series[Any]) -> bool:
    """Whether a column is measured, not named; truth values are names."""
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _set(argument: object, column: pd.Series[Any], where: str) -> Step:
    if argument is None:
        return lambda values, _: emptied(values, np.ones(len(values), dtype=bool))
    if isinstance(argument, list | Mapping):
        raise UnusableError(f"{where}: {argument!r} is no single value")
    if is_numeric(column):
        _number(argument, column, where)
    kind = column.dtype if isinstance(argument, bool) or not is_numeric(column) else None
    return lambda values, _: pd.Series([argument] * len(values), index=values.index, dtype=kind)


def _add(argument: object, column: pd.Series[Any], where: str) -> Step:
    amount = _number(argument, column, where)
    return lambda values, _: values + amount


def _multiply(argument: object, column: pd.Series[Any], where: str) -> Step:
    factor = _number(argument, column, where)
    return lambda values, _: values * factor


def _swap(argument: object, column: pd.Series[Any], where: str) -> Step:
    if not isinstance(argument, list) or len(argument) != _PAIR or argument[0] == argument[1]:
        raise UnusableError(f"{where}: {argument!r} is no pair of two different values")
    one, other = argument
    for value in (one, other):
        if isinstance(value, str) == is_numeric(column):
            raise UnusableError(f"{where}: the column holds {column.dtype}, which {value!r} is none of")
    return lambda values, _: values.mask(values == one, other).mask(values == other, one)


def _drop(_argument: object, _column: pd.Series[Any], _where: str) -> Step:
    return lambda values, _: emptied(values, np.ones(len(values), dtype=bool))


def _replace(argument: object, column: pd.Series[Any], where: str) -> Step:
    if is_numeric(column) or pd.api.types.is_bool_dtype(column):
        raise UnusableError(f"{where}: the column holds {column.dtype} and no text")
    if not isinstance(argument, Mapping) or not argument:
        raise UnusableError(f"{where}: {argument!r} is no mapping from old to new text")
    new = {str(old): str(text) for old, text in argument.items()}
    # all at once and the longest first, so that the order in the file means nothing
    pattern = re.compile("|".join(re.escape(old) for old in sorted(new, key=len, reverse=True)))
    return lambda values, _: values.map(
        lambda text: pattern.sub(lambda found: new[found[0]], text), na_action="ignore"
    )


def _noise(argument: object, column: pd.Series[Any], where: str) -> Step:
    share = _number(argument, column, where)
    if share < 0:
        raise UnusableError(f"{where}: {share:g} is no share of a standard deviation")
    return lambda values, draws: noisy(values, share, draws)


_READERS: Mapping[str, Callable[[Any, pd.Series[Any], str], Step]] = {
    "set": _set,
    "add": _add,
    "multiply": _multiply,
    "swap": _swap,
    "drop": _drop,
    "replace": _replace,
    "noise": _noise,
}


# What disturbs a column


def noisy(values: pd.Series[Any], share: float, draws: np.random.Generator) -> pd.Series[Any]:
    """Numbers with normal noise added, of a share of their own standard deviation; whole ones stay whole."""
    spread = float(values.std(ddof=0)) * share
    moved = values + draws.normal(0, spread if math.isfinite(spread) else 0, len(values))
    return moved.round().astype(values.dtype) if pd.api.types.is_integer_dtype(values) else moved


def emptied(values: pd.Series[Any], where: NDArray[np.bool_]) -> pd.Series[Any]:
    """Values taken away, as a file that lacks them would be read: whole numbers become floats."""
    if pd.api.types.is_integer_dtype(values) and not pd.api.types.is_extension_array_dtype(values.dtype):
        values = values.astype("float64")
    elif values.dtype == bool:
        values = values.astype(object)
    return values.mask(where)


def exchanged(values: pd.Series[Any], where: NDArray[np.bool_], draws: np.random.Generator) -> pd.Series[Any]:
    """Values replaced by another one that the column holds, each of the others as likely."""
    codes, different = pd.factorize(values, use_na_sentinel=True)
    if len(different) < _PAIR:
        return values
    others = (codes + draws.integers(1, len(different), len(values))) % len(different)
    return values.where(~where | (codes < 0), pd.Series(different[others], index=values.index))
