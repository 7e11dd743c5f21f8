"""The run as Markdown, for the job summary of a CI system or a comment.

Everything that does not come from Penstock itself stands in code spans and fenced blocks, where no Markdown
dialect looks for links, mentions, images or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from penstock.errors import EXIT_OK
from penstock.inert import one_line
from penstock.report import wording
from penstock.results import GateResult, Publication, RunReport, StageResult, StageState, Verdict

MAX_CHARACTERS = 65_000
"""GitHub refuses a comment of 65,536."""

_TABLE_CHARACTERS = 15_000
_CELL_CHARACTERS = 240
_LEAST_LOG_CHARACTERS = 400

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


def render(report: RunReport) -> str:
    """The run in fewer characters than `MAX_CHARACTERS`; what is left out is said to be."""
    blocks = [
        f"## {_HEADLINES[wording.headline(report)]}: {code(report.pipeline)}",
        f"{_outcome(report)} in {wording.duration(report.wall_s)}",
    ]
    if report.gates:
        rows = [_gate(gate) for gate in report.gates]
        blocks.append("### Gates\n\n" + _table(("gate", "verdict", "number or reason", "evidence"), rows))
    if report.stages:
        rows = [_stage(stage) for stage in report.stages]
        blocks.append("### Stages\n\n" + _table(("stage", "state", "time", "why"), rows))
    if report.publications:
        rows = [_publication(each) for each in report.publications]
        blocks.append("### Published\n\n" + _table(("what", "state", "where or why not"), rows))
    if report.warnings:
        rows = [(code(text),) for text in report.warnings]
        blocks.append("### Warnings\n\n" + _table(("warning",), rows))
    last = _origin(report)
    room = MAX_CHARACTERS - sum(map(len, blocks)) - len(last) - 100
    blocks += _logs(wording.of(report.stages, *wording.BROKEN), room)
    return "\n\n".join((*blocks, last)) + "\n"


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


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(names), _row(["---"] * len(names))]
    room = _TABLE_CHARACTERS
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
