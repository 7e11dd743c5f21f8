"""A predictions table, checked and understood: which columns, which task, which classes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..common import tables
from ..common.classes import NEGATIVES, positive
from ..common.program import UnusableError
from ..common.tables import Column, Table, shown
from .sample import BINARY, CLASSIFICATION, MULTICLASS, RANKING, REGRESSION, Floats, Sample
from .tasks import inferred

PREFIXES = ("score_", "probability_")
DEFAULTS = {"id": "id", "truth": "truth", "prediction": "prediction", "score": "score", "query": "query"}
SUM_TOLERANCE = 0.01

_NOTHING = frozenset(("", "nan", "NaN", "NAN", "Nan"))


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
    wanted = _Wanted(request)
    table = tables.read(path, wanted)
    columns = _parts(table, request.get("columns") or {})
    if not table.rows:
        raise UnusableError(f"{path}:1: there is a header but no row; nothing can be measured on it")
    warnings: list[str] = []
    sample, probabilities = _Understanding(table, columns, request, like, warnings).sample()
    ids = _ids(table, columns)
    return Predictions(
        table, columns, probabilities, sample, ids, _evaluation_set(table, columns, ids), warnings
    )


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


def _ids(table: Table, columns: Mapping[str, str]) -> list[str]:
    ids = table.column(columns["id"])
    _refuse_empty(table, "id", ids)
    texts = ids.texts()
    if "query" in columns:
        queries = table.column(columns["query"]).texts()
        texts = [f"{len(query)}:{query}{text}" for query, text in zip(queries, texts, strict=True)]
    seen: dict[str, int] = {}
    for row, text in enumerate(texts):
        if (first := seen.setdefault(text, row)) != row:
            again = table.where(first)
            raise UnusableError(
                f"{table.where(row)}: id {shown(ids.values[ids.codes[row]])} is that of {again}, too;"
                " every row needs an id of its own"
            )
    return texts


def _evaluation_set(table: Table, columns: Mapping[str, str], ids: Sequence[str]) -> str:
    digest = hashlib.sha256()
    truths = table.column(columns["truth"]).texts()
    pairs = sorted(zip(ids, truths, strict=True))
    # each text behind its length, so that no two sets give the same bytes
    digest.update("".join(f"{len(i)}:{i}{len(t)}:{t}" for i, t in pairs).encode("utf-8", "surrogatepass"))
    return f"sha256:{digest.hexdigest()}"


def _refuse_empty(table: Table, part: str, column: Column) -> None:
    row = column.first(lambda text: text in _NOTHING or text.isspace())
    if row is not None:
        text = column.values[column.codes[row]]
        what = "NaN, which is nothing" if text.strip() else "empty"
        raise UnusableError(f"{table.where(row)}: the {part} is {what}; every row needs one")


def _finite(table: Table, part: str, column: Column) -> Floats:
    """Raises UnusableError where a value is no finite number."""
    numbers = column.numbers()
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if wrong.size:
        row = int(wrong[0])
        text = shown(column.values[column.codes[row]])
        raise UnusableError(f"{table.where(row)}: {part} {text} is no finite number")
    return numbers


@dataclass
class _Understanding:
    """From columns of text to a sample."""

    table: Table
    columns: Mapping[str, str]
    request: Mapping[str, Any]
    like: Predictions | None
    warnings: list[str]

    def sample(self) -> tuple[Sample, dict[str, str]]:
        for part in ("truth", "prediction", "score", "query"):
            if part in self.columns:
                _refuse_empty(self.table, part, self._column(part))
        task = self._task()
        score = _finite(self.table, "score", self._column("score")) if "score" in self.columns else None
        numbers = np.arange(self.table.rows)
        if task not in CLASSIFICATION:
            return self._numeric(task, score, numbers), {}
        return self._classified(task, score, numbers)

    def _column(self, part: str) -> Column:
        return self.table.column(self.columns[part])

    def _task(self) -> str:
        if self.like is not None:
            return self.like.sample.task
        task = self.request.get("task")
        if task is not None:
            return str(task)
        prediction = self._column("prediction") if "prediction" in self.columns else None
        truth = self._column("truth")
        telling = bool(self._probability_columns(set(truth.values)))
        task, because = inferred(
            self.table,
            truth,
            prediction,
            scored="score" in self.columns,
            probable=telling,
            queried="query" in self.columns,
        )
        self.warnings.append(f"task: {task}, because {because}; say `task` if it is another")
        return task

    # Numbers

    def _numeric(self, task: str, score: Floats | None, numbers: Any) -> Sample:
        truth = _finite(self.table, "truth", self._column("truth"))
        prediction = None
        if "prediction" in self.columns and (task == REGRESSION or score is None):
            prediction = _finite(self.table, "prediction", self._column("prediction"))
        query = None
        if task == REGRESSION and prediction is None:
            raise UnusableError(f"{self.table.path}:1: there is no column 'prediction'; regression needs it")
        if task == RANKING:
            score = prediction if score is None else score
            prediction = None
            if score is None:
                raise UnusableError(f"{self.table.path}:1: there is no column 'score'; a ranking needs it")
            if "query" in self.columns:
                query = self._column("query").codes
            if truth.min() < 0:
                row = int(np.argmin(truth))
                raise UnusableError(
                    f"{self.table.where(row)}: truth {truth[row]:g} is negative; relevance is not"
                )
        return Sample(task, truth, prediction, score, query=query, table=self.table, numbers=numbers)

    # Classes

    def _classified(self, task: str, score: Floats | None, numbers: Any) -> tuple[Sample, dict[str, str]]:
        truth = self._column("truth")
        prediction = self._column("prediction") if "prediction" in self.columns else None
        columns = self._probability_columns(set(truth.values))
        classes = self._classes(task, truth, prediction, columns)
        place = {name: index for index, name in enumerate(classes)}
        place_of_positive = self._positive(task, classes)
        probabilities = None
        if columns and set(classes) <= set(columns):
            stacked = [
                _finite(self.table, f"column {columns[c]!r}:", self.table.column(columns[c])) for c in classes
            ]
            probabilities = np.stack(stacked, axis=1)
        if task == BINARY and score is None and columns and place_of_positive is not None:
            score = self._score_of_positive(classes[place_of_positive], columns)
        coded = None if prediction is None else _coded(prediction, place)
        sample = Sample(
            task,
            _coded(truth, place),
            coded,
            score if task == BINARY else None,
            probabilities,
            classes=classes,
            positive=place_of_positive,
            improbable=self._improbable(score if task == BINARY else None, probabilities),
            table=self.table,
            numbers=numbers,
        )
        return sample, {name: columns[name] for name in classes if name in columns}

    def _probability_columns(self, truths: set[str]) -> dict[str, str]:
        """Class → column, of the prefix that fits more classes; none if no column is named after a class."""
        best: dict[str, str] = {}
        slices = {*(self.request.get("slices") or ())}
        for prefix in PREFIXES:
            found = {
                name.removeprefix(prefix): name
                for name in self.table.columns
                if name.startswith(prefix) and name not in self.columns.values() and name not in slices
            }
            if len(truths & set(found)) > len(truths & set(best)):
                best = found
        return best

    def _classes(
        self, task: str, truth: Column, prediction: Column | None, columns: Mapping[str, str]
    ) -> tuple[str, ...]:
        known = {*truth.values, *(columns if set(truth.values) <= set(columns) else ())}
        if self.like is not None:
            known |= set(self.like.sample.classes)
        if task == MULTICLASS and columns and (absent := sorted(known - set(columns))):
            raise UnusableError(
                f"{self.table.path}:1: class {shown(absent[0])} has no column of probabilities;"
                f" the others have ({', '.join(sorted(columns.values())[:6])})"
            )
        predicted = set(prediction.values) if prediction is not None else set()
        self._refuse_other_spelling(known, prediction, predicted - known)
        asked = self.request.get("positive")
        if asked is not None and asked not in known | predicted and len(known | predicted) > 1:
            hint = tables.nearest(asked, known | predicted)
            raise UnusableError(f"{self.table.path}: positive {shown(asked)} is no class of the truth{hint}")
        known |= {asked} if asked is not None else set()
        every = known | predicted
        if task == BINARY and len(every) > 2:  # noqa: PLR2004
            self._refuse_third(truth, prediction, every)
        if unknown := sorted(predicted - known):
            self._note_unknown(unknown, prediction, known, columns)
        return tuple(_in_order(every))

    def _refuse_other_spelling(self, known: set[str], prediction: Column | None, others: set[str]) -> None:
        """`1.0` where the truth says `1` would silently be wrong on every row."""
        numbers = {float(text): text for text in known if _is_number(text)}
        spelt = {text.strip().casefold(): text for text in known}
        for text in sorted(others):
            same = numbers.get(float(text)) if _is_number(text) else spelt.get(text.strip().casefold())
            if same is not None and prediction is not None:
                row = prediction.first(lambda value, text=text: value == text)  # type: ignore[misc]
                raise UnusableError(
                    f"{self.table.where(row or 0)}: prediction {shown(text)} and truth {shown(same)} look"
                    " like one class written in two ways; write classes alike"
                )

    def _refuse_third(self, truth: Column, prediction: Column | None, every: set[str]) -> None:
        for part, column in (("truth", truth), ("prediction", prediction)):
            if column is None:
                continue
            first = column.values[:2]
            third = next((v for v in column.values if v not in set(truth.values[:2]) | set(first)), None)
            if third is not None or part == "prediction":
                third = third or next((v for v in column.values if v not in truth.values), column.values[-1])
                row = column.first(lambda value, third=third: value == third)  # type: ignore[misc]
                raise UnusableError(
                    f"{self.table.where(row or 0)}: {part} {shown(third)} is a third class (of"
                    f" {len(every)}); a binary task has two"
                )

    def _note_unknown(
        self, unknown: Sequence[str], prediction: Column | None, known: set[str], columns: Mapping[str, str]
    ) -> None:
        assert prediction is not None
        row = prediction.first(lambda value: value == unknown[0]) or 0
        what = f"{self.table.where(row)}: prediction {shown(unknown[0])} is no class"
        if columns or not known & set(prediction.values):
            raise UnusableError(f"{what} ({', '.join(map(shown, _in_order(known)[:12]))})")
        self.warnings.append(f"{what} that any truth has; every such row is wrong")

    def _positive(self, task: str, classes: Sequence[str]) -> int | None:
        asked = self.request.get("positive")
        if self.like is not None and self.like.sample.positive is not None:
            asked = self.like.sample.classes[self.like.sample.positive]
        if asked is not None:
            return classes.index(asked)
        if task == MULTICLASS:
            return None
        if len(classes) == 1:
            # a class that no row has may still be the positive one
            return 1 if classes[0].strip().casefold() in NEGATIVES else None
        place, told = positive(classes)
        if not told:
            name = shown(classes[place])
            self.warnings.append(
                f"positive class: {name}, the last in order; say `positive` if it is the other"
            )
        return place

    def _score_of_positive(self, positive: str, columns: Mapping[str, str]) -> Floats:
        if positive in columns:
            return _finite(self.table, "score", self.table.column(columns[positive]))
        name = next(iter(columns.values()))
        return 1 - _finite(self.table, "score", self.table.column(name))

    def _improbable(self, score: Floats | None, probabilities: Floats | None) -> str | None:
        """Why scores are no probabilities."""
        for values in (score, probabilities):
            if values is None:
                continue
            rows = np.flatnonzero(((values < 0) | (values > 1)).reshape(len(values), -1).any(axis=1))
            if rows.size:
                worst = values.reshape(len(values), -1)[rows[0]]
                number = float(worst[np.argmax(np.abs(worst - 0.5))])
                return f"scores are no probabilities: {self.table.where(int(rows[0]))} has {number:g}"
        if probabilities is not None:
            off = np.flatnonzero(np.abs(probabilities.sum(axis=1) - 1) > SUM_TOLERANCE)
            if off.size:
                total = float(probabilities[off[0]].sum())
                return f"the probabilities of {self.table.where(int(off[0]))} add up to {total:.4g}, not to 1"
        return None


def _coded(column: Column, place: Mapping[str, int]) -> Any:
    return np.array([place[value] for value in column.values], dtype=np.int32)[column.codes]


def _is_number(text: str) -> bool:
    return not math.isnan(tables.number(text))


def _in_order(classes: set[str]) -> list[str]:
    """Numbers by size, else as text."""
    if all(map(_is_number, classes)):
        return sorted(classes, key=lambda text: (float(text), text))
    return sorted(classes)
