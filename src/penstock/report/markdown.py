"""The run as Markdown, for the job summary of a CI system or a comment.

Everything that does not come from Penstock itself stands in code spans and fenced blocks, where no Markdown
dialect looks for links, mentions, images or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from penstock.errors import EXIT_OK
from penstock.inert import one_line
from penstock.report import wording
from penstock.report.observed_text import rows
from penstock.results import GateResult, Publication, RunReport, StageResult, StageState, Verdict

if TYPE_CHECKING:
    from penstock.report.documents.measures import Contrast, Headline, Measure
    from penstock.report.documents.security import Security

MAX_CHARACTERS = 65_000
"""GitHub refuses a comment of 65,536."""

_TABLE_CHARACTERS = 15_000
_MEASURED_CHARACTERS = 15_000
_SMALL_CHARACTERS = 5_000
"""Of other tables; all together leave room for the rest."""
_CELL_CHARACTERS = 240
_LEAST_LOG_CHARACTERS = 400
_MOST_BASELINES = 3

_MARKS = {
    StageState.RAN: "✅ ran",
    StageState.CACHED: "♻️ cached",
    StageState.FAILED: "❌ failed",
    StageState.TIMED_OUT: "❌ timed out",
    StageState.INTERRUPTED: "⚠️ interrupted",
    StageState.SKIPPED: "⏭️ not run",
}
_VERDICTS = {
    Verdict.PASS: "✅ pass",
    Verdict.FAIL: "❌ fail",
    Verdict.SKIP: "⏭️ skip",
    Verdict.INCONCLUSIVE: "⚠️ inconclusive",
}
_HEADLINES = {
    "passed": "✅ passed",
    "nothing had to run": "✅ nothing had to run",
    "failed": "❌ failed",
    "inconclusive": "⚠️ inconclusive",
    "interrupted": "⚠️ interrupted",
}


def render(
    report: RunReport, headlines: Mapping[str, Headline] | None = None, scans: Sequence[Security] = ()
) -> str:
    """The run in fewer characters than `MAX_CHARACTERS`; what is left out is said to be.

    Args:
        headlines: What was measured, by the path of the document.
        scans: What scans of the project found.
    """
    blocks = [
        f"## {_HEADLINES[wording.headline(report)]}: {code(report.pipeline)}",
        f"{_outcome(report)} in {wording.duration(report.wall_s)}",
    ]
    if report.gates:
        rows = [_gate(gate) for gate in report.gates]
        blocks.append(
            "### Gates\n\n" + _table(("gate", "verdict", "number, interval and bound", "evidence"), rows)
        )
    blocks += _measured(headlines or {})
    blocks += [_scan(each) for each in scans]
    blocks += [
        block
        for block in (_stages(report), _undeclared(report), _published(report), _holdouts(report))
        if block
    ]
    if report.warnings:
        rows = [(code(text),) for text in report.warnings]
        table = _table(("warning",), rows, _SMALL_CHARACTERS)
        blocks.append(_folded(wording.count(len(rows), "warning"), table))
    last = _origin(report)
    room = MAX_CHARACTERS - sum(map(len, blocks)) - len(last) - 100
    blocks += _logs(wording.of(report.stages, *wording.BROKEN), room)
    return "\n\n".join((*blocks, last)) + "\n"


def _folded(title: str, block: str) -> str:
    """A block that one opens; the title is ours."""
    return f"<details>\n<summary>{title}</summary>\n\n{block}\n\n</details>"


def _measured(headlines: Mapping[str, Headline]) -> Iterator[str]:
    room = _MEASURED_CHARACTERS
    for number, (path, headline) in enumerate(headlines.items()):
        blocks = list(_tables(path, headline, room // 2))
        room -= sum(map(len, blocks))
        if room < 0:
            yield f"The metrics of {wording.count(len(headlines) - number, 'more document')} are on the page."
            return
        yield from blocks


def _tables(path: str, headline: Headline, room: int) -> Iterator[str]:
    changes = [each for each in headline.comparisons if each.column is None]
    if headline.measures:
        names = list(dict.fromkeys(each.baseline for each in changes))[:_MOST_BASELINES]
        rows = [_metric(each, changes, names) for each in headline.measures]
        heads = ("metric", "value", *(f"change against {code(name)}" for name in names))
        yield f"### Metrics of {code(path)}\n\n" + _table(heads, rows, room)
    if headline.groups:
        metrics = tuple(dict.fromkeys(each.metric for each in headline.groups))
        known: dict[tuple[str | None, str | None], dict[str, str]] = {}
        for each in headline.groups:
            value = code(wording.estimate(each.value, each.interval))
            known.setdefault((each.column, each.group), {})[each.metric] = value
        groups = [
            (code(f"{column} = {group}"), *(values.get(metric, "") for metric in metrics))
            for (column, group), values in known.items()
        ]
        table = _table(("group", *map(code, metrics)), groups, room)
        yield _folded(wording.count(len(groups), "group"), table)


def _metric(each: Measure, changes: Sequence[Contrast], names: Sequence[str]) -> tuple[str, ...]:
    cells = []
    for name in names:
        found = [one for one in changes if (one.metric, one.baseline) == (each.metric, name)]
        cells.append(_change(found[0]) if found else "")
    value = wording.estimate(each.value, each.interval) or each.problem or ""
    return code(each.metric) + wording.ARROWS.get(each.better or "", ""), code(value), *cells


def _change(each: Contrast) -> str:
    if each.change is None:
        return code(wording.says(each))
    ends = f" {wording.interval(each.interval)}" if each.interval else ""
    said = code(each.problem) if each.problem else wording.says(each)
    return f"{code(wording.signed(each.change) + ends)} {said}".rstrip()


def _scan(scan: Security) -> str:
    """What was found, the worst first."""
    rows = [(code(each), "", "") for each in scan.problems]
    rows += [(code(each.place), code(each.severity), code(each.message)) for each in scan.open]
    text = f"{code(scan.summary)}\n\n" + _table(("where", "severity", "what"), rows, _SMALL_CHARACTERS)
    return f"### Security\n\n{text}" if rows else f"### Security\n\n{code(scan.summary)}"


def _stages(report: RunReport) -> str:
    if not report.stages:
        return ""
    table = _table(("stage", "state", "time", "why"), [_stage(stage) for stage in report.stages])
    if wording.of(report.stages, *wording.BROKEN, StageState.INTERRUPTED):
        return f"### Stages\n\n{table}"
    return _folded(wording.count(len(report.stages), "stage"), table)


def _undeclared(report: RunReport) -> str:
    found = rows(report)
    cells = [tuple(code(each) if each else "" for each in row) for row in found]
    if not cells:
        return ""
    table = _table(("stage", "reads, undeclared", "to declare it"), cells, _SMALL_CHARACTERS)
    return _folded(wording.count(len(cells), "undeclared input"), table)


def _published(report: RunReport) -> str:
    heads = ("what", "state", "where or why not")
    rows = [_publication(each) for each in report.publications]
    return "### Published\n\n" + _table(heads, rows, _SMALL_CHARACTERS) if rows else ""


def _holdouts(report: RunReport) -> str:
    rows = [
        (
            code(wording.short_digest(each.evaluation_set)),
            f"{each.rows:,}",
            f"{each.decisions:,} of {each.budget:,}",
        )
        for each in report.holdouts
    ]
    heads = ("evaluation set", "rows", "models judged, of the budget")
    return _folded("use of the evaluation set", _table(heads, rows, _SMALL_CHARACTERS)) if rows else ""


def _outcome(report: RunReport) -> str:
    words = wording.outcome(report)
    return words if report.exit_code == EXIT_OK else code(words)


def code(text: str) -> str:
    """Foreign text as a code span on one line, safe in a table; longer than `_CELL_CHARACTERS`, it is cut."""
    inert = one_line(text)
    if len(inert) > _CELL_CHARACTERS:
        inert = inert[: _CELL_CHARACTERS - 1] + "…"
    # dialects differ in how a bar in a code span in a table is written
    inert = inert.replace("|", "¦")
    if not inert:
        return ""
    fence = "`" * (_longest_run(inert) + 1)
    space = " " if inert[0] in "` " or inert[-1] in "` " else ""
    return f"{fence}{space}{inert}{space}{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], room: int = _TABLE_CHARACTERS) -> str:
    lines = [_row(names), _row(["---"] * len(names))]
    left_out = 0
    for row in rows:
        line = _row(row)
        room -= len(line) + 1
        if room > 0:
            lines.append(line)
        else:
            left_out += 1
    if left_out:
        lines.append(f"\n… and {wording.count(left_out, 'more row')}: see run.json")
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _gate(gate: GateResult) -> tuple[str, ...]:
    what = wording.judged(gate) or code(gate.sentence)
    role = "" if gate.required else " (advisory)"
    return code(gate.name) + role, _VERDICTS[gate.verdict], what, code(wording.evidence(gate))


def _stage(stage: StageResult) -> tuple[str, ...]:
    broken = stage.state in wording.BROKEN
    time = "" if stage.state is StageState.SKIPPED else wording.duration(stage.wall_s)
    reason = wording.problem(stage) if broken else wording.why(stage)
    return code(stage.name), _MARKS[stage.state], time, code(reason)


def _publication(publication: Publication) -> tuple[str, ...]:
    return code(publication.kind), publication.state.value, code(" ".join(wording.place(publication)))


def _logs(stages: Sequence[StageResult], room: int) -> Iterable[str]:
    for number, stage in enumerate(stages):
        share = room // (len(stages) - number)
        if share < _LEAST_LOG_CHARACTERS:
            yield f"The logs of {wording.count(len(stages) - number, 'more failed stage')} are in run.json."
            return
        block = _log(stage, share - 2)
        room -= len(block) + 2
        yield block


def _log(stage: StageResult, room: int) -> str:
    name = re.sub(r"[^A-Za-z0-9_ -]", "?", stage.name[:80])
    head = f"<details>\n<summary>log of stage {name}</summary>\n\n"
    text = wording.log(stage).strip("\n")
    fence = "`" * max(3, _longest_run(text) + 1)
    room -= len(head) + 2 * len(fence) + 100
    if room < _LEAST_LOG_CHARACTERS // 4:
        return f"{head}The log does not fit here: see run.json.\n\n</details>"
    note = ""
    if len(text) > room:
        text, note = text[-room:], "The beginning of the log is left out: see run.json.\n\n"
    return f"{head}{note}{fence}text\n{text}\n{fence}\n\n</details>"


def _origin(report: RunReport) -> str:
    facts = [("run", report.run_id), ("plan", wording.short_digest(report.plan))]
    facts += [("commit", report.commit)] if report.commit else []
    facts += [("profile", report.profile)] if report.profile else []
    facts.append(("executor", report.executor))
    return ", ".join(f"{name} {code(value)}" for name, value in facts)
