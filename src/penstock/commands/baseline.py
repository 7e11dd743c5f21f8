"""`penstock baseline`: from now on, models are compared with what this run predicted."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from penstock.commands.project import Project, add_pipeline, open_project
from penstock.errors import EXIT_OK, UsageError
from penstock.plan import exchange
from penstock.plan.model import Plan
from penstock.report import keep
from penstock.report.document import read_json, write_whole
from penstock.report.wording import short_digest
from penstock.results import RunReport


def add(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    parser.epilog = (
        "The run's predictions table is copied to where gates look for their baseline; commit the file, and"
        " every machine compares with the same."
    )
    add_pipeline(parser)
    parser.add_argument(
        "run", nargs="?", default=keep.LATEST, metavar="RUN", help="a run's id (default: latest)"
    )
    parser.add_argument("--force", action="store_true", help="also if the run's gates did not pass")


def run(options: argparse.Namespace) -> int:
    """Copy the predictions of a run to where baselines are looked for."""
    project = open_project(options)
    report = read_json(keep.find(project.root / keep.RUNS, options.run) / "run.json")
    if report.exit_code != EXIT_OK and not options.force:
        raise UsageError(
            f"run {report.run_id} ended with {report.exit_code}, so its model is nothing to compare with",
            notes=("take one that passed, or insist: `penstock baseline --force`",),
        )
    pairs = sorted(set(_baselines(project.plan)))
    if not pairs:
        raise UsageError(
            "no gate compares with a file of predictions",
            where=project.plan.pipeline_file,
            notes=("`{gate: no-regression, metric: ..., margin: ..., baseline: baselines/predictions.csv}`",),
        )
    for table, baseline in pairs:
        digest = _take(project, report, table, baseline)
        sys.stdout.write(
            f"{_shown(project, baseline)}: {table} of run {report.run_id} ({short_digest(digest)})\n"
        )
    sys.stdout.write("commit it, so that every machine compares with the same\n")
    return EXIT_OK


def _baselines(plan: Plan) -> Iterator[tuple[str, str]]:
    """(predictions table, file that it is compared with) of the gates that compare."""
    requests = {
        stage.name: json.loads(text)
        for stage in plan.stages
        if stage.uses == "measure"
        for path, text in stage.files
        if path == exchange.REQUEST
    }
    for gate in plan.gates:
        baseline = gate.options.get("baseline")
        if not isinstance(baseline, str) or not gate.reads:
            continue
        request = requests.get(gate.reads[0][0], {})
        within = any(each["path"] == baseline and each["member"] for each in request.get("baselines", ()))
        if "predictions" in request and not within:
            yield request["predictions"], baseline


def _take(project: Project, report: RunReport, table: str, baseline: str) -> str:
    parts = [part for stage in report.stages for part in stage.outputs if part.path == table]
    if not parts:
        raise UsageError(
            f"run {report.run_id} did not write {table}", notes=("take a run of the whole pipeline",)
        )
    name = parts[0].digest
    if not project.store.has(name):
        raise UsageError(
            f"{table} of run {report.run_id} is not in the store of this machine any more",
            notes=("run the pipeline again, and take that run",),
        )
    place: Path = project.root / baseline
    write_whole(place, project.store.read(name))
    return name


def _shown(project: Project, path: str) -> str:
    return os.path.relpath(project.root / path)
