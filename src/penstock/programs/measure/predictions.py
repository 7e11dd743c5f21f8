"""A predictions table, checked and understood: which columns, which task, which rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..common import tables
from ..common.program import UnusableError
from ..common.tables import Table, shown
from .classes import classified
from .columns import DEFAULTS, PREFIXES, Source, finite, refuse_empty
from .sample import CLASSIFICATION, RANKING, REGRESSION, TASKS, Sample
from .tasks import inferred


@dataclass(frozen=True)
class Predictions:
    """A table and what it says.

    Attributes:
        columns: Which column plays which part: `id`, `truth`, `prediction`, `score`, `query`.
        probabilities: Class → column.
        ids: Of every row; all different (within a query, for rankings).
        evaluation_set: Digest of what was predicted, whatever was predicted.
    """

    table: Table
    columns: Mapping[str, str]
    probabilities: Mapping[str, str]
    sample: Sample
    ids: list[str]
    evaluation_set: str
    warnings: list[str] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """For the document."""
        parts = {part: self.columns.get(part) for part in DEFAULTS}
        return {
            "path": self.table.path,
            "digest": self.table.digest,
            "rows": self.table.rows,
            "columns": parts | {"probabilities": dict(self.probabilities) or None},
        }


def read(
    request: Mapping[str, Any], *, path: str | None = None, like: Predictions | None = None
) -> Predictions:
    """The predictions table of a request.

    Args:
        path: Of another table than the one of the request.
        like: What that other table has to agree with in task and classes: a baseline's does.

    Raises:
        UnusableError: It cannot be used as one; names the line.
    """
    path = path or str(request["predictions"])
    table = tables.read(path, _Wanted(request))
    columns = _parts(table, request.get("columns") or {})
    if not table.rows:
        raise UnusableError(f"{path}:1: there is a header but no row; nothing can be measured on it")
    source = Source(table, columns, request, like.sample if like else None, [])
    for part in ("truth", "prediction", "score"):
        if part in columns:
            refuse_empty(table, part, source.column(part))
    task = _task(source)
    sample, probabilities = (
        classified(source, task) if task in CLASSIFICATION else (_numeric(source, task), {})
    )
    if task != RANKING and "query" not in (request.get("columns") or {}):
        columns.pop("query", None)  # a column that happens to be called so
    ids = _ids(source)
    digest = _evaluation_set(source, ids)
    return Predictions(table, columns, probabilities, sample, ids, digest, source.warnings)


class _Wanted:
    """Which columns are read."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        fairness = request.get("fairness") or ()
        compared = request.get("comparisons") or ()
        self._names = {*DEFAULTS.values(), *(request.get("columns") or {}).values()}
        self._names |= {*(request.get("slices") or ()), *(name for asked in fairness for name in asked["by"])}
        self._names |= {asked["column"] for asked in compared if asked.get("column")}
        self._all = any(
            ":" in asked["metric"] for asked in (*(request.get("metrics") or ()), *fairness, *compared)
        )

    def __call__(self, name: str) -> bool:
        return self._all or name in self._names or name.startswith(PREFIXES)


def _parts(table: Table, asked: Mapping[str, str]) -> dict[str, str]:
    for part, name in asked.items():
        table.column(name, f"column for `{part}`")
    for part in ("id", "truth"):
        name = asked.get(part, DEFAULTS[part])
        if name not in table.columns:
            remedy = f"add it, or name the one there is: `columns: {{{part}: <name>}}`"
            raise UnusableError(f"{table.path}:1: there is no column {shown(name)}; {remedy}")
    return {
        part: asked.get(part, name)
        for part, name in DEFAULTS.items()
        if asked.get(part, name) in table.columns
    }


def _ids(source: Source) -> list[str]:
    table, ids = source.table, source.column("id")
    refuse_empty(table, "id", ids)
    texts = ids.texts()
    queries = source.maybe("query")
    if queries is not None:
        refuse_empty(table, "query", queries)
        texts = [f"{len(query)}:{query}{text}" for query, text in zip(queries.texts(), texts, strict=True)]
    if len(set(texts)) < len(texts):
        seen: dict[str, int] = {}
        row = next(row for row, text in enumerate(texts) if seen.setdefault(text, row) != row)
        raise UnusableError(
            f"{table.where(row)}: id {shown(ids.values[ids.codes[row]])} is that of"
            f" {table.where(seen[texts[row]])}, too; every row needs an id of its own"
        )
    return texts


def _evaluation_set(source: Source, ids: Sequence[str]) -> str:
    pairs = sorted(zip(ids, source.column("truth").texts(), strict=True))
    # each text behind its length, so that no two sets give the same bytes
    text = "".join(f"{len(name)}:{name}{len(truth)}:{truth}" for name, truth in pairs)
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _task(source: Source) -> str:
    if source.like is not None:
        return source.like.task
    task = source.request.get("task")
    if task is not None and task not in TASKS:
        raise UnusableError(f"there is no task {shown(str(task))}; those known are {', '.join(TASKS)}")
    if task is not None:
        return str(task)
    found, because = inferred(
        source.table,
        source.column("truth"),
        source.maybe("prediction"),
        scored="score" in source.columns,
        probable=bool(source.probability_columns()),
        queried="query" in source.columns,
    )
    if because is not None:
        source.warnings.append(f"task: {found}, because {because}; say `task` if it is another")
    return found


def _numeric(source: Source, task: str) -> Sample:
    table = source.table
    truth = finite(table, "truth", source.column("truth"))
    rows = np.arange(table.rows)
    if task == REGRESSION:
        prediction = source.numbers("prediction")
        if prediction is None:
            raise UnusableError(f"{table.path}:1: there is no column 'prediction'; regression needs it")
        return Sample(task, truth, prediction, table=table, numbers=rows)
    score = source.numbers("score" if "score" in source.columns else "prediction")
    if score is None:
        raise UnusableError(f"{table.path}:1: there is no column 'score'; a ranking needs it")
    if truth.min() < 0:
        row = int(np.argmin(truth))
        raise UnusableError(f"{table.where(row)}: truth {truth[row]:g} is negative; relevance is not")
    query = source.maybe("query")
    codes = query.codes if query is not None else None
    return Sample(task, truth, score=score, query=codes, table=table, numbers=rows)
