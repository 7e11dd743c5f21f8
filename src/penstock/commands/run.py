"""`penstock run`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.ci import release
from penstock.commands import executors
from penstock.commands.project import add_pipeline, add_selection, open_project
from penstock.errors import UsageError
from penstock.executors.local import LocalExecutor
from penstock.observer import Observer
from penstock.plan.model import Plan
from penstock.report import keep
from penstock.report.console import PlainObserver, summary
from penstock.runner.run import Options, Run
from penstock.runner.selection import select

if TYPE_CHECKING:
    from penstock.commands.project import Project


def add(parser: argparse.ArgumentParser) -> None:
    """Which pipeline, which stages, and how."""
    add_pipeline(parser)
    add_selection(parser)
    group = parser.add_argument_group("how")
    group.add_argument(
        "-j", "--jobs", metavar="N", type=_positive, help="stages at a time (default: the number of cores)"
    )
    group.add_argument(
        "-k", "--keep-going", action="store_true", help="after a failure, run all that does not need it"
    )
    group.add_argument(
        "--observe",
        action="store_true",
        help="show stages the whole source, and say what they read undeclared and what they declare in vain",
    )
    group.add_argument("-n", "--dry-run", action="store_true", help="say what would run, and run nothing")
    group.add_argument(
        "--overwrite", action="store_true", help="replace files that stand where outputs must go"
    )
    group.add_argument(
        "--report", metavar="DIR", type=Path, help="write the report here too: run.json, summary.md, ..."
    )
    group.add_argument("-v", "--verbose", action="store_true", help="show what stages print, as it comes")
    group.add_argument("-q", "--quiet", action="store_true", help="print the summary only")


def run(options: argparse.Namespace) -> int:
    """Run a pipeline and write its reports."""
    if options.dry_run:
        from penstock.commands import plan

        return plan.show(options)
    observer = _observer(options)
    try:
        project = open_project(options, observer)
        executors.Choice.of(options).demand_accelerator()
        if isinstance(project.executor, LocalExecutor):
            project.executor.tidy()
        run = Run(
            plan=_plan(options, project),
            executor=project.executor,
            history=project.history,
            observer=observer,
            root=project.root,
            options=_options(options, project),
        )
        report = run.report()
        folder = keep.write(report, project.root / keep.RUNS, project.history.manifest, run.documents)
        if options.report is not None:
            keep.copy(report, options.report, project.history.manifest, run.documents)
        observer.run_finished(report)
    finally:
        observer.close()
    keep.append_job_summary(report, os.environ, run.documents)
    sys.stdout.write(summary(report, folder=folder, stream=sys.stdout))
    return report.exit_code


def _options(options: argparse.Namespace, project: Project) -> Options:
    selection = select(
        project.plan, only=options.stages_only, until=options.stages_until, start=options.stages_from
    )
    jobs = options.jobs or _positive(os.environ.get("PENSTOCK_JOBS") or str(os.cpu_count() or 1))
    return Options(
        selection=selection,
        force=options.force,
        jobs=jobs,
        keep_going=options.keep_going,
        release=release(os.environ),
        observe=options.observe,
    )


def _plan(options: argparse.Namespace, project: Project) -> Plan:
    if not options.observe:
        return project.plan
    from penstock.runner.observed import all_observed

    project.history.label = " --observe"
    return all_observed(project.plan)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1024:  # noqa: PLR2004 - no machine runs more at a time
        raise UsageError(f"the number of jobs is {text!r}", notes=("it is a number from 1 to 1024",))
    return int(text)


def _observer(options: argparse.Namespace) -> Observer:
    if options.quiet or options.verbose or not sys.stderr.isatty():
        return PlainObserver(sys.stderr, environ=os.environ, verbose=options.verbose, quiet=options.quiet)
    from penstock.report.live import LiveObserver

    return LiveObserver()
