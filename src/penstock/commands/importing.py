"""`penstock import`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from penstock.commands.init import root_key, short, summary, written
from penstock.commands.project import DEFAULT_PIPELINE
from penstock.errors import UsageError
from penstock.plan.importing import KNOWN, format_of
from penstock.plan.problems import listing
from penstock.scaffold import imported, repository, surroundings
from penstock.scaffold.draft import Draft


def add(parser: argparse.ArgumentParser) -> None:
    """What to read, and where to write."""
    parser.add_argument("file", type=Path, metavar="FILE", help=f"one of {', '.join(KNOWN)}")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help=f"the file to write (default: {DEFAULT_PIPELINE} in the project)",
    )
    parser.add_argument(
        "--entry-points",
        metavar="NAMES",
        type=lambda text: [name for name in text.split(",") if name],
        help="of an MLproject: which to take, separated by commas (default: main)",
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")


def run(options: argparse.Namespace) -> int:
    """Write a pipeline file with the stages of another tool's file in it."""
    if format_of(options.file.name) is None:
        raise UsageError(
            "is none of the files that can be imported",
            where=str(options.file),
            notes=(listing("files", KNOWN),),
        )
    root = repository.project_directory(Path.cwd())
    target: Path = (options.output or root / DEFAULT_PIPELINE).absolute()
    file = os.path.relpath(options.file.absolute(), root)
    if file.startswith(".."):
        raise UsageError("is outside of the project", where=str(options.file), notes=(f"that is {root}",))
    found = repository.look(root)
    draft = _draft(file, found, options.entry_points)
    draft.root = root_key(root, target)
    text = written(draft, root, target, force=options.force)
    sys.stdout.write(summary(draft, target, text))
    return 0


def _draft(file: str, found: repository.Repository, entry_points: list[str] | None) -> Draft:
    project = surroundings.pyproject(found)
    draft = Draft(surroundings.name(found, project))
    imported.write_out(draft, imported.read(file, found, asked=entry_points), found)
    if draft.requirements is None and not draft.packages:
        surroundings.python(draft, found, project)
        surroundings.requirements(draft, found, project)
    stages = ", ".join(stage.name for stage in draft.stages[:8])
    draft.found.insert(0, (short(Path(found.root, file)), stages + (", ..." if draft.stages[8:] else "")))
    return draft
