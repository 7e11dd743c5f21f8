"""`penstock verify`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from penstock.cache.store import Store, default_home
from penstock.commands.project import add_file, find_pipeline
from penstock.errors import EXIT_OK, EXIT_STAGE_FAILED, PipelineError, StoreError, UsageError
from penstock.plan.compiled import Overlay, load_plan
from penstock.report import comparison_text, document, keep, members
from penstock.report.comparison import compare_runs
from penstock.report.comparison_text import Side
from penstock.report.style import style_of


def add(parser: argparse.ArgumentParser) -> None:
    """Which two runs, and how exactly."""
    parser.epilog = "It ends with 0 if the runs are the same, with 1 if they part."
    add_file(parser)
    for name, words in (
        ("a", "a run: a run.json, a folder that holds one, a run's id or `latest`"),
        ("b", "another"),
    ):
        parser.add_argument(name, metavar=name.upper(), help=words)
    parser.add_argument(
        "--strict", action="store_true", help="keys, environments and inputs must be the same too"
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Compare two runs; 0 if they are the same, 1 if they part."""
    paths = [_find(name, options.pipeline) for name in (options.a, options.b)]
    one, two = (Side(document.read_json(path), os.path.relpath(path)) for path in paths)
    known: dict[str, bytes] = {}
    for path in paths:
        known |= members.read(path.with_name(members.NAME))
    try:
        comparison = compare_runs(one.report, two.report, _Manifests(known))
    except RecursionError:
        raise PipelineError(
            "one of the two is nested too deeply to be a report of a run", where=f"{one.place}, {two.place}"
        ) from None
    if options.as_json:
        sys.stdout.write(comparison_text.to_json(comparison, (one, two), strict=options.strict))
    else:
        style = style_of(sys.stdout, os.environ)
        sys.stdout.write(comparison_text.render(comparison, (one, two), strict=options.strict, style=style))
    return EXIT_OK if comparison.same(strict=options.strict) else EXIT_STAGE_FAILED


def _find(name: str, pipeline: Path | None) -> Path:
    """The run.json that is meant.

    Raises:
        UsageError: There is no such run.
    """
    path = Path(name)
    try:
        path = path / "run.json" if path.is_dir() else path
        if path.is_file():
            return path
        problem = "is no file" if path.exists() else "there is no such file"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    if problem != "there is no such file" or "/" in str(path) or name.endswith(".json"):
        raise UsageError(
            problem,
            where=str(path),
            notes=("name a run.json, the folder of a run's reports, a run's id or `latest`",),
        )
    root, _ = load_plan(find_pipeline(pipeline), Overlay(environ=os.environ))
    return keep.find(root / keep.RUNS, name) / "run.json"


class _Manifests:
    """Finds a directory's manifest: in the files beside both run.json, or in the store of this machine."""

    def __init__(self, known: Mapping[str, bytes]) -> None:
        self._known = known
        self._store = Store(default_home(os.environ))

    def __call__(self, name: str) -> bytes | None:
        if name in self._known:
            return self._known[name]
        if not members.well_formed(name):
            return None
        try:
            return self._store.manifest(name)
        except StoreError:
            return None
