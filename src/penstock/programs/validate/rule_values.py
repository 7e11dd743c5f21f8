"""What rules compute, on many rows at once."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .cells import Chunk
from .kinds import truths

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Values:
    """Values of a part of a rule.

    Attributes:
        data: A numpy array of numbers (float64), truth values or microseconds, or an Arrow array of texts.
        unknown: Rows whose value is not known; what `data` holds there means nothing.
    """

    data: Any
    unknown: np.ndarray


Evaluate = Callable[[Chunk], Values]
Operation = Callable[..., Values]


def constant(value: float | str) -> Evaluate:
    """The same value in every row."""

    def evaluate(chunk: Chunk) -> Values:
        known = np.zeros(chunk.rows, bool)
        if isinstance(value, str):
            return Values(pa.repeat(pa.scalar(value, pa.string()), chunk.rows), known)
        return Values(np.full(chunk.rows, value), known)

    return evaluate


def column(name: str, *, text: bool, number: bool) -> Evaluate:
    """What a column holds."""

    def evaluate(chunk: Chunk) -> Values:
        cells = chunk.cells(name)
        data = cells.texts if text else cells.values
        return Values(data.astype(np.float64) if number else data, ~cells.good)

    return evaluate


def applied(operation: Operation, *parts: Evaluate) -> Evaluate:
    """An operation on what other parts give."""
    return lambda chunk: operation(*(part(chunk) for part in parts))


def _either(parts: Sequence[Values]) -> np.ndarray:
    return np.asarray(np.logical_or.reduce([part.unknown for part in parts]))


def _numbers(compute: Callable[..., Any]) -> Operation:
    """What is no finite number is unknown."""

    def operation(*parts: Values) -> Values:
        with np.errstate(all="ignore"):
            data = compute(*(part.data for part in parts))
        return Values(data, _either(parts) | ~np.isfinite(data))

    return operation


def _texts(compute: Callable[[Any], Any]) -> Operation:
    return lambda part: Values(compute(part.data), part.unknown)


def _compared(numbers: Callable[[Any, Any], Any], texts: Callable[[Any, Any], Any]) -> Operation:
    def operation(left: Values, right: Values) -> Values:
        if isinstance(left.data, np.ndarray):
            return Values(numbers(left.data, right.data), left.unknown | right.unknown)
        return Values(truths(texts(left.data, right.data)), left.unknown | right.unknown)

    return operation


ARITHMETIC: Mapping[type[ast.operator], Operation] = {
    ast.Add: _numbers(operator.add),
    ast.Sub: _numbers(operator.sub),
    ast.Mult: _numbers(operator.mul),
    ast.Div: _numbers(operator.truediv),
    ast.FloorDiv: _numbers(lambda left, right: np.floor(left / right)),
    ast.Mod: _numbers(np.mod),
}
COMPARISONS: Mapping[type[ast.cmpop], Operation] = {
    ast.Eq: _compared(operator.eq, pc.equal),
    ast.NotEq: _compared(operator.ne, pc.not_equal),
    ast.Lt: _compared(operator.lt, pc.less),
    ast.LtE: _compared(operator.le, pc.less_equal),
    ast.Gt: _compared(operator.gt, pc.greater),
    ast.GtE: _compared(operator.ge, pc.greater_equal),
}
minus = _numbers(operator.neg)
absolute = _numbers(np.abs)
rounded = _numbers(np.round)
floor = _numbers(np.floor)
least = _numbers(lambda *parts: np.minimum.reduce(parts))
greatest = _numbers(lambda *parts: np.maximum.reduce(parts))
days_between = _numbers(lambda left, right: (left - right) / _DAY_US)
lower = _texts(pc.utf8_lower)
upper = _texts(pc.utf8_upper)
strip = _texts(pc.utf8_trim_whitespace)
length = _texts(lambda data: pc.utf8_length(data).to_numpy().astype(np.float64))


def starts_with(looked_for: str) -> Operation:
    """Whether texts begin so."""
    return _texts(lambda data: truths(pc.starts_with(data, looked_for)))


def ends_with(looked_for: str) -> Operation:
    """Whether texts end so."""
    return _texts(lambda data: truths(pc.ends_with(data, looked_for)))


def contains(looked_for: str) -> Operation:
    """Whether texts hold a text."""
    return _texts(lambda data: truths(pc.match_substring(data, looked_for)))


def matches(pattern: str) -> Operation:
    """Whether whole texts match a pattern.

    Raises:
        ValueError: It is none.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"no regular expression: {error}") from None

    def look(data: pa.StringArray) -> np.ndarray:
        coded = data.dictionary_encode()
        found = [compiled.fullmatch(text) is not None for text in coded.dictionary.to_pylist()]
        return np.asarray(np.array(found, bool)[coded.indices.to_numpy()])

    return _texts(look)


def _field(unit: str, since: str) -> Operation:
    """A part of a date, in UTC."""

    def compute(data: np.ndarray) -> np.ndarray:
        instants = data.astype("datetime64[us]")
        parts = instants.astype(f"datetime64[{unit}]") - instants.astype(f"datetime64[{since}]").astype(
            f"datetime64[{unit}]"
        )
        return np.asarray(parts.astype(np.float64) + 1)

    return _numbers(compute)


month = _field("M", "Y")
day = _field("D", "M")
year = _numbers(lambda data: data.astype("datetime64[us]").astype("datetime64[Y]").astype(np.float64) + 1970)


def among(found: Values, members: Sequence[float | str]) -> Values:
    """Whether values are some of those that are written down."""
    if isinstance(found.data, np.ndarray):
        return Values(np.isin(found.data, np.array(members, found.data.dtype)), found.unknown)
    there = pc.is_in(found.data, pa.array(members, pa.string()))
    return Values(truths(there), found.unknown)


def is_missing(found: Values) -> Values:
    """Whether a value is not known."""
    return Values(found.unknown, np.zeros(len(found.unknown), bool))


def is_there(found: Values) -> Values:
    """Whether a value is known."""
    return Values(~found.unknown, np.zeros(len(found.unknown), bool))


def negated(found: Values) -> Values:
    """The opposite; of what is unknown, unknown."""
    return Values(~found.data, found.unknown)


def all_of(*parts: Values) -> Values:
    """False where any is false, else unknown where any is unknown (Kleene's conjunction)."""
    false = np.logical_or.reduce([~part.data & ~part.unknown for part in parts])
    return Values(~false, _either(parts) & ~false)


def any_of(*parts: Values) -> Values:
    """True where any is true, else unknown where any is unknown (Kleene's disjunction)."""
    true = np.logical_or.reduce([part.data & ~part.unknown for part in parts])
    return Values(true, _either(parts) & ~true)
