"""The end of a run on a terminal or in a log: what ran, what the gates say, what was published, and where."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from penstock.inert import one_line
from penstock.report import wording
from penstock.report.observed_text import blocks
from penstock.report.plain import PlainObserver
from penstock.report.style import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Style, columns_of, style_of, wrap
from penstock.results import (
    GateResult,
    PublicationState,
    RunReport,
    StageResult,
    StageState,
    Verdict,
)

__all__ = ["PlainObserver", "render", "summary", "verdicts"]

TAIL_LINES = 15
MAX_ROWS = 40

STATES = {
    StageState.RAN: ("✓", "ran", GREEN),
    StageState.CACHED: ("=", "cached", CYAN),
    StageState.FAILED: ("✗", "failed", RED),
    StageState.TIMED_OUT: ("✗", "timed out", RED),
    StageState.INTERRUPTED: ("!", "interrupted", YELLOW),
    StageState.SKIPPED: ("-", "not run", DIM),
}
_VERDICTS = {
    Verdict.PASS: GREEN,
    Verdict.FAIL: RED,
    Verdict.SKIP: DIM,
    Verdict.INCONCLUSIVE: YELLOW,
}
_PUBLICATIONS = {
    PublicationState.WRITTEN: ("✓", GREEN),
    PublicationState.UNCHANGED: ("=", CYAN),
    PublicationState.SKIPPED: ("-", DIM),
    PublicationState.REFUSED: ("✗", RED),
    PublicationState.FAILED: ("✗", RED),
}
_HEADLINES = {"failed": RED, "inconclusive": YELLOW, "interrupted": YELLOW}


def summary(
    report: RunReport, *, folder: Path, stream: TextIO, environ: Mapping[str, str] = os.environ
) -> str:
    """The end of a run for a stream, in complete lines.

    Args:
        folder: Where the run's reports are.
    """
    return render(report, place=f"{_nearby(folder)}/run.json", style=style_of(stream, environ))


def render(report: RunReport, *, place: str, style: Style, explained: bool = True) -> str:
    """The end of a run in a style.

    Args:
        place: Where `run.json` is, or how to get at it.
        explained: Whether `penstock explain` knows of the run.
    """
    sections = (
        _stages(report, style),
        _gates(report.gates, style),
        _observed(report, style),
        *(
            _failure(stage, place, style, explained=explained)
            for stage in wording.of(report.stages, *wording.BROKEN)
        ),
        _warnings(report, style),
        _places(report, place, style),
        _last_line(report, style),
    )
    texts = ["\n".join(lines) for block in sections if (lines := list(block))]
    return "\n" + "\n\n".join(texts) + "\n"


def verdicts(gates: Sequence[GateResult], style: Style) -> str:
    """What gates say, in complete lines."""
    return "".join(f"{line}\n" for line in _gates(gates, style))


def _nearby(folder: Path) -> str:
    relative = os.path.relpath(folder)
    return str(folder) if relative.startswith("..") else relative


def _stages(report: RunReport, style: Style) -> Iterator[str]:
    shown = report.stages
    if len(shown) > MAX_ROWS:
        shown = tuple(stage for stage in shown if stage.state is not StageState.CACHED)
    names = min(max((columns_of(stage.name) for stage in shown), default=0), style.width // 3)
    states = max((len(STATES[stage.state][1]) for stage in shown), default=0)
    times = max((len(_time(stage)) for stage in shown), default=0)
    for stage in shown:
        symbol, word, colour = STATES[stage.state]
        row = (
            f"  {style.paint(style.write(symbol), colour)} {style.cell(stage.name, names)}",
            style.paint(f"{word:<{states}}", colour),
            f"{_time(stage):>{times}}",
            style.paint(
                style.fit(_remark(stage), style.width - names - states - times - 10),
                *(() if stage.state in wording.BROKEN else (DIM,)),
            ),
        )
        yield "  ".join(row).rstrip()
    hidden = len(report.stages) - len(shown)
    if hidden:
        yield "  " + style.paint(f"= and {wording.count(hidden, 'cached stage')}", CYAN)


def _observed(report: RunReport, style: Style) -> Iterator[str]:
    for first, *rest in blocks(report):
        lines = wrap(style.write(first), style.width - 2)
        yield "\n    ".join(("  " + style.paint(lines[0], YELLOW), *lines[1:]))
        for line in rest:
            yield "  " + style.write(line)


def _time(stage: StageResult) -> str:
    return "" if stage.state is StageState.SKIPPED else wording.duration(stage.wall_s)


def _remark(stage: StageResult) -> str:
    return wording.problem(stage) if stage.state in wording.BROKEN else wording.why(stage)


def _gates(gates: Sequence[GateResult], style: Style) -> Iterator[str]:
    widest = max((len(gate.verdict) for gate in gates), default=0) + 2
    names = min(max((columns_of(gate.name) for gate in gates), default=0), style.width // 3)
    for gate in gates:
        yield from _gate(gate, style, widest, names)


def _gate(gate: GateResult, style: Style, verdicts: int, names: int) -> Iterator[str]:
    head = f"[{gate.verdict}]"
    indent = 2 + verdicts + 1 + names + 2
    start = (
        f"  {style.paint(f'{head:<{verdicts}}', _VERDICTS[gate.verdict])} {style.cell(gate.name, names)}  "
    )
    note = "" if gate.required else " (advisory)"
    what = style.write(wording.judgement(gate)) + note
    proof = style.write(wording.evidence(gate))
    proof = f"({proof})" if proof else ""
    if columns_of(f"{what} {proof}") <= style.width - indent:
        yield (f"{start}{what} " + style.paint(proof, DIM)).rstrip()
    else:
        lines = wrap(what, style.width - indent)
        yield start + lines[0]
        for line in lines[1:]:
            yield " " * indent + line
        for line in wrap(proof, style.width - indent):
            yield " " * indent + style.paint(line, DIM)
    if gate.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        for text in (*wording.parts(gate), *gate.details)[:TAIL_LINES]:
            for line in wrap(style.write(one_line(text)), style.width - indent):
                yield " " * indent + line


def _places(report: RunReport, place: str, style: Style) -> Iterator[str]:
    """What was published, and the report itself."""
    kinds = max(len("report"), *(columns_of(each.kind) for each in report.publications), 0)
    indent = kinds + 6
    for each in report.publications:
        symbol, colour = _PUBLICATIONS[each.state]
        where, facts = (style.write(text) for text in wording.place(each))
        head = f"  {style.paint(style.write(symbol), colour)} {style.cell(each.kind, kinds)}  "
        if columns_of(f"{where}  {facts}") <= style.width - indent:
            yield f"{head}{where}  {style.paint(facts, DIM)}".rstrip()
        else:
            lines = wrap(f"{where} {facts}", style.width - indent)
            yield ("\n" + " " * indent).join((head + lines[0], *lines[1:]))
        todo = wording.next_step(each)
        for line in wrap(style.write(todo), style.width - indent) if todo else ():
            yield " " * indent + line
    mark = style.paint(style.write("✓"), GREEN)
    yield f"  {mark} {'report':<{kinds}}  {style.write(place)}"


def _pieces(line: str, columns: int) -> list[str]:
    """A line in pieces that fit, spaces kept: what a program printed is not cut short."""
    pieces = [""]
    for sign in line.expandtabs():
        if columns_of(pieces[-1] + sign) > columns:
            pieces.append("")
        pieces[-1] += sign
    return pieces


def _failure(stage: StageResult, place: str, style: Style, *, explained: bool) -> Iterator[str]:
    text = wording.log(stage)
    lines = [line for line in text.splitlines() if line.strip()]
    bar = style.paint(style.write("│"), RED)
    yield style.paint(style.write(f"stage {one_line(stage.name)}: {wording.problem(stage)}"), RED, BOLD)
    if len(lines) > TAIL_LINES:
        yield f"  {bar} " + style.paint(
            style.write(f"… {len(lines) - TAIL_LINES:,} lines before, in {place}"), DIM
        )
    for line in lines[-TAIL_LINES:]:
        for piece in _pieces(line, style.width - 4):
            yield f"  {bar} {style.write(piece)}"
    if not lines:
        yield f"  {bar} " + style.paint("(it printed nothing)", DIM)
    if explained:
        yield f"  why it ran: penstock explain {stage.name}"


def _warnings(report: RunReport, style: Style) -> Iterator[str]:
    for text in report.warnings:
        lines = wrap(style.write(one_line(text)), style.width - 11)
        yield ("\n" + " " * 11).join(("  " + style.paint("warning", YELLOW) + "  " + lines[0], *lines[1:]))


def _last_line(report: RunReport, style: Style) -> Iterator[str]:
    head = wording.headline(report)
    rest = style.write(f": {wording.outcome(report)} · {wording.duration(report.wall_s)}")
    lines = wrap(head + rest, style.width)
    yield style.paint(head, _HEADLINES.get(head, GREEN), BOLD) + lines[0].removeprefix(head)
    yield from lines[1:]
