"""Two runs beside each other, on a terminal or in a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.inert import one_line
from penstock.report import wording
from penstock.report.comparison_text import pair
from penstock.report.console import STATES
from penstock.report.style import BOLD, DIM, Style, columns_of
from penstock.report.versus import MetricChange, Versus
from penstock.results import GateResult, StageResult

_MOST_ROWS = 40


def render(versus: Versus, style: Style) -> str:
    """Gates, metrics, stages and what differs, each where there is any."""
    metrics = [(_named(each), metric(each)) for each in versus.metrics]
    blocks = (
        _sides(versus, style),
        _rows("gates", [(name, gate(mine, theirs)) for name, mine, theirs in versus.gates], style),
        _rows("metrics of all rows", metrics, style),
        _rows("stages", [(name, stage(mine, theirs)) for name, mine, theirs in versus.stages], style),
        _rows("what differs", [pair(change) for change in versus.differences], style),
    )
    texts = ["\n".join(lines) for block in blocks if (lines := list(block))]
    return "\n\n".join(texts) + "\n"


def _sides(versus: Versus, style: Style) -> Iterator[str]:
    for letter, side in zip("AB", versus.sides, strict=True):
        report = side.report
        facts = [wording.headline(report), report.run_id, wording.moment(report.started_at), report.executor]
        facts += [f"commit {report.commit[:8]}{report.commit[40:]}"] if report.commit else []
        yield f"{style.paint(letter, BOLD)}  {style.fit(', '.join(facts), style.width - 3)}"
        yield "   " + style.paint(style.fit(side.place, style.width - 3), DIM)


def gate(mine: GateResult | None, theirs: GateResult | None) -> str:
    """The verdicts of a gate in both runs, and the number that was judged where it changed."""
    verdicts = ["(none)" if each is None else each.verdict.value for each in (mine, theirs)]
    said = verdicts[0] if verdicts[0] == verdicts[1] else " → ".join(verdicts)
    numbers = [
        "" if each is None or each.value is None else wording.estimate(each.value, each.interval)
        for each in (mine, theirs)
    ]
    if numbers[0] == numbers[1]:
        return f"{said}  {numbers[0]}".rstrip()
    return f"{said}  {' → '.join(each or '(none)' for each in numbers)}"


def metric(each: MetricChange) -> str:
    """Both values, their difference and its interval."""
    values = [
        wording.number(side.value) if side and side.value is not None else "(none)"
        for side in (each.before, each.after)
    ]
    if each.change is None:
        return f"{' → '.join(values)}  {each.how}"
    change = wording.signed(each.change)
    if each.interval is not None:
        change += f" {wording.interval(each.interval)}"
    return f"{' → '.join(values)}  {change} ({each.how})"


def stage(mine: StageResult | None, theirs: StageResult | None) -> str:
    """How a stage ended in both runs, and how long it took where it did anything."""
    ends = [_end(each) for each in (mine, theirs)]
    return ends[0] if ends[0] == ends[1] else " → ".join(ends)


def _end(stage: StageResult | None) -> str:
    if stage is None:
        return "(none)"
    word = STATES[stage.state][1]
    return f"{word} {wording.duration(stage.wall_s)}" if stage.state.value in ("ran", "failed") else word


def _named(each: MetricChange) -> str:
    return each.metric + wording.ARROWS.get(each.better or "", "")


def _rows(title: str, rows: Sequence[tuple[str, str]], style: Style) -> Iterator[str]:
    if not rows:
        return
    yield style.paint(title, BOLD)
    names = min(
        max(columns_of(style.fit(name, style.width)) for name, _ in rows[:_MOST_ROWS]), style.width // 3
    )
    for name, text in rows[:_MOST_ROWS]:
        room = style.width - names - 4
        said = style.write(one_line(text))
        if columns_of(said) <= room:
            yield f"  {style.cell(name, names)}  {said}".rstrip()
        else:
            yield f"  {style.fit(name, style.width - 2)}"
            yield f"    {style.fit(said, style.width - 4)}"
    if len(rows) > _MOST_ROWS:
        yield style.paint(f"  and {len(rows) - _MOST_ROWS:,} more", DIM)
