"""What every command on a pipeline needs: the pipeline's file, its plan, and the store."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from penstock.cache.history import LocalHistory
from penstock.cache.stat_index import StatIndex
from penstock.cache.store import Store, default_home
from penstock.commands import executors
from penstock.errors import UsageError
from penstock.executors.base import Executor
from penstock.executors.opening import Opening
from penstock.observer import Observer
from penstock.plan.compiled import Overlay, load_plan, seen_from_here
from penstock.plan.model import EVENT_PROFILES, Plan
from penstock.record import Record

DEFAULT_PIPELINE = Path("pipelines/default.yaml")
STATE = ".penstock"


def add_file(parser: argparse.ArgumentParser) -> None:
    """The argument that says which pipeline."""
    parser.add_argument(
        "-f",
        "--pipeline",
        metavar="FILE",
        type=Path,
        help="the pipeline file (default: pipelines/default.yaml here or in a directory above)",
    )


def add_pipeline(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which pipeline, and what is laid over it."""
    add_file(parser)
    parser.add_argument("--profile", metavar="NAME", help="lay this profile of the file over it")
    parser.add_argument(
        "--event",
        metavar="NAME",
        help=f"lay the profile for this event over it, if the file has one: {', '.join(EVENT_PROFILES)}",
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        dest="sets",
        help="set a parameter, such as train.epochs=3; may be given again",
    )
    executors.add(parser)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose stages."""
    group = parser.add_argument_group("which stages")
    for name, sentence in (
        ("only", "exactly this stage"),
        ("until", "this stage and all that it needs"),
        ("from", "this stage and all that needs it"),
    ):
        group.add_argument(
            f"--{name}", metavar="STAGE", action="append", default=[], dest=f"stages_{name}", help=sentence
        )
    group.add_argument("--force", action="store_true", help="run them although their results are there")


def find_pipeline(given: Path | None) -> Path:
    """The pipeline file that is meant.

    Raises:
        UsageError: There is none.
    """
    given = given or (Path(os.environ["PENSTOCK_PIPELINE"]) if os.environ.get("PENSTOCK_PIPELINE") else None)
    if given is not None:
        if not given.is_file():
            raise UsageError("there is no such pipeline file", where=str(given))
        return given
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / DEFAULT_PIPELINE).is_file():
            return folder / DEFAULT_PIPELINE
    raise UsageError(
        f"there is no {DEFAULT_PIPELINE} here or in a directory above",
        where=str(here),
        notes=("write one with `penstock init`, or name one with `--pipeline FILE`",),
    )


class Project(Record):
    """A pipeline, opened.

    Attributes:
        root: What the paths in the pipeline file are relative to.
    """

    root: Path
    plan: Plan
    store: Store
    index: StatIndex
    history: LocalHistory
    executor: Executor[Any]


def open_project(options: argparse.Namespace, observer: Observer | None = None) -> Project:
    """Load the plan and open the store that the command line means.

    Raises:
        PipelineError: The pipeline file is wrong.
        StoreError: The store cannot be used.
    """
    choice = executors.Choice.of(options)
    overlay = Overlay(
        profile=options.profile or os.environ.get("PENSTOCK_PROFILE") or None,
        event=options.event or os.environ.get("PENSTOCK_EVENT") or None,
        sets=tuple(options.sets),
        environ=os.environ,
    )
    root, plan = load_plan(find_pipeline(options.pipeline), choice.accelerated(overlay))
    plan = seen_from_here(plan, root)
    store = Store(default_home(os.environ))
    index = StatIndex(root, root / STATE / "state.sqlite", plan.ignore)
    executor = choice.open(
        Opening(
            root=root,
            store=store,
            index=index,
            overwrite=getattr(options, "overwrite", False),
            replaced=frozenset(
                output.path for stage in plan.stages if stage.overwrite for output in stage.outputs
            ),
            observer=observer,
        )
    )
    return Project(
        root=root, plan=plan, store=store, index=index, history=LocalHistory(store, index), executor=executor
    )
