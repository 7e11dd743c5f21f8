"""What stages read without declaring it, in words, with the lines to add."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.inert import one_line
from penstock.report import wording
from penstock.results import Observed, RunReport, StageResult, StageState, Undeclared

MOST_LINES = 8
"""Of one stage on a terminal; all of them are in run.json."""


def blocks(report: RunReport) -> Iterator[list[str]]:
    """For a terminal: the first line of each block names the stage; those that did not run are counted."""
    standing = 0
    for stage in report.stages:
        if stage.observed is None or not _speaks(stage.observed):
            continue
        if stage.state is StageState.CACHED:
            standing += 1
        else:
            yield list(_lines(stage.name, stage.observed))
    if standing:
        noun = wording.count(standing, "cached stage")
        verb = "reads" if standing == 1 else "read"
        yield [f"{noun} {verb} what is not declared: penstock explain STAGE"]


def facts(stage: StageResult) -> Iterator[str]:
    """For `penstock explain`: everything, one line each."""
    observed = stage.observed
    if observed is None:
        return
    if observed.whole is not None:
        yield f"not observed: {one_line(observed.whole)}; the whole source counts as its input"
    for each in observed.undeclared:
        yield f"undeclared: {what(each)}"
    if observed.unkept is not None:
        yield f"not kept: {one_line(observed.unkept)}"
    for path in observed.unread:
        yield f"never read: {one_line(path)}"


def rows(report: RunReport) -> list[tuple[str, str, str]]:
    """Stage, what it read, and the line to add or the command that read it."""
    found = []
    for stage in report.stages:
        observed = stage.observed
        if observed is None:
            continue
        if observed.whole is not None:
            found.append((stage.name, "the whole source", f"not observed: {one_line(observed.whole)}"))
        if observed.unkept is not None:
            found.append((stage.name, "what another stage writes", one_line(observed.unkept)))
        found += [(stage.name, what(each), _remedy(each, observed)) for each in observed.undeclared]
        found += [
            (stage.name, f"never: {one_line(path)}", "declared, and not needed") for path in observed.unread
        ]
    return found


def what(each: Undeclared) -> str:
    """A path, how it was read, who makes it, and by which command it was read."""
    files = f" ({wording.count(each.files, 'file')})" if each.files > 1 else ""
    how = " (its names)" if each.how == "listed" else ""
    maker = f", which stage {one_line(each.stage)!r} makes" if each.stage is not None else ""
    by = f", by {one_line(each.by)}" if each.by else ""
    return f"{one_line(each.path)}{files}{how}{maker}{by}"


def _speaks(observed: Observed) -> bool:
    read = any(each.how == "read" for each in observed.undeclared)
    return bool(read or observed.unread or observed.unkept is not None or observed.whole is not None)


def _remedy(each: Undeclared, observed: Observed) -> str:
    return "" if each.how == "listed" else f"{_list(observed)}: [{one_line(each.path)}]"


def _list(observed: Observed) -> str:
    """What the inputs of a stage are called where it is declared."""
    return "deps" if observed.where.partition(":")[0].endswith("dvc.yaml") else "inputs"


def _lines(name: str, observed: Observed) -> Iterator[str]:
    where = one_line(observed.where.rpartition(": stage ")[0])
    if observed.whole is not None:
        yield f"{name} could not be observed, so the whole source is its input: {one_line(observed.whole)}"
    read = [each for each in observed.undeclared if each.how == "read"]
    if read:
        noun = wording.count(len(read), "path")
        yield f"{name} read {noun} that it does not declare, now part of its key; {where}, {_list(observed)}:"
        for each in read[:MOST_LINES]:
            maker = f"  # of stage {one_line(each.stage)!r}" if each.stage is not None else ""
            files = f"  # {wording.count(each.files, 'file')}" if each.files > 1 else ""
            yield f"  - {one_line(each.path)}{maker}{files}"
        if len(read) > MOST_LINES:
            yield f"  and {len(read) - MOST_LINES} more"
    if observed.unkept is not None:
        yield f"{name} is not kept: {one_line(observed.unkept)}"
    if observed.unread:
        paths = ", ".join(one_line(path) for path in observed.unread[:MOST_LINES])
        more = len(observed.unread) - MOST_LINES
        yield f"{name} never read what it declares: {paths}" + (f" and {more} more" if more > 0 else "")
