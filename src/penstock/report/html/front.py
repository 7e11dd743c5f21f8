"""What stands first on the page, verdict before all, and what stands last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from penstock.errors import EXIT_OK
from penstock.report import wording
from penstock.report.documents.read import Paper
from penstock.report.html.blocks import Fact, Page, Section, Tile
from penstock.report.html.gates import WORDS
from penstock.results import RunReport, StageState, Verdict

_LOOKS = {"nothing had to run": "passed"}


def page(report: RunReport, found: tuple[Paper, ...], sections: tuple[Section, ...]) -> Page:
    """The page of a run around its sections."""
    headline = wording.headline(report)
    return Page(
        title=f"{report.pipeline}: {headline}",
        subject=report.pipeline,
        verdict=_LOOKS.get(headline, headline),
        headline=headline[0].upper() + headline[1:],
        outcome=_outcome(report),
        facts=tuple(_facts(report)),
        tiles=tuple(_tiles(report)),
        sections=sections,
        origin=f"Penstock {report.penstock}, plan {wording.short_digest(report.plan)}",
    )


def _outcome(report: RunReport) -> str:
    words = wording.outcome(report)
    return words if report.exit_code != EXIT_OK else words[:1].upper() + words[1:] + "."


def _facts(report: RunReport) -> Iterator[Fact]:
    yield Fact("started", wording.moment(report.started_at))
    yield Fact("took", wording.duration(report.wall_s))
    yield Fact("run", report.run_id, code=True)
    if report.commit:
        yield Fact("commit", report.commit[:12] + report.commit[40:], code=True)
    if report.profile:
        yield Fact("profile", report.profile)
    yield Fact("executor", report.executor)
    yield Fact("exit code", str(report.exit_code))


def _tiles(report: RunReport) -> Iterator[Tile]:
    verdicts = Counter(gate.verdict for gate in report.gates)
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.SKIP):
        if verdicts[verdict]:
            noun = "gate" if verdicts[verdict] == 1 else "gates"
            word = {Verdict.PASS: "passed", Verdict.FAIL: "failed"}.get(verdict, WORDS[verdict])
            yield Tile(str(verdicts[verdict]), f"{noun} {word}", verdict.value)
    states = Counter(stage.state for stage in report.stages)
    broken = sum(states[state] for state in wording.BROKEN)
    if broken:
        yield Tile(str(broken), "stages failed" if broken > 1 else "stage failed", "fail")
    yield Tile(str(states[StageState.RAN]), "stages ran" if states[StageState.RAN] != 1 else "stage ran")
    if states[StageState.CACHED]:
        yield Tile(str(states[StageState.CACHED]), "from the cache")
    if saved := wording.saved(report):
        yield Tile(wording.duration(saved), "not spent again")
