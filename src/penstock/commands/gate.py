"""`penstock gate`: one gate on files that are there, or all gates of a pipeline on a run that was."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from penstock import digest
from penstock.commands import alone
from penstock.commands.project import add_pipeline, open_project
from penstock.commands.runs import A_RUN, find_run
from penstock.errors import EXIT_GATE_FAILED, EXIT_OK, UsageError
from penstock.gates import policy
from penstock.gates.base import Exhibit
from penstock.plan import gating
from penstock.plan.model import GateSpec, Plan
from penstock.plan.schema import attribute_docstrings
from penstock.plan.schema_gates import GateFile, Policy
from penstock.record import asdict
from penstock.report import attached
from penstock.report.console import verdicts
from penstock.report.document import read_json
from penstock.report.style import style_of
from penstock.results import FIRST_VERSION, GateResult, RunReport, Verdict

_NOT_ASKED = {"gate", "name", "required", "stage", "run", "inputs", "environment", "seeds", "metrics"}
"""Fields of gates that only make sense in a pipeline."""
_NOT_ALONE = ("command", "reproducible")
_MODELS = {
    get_args(model.model_fields["gate"].annotation)[0]: model for model in get_args(get_args(GateFile)[0])
}
KINDS = {kind: model for kind, model in _MODELS.items() if kind not in _NOT_ALONE}


def add(parser: argparse.ArgumentParser) -> None:
    """Which gate, what it judges, and what it demands."""
    parser.epilog = (
        "`penstock gate threshold --predictions p.csv --metric accuracy --min 0.9` measures a table and"
        " judges it; `penstock gate latency --document benchmark.json --p99-ms 50` judges what a program"
        " found out; `penstock gate --run RUN` asks all gates of the pipeline about a run that was. It ends"
        " like a run: 0 passed, 3 failed, 4 inconclusive."
    )
    add_pipeline(parser)
    parser.add_argument("kind", nargs="?", choices=tuple(KINDS), metavar="GATE", help=", ".join(KINDS))
    parser.add_argument("--run", metavar="RUN", help=A_RUN)
    parser.add_argument(
        "--document", metavar="FILE", type=Path, help="judge what a program of a recipe wrote"
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print the verdicts as JSON")
    table = parser.add_argument_group("the predictions table")
    table.add_argument(
        "--column",
        metavar="WHAT=NAME",
        action="append",
        default=[],
        dest="columns",
        help="what a column is called: id, truth, prediction, score or query; may be given again",
    )
    table.add_argument("--task", choices=("binary", "multiclass", "regression", "ranking"))
    table.add_argument("--positive", metavar="CLASS", help="the class that recall and the like are about")
    _add_demands(parser.add_argument_group("what gates demand, as in the pipeline file"))


def run(options: argparse.Namespace) -> int:
    """Judge; the exit code is that of a run with these verdicts."""
    if options.kind is None:
        results = _all_on_a_run(options)
    elif options.document is not None:
        results = (_on_a_document(options),)
    else:
        results = _on_predictions(options)
    if options.as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in results], indent=1) + "\n")
    else:
        sys.stdout.write(verdicts(results, style_of(sys.stdout, os.environ)))
    return policy.exit_code(results, "fail") or (EXIT_GATE_FAILED if any(map(_unasked, results)) else EXIT_OK)


def _unasked(result: GateResult) -> bool:
    """Whether a gate that must pass has nothing to judge: in a run that follows from something else."""
    return result.required and result.verdict is Verdict.SKIP and result.reason != FIRST_VERSION


# What the command line says of a gate


def _add_demands(group: Any) -> None:
    texts = attribute_docstrings()
    for name, field, kinds in _fields():
        help_text = f"{texts[_MODELS[kinds[0]].__name__].get(name, '')} ({', '.join(kinds)})".strip()
        flag = f"--{name.replace('_', '-')}"
        if field.annotation is bool:
            group.add_argument(flag, action="store_true", default=None, help=help_text, dest=f"of_{name}")
        else:
            group.add_argument(flag, action="append", help=help_text, dest=f"of_{name}", metavar="VALUE")


def _fields() -> Iterator[tuple[str, FieldInfo, list[str]]]:
    """The fields of all gates: name, one of the fields of this name, the kinds that have one."""
    names = dict.fromkeys(name for model in KINDS.values() for name in model.model_fields)
    for name in names:
        kinds = [kind for kind, model in KINDS.items() if name in model.model_fields]
        if name not in _NOT_ASKED:
            yield name, KINDS[kinds[0]].model_fields[name], kinds


def _holds(field: FieldInfo, kind: type) -> bool:
    """Whether a field's values are of a type, or may be."""
    either = get_origin(field.annotation) in (Union, UnionType)
    branches: tuple[Any, ...] = get_args(field.annotation) if either else (field.annotation,)
    bare = (get_args(each)[0] if hasattr(each, "__metadata__") else each for each in branches)
    return kind in {get_origin(each) or each for each in bare}


def demanded(options: argparse.Namespace) -> dict[str, Any]:
    """What was given, as the pipeline file would say it."""
    fields = KINDS[options.kind].model_fields
    given: dict[str, Any] = {"gate": options.kind}
    for name, _, _ in _fields():
        value = getattr(options, f"of_{name}")
        if value is None:
            continue
        if name not in fields:
            raise UsageError(
                f"gate {options.kind!r} has no --{name.replace('_', '-')}",
                notes=(f"it has {', '.join(_flags(fields))}",),
            )
        given[name] = value if value is True else _read(fields[name], value)
    return given


def _flags(names: Sequence[str] | Mapping[str, object]) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name in names if name not in _NOT_ASKED]


def _read(field: FieldInfo, texts: list[str]) -> object:
    """All texts for a list; else the last one, as YAML would read it unless it is a text anyway."""
    if _holds(field, list):
        return texts
    if _holds(field, dict):
        column, _, group = texts[-1].partition("=")
        return {column: group}
    if _holds(field, str):
        return texts[-1]
    try:
        return yaml.safe_load(texts[-1])
    except yaml.YAMLError:
        return texts[-1]


def _checked(given: dict[str, Any]) -> Any:
    """The gate that was asked for.

    Raises:
        UsageError: It cannot be asked like that.
    """
    try:
        return TypeAdapter(GateFile).validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = next(
            (str(part) for part in reversed(first["loc"]) if part in KINDS[given["gate"]].model_fields), ""
        )
        context = first.get("ctx", {})
        what = context.get("what", first["msg"]) if first["type"] != "missing" else "is missing"
        flag = f"--{name.replace('_', '-')} " if name else f"gate {given['gate']!r} "
        raise UsageError(f"{flag}{what}", notes=tuple(context.get("notes", ()))) from None


# The three ways to judge


def _on_predictions(options: argparse.Namespace) -> tuple[GateResult, ...]:
    given = demanded(options)
    if "predictions" not in KINDS[options.kind].model_fields:
        raise UsageError(
            f"gate {options.kind!r} judges what a program of a recipe wrote",
            notes=("name that file: `--document FILE`",),
        )
    if "predictions" not in given:
        raise UsageError("there is nothing to judge", notes=("name a table: `--predictions FILE`",))
    columns = dict(_pair(text) for text in options.columns)
    asked = {"columns": columns or None, "task": options.task, "positive": options.positive}
    # the tables are copied to where they are measured, so any path will do
    _checked(given | {key: Path(given[key]).name for key in alone.TABLES if key in given})
    return alone.measured([given], {name: value for name, value in asked.items() if value is not None}).gates


def _pair(text: str) -> tuple[str, str]:
    what, _, name = text.partition("=")
    if what not in ("id", "truth", "prediction", "score", "query") or not name:
        raise UsageError(
            f"--column is {text!r}", notes=("write id, truth, prediction, score or query, then =NAME",)
        )
    return what, name


def _confidence(gate: Any) -> float | None:
    own = getattr(gate, "confidence", None)
    return (Policy().confidence if own is None else own) or None


def _on_a_document(options: argparse.Namespace) -> GateResult:
    path: Path = options.document
    given = demanded(options)
    if "data" in KINDS[options.kind].model_fields:
        given.setdefault("data", path.name)
    gate = _checked(given)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    spec = GateSpec(
        gate=options.kind,
        name=options.kind,
        reads=(("", str(path)),),
        options=gating.demands(gate, confidence=_confidence(gate)),
    )
    return _decide((spec,), {("", str(path)): Exhibit(str(path), content, digest.of_bytes(content))})[0]


def _all_on_a_run(options: argparse.Namespace) -> tuple[GateResult, ...]:
    if options.run is None:
        raise UsageError(
            "there is nothing to judge", notes=("name a gate, or a run: `penstock gate --run latest`",)
        )
    project = open_project(options)
    place = find_run(options.run, options.pipeline)
    report = read_json(place)
    documents = attached.read(place.parent)
    asked = sorted({each for spec in project.plan.gates for each in spec.reads})

    def content(name: str, path: str) -> bytes | None:
        return documents.get(path) or (project.store.read(name) if project.store.has(name) else None)

    exhibits = {place: _exhibit(report, *place, content) for place in asked}
    return _decide(project.plan.gates, exhibits, project.plan)


def _exhibit(report: RunReport, stage: str, path: str, content: Any) -> Exhibit | str:
    parts = [
        part for each in report.stages if each.name == stage for part in each.outputs if part.path == path
    ]
    if not parts:
        return f"run {report.run_id} has no {path} of stage {stage!r}"
    found = content(parts[0].digest, path)
    if found is None:
        return (
            f"{path} of run {report.run_id} is neither beside its run.json nor in the store of this machine"
        )
    if digest.of_bytes(found) != parts[0].digest:
        return f"{path} beside run.json of run {report.run_id} is not what that run judged"
    return Exhibit(path, found, parts[0].digest)


def _decide(
    specs: tuple[GateSpec, ...], exhibits: Mapping[tuple[str, str], Exhibit | str], plan: Plan | None = None
) -> tuple[GateResult, ...]:
    plan = plan or Plan(name="gate", pipeline_file="", profile=None, stages=(), gates=specs)
    return tuple(policy.decide(plan, exhibits))
