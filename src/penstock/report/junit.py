"""The run as JUnit XML, which every CI system shows: a suite of the stages and one of the gates.

Written by hand: the parser and writer of the standard library cost more than a run that has nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.errors import EXIT_GATE_INCONCLUSIVE
from penstock.inert import one_line, printable
from penstock.report import wording
from penstock.results import GateResult, RunReport, StageResult, StageState, Verdict

# printable text may hold two characters that XML 1.0 cannot, not even as a reference
_ENTITIES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\ufffe": "\ufffd", "\uffff": "\ufffd"}
)


def render(report: RunReport) -> str:
    """The XML document."""
    suites = (
        _suite(report, "stages", [_stage(stage) for stage in report.stages]),
        _suite(report, "gates", [_gate(gate, report.exit_code) for gate in report.gates]),
    )
    cases = [case for suite in suites for case in suite.cases]
    head = f"<testsuites{_attributes(name=report.pipeline, **_counts(cases), time=f'{report.wall_s:.3f}')}>"
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', head]
    for suite in suites:
        lines += suite.lines()
    return "\n".join((*lines, "</testsuites>", ""))


class _Case:
    """A test case: its name, its time, and what is to be said if it is no success."""

    def __init__(self, name: str, time_s: float, output: str = "") -> None:
        self.name, self.time_s, self.output = name, time_s, output
        self.element = ""
        self.message = self.kind = self.text = ""

    def set(self, element: str, kind: str, message: str, text: str = "") -> None:
        self.element, self.kind, self.message, self.text = element, kind, message, text

    def lines(self, group: str) -> Iterator[str]:
        yield f"  <testcase{_attributes(classname=group, name=self.name, time=f'{self.time_s:.3f}')}>"
        if self.element == "skipped":
            yield f"   <skipped{_attributes(message=self.message)}/>"
        elif self.element:
            attributes = _attributes(message=self.message, type=self.kind)
            yield f"   <{self.element}{attributes}>{_text(self.text)}</{self.element}>"
        if self.output:
            yield f"   <system-out>{_text(self.output)}</system-out>"
        yield "  </testcase>"


class _Suite:
    def __init__(self, head: str, group: str, cases: list[_Case]) -> None:
        self.head, self.group, self.cases = head, group, cases

    def lines(self) -> Iterator[str]:
        yield self.head
        for case in self.cases:
            yield from case.lines(self.group)
        yield " </testsuite>"


def _suite(report: RunReport, name: str, cases: list[_Case]) -> _Suite:
    attributes = _attributes(
        name=name,
        **_counts(cases),
        time=f"{sum(case.time_s for case in cases):.3f}",
        timestamp=report.started_at.removesuffix("Z"),
    )
    return _Suite(f" <testsuite{attributes}>", f"{report.pipeline}.{name}", cases)


def _counts(cases: list[_Case]) -> dict[str, str]:
    elements = [case.element for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(elements.count("failure")),
        "errors": str(elements.count("error")),
        "skipped": str(elements.count("skipped")),
    }


def _stage(stage: StageResult) -> _Case:
    case = _Case(stage.name, stage.wall_s, wording.log(stage))
    match stage.state:
        case StageState.FAILED | StageState.TIMED_OUT:
            case.set("failure", stage.state.value, wording.problem(stage), wording.why(stage))
        case StageState.INTERRUPTED:
            case.set("error", stage.state.value, one_line(stage.reason.sentence))
        case StageState.SKIPPED:
            case.set("skipped", stage.state.value, one_line(stage.reason.sentence))
        case StageState.RAN | StageState.CACHED:
            pass
    return case


def _gate(gate: GateResult, exit_code: int) -> _Case:
    proof = wording.evidence(gate)
    lines = [gate.sentence, wording.basis(gate), *map(wording.part, gate.parts), *gate.details]
    lines += [f"evidence: {proof}"] if proof else []
    said = "\n".join(line for line in lines if line)
    case = _Case(gate.name, 0.0, printable(said))
    message = one_line(gate.sentence) if gate.required else f"advisory: {one_line(gate.sentence)}"
    match gate.verdict:
        case Verdict.FAIL:
            case.set("failure", "fail" if gate.required else "advisory", message, printable(said))
        case Verdict.INCONCLUSIVE if gate.required and exit_code == EXIT_GATE_INCONCLUSIVE:
            case.set("failure", gate.verdict.value, message, printable(said))
        case Verdict.INCONCLUSIVE:
            case.set("skipped", gate.verdict.value, f"inconclusive: {message}")
        case Verdict.SKIP:
            case.set("skipped", gate.verdict.value, message)
        case Verdict.PASS:
            pass
    return case


def _attributes(**values: str) -> str:
    return "".join(f' {name}="{one_line(value).translate(_ENTITIES)}"' for name, value in values.items())


def _text(text: str) -> str:
    return printable(text).translate(_ENTITIES)
