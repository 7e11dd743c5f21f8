"""What `penstock verify` says of two runs: on a terminal or in a log, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from penstock.inert import one_line
from penstock.record import Record, asdict
from penstock.report import wording
from penstock.report.comparison import Comparison, Parting
from penstock.report.style import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Style, columns_of, wrap
from penstock.results import Change, RunReport

DOCUMENT_VERSION = 1
MAX_ROWS = 10
_FILES = ("output", "evidence")
_UNTOLD = "variables, outputs, timeouts, retries, accelerators, bounds of gates, publications"


class Side(Record, kw_only=False):
    """One of the two runs.

    Attributes:
        place: Where its run.json is.
    """

    report: RunReport
    place: str


def to_json(comparison: Comparison, sides: tuple[Side, Side], *, strict: bool) -> str:
    """The comparison as a JSON document; `before` is the first run's value, `after` the second's."""
    runs = (
        {"run_json": side.place, "run_id": side.report.run_id, "executor": side.report.executor}
        for side in sides
    )
    head = {"version": DOCUMENT_VERSION, "same": comparison.same(strict=strict), "strict": strict}
    return json.dumps({**head, "runs": list(runs), **asdict(comparison)}, indent=1) + "\n"


def render(comparison: Comparison, sides: tuple[Side, Side], *, strict: bool, style: Style) -> str:
    """The comparison for people: the verdict, the first difference and its causes, the rest in short."""
    blocks = (
        _sides(sides, style),
        _verdict(comparison, sides[0].report, strict=strict, style=style),
        _first(comparison.partings[:1], style),
        _plan(comparison, style),
        _further(comparison.partings[1:], style),
        _notes(comparison, style),
    )
    texts = ["\n".join(lines) for block in blocks if (lines := list(block))]
    return "\n\n".join(texts) + "\n"


def _sides(sides: tuple[Side, Side], style: Style) -> Iterator[str]:
    versions = {side.report.penstock for side in sides}
    for letter, side in zip("AB", sides, strict=True):
        report = side.report
        facts = [report.run_id, report.executor]
        if report.commit:
            facts.append(f"commit {report.commit[:8]}{report.commit[40:]}")
        if len(versions) > 1:
            facts.append(f"Penstock {report.penstock}")
        yield f"{style.paint(letter, BOLD)}  {style.fit(', '.join(facts), style.width - 3)}"
        yield "   " + style.paint(style.fit(side.place, style.width - 3), DIM)
    if sides[0].report.run_id == sides[1].report.run_id:
        yield "both are the report of one run"


def _verdict(comparison: Comparison, report: RunReport, *, strict: bool, style: Style) -> Iterator[str]:
    if comparison.partings:
        first = comparison.partings[0]
        where = f"they part at {first.what} {first.name}"
        change = first.changes[0]
        file = f", in {change.name}" if change.what in _FILES else f": {_values(change)}"
        yield style.paint(style.fit(where + file, style.width), RED, BOLD)
    elif comparison.plan:
        yield style.paint("the plans differ; every output and verdict is the same", RED, BOLD)
    elif strict and comparison.notes:
        yield style.paint("every output and verdict is the same; not so what led to them", RED, BOLD)
    else:
        what = "outputs and verdicts" if comparison.notes else "plan, keys, outputs and verdicts"
        yield style.paint(f"the same {what}", GREEN, BOLD) + f" ({_counts(report)})"


def _counts(report: RunReport) -> str:
    outputs = sum(len(stage.outputs) for stage in report.stages)
    return ", ".join(
        wording.count(amount, noun)
        for amount, noun in ((len(report.stages), "stage"), (outputs, "output"), (len(report.gates), "gate"))
    )


def _first(partings: Iterable[Parting], style: Style) -> Iterator[str]:
    for parting in partings:
        yield from _rows("how they differ", map(pair, parting.changes), style, RED)
        if parting.above:
            yield ""
            yield from _rows("what differs above it", map(pair, parting.above), style, YELLOW)
        elif parting.sentence:
            yield ""
            yield from _wrapped(f"what differs above it: {parting.sentence}", style)


def _plan(comparison: Comparison, style: Style) -> Iterator[str]:
    said = {change for parting in comparison.partings[:1] for change in parting.above}
    known = [each for each in comparison.plan if (each.what, each.name) != ("plan", "digest")]
    if comparison.plan and not known:
        yield from _wrapped(f"the plans differ in something that run.json does not hold: {_UNTOLD}", style)
    rows = [pair(change) for change in known if change not in said]
    yield from _rows("what differs in the plans", rows, style, YELLOW)


def _further(partings: Iterable[Parting], style: Style) -> Iterator[str]:
    rows = ((f"{parting.what} {parting.name}", _in_short(parting)) for parting in partings)
    return _rows("what parts besides, below it or beside it", rows, style, RED)


def _in_short(parting: Parting) -> str:
    change, *more = parting.changes
    what = change.name if change.what in _FILES else " ".join(pair(change))
    rest = f" and {len(more)} more" if more else ""
    return what + rest + (f" (reads what {parting.follows[0]} made)" if parting.follows else "")


def _notes(comparison: Comparison, style: Style) -> Iterator[str]:
    title = (
        "what else differs" if comparison.partings else "what differs and changed no output and no verdict"
    )
    rows = (
        (_name(note.change), _values(note.change) + (f" ({_names(note.stages)})" if note.stages else ""))
        for note in comparison.notes
    )
    return _rows(title, rows, style, CYAN)


def _names(stages: tuple[str, ...]) -> str:
    shown = ", ".join(stages[:3])
    return f"{shown} and {len(stages) - 3} more" if len(stages) > 3 else shown  # noqa: PLR2004 - they fit a line


def _rows(title: str, rows: Iterable[tuple[str, str]], style: Style, colour: str) -> Iterator[str]:
    """Names and what is said of each, which has a line of its own where one is too short for both."""
    rows = list(rows)
    if rows:
        yield title
    for name, values in rows[:MAX_ROWS]:
        name, values = style.fit(name, style.width - 2), style.write(one_line(values))  # noqa: PLW2901 - as it is shown
        if columns_of(name) + columns_of(values) + 4 <= style.width:
            yield f"  {style.paint(name, colour)}  {values}"
        else:
            yield f"  {style.paint(name, colour)}"
            yield "    " + style.fit(values, style.width - 4)
    if len(rows) > MAX_ROWS:
        yield "  " + style.paint(f"and {len(rows) - MAX_ROWS:,} more (--json has all)", DIM)


def pair(change: Change) -> tuple[str, str]:
    """What differs, and how: `input data/a.csv`, `sha256:1a2b… | (none)`."""
    return _name(change), _values(change)


def _name(change: Change) -> str:
    return f"{change.what} {change.name}".rstrip()


def _values(change: Change) -> str:
    return " | ".join(map(_short, (change.before, change.after)))


def _short(value: str | None) -> str:
    if value is None:
        return "(none)"
    text = one_line(value)
    if text.startswith("sha256:"):
        return text[:19] + text[71:]
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - one line


def _wrapped(text: str, style: Style) -> Iterator[str]:
    first, *rest = wrap(style.write(one_line(text)), style.width - 2) or [""]
    yield first
    yield from (f"  {line}" for line in rest)
