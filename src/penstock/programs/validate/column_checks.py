"""Checks of one column's values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .cells import Cells, Chunk
from .findings import Finding, percent
from .kinds import NUMERIC, truths
from .schema_file import TEXTS, Column

Test = Callable[[Cells], np.ndarray]
"""Rows that fail; what it says of rows without a value of the column's type does not count."""


class ColumnChecks:
    """All checks of a column that look at one row at a time, or at a mean of all.

    Attributes:
        column: What is wanted.
    """

    def __init__(self, column: Column) -> None:
        self.column = column
        self._missing = Finding("null share" if column.may_be_missing else "not nullable", column.name)
        self._type = Finding("type", column.name)
        self._tests = [(Finding(name, column.name), test) for name, test in _tests(column)]
        self._rows = self._characters = self._texts = 0

    def see(self, chunk: Chunk) -> None:
        """Take further rows into account."""
        cells = chunk.cells(self.column.name)
        self._rows += chunk.rows

        def show(place: int) -> str:
            return str(cells.texts[place].as_py())

        self._missing.add(cells.missing, chunk.first, show)
        self._type.add(cells.wrong, chunk.first, show)
        for finding, test in self._tests:
            finding.add(test(cells) & cells.good, chunk.first, show)
        if self.column.length is not None:
            self._characters += int(cells.lengths[cells.good].sum())
            self._texts += int(np.count_nonzero(cells.good))

    def findings(self) -> list[Finding]:
        """What was found in all rows."""
        found = [] if self.column.may_be_missing else [self._missing]
        if self.column.max_nulls is not None:
            found = [self._null_share(self.column.max_nulls)]
        if self.column.type not in TEXTS:  # any text is a text
            found.append(self._type)
        return [*found, *(finding for finding, _ in self._tests), *self._mean_length()]

    def _null_share(self, bound: float) -> Finding:
        share = self._missing.failures / max(self._rows, 1)
        if share <= bound:
            self._missing.dismiss()
        else:
            self._missing.note = f"{percent(share)} of the rows hold nothing; at most {percent(bound)} may"
        return self._missing

    def _mean_length(self) -> list[Finding]:
        length = self.column.length
        if length is None or (length.min_mean is None and length.max_mean is None):
            return []
        finding = Finding("mean length", self.column.name)
        if not self._texts:
            finding.note = "no text, so no mean length"
            return [finding]
        mean = self._characters / self._texts
        if length.min_mean is not None and mean < length.min_mean:
            finding.note = f"{mean:.6g} characters, at least {length.min_mean:g} wanted"
        if length.max_mean is not None and mean > length.max_mean:
            finding.note = f"{mean:.6g} characters, at most {length.max_mean:g} wanted"
        return [finding]


def _tests(column: Column) -> list[tuple[str, Test]]:
    tests: list[tuple[str, Test]] = []
    number = column.type == "number"
    if column.min is not None:
        low = _float_from(column.min, up=True) if number else column.value(column.min)
        tests.append(("min", lambda cells: cells.values < low))
    if column.max is not None:
        high = _float_from(column.max, up=False) if number else column.value(column.max)
        tests.append(("max", lambda cells: cells.values > high))
    if column.allowed is not None:
        tests.append(("allowed", _not_among(column)))
    if column.pattern is not None:
        tests.append(("pattern", _unlike(column.pattern)))
    if column.length is not None and column.length.min is not None:
        least = column.length.min
        tests.append(("min length", lambda cells: cells.lengths < least))
    if column.length is not None and column.length.max is not None:
        most = column.length.max
        tests.append(("max length", lambda cells: cells.lengths > most))
    return tests


def _float_from(bound: float, *, up: bool) -> float:
    """The nearest 64-bit float on the inner side of a bound, which may be an integer that no float is."""
    try:
        value = float(bound)
    except OverflowError:
        return math.inf if bound > 0 else -math.inf
    if (value < bound) if up else (value > bound):
        return math.nextafter(value, math.inf if up else -math.inf)
    return value


def _not_among(column: Column) -> Test:
    literals = [column.value(literal) for literal in column.allowed or ()]
    if column.type in TEXTS:
        texts = pa.array(literals, pa.string())
        return lambda cells: ~truths(pc.is_in(cells.texts, texts))
    if column.type in NUMERIC:
        dtype: Any = np.int64 if column.type == "integer" else np.float64
        literals = [literal for literal in literals if _exact(literal, dtype)]
    else:
        dtype = bool if column.type == "boolean" else np.int64
    return lambda cells: ~np.isin(cells.values, np.array(literals, dtype))


def _exact(literal: float, dtype: type) -> bool:
    """Whether a column can hold this very number."""
    try:
        return dtype(literal) == literal and int(dtype(literal)) == int(literal)
    except OverflowError:
        return False


def _unlike(pattern: str) -> Test:
    compiled = re.compile(pattern)
    quick = as_re2(pattern)

    def test(cells: Cells) -> np.ndarray:
        if quick is not None and cells.ascii:
            return ~truths(pc.match_substring_regex(cells.texts, quick))
        names = cells.coded.dictionary.to_pylist()
        unlike = np.array([compiled.fullmatch(name) is None for name in names], bool)
        return np.asarray(unlike[cells.coded.indices.to_numpy()])

    return test


_PLAIN = re.compile(r"""(?:[\w ,:;@#%&=!<>~"'/.*+?(){}|-]|\[\^?|\]|\\[dw.+*?()|\[\]{}/-])*""", re.ASCII)
_ONLY_PYTHON = re.compile(r"\(\?|[*+?}]\+|\[\[|\[:|\{,")


def as_re2(pattern: str) -> str | None:
    r"""A pattern that says the same to RE2 of ASCII text as `re.fullmatch`; None if that is not sure.

    What is left out means something else there (`$`, `\s`, `{,3}`, `a++`), or may.
    """
    if not _PLAIN.fullmatch(pattern) or _ONLY_PYTHON.search(pattern):
        return None
    whole = rf"\A(?:{pattern})\z"
    try:
        pc.match_substring_regex(pa.array([""]), whole)
    except pa.ArrowInvalid:
        return None
    return whole
