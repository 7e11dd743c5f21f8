"""Leakage between splits: rows, or ids, of one that are also in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ..common.program import Progress, UnusableError
from .findings import Finding, percent
from .opening import open_beside
from .repeats import LIMIT, Hashes, Repeats, hashes
from .schema_file import Leakage, Schema
from .tables import Table, read_through


@dataclass(slots=True)
class Splits:
    """What was found out about the splits of a data set.

    Attributes:
        findings: One for each pair of splits and way of comparing.
    """

    tables: dict[str, Table]
    described: list[dict[str, Any]] = field(default_factory=list)
    overlaps: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def compare_splits(paths: Mapping[str, str], schema: Schema | None, progress: Progress) -> Splits:
    """Compare every split with every other, and with itself.

    Args:
        paths: By name; what is learnt from is the one whose name holds `train`, else the first by name.
        schema: For the id, the columns to ignore, and the delimiter.
        progress: To be told how far it is.

    Raises:
        UnusableError: A split is no table, or they have no column in common.
    """
    names = sorted(paths, key=lambda name: ("train" not in name.lower(), name))
    delimiter = schema.delimiter if schema else None
    splits = Splits({name: open_beside(paths[name], delimiter) for name in names})
    settings = schema.leakage if schema else Leakage()
    shared = _shared_columns(splits, settings)
    key = schema.id if schema else None
    by_row = {name: Hashes(LIMIT // (2 * len(names))) for name in names}
    by_id = {name: Hashes(LIMIT // (2 * len(names))) for name in names}
    try:
        for name, table in splits.tables.items():
            known = key if key in table.names else None
            if key and not known:
                splits.warnings.append(
                    f"split {name!r} ({table.path}) has no column {key!r}: its ids are not compared"
                )
            rows = _read(table, shared, known, (by_row[name], by_id[name]), progress)
            splits.described.append({"name": name, "path": table.path, "rows": rows})
        for name, store in by_row.items():
            _note(splits, (name, name), "row", store.repeats(), None)
        for stores, way in ((by_row, "row"), (by_id, "id")):
            for first, second in combinations(names, 2):
                if stores[first].rows and stores[second].rows:
                    found = stores[second].found_in(stores[first])
                    _note(splits, (first, second), way, found, settings.max_share)
    finally:
        for store in (*by_row.values(), *by_id.values()):
            store.close()
    return splits


def _shared_columns(splits: Splits, settings: Leakage) -> list[str]:
    tables = list(splits.tables.values())
    shared = [name for name in tables[0].names if all(name in table.names for table in tables)]
    if any(set(table.names) != set(tables[0].names) for table in tables):
        splits.warnings.append(
            f"the splits differ in their columns: rows are compared by {', '.join(shared)}"
        )
    shared = [name for name in shared if name not in settings.ignore]
    if not shared:
        places = ", ".join(table.path for table in tables)
        raise UnusableError(
            f"{places}: no column is in all of these splits, so their rows cannot be compared"
        )
    return shared


def _read(
    table: Table, columns: Sequence[str], key: str | None, stores: tuple[Hashes, Hashes], progress: Progress
) -> int:
    count, (by_row, by_id) = 0, stores
    for batch in read_through(table, progress):
        texts = dict(zip(table.names, batch.columns, strict=True))
        rows = np.arange(batch.first, batch.first + batch.rows)
        by_row.add(hashes([texts[name] for name in columns]), rows)
        if key is not None:
            ids = texts[key].fill_null("")
            there = pc.binary_length(ids).to_numpy() > 0
            by_id.add(hashes([ids])[there], rows[there])
        count += batch.rows
    return count


def _note(splits: Splits, pair: tuple[str, str], way: str, found: Repeats, max_share: float | None) -> None:
    rows = {split["name"]: split["rows"] for split in splits.described}
    share = found.count / max(rows[pair[1]], 1)
    examples = [(row, f"the same {way} as in row {origin + 1} of {pair[0]}") for row, origin in found.first]
    overlap = {"splits": list(pair), "by": way, "rows": found.count, "share": share}
    shown = [{"row": row + 1, "value": value} for row, value in examples]
    splits.overlaps.append(overlap | {"examples": shown})
    if max_share is None:  # within one split it costs weight, and gives nothing away
        return
    finding = Finding(f"no {way} of {pair[0]} in {pair[1]}")
    if share > max_share:
        finding.failures, finding.examples = found.count, examples
        if max_share:
            finding.note = f"{percent(share)} of {pair[1]}; at most {percent(max_share)} may be"
    splits.findings.append(finding)
