"""The columns of a predictions table by the parts they play."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.program import UnusableError
from ..common.tables import Column, Table, shown
from .sample import Floats, Sample

DEFAULTS = {"id": "id", "truth": "truth", "prediction": "prediction", "score": "score", "query": "query"}
PREFIXES = ("score_", "probability_")
"""Of columns of class probabilities; the class follows."""

_NOTHING = frozenset(("", "nan", "NaN", "NAN", "Nan"))


@dataclass(frozen=True)
class Source:
    """A table that a sample is made of.

    Attributes:
        columns: Part → column.
        like: What the sample has to agree with in task and classes, if it is a baseline's.
        warnings: To be added to.
    """

    table: Table
    columns: Mapping[str, str]
    request: Mapping[str, Any]
    like: Sample | None
    warnings: list[str]

    def column(self, part: str) -> Column:
        """The column of a part that the table has."""
        return self.table.column(self.columns[part])

    def maybe(self, part: str) -> Column | None:
        """The column of a part."""
        return self.column(part) if part in self.columns else None

    def numbers(self, part: str) -> Floats | None:
        """The numbers of a part.

        Raises:
            UnusableError: One is no finite number.
        """
        return finite(self.table, part, self.column(part)) if part in self.columns else None

    def probability_columns(self) -> dict[str, str]:
        """Class → column, of the prefix that fits more true classes; none if no column is named after one."""
        truths = set(self.column("truth").values)
        taken = {*self.columns.values(), *(self.request.get("slices") or ())}
        best: dict[str, str] = {}
        for prefix in PREFIXES:
            names = [name for name in self.table.columns if name.startswith(prefix) and name not in taken]
            found = {name.removeprefix(prefix): name for name in names}
            if len(truths & set(found)) > len(truths & set(best)):
                best = found
        return best


def refuse_empty(table: Table, part: str, column: Column) -> None:
    """Raises UnusableError where a row has no value."""
    row = column.first(lambda text: text in _NOTHING or text.isspace())
    if row is not None:
        what = "NaN, which is nothing" if column.values[column.codes[row]].strip() else "empty"
        raise UnusableError(f"{table.where(row)}: the {part} is {what}; every row needs one")


def finite(table: Table, part: str, column: Column) -> Floats:
    """The numbers of a column.

    Raises:
        UnusableError: One is no finite number.
    """
    numbers = column.numbers()
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if wrong.size:
        row = int(wrong[0])
        text = shown(column.values[column.codes[row]])
        raise UnusableError(f"{table.where(row)}: {part} {text} is no finite number")
    return numbers
