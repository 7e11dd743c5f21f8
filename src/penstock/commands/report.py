"""`penstock report`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from penstock.commands.project import add_file
from penstock.commands.runs import A_RUN, Manifests, find_run
from penstock.errors import PipelineError, UsageError
from penstock.report import attached, document, keep
from penstock.report.style import style_of
from penstock.report.versus import Told, versus

_COMPARE = "compare"
_TWO = 3


def add(parser: argparse.ArgumentParser) -> None:
    """Which run or runs, and where to."""
    parser.usage = (
        "penstock report [-f FILE] [RUN] [--open] [--output FILE]\n"
        "       penstock report compare RUN RUN [-f FILE] [--html FILE] [--open]"
    )
    add_file(parser)
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help=f"{A_RUN}; `compare` and two of them (default: latest)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="where to put the page (default: report.html beside run.json)",
    )
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="with compare: write it as a page too, and where to"
    )


def run(options: argparse.Namespace) -> int:
    """Write a run's page, or put two runs beside each other."""
    names: list[str] = options.runs
    if names[:1] == [_COMPARE]:
        if len(names) != _TWO:
            raise UsageError("compare takes two runs", notes=("penstock report compare latest 20261121T",))
        return _compare(options, names[1:])
    if len(names) > 1 or options.html is not None:
        raise UsageError(
            "a page is of one run",
            notes=("two are compared by: penstock report compare RUN RUN --html FILE",),
        )
    told = _told(names[0] if names else keep.LATEST, options.pipeline)
    from penstock.report.html import page

    target = options.output or Path(told.place).with_name(page.NAME)
    document.write_whole(target, page.render(told.report, told.documents))
    _show(target, opened=options.open)
    return 0


def _compare(options: argparse.Namespace, names: list[str]) -> int:
    from penstock.report import versus_text

    one, two = (_told(name, options.pipeline) for name in names)
    try:
        found = versus(one, two, Manifests.beside(Path(each.place) for each in (one, two)))
    except RecursionError:
        raise PipelineError(
            "one of the two is nested too deeply to be a report of a run", where=f"{one.place}, {two.place}"
        ) from None
    sys.stdout.write(versus_text.render(found, style_of(sys.stdout, os.environ)))
    target: Path | None = options.html or options.output
    if target is None and not options.open:
        return 0
    from penstock.report.html import versus as page

    target = target or Path(two.place).with_name("compare.html")
    document.write_whole(target, page.render(found))
    sys.stdout.write("\n")
    _show(target, opened=options.open)
    return 0


def _told(name: str, pipeline: Path | None) -> Told:
    path = find_run(name, pipeline)
    return Told(document.read_json(path), attached.read(path.parent), os.path.relpath(path))


def _show(target: Path, *, opened: bool) -> None:
    sys.stdout.write(f"{os.path.relpath(target)}\n")
    if not opened:
        return
    import webbrowser

    sys.stdout.flush()  # a browser in this terminal may write before we do
    if not webbrowser.open(target.resolve().as_uri()):
        sys.stdout.write("no browser could be started: open it yourself\n")
