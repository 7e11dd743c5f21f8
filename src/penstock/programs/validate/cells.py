"""The values of one column in some rows: as text, and as what the text means."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .kinds import KINDS, content
from .schema_file import Column
from .tables import Batch

WHITE = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What `str.isspace` takes for white space."""


class Cells:
    """One column of some rows.

    Attributes:
        texts: As written; nothing is an empty text.
        missing: Rows that hold nothing.
    """

    def __init__(self, column: Column, texts: pa.StringArray) -> None:
        self.column = column
        self.texts = texts.fill_null("") if texts.null_count else texts
        shown = pc.utf8_trim(self.texts, characters=WHITE) if column.blank_as_null else self.texts
        self.missing: np.ndarray = pc.binary_length(shown).to_numpy() == 0

    @cached_property
    def _parsed(self) -> tuple[np.ndarray, np.ndarray]:
        many = KINDS[self.column.type].many
        if many is None:
            return self.lengths, ~self.missing
        if not self.missing.any():
            return many(self.texts)
        found, fits_there = many(self.texts.filter(pa.array(~self.missing)))
        values, fits = np.zeros(len(self.missing), found.dtype), np.zeros(len(self.missing), bool)
        values[~self.missing], fits[~self.missing] = found, fits_there
        return values, fits

    @property
    def values(self) -> np.ndarray:
        """Numbers, truth values, microseconds since 1970, lengths of texts; anything where not `good`."""
        return self._parsed[0]

    @cached_property
    def good(self) -> np.ndarray:
        """Rows that hold a value of the column's type."""
        return self._parsed[1]

    @cached_property
    def wrong(self) -> np.ndarray:
        """Rows that hold something else."""
        return np.asarray(~self.missing & ~self.good)

    @cached_property
    def coded(self) -> pa.DictionaryArray:
        """The texts, each different one once."""
        return self.texts.dictionary_encode()

    @cached_property
    def lengths(self) -> np.ndarray:
        """Of the texts, in characters."""
        count = pc.binary_length if self.ascii else pc.utf8_length
        return np.asarray(count(self.texts).to_numpy()).astype(np.int64)

    @cached_property
    def ascii(self) -> bool:
        """Whether the texts hold no letter beyond ASCII."""
        return content(self.texts).isascii()


class Chunk:
    """Some rows of a table, with the cells of the columns that are known.

    Attributes:
        first: Number of the first row, counted from 0.
        texts: By name, all columns of the file.
    """

    def __init__(self, batch: Batch, names: list[str], columns: Mapping[str, Column]) -> None:
        self.first, self.rows = batch.first, batch.rows
        self.texts = dict(zip(names, batch.columns, strict=True))
        self._columns = columns
        self._cells: dict[str, Cells] = {}

    def cells(self, name: str) -> Cells:
        """Those of a column that is declared."""
        if name not in self._cells:
            self._cells[name] = Cells(self._columns[name], self.texts[name])
        return self._cells[name]
