"""`penstock doctor`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from penstock.commands import checks, containers, packages, readiness
from penstock.commands.checks import Finding, Group, Machine
from penstock.commands.project import add_file, find_pipeline
from penstock.errors import EXIT_OK, EXIT_UNAVAILABLE, UsageError

WIDTH = 80
GROUPS = (
    Group("penstock", (checks.version, checks.git, checks.store, checks.project_room)),
    Group(
        "local executor",
        (readiness.uv, readiness.pythons, checks.sandbox, checks.gpu),
        executor="local",
    ),
    Group("docker executor", (containers.docker,), executor="docker"),
    Group("dagger module", (containers.dagger,), executor="dagger"),
    Group("pipeline", (readiness.pipeline,), executor="local"),
)

Results = Sequence[tuple[Group, list[Finding]]]


def add(parser: argparse.ArgumentParser) -> None:
    """Which pipeline, and how to show it."""
    add_file(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: argparse.Namespace) -> int:
    """Check what there is; the exit code says whether the local executor can run."""
    machine = _machine(options.pipeline)
    results = [(group, [finding for check in group.checks for finding in check(machine)]) for group in GROUPS]
    if options.json:
        json.dump(_document(results), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(_table(results))
    return EXIT_OK if not _stopping(results, "local") else EXIT_UNAVAILABLE


def _machine(given: Path | None) -> Machine:
    pipeline: Path | None
    try:
        pipeline = find_pipeline(given)
    except UsageError:
        if given is not None:
            raise
        pipeline = None
    root = Path.cwd()
    if pipeline is not None:
        folder = pipeline.absolute().parent
        root = folder.parent if folder.name == "pipelines" else folder
    return Machine(root=root, environ=os.environ, system=packages.this_family(), pipeline=pipeline)


def _executors(results: Results) -> list[str]:
    return list(dict.fromkeys(group.executor for group, _ in results if group.executor))


def _stopping(results: Results, executor: str) -> list[Finding]:
    """What keeps an executor from running."""
    return [
        finding
        for group, findings in results
        if group.executor in (None, executor)
        for finding in findings
        if finding.stops
    ]


def _table(results: Results) -> str:
    findings = [finding for _, found in results for finding in found]
    width = max(len(finding.name) for finding in findings)
    lines: list[str] = []
    for group, found in results:
        if found:
            lines += [group.title, *(line for finding in found for line in _row(finding, width)), ""]
    for executor in _executors(results):
        stopping = _stopping(results, executor)
        why = f"cannot run: see {', '.join(finding.name for finding in stopping)}" if stopping else "can run"
        lines += textwrap.wrap(f"the {executor} executor {why}", WIDTH - 1, subsequent_indent="  ")
    return "\n".join(lines) + "\n"


def _row(finding: Finding, width: int) -> list[str]:
    lead = f"  {finding.name:<{width}}  {finding.state.value:<7}  "
    indent = " " * len(lead)
    lines = textwrap.wrap(
        finding.found, WIDTH - 1, initial_indent=lead, subsequent_indent=indent, break_on_hyphens=False
    )
    for remedy in finding.remedy:
        # what is to be typed stays on one line
        lines.append(f"{indent}> {remedy}")
    return lines or [lead.rstrip()]


def _document(results: Results) -> dict[str, object]:
    return {
        "version": 1,
        "executors": {
            executor: {
                "can_run": not _stopping(results, executor),
                "stopped_by": [finding.name for finding in _stopping(results, executor)],
            }
            for executor in _executors(results)
        },
        "groups": [
            {
                "title": group.title,
                "executor": group.executor,
                "findings": [{**asdict(finding), "state": finding.state.value} for finding in findings],
            }
            for group, findings in results
        ],
    }
