"""What evidence says, on a terminal or in a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.inert import one_line
from penstock.report.style import BOLD, GREEN, RED, YELLOW, Style, wrap
from penstock.report.wording import short_digest

_INDENT = 9
"""So that a digest fits a line of 80 columns."""
_MARKS = {"pass": ("✓", GREEN), "fail": ("✗", RED)}


def render(facts: Mapping[str, Any], style: Style) -> str:
    """Who says what about which run, what was judged, and what was looked at."""
    lines = [style.paint(style.fit(_head(facts), style.width), BOLD)]
    for title, texts in (
        ("run", (facts["run"],)),
        ("made", _made(facts)),
        ("key", (facts["key"] or "none: not signed",)),
        ("level", (f"{facts['level']}: {facts['level_reason']}",)),
        ("gates", _gates(facts, style)),
        ("contents", _contents(facts, style)),
        ("packages", _packages(facts)),
    ):
        shown = [line for text in texts for line in _lines(text, style)]
        lines += [f"{title if at == 0 else '':<{_INDENT}}{line}" for at, line in enumerate(shown)]
    lines += ["", *wrap(style.write(_last(facts)), style.width)]
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str, style: Style) -> list[str]:
    """A text in lines that fit; a mark at its beginning stays in front of them."""
    mark, found, rest = text.rpartition("\t")
    room = style.width - _INDENT - (2 if found else 0)
    lines = wrap(style.write(one_line(rest)), room)
    return [f"{(mark if at == 0 else ' ') + ' ' if found else ''}{line}" for at, line in enumerate(lines)]


def _head(facts: Mapping[str, Any]) -> str:
    return f"{facts['pipeline']}, run {facts['run_id']}: {facts['result']}"


def _made(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"{facts['started_at']} by {facts['executor']}, plan {short_digest(facts['plan'])}"
    if facts["commit"] is not None:
        yield f"from commit {facts['commit']}"


def _gates(facts: Mapping[str, Any], style: Style) -> Iterator[str]:
    for gate in facts["gates"]:
        symbol, colour = _MARKS.get(gate["verdict"], ("·", YELLOW))
        weight = "" if gate["required"] else ", not required"
        verdict = f"{one_line(gate['name'])}: {gate['verdict']}{weight}: {one_line(gate['sentence'])}"
        yield f"{style.paint(style.write(symbol), colour)}\t{verdict}"


def _contents(facts: Mapping[str, Any], style: Style) -> Iterator[str]:
    for each in facts["contents"]:
        checked = each["name"] in facts["checked"]
        mark = style.paint(style.write("✓"), GREEN) if checked else style.write("·")
        words = "the same bytes" if checked else "not looked at"
        yield f"{mark}\t{one_line(each['name'])} ({each['kind']}): {short_digest(each['digest'])}, {words}"


def _packages(facts: Mapping[str, Any]) -> list[str]:
    found = [f"{each['name']}: {each['packages']}" for each in facts["environments"]]
    return found or ["unknown: nothing was locked"]


def _last(facts: Mapping[str, Any]) -> str:
    if facts["trusted"]:
        return "Everything fits together, and is signed by the key that was asked for."
    if facts["signed"]:
        return "Everything fits together; but no key was demanded, so anyone could have signed it."
    return "Everything fits together; but nothing is signed, so anyone could have written it."
