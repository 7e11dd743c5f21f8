"""How the reports put things: states, numbers, times, verdicts, the run in one line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from penstock.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED
from penstock.inert import one_line, printable
from penstock.results import (
    LOST,
    STANDING,
    GateResult,
    Judged,
    Publication,
    PublicationState,
    RunReport,
    StageResult,
    StageState,
    Verdict,
)

if TYPE_CHECKING:
    from penstock.report.documents.measures import Contrast

BROKEN = (StageState.FAILED, StageState.TIMED_OUT)
_MINUTE_S, _HOUR_S = 60, 3600
_THOUSAND = 1000


def duration(seconds: float) -> str:
    """`0.04 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 10:  # noqa: PLR2004 - where a second decimal stops to matter
        return f"{seconds:.2f} s"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < _HOUR_S:
        return f"{int(seconds) // _MINUTE_S} min {int(seconds) % _MINUTE_S:02} s"
    return f"{int(seconds) // _HOUR_S} h {int(seconds) % _HOUR_S // _MINUTE_S:02} min"


def size(size_bytes: int) -> str:
    """`812 B`, `1.2 MiB`."""
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 - the binary thousand
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def number(value: float) -> str:
    """Four decimals at most and two at least, where the value has a fraction."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) >= 10:  # noqa: PLR2004 - 1 and 0.80 stand in one column
        return f"{value:,.0f}"
    if abs(value) >= _THOUSAND:
        return f"{value:,.1f}"
    if 0 < abs(value) < 0.001:  # noqa: PLR2004 - where four decimals would lose it
        return f"{value:.3g}"
    whole, _, decimals = f"{value:.4f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def short_digest(digest: str) -> str:
    """As much of a digest as tells two apart."""
    return digest[: len("sha256:") + 8]


def count(amount: int, noun: str) -> str:
    """`1 stage`, `3 stages`."""
    return f"{amount:,} {noun}" + ("" if amount == 1 else "s")


def moment(made_at: str) -> str:
    """An ISO 8601 time to the minute."""
    return made_at[:16].replace("T", " ") + ("Z" if made_at.endswith(("Z", "+00:00")) else "")


def share(part: float) -> str:
    """`95 %`, `2.5 %`: a fraction as a percentage."""
    return f"{part * 100:.3g} %"


def interval(ends: tuple[float, float] | None) -> str:
    """`[0.8120, 0.8685]`, with as many decimals on both sides; nothing of none."""
    return "" if ends is None else "[{}, {}]".format(*_alike(ends))


def _alike(values: Iterable[float]) -> list[str]:
    """Numbers with as many decimals as that of them has which has most."""
    texts = [number(value) for value in values]
    if any("e" in text or "," in text or not any(sign.isdigit() for sign in text) for text in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [
        text if "." not in text else text + "0" * (decimals - len(text.partition(".")[2])) for text in texts
    ]


def signed(change: float) -> str:
    """`+0.012`, `-0.004`, `0.00`."""
    return f"+{number(change)}" if change > 0 else number(change)


def estimate(value: float | None, ends: tuple[float, float] | None = None) -> str:
    """A number with its interval, as far as they are known."""
    if value is None:
        return interval(ends)
    if ends is None:
        return number(value)
    return "{} [{}, {}]".format(*_alike((value, *ends)))


def judgement(gate: GateResult) -> str:
    """What `judged` says, or else the gate's sentence."""
    return judged(gate) or one_line(gate.sentence)


def judged(gate: GateResult) -> str:
    """The judged number beside its bound, such as `0.8412 ≥ 0.80`, if that is what the verdict says."""
    if gate.value is None or gate.verdict is Verdict.SKIP:
        return ""
    low, high = gate.minimum, gate.maximum
    value, lower, upper = _distinct(gate.value, low, high)
    if gate.interval is not None:
        value += f" {interval(gate.interval)}"
    said = ""
    if gate.verdict is Verdict.INCONCLUSIVE:
        said = _undecided(gate, value, (lower, upper))
    elif low is not None and gate.value < low:
        said = f"{value} < {lower}"
    elif high is not None and gate.value > high:
        said = f"{value} > {upper}"
    elif gate.verdict is Verdict.PASS:
        said = _within(value, lower, upper)
    worst = f" (worst of {len(gate.parts)})" if len(gate.parts) > 1 else ""
    return said + worst if said else ""


ARROWS = {"higher": " ↑", "lower": " ↓"}
"""Which way a metric gets better."""


def parts(gate: GateResult) -> tuple[str, ...]:
    """What kept the verdict from pass, if the gate judges several numbers: each with interval and bound."""
    if gate.verdict not in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        return ()
    return tuple(part(each) for each in gate.parts if each.verdict is not Verdict.PASS)


def part(judged: Judged) -> str:
    """One number of a gate: `recall, gender Female: fail, 0.62 [0.49, 0.78], at least 0.80`."""
    texts = [f"{one_line(judged.label)}: {judged.verdict}"]
    texts += [text] if (text := estimate(judged.value, judged.interval)) else []
    texts += bounds(judged)
    return ", ".join(texts)


def bounds(judged: GateResult | Judged) -> list[str]:
    """`at least 0.80`, `at most 5.00`."""
    ends = (("at least", judged.minimum), ("at most", judged.maximum))
    return [f"{name} {number(bound)}" for name, bound in ends if bound is not None]


def basis(gate: GateResult) -> str:
    """What a gate's number rests on: `0.8461 [0.8237, 0.8668], at least 0.80, 95 %, delong, 1,409 rows`."""
    if gate.value is None:
        return ""
    texts = [estimate(gate.value, gate.interval), *bounds(gate)]
    if gate.interval is not None:
        texts += [share(gate.confidence)] if gate.confidence else []
        texts += [one_line(gate.method)] if gate.method else []
    texts += [count(gate.sample_size, "row")] if gate.sample_size else []
    texts += [f"about {count(gate.rows_to_decide, 'row')} would decide"] if gate.rows_to_decide else []
    return ", ".join(texts)


def says(change: Contrast) -> str:
    """What a change against a baseline means, as far as its interval shows it."""
    if change.problem:
        return one_line(change.problem)
    pairs = "" if change.paired is None else "paired" if change.paired else "unpaired"
    if change.interval is None or change.better not in ARROWS:
        return pairs
    low, high = change.interval if change.better == "higher" else (-change.interval[1], -change.interval[0])
    word = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
    return f"{word}, {pairs}" if pairs else word


def _within(value: str, lower: str, upper: str) -> str:
    if lower and upper:
        return f"{lower} ≤ {value} ≤ {upper}"
    if lower:
        return f"{value} ≥ {lower}"
    return f"{value} ≤ {upper}" if upper else value


def _undecided(gate: GateResult, value: str, bounds: tuple[str, str]) -> str:
    """An interval that holds a bound; nothing if that is not why the gate could not decide."""
    if gate.interval is None:
        return ""
    ends = zip((gate.minimum, gate.maximum), bounds, strict=True)
    held = [
        text for bound, text in ends if bound is not None and gate.interval[0] <= bound <= gate.interval[1]
    ]
    if not held:
        return ""
    more = f"; about {count(gate.rows_to_decide, 'row')} would decide" if gate.rows_to_decide else ""
    return f"{value} reaches across {' and '.join(held)}{more}"


def _distinct(value: float, low: float | None, high: float | None) -> tuple[str, str, str]:
    """The three in words, in full where rounding would make two that differ look the same."""
    numbers = [each for each in (value, low, high) if each is not None]
    write = number if len({number(each) for each in numbers}) == len(set(numbers)) else repr
    return write(value), "" if low is None else write(low), "" if high is None else write(high)


def evidence(gate: GateResult) -> str:
    """What the verdict rests on: how many rows, paths and the beginnings of their digests."""
    rows = (count(gate.sample_size, "row"),) if gate.sample_size else ()
    files = (f"{one_line(each.path)} {short_digest(each.digest)}" for each in gate.evidence)
    return ", ".join((*rows, *files))


def why(stage: StageResult) -> str:
    """Why a stage ran or did not, as short as it can be said."""
    made = f" {moment(stage.made_at)}" if stage.made_at else ""
    saved = sum(attempt.usage.wall_s for attempt in stage.attempts[-1:])
    gain = f", saved {duration(saved)}" if saved >= 0.1 else ""  # noqa: PLR2004 - below, nobody waits
    if stage.state is StageState.CACHED and stage.reason.code == "unchanged":
        return f"unchanged since{made}{gain}" if made else f"unchanged{gain}"
    if stage.state is StageState.CACHED and stage.reason.code == "known":
        return f"known result of{made}{gain}" if made else f"known result{gain}"
    return one_line(stage.reason.sentence)


def saved(report: RunReport) -> float:
    """Seconds that cached stages took when they ran."""
    cached = of(report.stages, StageState.CACHED)
    return sum(stage.attempts[-1].usage.wall_s for stage in cached if stage.attempts)


def problem(stage: StageResult) -> str:
    """What went wrong with a stage that failed, in one line."""
    if not stage.attempts:
        return one_line(stage.reason.sentence)
    last = stage.attempts[-1]
    what = f"exit code {last.exit_code}"
    if last.problem:
        what = "; ".join(one_line(line) for line in last.problem.splitlines())
    if len(stage.attempts) > 1:
        what += f", in attempt {last.number} of {len(stage.attempts)}"
    return what


def log(stage: StageResult) -> str:
    """All that a stage printed, inert; attempts apart if there were several."""
    if len(stage.attempts) == 1:
        return printable(stage.attempts[0].log)
    texts = []
    for attempt in stage.attempts:
        body = printable(attempt.log)
        texts.append(f"attempt {attempt.number}: exit code {attempt.exit_code}\n{body}")
    return "\n".join(texts)


def of(stages: Iterable[StageResult], *states: StageState) -> tuple[StageResult, ...]:
    """The stages in any of these states."""
    return tuple(stage for stage in stages if stage.state in states)


def stopping(report: RunReport) -> GateResult | None:
    """The gate that made the run end as it did, if one did."""
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        for gate in report.gates:
            if gate.required and gate.verdict is verdict:
                return gate
    return None


def headline(report: RunReport) -> str:
    """The outcome of the run in one word or few, as the first words of its last line."""
    if report.exit_code == EXIT_OK:
        return "passed" if of(report.stages, StageState.RAN) else "nothing had to run"
    if report.exit_code in (EXIT_INTERRUPTED, EXIT_TERMINATED):
        return "interrupted"
    gate = None if of(report.stages, *BROKEN) else stopping(report)
    undecided = gate is not None and gate.verdict is Verdict.INCONCLUSIVE
    return "inconclusive" if undecided else "failed"


def outcome(report: RunReport) -> str:
    """What follows the headline: what passed, or what did not and why."""
    if report.exit_code == EXIT_OK:
        return ", ".join(_achieved(report))
    if report.exit_code in (EXIT_INTERRUPTED, EXIT_TERMINATED):
        return "what had finished is kept; run again to go on"
    broken = of(report.stages, *BROKEN)
    if broken:
        return "; ".join(f"stage {stage.name}: {problem(stage)}" for stage in broken)
    gate = stopping(report)
    if gate is not None:
        return f"gate {gate.name}: {judgement(gate)}"
    lost = [each for each in report.publications if each.state in LOST]
    return "; ".join(f"{each.kind}: {one_line(each.sentence)}" for each in lost) or (
        f"exit code {report.exit_code}"
    )


def _achieved(report: RunReport) -> Iterator[str]:
    states = Counter(stage.state for stage in report.stages)
    ran, cached, skipped = (states[each] for each in (StageState.RAN, StageState.CACHED, StageState.SKIPPED))
    if ran:
        yield f"{count(ran, 'stage')} ran"
        if cached:
            yield f"{cached} cached"
    elif cached:
        yield f"{count(cached, 'stage')} unchanged"
    if skipped:
        yield f"{skipped} not run"
    verdicts = Counter(gate.verdict for gate in report.gates)
    for verdict in Verdict:
        if verdicts[verdict]:
            yield f"{count(verdicts[verdict], 'gate')} {_VERDICT_WORDS[verdict]}"


_VERDICT_WORDS = {
    Verdict.PASS: "passed",
    Verdict.FAIL: "failed",
    Verdict.SKIP: "skipped",
    Verdict.INCONCLUSIVE: "inconclusive",
}


def next_step(publication: Publication) -> str | None:
    """What is left to do by hand for something that was published; nothing, as a rule."""
    if publication.kind == "dvc" and publication.state is PublicationState.WRITTEN:
        return one_line(publication.sentence)
    return None


def place(publication: Publication) -> tuple[str, str]:
    """Where something was published, and what of it, in brackets; why not, if it was not."""
    if publication.target is None or publication.state not in STANDING:
        return f"not written: {one_line(publication.sentence)}", ""
    facts: list[str] = [publication.state]
    if publication.size_bytes is not None:
        facts.append(size(publication.size_bytes))
    if publication.digest:
        facts.append(short_digest(publication.digest))
    return one_line(publication.target), f"({', '.join(facts)})"
