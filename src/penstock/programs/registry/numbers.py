"""What a run measured and was made with, as MLflow's flat parameters, metrics and tags."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from . import names

_LONGEST_PARAM = 6000
_LONGEST_TAG = 5000
_MOST_TAGS = 300
_MOST_METRICS = 5000
_LARGEST_DOCUMENT = 16 << 20


def params(run: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of the run by their dotted names."""
    return {key: value[:_LONGEST_PARAM] for key, value in names.keys(dict(_flat(run["params"], ""))).items()}


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and (value or not name):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def metrics(run: Mapping[str, Any], documents: Iterable[Path]) -> dict[str, float]:
    """Numbers of gates, documents and metrics files, with the bounds of their intervals (`.low`, `.high`).

    Args:
        documents: JSON files that the run judged; those that hold no numbers say nothing.
    """
    found = {f"gate.{gate['name']}": gate for gate in run["gates"]}
    values: dict[str, float] = {}
    for path in documents:
        values |= dict(_of_document(path))
    for name, gate in found.items():
        values |= dict(_bounded(name, gate.get("value"), gate.get("interval")))
    return dict(list(names.keys(values).items())[:_MOST_METRICS])


def _of_document(path: Path) -> Iterator[tuple[str, float]]:
    if path.suffix != ".json" or path.stat().st_size > _LARGEST_DOCUMENT:
        return
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    if not isinstance(document, Mapping):
        return
    if document.get("kind") != "measures":
        yield from _numbers(document, "") if "kind" not in document else ()
        return
    for each in document.get("measures") or ():
        group = f".{each['column']}.{each['group']}" if each.get("column") else ""
        yield from _bounded(f"{each['metric']}{group}", each.get("value"), each.get("interval"))


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{name}.{key}" if name else str(key))
    else:
        yield from _bounded(name, value, None)


def _bounded(name: str, value: Any, interval: Any) -> Iterator[tuple[str, float]]:
    bounds = interval if isinstance(interval, list | tuple) and len(interval) == 2 else (None, None)  # noqa: PLR2004
    for key, number in ((name, value), (f"{name}.low", bounds[0]), (f"{name}.high", bounds[1])):
        if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number):
            yield key, float(number)


def tags(run: Mapping[str, Any], summary: str) -> dict[str, str]:
    """Where the run came from, its stages and verdicts, and the digests of what it read from outside."""
    made = {part["path"] for stage in run["stages"] for part in stage["outputs"]}
    read = {part["path"]: part["digest"] for stage in run["stages"] for part in stage["inputs"]}
    found = {
        "mlflow.source.name": run["pipeline_file"],
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": (run["commit"] or "").removesuffix("-dirty"),
        "mlflow.note.content": summary,
        "penstock.version": run["penstock"],
        "penstock.id": run["run_id"],
        "penstock.pipeline": run["pipeline"],
        "penstock.plan": run["plan"],
        "penstock.profile": run["profile"] or "",
        "penstock.commit": run["commit"] or "",
        "penstock.executor": run["executor"],
    }
    lists = (
        *((f"stage.{stage['name']}", f"{stage['state']} {stage['key'] or ''}") for stage in run["stages"]),
        *((f"gate.{gate['name']}", f"{gate['verdict']}: {gate['sentence']}") for gate in run["gates"]),
        *((f"input.{path}", digest) for path, digest in sorted(read.items()) if path not in made),
    )
    found |= dict(lists[: _MOST_TAGS - len(found)])
    return {key: value[:_LONGEST_TAG] for key, value in names.keys(found).items() if value}
