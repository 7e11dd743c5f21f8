"""The gates: each with its verdict, its interval against its bound, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.report import wording
from penstock.report.html import strip
from penstock.report.html.blocks import Column, Fact, Gate, Section, Table, table
from penstock.report.html.svg import Scale
from penstock.results import GateResult, Judged, RunReport, Verdict

WORDS = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "fail",
    Verdict.SKIP: "skipped",
    Verdict.INCONCLUSIVE: "inconclusive",
}
_MOST_PARTS = 200
_FEW_PARTS = 6
"""So many numbers of a gate are shown although they pass; of more, those that pass are folded away."""


def section(report: RunReport) -> Section | None:
    """The gates of a run; None if it has none."""
    if not report.gates:
        return None
    gates = tuple(_gate(gate, f"gate-{number}") for number, gate in enumerate(report.gates, 1))
    return Section(id="gates", title="Gates", blocks=gates, lead=_lead(report.gates))


def _lead(gates: Sequence[GateResult]) -> str:
    if not any(gate.interval or any(part.interval for part in gate.parts) for gate in gates):
        return "The gates of this run judge single numbers; none of them has an interval."
    levels = {gate.confidence for gate in gates if gate.confidence}
    lead = "A gate passes when the whole interval is within the bound, and fails when all of it is outside."
    if len(levels) == 1:
        level = levels.pop()
        lead += (
            f" At {wording.share(level)} confidence, a model that is exactly at a bound passes it in at most"
            f" about {wording.share((1 - level) / 2)} of cases."
        )
    return lead


def _gate(gate: GateResult, name: str) -> Gate:
    passing = [part.verdict is Verdict.PASS for part in gate.parts]
    many = len(gate.parts) > _FEW_PARTS
    shown = [part for part, passes in zip(gate.parts, passing, strict=True) if not (many and passes)]
    folded = [part for part, passes in zip(gate.parts, passing, strict=True) if many and passes]
    scale = strip.scale_of(gate.parts) if _alike(gate.parts) else None
    return Gate(
        id=name,
        gate=gate,
        word=WORDS[gate.verdict],
        picture=strip.gate(gate, spoken(gate, WORDS[gate.verdict])),
        facts=tuple(_facts(gate)),
        parts=_parts(shown, scale) if shown else None,
        more=_parts(folded, scale) if folded else None,
    )


def spoken(judged: GateResult | Judged, word: str) -> str:
    """The picture of a gate in words."""
    said = [] if judged.value is None else [f"value {wording.number(judged.value)}"]
    if judged.interval is not None:
        said.append(
            f"interval from {wording.number(judged.interval[0])} to {wording.number(judged.interval[1])}"
        )
    said += wording.bounds(judged)
    return f"{', '.join(said)}: {word}"


def _facts(gate: GateResult) -> Iterator[Fact]:
    if gate.value is not None:
        yield Fact("value", wording.number(gate.value))
    if bounds := " and ".join(wording.bounds(gate)):
        yield Fact("bound", bounds)
    if gate.interval is not None:
        how = [wording.share(gate.confidence)] if gate.confidence else []
        how += [gate.method] if gate.method else []
        yield Fact("interval", " ".join((wording.interval(gate.interval), *how)))
    if gate.sample_size:
        yield Fact("rows", f"{gate.sample_size:,}")
    if gate.rows_to_decide:
        yield Fact("rows that would decide", f"about {gate.rows_to_decide:,}")
    if gate.reason:
        yield Fact("reason", gate.reason.replace("-", " "))
    for each in gate.evidence:
        yield Fact("evidence", f"{each.path} {wording.short_digest(each.digest)}", code=True)


def _parts(parts: Sequence[Judged], scale: Scale | None) -> Table:
    """Numbers of a gate, on this scale or, where they have different bounds, each on one of its own."""
    rows = []
    for part in parts:
        own = scale or strip.scale_of([part])
        picture = (
            strip.row(
                own,
                part.value,
                part.interval,
                bounds=(part.minimum, part.maximum),
                look=part.verdict.value,
            )
            if own
            else ""
        )
        rows.append((part.label, picture, wording.estimate(part.value, part.interval), _said(part)))
    columns = (
        Column("what", "name"),
        Column("against its bound", "strip", strip.axis_row(scale) if scale else ""),
        Column("value", "number"),
        Column("verdict"),
    )
    return table("What the gate judges, one by one", columns, rows, most=_MOST_PARTS)


def _alike(parts: Sequence[Judged]) -> bool:
    """Whether all have the same bounds, and so can be seen against one scale."""
    return len({(part.minimum, part.maximum) for part in parts}) == 1


def _said(part: Judged) -> str:
    rows = f", {wording.count(part.sample_size, 'row')}" if part.sample_size else ""
    return WORDS[part.verdict] + rows
