"""What to take a table's columns for where no schema file says it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from .kinds import KINDS
from .schema_file import Column, Schema
from .tables import Table

ROWS = 10_000


def inferred(table: Table) -> Schema:
    """A schema that demands nothing, with the narrowest type that the first rows of each column have."""
    held: list[list[pa.StringArray]] = [[] for _ in table.names]
    for batch in table.batches():
        for column, texts in zip(held, batch.columns, strict=True):
            column.append(texts.slice(0, max(ROWS - batch.first, 0)))
        if batch.first + batch.rows >= ROWS:
            break
    columns = [
        Column.model_construct(name=name, type=_kind(texts), nullable=True, blank_as_null=True)
        for name, texts in zip(table.names, held, strict=True)
    ]
    return Schema.model_construct(columns=columns, extra_columns="allow", ordered=False)


def _kind(pieces: list[pa.StringArray]) -> str:
    texts = pa.concat_arrays([pa.array([], pa.string()), *pieces]).fill_null("")
    texts = texts.filter(pc.not_equal(pc.utf8_trim_whitespace(texts), ""))
    for name, kind in KINDS.items():
        if kind.many is not None and len(texts) and kind.many(texts)[1].all():
            return name
    return "string"
