"""`penstock plan`, and `penstock run --dry-run`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TypeVar

from penstock.commands.project import Project, add_pipeline, add_selection, open_project
from penstock.gates.power import hopeless
from penstock.plan.model import Plan
from penstock.record import replace
from penstock.report import attached, keep, outline
from penstock.report.wording import why
from penstock.results import Reason, StageState
from penstock.runner.assess import Assessment, Walk, assess, drive, stage_result
from penstock.runner.selection import Selection, select

T = TypeVar("T")


def add(parser: argparse.ArgumentParser) -> None:
    """Which pipeline and stages, and what to show."""
    add_pipeline(parser)
    add_selection(parser)
    parser.add_argument(
        "--explain-config",
        action="store_true",
        help="show each setting, where its value comes from, and what it hides",
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="show commands, inputs and outputs")


def run(options: argparse.Namespace) -> int:
    """Show a plan."""
    return show(options)


def show(options: argparse.Namespace) -> int:
    """Show what a run with these options would do."""
    project = open_project(options)
    if getattr(options, "explain_config", False):
        sys.stdout.write(_settings(project.plan))
        return 0
    selection = select(
        project.plan, only=options.stages_only, until=options.stages_until, start=options.stages_from
    )
    walk = Walk(
        plan=project.plan,
        executor=project.executor,
        history=project.history,
        force=selection.chosen if options.force else frozenset(),
    )
    try:
        assessment = drive(assess(walk, selection))
    finally:
        project.history.close()
    if getattr(options, "json", False):
        json.dump(_document(project, assessment, selection), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(_table(project, assessment, selection, verbose=options.verbose))
    return 0


def _settings(plan: Plan) -> str:
    lines = [
        "from the weakest: parameter file, the file's own params, profile, PENSTOCK_PARAM_name, --set",
        "",
    ]
    width = max((len(setting.name) for setting in plan.settings), default=0)
    for setting in plan.settings:
        lines.append(f"{setting.name:<{width}}  {json.dumps(setting.value)}  ({setting.origin})")
        lines.extend(
            f"{'':<{width}}  hides {json.dumps(value)}  ({origin})"
            for value, origin in reversed(setting.overridden)
        )
    if not plan.settings:
        lines.append("nothing is set: the pipeline file names no parameters")
    return "\n".join(lines) + "\n"


def _rows(plan: Plan, assessment: Assessment[T], selection: Selection) -> list[tuple[str, str, str, str]]:
    rows = []
    for stage in plan.stages:
        standing = assessment.standings.get(stage.name)
        if stage.name not in selection.chosen:
            rows.append((stage.name, "-", "", "not selected"))
        elif standing is None:
            blocker = assessment.waiting[stage.name]
            rows.append((stage.name, "depends", "", f"runs if {blocker!r} changes what it reads"))
        elif standing.hit is None:
            rows.append((stage.name, "runs", standing.key, standing.reason.sentence))
        else:
            cached = stage_result(stage, StageState.CACHED, standing.reason, standing)
            rows.append(
                (stage.name, "cached", standing.key, why(replace(cached, made_at=standing.hit.made_at)))
            )
    return rows


def _table(project: Project, assessment: Assessment[T], selection: Selection, *, verbose: bool) -> str:
    plan = project.plan
    rows = _rows(plan, assessment, selection)
    width = max(len(row[0]) for row in rows)
    lines = [outline.headline(plan), ""]
    for stage, (name, state, key, remark) in zip(plan.stages, rows, strict=True):
        lines.append(f"  {name:<{width}}  {state:<7}  {key[7:19]:<12}  {remark}")
        if verbose:
            indent = " " * (width + 4)
            lines.extend(f"{indent}{line}" for line in outline.stage_lines(stage))
    if plan.gates:
        lines.append("")
    lines.extend(f"  {line}" for line in outline.gate_lines(plan))
    # what an earlier run measured tells which gates have too few rows to decide anything
    notes = hopeless(plan.gates, attached.read(project.root / keep.RUNS / keep.LATEST))
    lines.extend(f"  {note}" for note in notes)
    if plan.notes:
        lines += ["", "not carried over as it stands", *(f"  {note}" for note in plan.notes)]
    running = len([row for row in rows if row[1] == "runs"])
    maybe = len([row for row in rows if row[1] == "depends"])
    lines += ["", _conclusion(running, maybe), ""]
    return "\n".join(lines)


def _conclusion(running: int, maybe: int) -> str:
    if not running:
        return "nothing has to run"
    more = f", and {maybe} more if what they read changes" if maybe else ""
    return f"{running} {'stage' if running == 1 else 'stages'} would run{more}"


def _document(project: Project, assessment: Assessment[T], selection: Selection) -> dict[str, object]:
    plan = project.plan
    rows = {name: (state, key) for name, state, key, _ in _rows(plan, assessment, selection)}
    return {
        "pipeline": plan.name,
        "plan": plan.digest,
        "profile": plan.profile,
        "stages": [
            {
                "name": stage.name,
                "state": rows[stage.name][0],
                "key": rows[stage.name][1] or None,
                "run": stage.run,
                "uses": stage.uses,
                "needs": list(stage.needs),
                "inputs": [*stage.sources, *(item.path for item in stage.produced)],
                "outputs": [output.path for output in stage.outputs],
                "reason": _reason(assessment, stage.name),
            }
            for stage in plan.stages
        ],
        "gates": [{"name": gate.name, "gate": gate.gate, "required": gate.required} for gate in plan.gates],
    }


def _reason(assessment: Assessment[T], name: str) -> dict[str, str] | None:
    standing = assessment.standings.get(name)
    reason: Reason | None = standing.reason if standing else None
    return {"code": reason.code, "sentence": reason.sentence} if reason else None
