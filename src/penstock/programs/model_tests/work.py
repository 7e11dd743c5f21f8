"""Loads the model, runs all that a request declares, and writes the document."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..common import models, program, rows
from .asking import Case, PredictError, case
from .basic import collapse, smoke, validity
from .changes import SEED
from .determinism import determinism
from .folds import cross_validation
from .importance import ImportanceError, importance
from .judging import FAIL, INCONCLUSIVE, PASS, Result
from .options import Options, listed, switched
from .relations import direction, invariance
from .robustness import robustness, unmeasured
from .slices import worst_slice

_OPTIONAL: Mapping[str, Callable[[Case, Options], Result]] = {
    "validity": validity,
    "collapse": collapse,
    "cross_validation": cross_validation,
}
_LISTS: Mapping[str, Callable[[Case, Options], Result]] = {
    "invariance": invariance,
    "direction": direction,
    "slices": worst_slice,
}
_ALWAYS = ("validity", "determinism")
_WORDS = {PASS: "passed", FAIL: "failed", INCONCLUSIVE: "inconclusive"}


def run(request: Mapping[str, Any]) -> str:
    """Test as requested and write the document; gives one line that says what came out."""
    source = models.source(request)
    table = rows.read(request)
    declared = Options(request.get("tests") or {}, "tests")
    disturbances = listed(request.get("robustness"), "robustness")
    shuffling = switched(request.get("importance"), "importance")
    # a model that draws random numbers shall at least give the same document again
    random.seed(SEED)
    np.random.seed(SEED % (1 << 32))  # noqa: NPY002 - it is what models draw from
    document: dict[str, Any] = {
        "version": 1,
        "kind": "model-tests",
        "model": models.described(source),
        "data": {"path": table.path, "digest": table.digest},
        "rows": len(table),
        "confidence": request.get("confidence") or None,
        "task": None,
        "classes": None,
        "positive": None,
        "robustness": [],
        "importance": None,
        "warnings": models.warnings(source),
    }
    try:
        found = case(request, source, models.load(source), table)
    except (models.LoadError, PredictError) as error:
        results = _unusable(error, len(table))
        document["robustness"] = unmeasured(disturbances, f"the model does not predict: {error}")
    else:
        results = _tested(found, declared)
        document |= _about(found)
        document["robustness"] = list(robustness(found, disturbances))
        document["importance"] = _importance(found, shuffling, document["warnings"])
    document["tests"] = [result.document() for result in results]
    program.write_document(request["result"], document)
    return _summary(results)


def _unusable(error: models.LoadError | PredictError, count: int) -> list[Result]:
    """The results for a model that gives no answer which the other tests could look at."""
    if isinstance(error, PredictError) and not error.raised:
        passed = Result("smoke", "smoke", PASS, "the model was loaded and answered", rows=count)
        return [
            passed,
            Result("validity", "validity", FAIL, f"asked about {count:,} rows, {error}", rows=count),
        ]
    sentence = str(error) if isinstance(error, models.LoadError) else f"asked to predict, {error}"
    return [Result("smoke", "smoke", FAIL, f"{sentence}; nothing else could be tested", rows=count)]


def _about(found: Case) -> dict[str, Any]:
    subject = found.subject
    warnings = models.warnings(found.source)
    if subject.own:
        names = f"{', '.join(subject.own)} as {', '.join(subject.classes)}"
        warnings.append(f"the model's classes are taken for those of the target by their meaning: {names}")
    return {
        "warnings": warnings,
        "task": subject.task,
        "classes": list(subject.classes) or None,
        "positive": subject.positive,
    }


def _tested(found: Case, declared: Options) -> list[Result]:
    return [smoke(found), *_declared(found, declared)]


def _declared(found: Case, declared: Options) -> Iterator[Result]:
    asked = {key: _asked(declared, key) for key in (*_OPTIONAL, "determinism")}
    lists = {key: listed(declared.take(key), f"tests.{key}") for key in _LISTS}
    declared.finish()
    for key in ("validity", "collapse"):
        if (options := asked[key]) is not None:
            yield _OPTIONAL[key](found, options)
    for key, test in _LISTS.items():
        for options in lists[key]:
            found.progress.say(f"testing {options.where}")
            yield test(found, options)
    if (options := asked["determinism"]) is not None:
        yield from determinism(found, options)
    if (options := asked["cross_validation"]) is not None:
        yield cross_validation(found, options)


def _asked(declared: Options, key: str) -> Options | None:
    value = declared.take(key)
    return switched(key in _ALWAYS if value is None else value, f"tests.{key}")


def _importance(found: Case, options: Options | None, warnings: list[str]) -> dict[str, Any] | None:
    if options is None:
        return None
    try:
        return importance(found, options)
    except ImportanceError as error:
        warnings.append(f"the importance of features was not measured: {error}")
        return None


def _summary(results: list[Result]) -> str:
    counts = Counter(result.verdict for result in results)
    told = ", ".join(f"{counts[verdict]} {word}" for verdict, word in _WORDS.items())
    wrong = [result.sentence for result in results if result.verdict != PASS]
    return f"{len(results)} tests: {told}" + (f"\n{wrong[0]}" if wrong else "")
