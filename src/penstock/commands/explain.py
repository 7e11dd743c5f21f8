"""`penstock explain`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from penstock.commands.project import Project, add_pipeline, open_project
from penstock.errors import UsageError
from penstock.report import keep, observed_text
from penstock.results import Change, Reason, StageResult, StageState
from penstock.runner.assess import Walk, assess, drive
from penstock.runner.selection import select

MAX_CHANGES = 20
_DID = {
    StageState.RAN: "ran",
    StageState.CACHED: "did not have to run",
    StageState.FAILED: "ran and failed",
    StageState.TIMED_OUT: "ran out of time",
    StageState.INTERRUPTED: "was stopped",
    StageState.SKIPPED: "was skipped",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Which stage, and in which run."""
    add_pipeline(parser)
    parser.add_argument("stage", metavar="STAGE", help="the stage to explain")
    parser.add_argument(
        "--run", metavar="ID", default=keep.LATEST, dest="run_id", help="a run (default: the last)"
    )


def run(options: argparse.Namespace) -> int:
    """Say why a stage ran in a run, or did not, and where it stands now."""
    project = open_project(options)
    (name,) = select(project.plan, only=[options.stage]).chosen
    report = keep.read(project.root / keep.RUNS, options.run_id)
    result = next((stage for stage in report.stages if stage.name == name), None)
    if result is None:
        raise UsageError(f"run {report.run_id} had no stage {name!r}")
    lines = [f"{name} {_DID[result.state]} in run {report.run_id}: {result.reason.sentence}"]
    lines += _changes(result.reason)
    lines += ["", *_facts(result)]
    if options.run_id == keep.LATEST:
        lines += ["", f"now: {_now(project, name)}"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _changes(reason: Reason) -> Iterator[str]:
    for change in reason.changes[:MAX_CHANGES]:
        yield f"  {change.what} {change.name}: {_short(change.before)} -> {_short(change.after)}"
    if len(reason.changes) > MAX_CHANGES:
        yield f"  and {len(reason.changes) - MAX_CHANGES} more"


def _short(value: str | None) -> str:
    if value is None:
        return "(none)"
    if value.startswith("sha256:"):
        return value[:19] + value[71:]
    return value if len(value) <= 60 else value[:57] + "..."  # noqa: PLR2004 - one line


def _facts(result: StageResult) -> Iterator[str]:
    if result.key:
        yield f"  key      {result.key[:19]}"
    if result.made_at:
        yield f"  made     {result.made_at}"
    yield f"  command  {' '.join(result.run.split())}"
    for line in observed_text.facts(result):
        yield f"  {line}"
    for label, parts in (("reads", result.inputs), ("wrote", result.outputs)):
        for part in parts:
            count = f", {part.files} files" if part.files != 1 else ""
            yield f"  {label:<7}  {part.path}  {part.digest[:19]}{count}"


def _now(project: Project, name: str) -> str:
    walk = Walk(plan=project.plan, executor=project.executor, history=project.history)
    try:
        assessment = drive(assess(walk, select(project.plan, until=[name])))
    finally:
        project.history.close()
    if name in assessment.waiting:
        return f"it depends on {assessment.waiting[name]!r}, which would run first"
    standing = assessment.standings[name]
    verb = "it would run" if standing.hit is None else "it would not run"
    changed: tuple[Change, ...] = standing.reason.changes
    more = f" ({len(changed)} changes)" if len(changed) > 1 else ""
    return f"{verb}: {standing.reason.sentence}{more}"
