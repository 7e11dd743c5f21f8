"""Predictions of another model, to compare with."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..common.program import UnusableError
from . import archived, predictions
from .archived import BaselineError
from .predictions import Predictions
from .sample import Sample

_ABSENT = "absent.json"
"""What the program `registry` writes where there is no model yet."""


@dataclass(frozen=True)
class Baseline:
    """A baseline as it was found.

    Attributes:
        path: As asked for.
        table: Absent if it cannot be used.
        same: It predicts the rows of our table, and their truth is ours.
        shared_rows: Rows that both tables have, by their ids.
        aligned: Its sample with our rows in our order, if it has them.
        problem: Why it is not.
        absent: There is none yet, and that is no fault.
    """

    name: str
    path: str
    table: Predictions | None = None
    same: bool = False
    shared_rows: int = 0
    aligned: Sample | None = None
    problem: str | None = None
    absent: bool = False

    def described(self) -> dict[str, Any]:
        """For the document."""
        table = self.table
        return {
            "name": self.name,
            "path": self.path,
            "digest": table.table.digest if table else None,
            "rows": table.table.rows if table else None,
            "evaluation_set": table.evaluation_set if table else None,
            "same": self.same,
            "shared_rows": self.shared_rows,
            "problem": None if table else self.problem,
            **({"absent": True} if self.absent else {}),
        }


def read(ours: Predictions, request: Mapping[str, Any], asked: Mapping[str, Any]) -> Baseline:
    """One baseline of a request; whatever keeps it from being read becomes its `problem`."""
    name, path = str(asked["name"]), str(asked["path"])
    try:
        if asked.get("fetched"):
            path, absent = _fetched(Path(path))
            if absent:
                return Baseline(name, path, problem=absent, absent=True)
        table = _table(ours, request, path, asked.get("member"))
    except (BaselineError, UnusableError) as error:
        return Baseline(name, path, problem=str(error))
    except OSError as error:
        return Baseline(name, path, problem=f"{path}: {error.strerror or error}")
    place = {each: row for row, each in enumerate(table.ids)}
    shared = sum(each in place for each in ours.ids)
    if table.evaluation_set != ours.evaluation_set:
        common = f"{shared:,} rows in common of {ours.table.rows:,}"
        problem = f"the baseline was measured on a different evaluation set ({common})"
        return Baseline(name, path, table, shared_rows=shared, problem=problem)
    # queries are numbered in the order of each table
    rows = np.array([place[each] for each in ours.ids])
    aligned = replace(table.sample.take(rows), query=ours.sample.query)
    return Baseline(name, path, table, same=True, shared_rows=shared, aligned=aligned)


def _fetched(folder: Path) -> tuple[str, str | None]:
    """The table that another stage has brought from a registry, or why there is none yet."""
    absent = folder / _ABSENT
    if absent.is_file():
        return str(folder), str(json.loads(absent.read_bytes())["sentence"])
    tables = sorted(each for each in folder.glob("predictions.*") if each.is_file())
    if len(tables) != 1:
        raise BaselineError(f"{folder} holds {len(tables)} tables of predictions, and not one")
    return str(tables[0]), None


def _table(ours: Predictions, request: Mapping[str, Any], path: str, member: str | None) -> Predictions:
    if not (Path(path).is_dir() or path.endswith(".tar")):
        return predictions.read(request, path=path, like=ours)
    member = member or str(request["predictions"])
    with tempfile.TemporaryDirectory(prefix="penstock-baseline-") as scratch:
        found = str(archived.table(Path(path), member, Path(scratch)))
        try:
            return predictions.read(request, path=found, like=ours)
        except UnusableError as error:
            raise BaselineError(str(error).replace(found, f"{path}: {member}")) from None
