"""`penstock verify`."""

from __future__ import annotations

import argparse
import os
import sys

from penstock.commands.project import add_file
from penstock.commands.runs import A_RUN, Manifests, find_run
from penstock.errors import EXIT_OK, EXIT_STAGE_FAILED, PipelineError
from penstock.report import comparison_text, document
from penstock.report.comparison import compare_runs
from penstock.report.comparison_text import Side
from penstock.report.style import style_of


def add(parser: argparse.ArgumentParser) -> None:
    """Which two runs, and how exactly."""
    parser.epilog = "It ends with 0 if the runs are the same, with 1 if they part."
    add_file(parser)
    for name, words in (
        ("a", f"a run: {A_RUN}"),
        ("b", "another"),
    ):
        parser.add_argument(name, metavar=name.upper(), help=words)
    parser.add_argument(
        "--strict", action="store_true", help="keys, environments and inputs must be the same too"
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Compare two runs; 0 if they are the same, 1 if they part."""
    paths = [find_run(name, options.pipeline) for name in (options.a, options.b)]
    one, two = (Side(document.read_json(path), os.path.relpath(path)) for path in paths)
    try:
        comparison = compare_runs(one.report, two.report, Manifests.beside(paths))
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
