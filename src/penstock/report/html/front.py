"""What stands first on the page, verdict before all, and what stands last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from penstock.errors import EXIT_OK
from penstock.report import wording
from penstock.report.documents.read import Paper
from penstock.report.html.blocks import Block, Column, Fact, Meter, Note, Page, Section, Tile, table
from penstock.report.html.gates import WORDS
from penstock.results import RunReport, StageState, Verdict

_LOOKS = {"nothing had to run": "passed"}


def page(report: RunReport, sections: tuple[Section, ...]) -> Page:
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


def warnings(report: RunReport) -> Section | None:
    """What is to be known although nothing failed."""
    if not report.warnings:
        return None
    notes = tuple(Note("warning", text) for text in report.warnings)
    return Section(id="warnings", title="Warnings", blocks=notes)


def holdouts(report: RunReport) -> Section | None:
    """How often the evaluation sets have been looked at."""
    if not report.holdouts:
        return None
    meters = tuple(
        Meter(
            f"{wording.short_digest(each.evaluation_set)}, {wording.count(each.rows, 'row')}",
            each.decisions,
            each.budget,
            f"{each.decisions:,} of {each.budget:,} models",
            over=each.decisions > each.budget,
        )
        for each in report.holdouts
    )
    return Section(
        id="holdout",
        title="Use of the evaluation set",
        lead="Each further model that is judged on the same rows makes the verdicts on them weaker.",
        blocks=meters,
    )


def published(report: RunReport) -> Section | None:
    """What was published, and where."""
    if not report.publications:
        return None
    rows = [(each.kind, each.state.value, *wording.place(each)) for each in report.publications]
    columns = (Column("what", "name"), Column("state"), Column("where, or why not"), Column("facts"))
    return Section(id="published", title="Published", blocks=(table("Publications", columns, rows),))


def documents(found: tuple[Paper, ...]) -> Section | None:
    """What this page was made of besides run.json, and what of it could not be read."""
    if not found:
        return None
    lost = [each for each in found if each.problem]
    notes: list[Block] = [Note("problem", f"{each.path} cannot be read: {each.problem}") for each in lost]
    rows = [
        (
            each.path,
            each.kind or "unknown",
            each.stage or "",
            wording.short_digest(each.digest),
            wording.size(each.size_bytes),
            "cannot be read" if each.problem else "shown" if each.content else "not shown",
        )
        for each in found
    ]
    columns = (
        Column("document", "name"),
        Column("kind"),
        Column("made by"),
        Column("digest", "code"),
        Column("size", "number"),
        Column("here"),
    )
    return Section(
        id="documents",
        title="Documents",
        lead="What programs wrote in this run, beside run.json.",
        blocks=(*notes, table("Documents", columns, rows)),
    )
