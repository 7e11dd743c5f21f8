"""What a registry of models holds, on a terminal or in a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.inert import one_line
from penstock.report.style import BOLD, GREEN, RED, YELLOW, Style, columns_of, wrap
from penstock.report.wording import short_digest

_GAP = 2
_MARKS = {"pass": ("✓", GREEN), "fail": ("✗", RED)}


def render(
    action: str, facts: Mapping[str, Any], publications: Sequence[Mapping[str, Any]], style: Style
) -> str:
    """What an action on the registry says."""
    if action == "list":
        lines = _versions(facts, style) if "versions" in facts else _models(facts, style)
    elif action == "show":
        lines = _version(facts, style)
    elif action == "compare":
        lines = _beside(facts, style)
    elif action == "load":
        lines = iter((_loaded(facts),))
    else:
        lines = (style.fit(str(each["sentence"]), style.width) for each in publications)
    return "".join(f"{line}\n" for line in lines)


def _models(facts: Mapping[str, Any], style: Style) -> Iterator[str]:
    if not facts["models"]:
        yield f"{facts['registry']} holds no model yet: a pipeline puts one there with `publish: mlflow`"
        return
    rows = [
        (each["name"], ", ".join(f"{alias} {number}" for alias, number in sorted(each["aliases"].items())))
        for each in facts["models"]
    ]
    yield from _table(("model", "aliases"), rows, style)


def _versions(facts: Mapping[str, Any], style: Style) -> Iterator[str]:
    rows = [
        (
            each["version"],
            ", ".join(each["aliases"]),
            {True: "passed", False: "not passed", None: "?"}[each["passed"]],
            (each["commit"] or "")[:10],
            short_digest(each["digest"]) if each["digest"] else "",
            each["registered_at"] or "",
        )
        for each in facts["versions"]
    ]
    yield from _table(("version", "aliases", "gates", "commit", "model", "registered"), rows, style)
    if len(facts["champions"]) > 1:
        yield ""
        yield style.fit(f"champions so far: {', '.join(facts['champions'])}", style.width)


def _version(facts: Mapping[str, Any], style: Style) -> Iterator[str]:
    aliases = f" ({', '.join(facts['aliases'])})" if facts["aliases"] else ""
    yield style.paint(style.fit(f"{facts['model']}, version {facts['version']}{aliases}", style.width), BOLD)
    for title, value in (
        ("run", facts["run"]),
        ("model", facts["digest"]),
        ("proof", "has evidence" if facts["evidence"] else "has no evidence"),
        ("commit", facts["commit"]),
        ("since", facts["registered_at"]),
    ):
        yield style.fit_line(f"{title:<7} {value or 'unknown'}", style.width)
    for name, said in facts["gates"].items():
        symbol, colour = _MARKS.get(said.partition(":")[0], ("·", YELLOW))
        yield f"{style.paint(style.write(symbol), colour)} {style.fit(f'{name}: {said}', style.width - 2)}"
    rows = [(name, _number(value)) for name, value in facts["metrics"].items()]
    yield from _titled("metric", "value", rows, style)
    yield from _titled("parameter", "value", list(facts["params"].items()), style)
    for each in facts["moves"]:
        override = each.get("override")
        answer = f", answered for by {override['name']}: {override['reason']}" if override else ""
        why = f": {each['why']}" if each.get("why") and not override else ""
        said = one_line(f"{each.get('at')} {each['what']} to {each['to']} by {each['who']}{why}{answer}")
        yield from wrap(style.write(said), style.width)


def _titled(name: str, value: str, rows: list[tuple[str, str]], style: Style) -> Iterator[str]:
    if rows:
        yield ""
        yield from _table((name, value), rows, style)


def _beside(facts: Mapping[str, Any], style: Style) -> Iterator[str]:
    heads = [f"version {each['version']}" for each in facts["versions"]]
    for title, part, shown in (
        ("parameter that differs", "params", str),
        ("metric", "metrics", _number),
        ("verdict that differs", "gates", str),
    ):
        rows = [
            (name, *("" if value is None else shown(value) for value in values))
            for name, values in facts[part].items()
        ]
        if rows:
            yield from _table((title, *heads), rows, style)
            yield ""
    if not facts["params"]:
        yield "no parameter differs"


def _number(found: Mapping[str, Any]) -> str:
    text = f"{found['value']:.6g}"
    if found["low"] is not None and found["high"] is not None:
        text += f" [{found['low']:.6g}, {found['high']:.6g}]"
    return text


def _loaded(facts: Mapping[str, Any]) -> str:
    evidence = facts["evidence"]
    signed = "without evidence"
    if evidence:
        signed = (
            f"evidence signed by {short_digest(evidence['key'])}"
            if evidence["signed"]
            else "evidence not signed"
        )
    return f"{facts['to']}: version {facts['version']} of {facts['model']!r}, as it was judged ({signed})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], style: Style) -> Iterator[str]:
    """Rows below a head; the last columns are cut where the width ends."""
    widths = [
        max(columns_of(style.fit(str(row[at]), style.width)) for row in (head, *rows))
        for at in range(len(head))
    ]
    for number, row in enumerate((head, *rows)):
        cells = "".join(style.cell(str(text), width + _GAP) for text, width in zip(row, widths, strict=True))
        line = style.fit_line(cells.rstrip(), style.width)
        yield style.paint(line, BOLD) if number == 0 else line
