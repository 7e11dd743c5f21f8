"""Checks of a table as a whole: its columns, its rows, and what may not repeat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .cells import Chunk
from .findings import Finding, percent
from .repeats import LIMIT, Hashes, hashes
from .schema_file import Rows, Schema, nearest
from .tables import Table


def shape_findings(table: Table, schema: Schema, rows: int) -> list[Finding]:
    """Whether the table has the rows and the columns that are wanted, in their order."""
    names = [column.name for column in schema.columns]
    present = [name for name in names if name in table.names]
    result = [_row_count(rows, schema.rows)]
    for name in names:
        hint = nearest(name, set(table.names) - set(names)) if name not in present else ""
        result.append(Finding("present", name, note=None if name in present else f"no such column{hint}"))
    if schema.extra_columns == "forbid":
        extra = [name for name in table.names if name not in names]
        result.append(Finding("no extra columns", note=", ".join(map(repr, extra)) or None))
    if schema.ordered:
        order = [name for name in table.names if name in present]
        moved = [name for name, wanted in zip(order, present, strict=True) if name != wanted]
        note = f"{moved[0]!r} stands where {present[order.index(moved[0])]!r} belongs" if moved else None
        result.append(Finding("column order", note=note))
    return result


def _row_count(rows: int, wanted: Rows) -> Finding:
    if rows < wanted.min:
        return Finding("rows", note=f"{rows} rows, at least {wanted.min} wanted")
    if wanted.max is not None and rows > wanted.max:
        return Finding("rows", note=f"{rows} rows, at most {wanted.max} wanted")
    return Finding("rows")


class NoRepeats:
    """Whether what rows hold in some columns repeats; rows that lack a value there repeat nothing.

    Args:
        finding: To be filled.
        columns: Names; None: every column of the file, where a missing value is one like any other.
        max_share: Share of rows that may repeat another.
        limit: How many hashes to hold in memory.
    """

    def __init__(
        self, finding: Finding, columns: Sequence[str] | None, max_share: float = 0.0, limit: int = LIMIT
    ) -> None:
        self.finding, self._columns, self._max_share = finding, columns, max_share
        self._hashes = Hashes(limit)
        self._rows = 0

    def see(self, chunk: Chunk) -> None:
        """Take further rows into account."""
        self._rows += chunk.rows
        rows = np.arange(chunk.first, chunk.first + chunk.rows)
        if self._columns is None:
            self._hashes.add(hashes(list(chunk.texts.values())), rows)
            return
        cells = [chunk.cells(name) for name in self._columns]
        whole = ~np.logical_or.reduce([each.missing for each in cells])
        found = hashes([each.texts for each in cells])
        self._hashes.add(*((found, rows) if whole.all() else (found[whole], rows[whole])))

    def settle(self) -> None:
        """Say what was found in all rows."""
        found = self._hashes.repeats()
        self._hashes.close()
        share = found.count / max(self._rows, 1)
        if share <= self._max_share:
            return
        self.finding.failures = found.count
        self.finding.examples = [(row, f"the same as row {origin + 1}") for row, origin in found.first]
        if self._max_share:
            what = f"{percent(share)} of the rows repeat another; at most {percent(self._max_share)} may"
            self.finding.note = what

    def close(self) -> None:
        """Leave nothing on disk."""
        self._hashes.close()


def repeat_checks(table: Table, schema: Schema) -> list[NoRepeats]:
    """What may not repeat: values of columns, of groups of columns, whole rows."""
    wanted: list[tuple[Finding, Sequence[str] | None, float]] = [
        (Finding("unique", column.name), [column.name], 0.0) for column in schema.columns if column.unique
    ]
    wanted += [(Finding(f"unique: {', '.join(group)}"), group, 0.0) for group in schema.unique]
    if schema.duplicates is not None:
        wanted.append((Finding("duplicate rows"), None, schema.duplicates.max_share))
    known = set(table.names)
    wanted = [each for each in wanted if known.issuperset(each[1] or ())]
    limit = LIMIT // max(len(wanted), 1)
    return [NoRepeats(finding, columns, share, limit) for finding, columns, share in wanted]


def show_values(table: Table, findings: Sequence[Finding]) -> None:
    """Put what the rows hold into the examples of columns that must be unique, by a second look."""
    rows = sorted({row for finding in findings for row, _ in finding.examples})
    if not rows:
        return
    held: dict[tuple[str, int], str] = {}
    for batch in table.batches():
        texts = dict(zip(table.names, batch.columns, strict=True))
        for row in (row for row in rows if batch.first <= row < batch.first + batch.rows):
            for name in {finding.column for finding in findings if finding.column}:
                held[name, row] = texts[name][row - batch.first].as_py() or ""
        if batch.first + batch.rows > rows[-1]:
            break
    for finding in findings:
        finding.examples = [(row, held[finding.column or "", row]) for row, _ in finding.examples]
