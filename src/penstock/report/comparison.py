"""Two runs: whether they are the same, and if not, where they part first and what differs above that.

The same are runs of one plan whose stages ended alike and made the same outputs, and whose gates said the
same of the same numbers. Keys, environments and inputs may differ where the outputs do not: another
executor has another Python, and a comment in a source file changes nothing that counts. Such a difference
is a note. Of what was measured by the clock, only the verdicts count. What is looked at nowhere here cannot
matter: times, what was printed, the words of a reason or a verdict, who ran it where. A test keeps the list
of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from penstock.cache.compare import Manifests, compare, part_changes
from penstock.errors import PipelineError
from penstock.record import Record, asdict, replace
from penstock.report.members import unknown
from penstock.results import (
    CLOCKED_GATES,
    NOT_NEEDED,
    STANDING,
    Change,
    GateResult,
    Judged,
    Part,
    Publication,
    RunReport,
    StageResult,
    StageState,
)

N = TypeVar("N", StageResult, GateResult)

_JUDGED = (
    "verdict",
    "value",
    "gate",
    "required",
    "minimum",
    "maximum",
    "interval",
    "confidence",
    "method",
    "sample_size",
    "reason",
    "parts",
)
_MEASURED = ("value", "interval", "method", "sample_size", "parts")
"""What of a verdict differs where it was measured by the clock."""


class Parting(Record):
    """A stage or a gate that is not the same in both runs.

    Attributes:
        what: `stage` or `gate`.
        changes: How the two differ, in a stage's outputs down to the file; `before` is of the first run.
        above: What differs of all that can change the outcome.
        follows: Stages that it reads, at first or second hand, and that part themselves.
        sentence: What is to be said of the cause if `above` does not say it.
    """

    what: str
    name: str
    changes: tuple[Change, ...]
    above: tuple[Change, ...] = ()
    follows: tuple[str, ...] = ()
    sentence: str = ""


class Note(Record, kw_only=False):
    """A difference that changed no output and no verdict, and the stages that have it."""

    change: Change
    stages: tuple[str, ...] = ()


class Comparison(Record):
    """What there is to say of two runs.

    Attributes:
        plan: What differs in what was to be done.
        partings: In the order of the plan, upstream first; gates last.
        notes: What differs and did not matter.
    """

    plan: tuple[Change, ...]
    partings: tuple[Parting, ...]
    notes: tuple[Note, ...]

    def same(self, *, strict: bool = False) -> bool:
        """Whether the runs are the same.

        Args:
            strict: Keys, environments and inputs must be, too.
        """
        return not (self.plan or self.partings or (strict and self.notes))


def compare_runs(one: RunReport, two: RunReport, manifests: Manifests) -> Comparison:
    """Compare two runs.

    Args:
        manifests: Where manifests of both runs' directories are looked up.

    Raises:
        PipelineError: A report has two stages, gates or outputs of one name.
    """
    for report in (one, two):
        _demand_unique(report)
    stages = list(paired(one.stages, two.stages))
    partings: dict[str, Parting] = {}
    for name, mine, theirs in stages:
        parting = _stage(name, mine, theirs, (one, two), manifests)
        if parting is not None:
            partings[name] = _following(parting, mine or theirs, partings)
    clocked = one.clocked & two.clocked
    gates = (_gate(name, mine, theirs, clocked) for name, mine, theirs in paired(one.gates, two.gates))
    alike = [(mine, theirs) for name, mine, theirs in stages if mine and theirs and name not in partings]
    return Comparison(
        plan=tuple(_plan_changes(one, two)),
        partings=(*partings.values(), *(each for each in gates if each is not None)),
        notes=(*_stage_notes(alike, manifests), *_ends(one, two)),
    )


def _demand_unique(report: RunReport) -> None:
    lists = [("stage", [each.name for each in report.stages]), ("gate", [each.name for each in report.gates])]
    lists += [(f"output of {each.name!r}", [part.path for part in each.outputs]) for each in report.stages]
    for what, names in lists:
        twice = next((name for name, times in Counter(names).items() if times > 1), None)
        if twice is not None:
            raise PipelineError(f"run {report.run_id!r} has the {what} {twice!r} twice; no run has")


def paired(one: Iterable[N], two: Iterable[N]) -> Iterator[tuple[str, N | None, N | None]]:
    """Those of one name together; in the order of the first run, and what only the second has in between."""
    mine: dict[str, N] = {each.name: each for each in one}
    theirs: dict[str, N] = {each.name: each for each in two}
    extra: dict[str | None, list[str]] = {}
    last: str | None = None
    for name in theirs:
        if name in mine:
            last = name
        else:
            extra.setdefault(last, []).append(name)
    order: list[str | None] = [None, *mine]
    for before in order:
        if before is not None:
            yield before, mine[before], theirs.get(before)
        yield from ((name, None, theirs[name]) for name in extra.get(before, ()))


# The plan


def _plan_changes(one: RunReport, two: RunReport) -> Iterator[Change]:
    if one.plan != two.plan:
        yield Change(what="plan", name="digest", before=one.plan, after=two.plan)
    for name, before, after in _fields(one, two, ("pipeline", "profile")):
        yield Change(what="plan", name=name, before=before, after=after)
    yield from compare({"params": one.params}, {"params": two.params}, unknown)
    for name, mine, theirs in paired(one.stages, two.stages):
        if mine is None or theirs is None:
            continue
        for field, before, after in _fields(mine, theirs, ("run", "uses", "needs")):
            what = {"run": "command of", "uses": "recipe of", "needs": "needs of"}[field]
            yield Change(what=what, name=name, before=before, after=after)


def _fields(
    mine: Record, theirs: Record, names: Iterable[str]
) -> Iterator[tuple[str, str | None, str | None]]:
    """Those of the fields that differ, with both values in words."""
    for name in names:
        before, after = getattr(mine, name), getattr(theirs, name)
        if before != after:
            yield name, _text(before), _text(after)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, tuple):
        return ", ".join(str(_text(each)) for each in value)
    if isinstance(value, Judged):
        return f"{value.label} {value.value} {value.verdict}"
    return repr(value)


# Stages


def _stage(
    name: str,
    mine: StageResult | None,
    theirs: StageResult | None,
    runs: tuple[RunReport, RunReport],
    manifests: Manifests,
) -> Parting | None:
    if mine is None or theirs is None:
        before, after = (each.state.value if each else None for each in (mine, theirs))
        change = Change(what="state", name="", before=before, after=after)
        return Parting(what="stage", name=name, changes=(change,), sentence="only one of the plans has it")
    changes = tuple(_outcome_changes(mine, theirs, manifests, runs[0].clocked & runs[1].clocked))
    if not changes:
        return None
    above = tuple(_causes(mine, theirs, manifests))
    if mine.key != theirs.key and mine.key and theirs.key:
        params = compare({"params": runs[0].params}, {"params": runs[1].params}, unknown)
        above = (*above, *params)
    sentence = "" if above else _unexplained(mine, theirs, *(run.penstock for run in runs))
    return Parting(what="stage", name=name, changes=changes, above=above, sentence=sentence)


def _outcome_changes(
    mine: StageResult, theirs: StageResult, manifests: Manifests, clocked: frozenset[str]
) -> Iterator[Change]:
    ends = [StageState.RAN if each.settled else each.state for each in (mine, theirs)]
    if ends[0] is not ends[1]:
        yield Change(what="state", name="", before=mine.state.value, after=theirs.state.value)
        return
    codes = [each.attempts[-1].exit_code if each.attempts else None for each in (mine, theirs)]
    if ends[0] is StageState.FAILED and codes[0] != codes[1]:
        yield Change(what="exit code", name="", before=_text(codes[0]), after=_text(codes[1]))
    if NOT_NEEDED in (mine.reason.code, theirs.reason.code):
        return  # what it would have written is an input of others by its pledge
    outputs = [(part for part in each.outputs if part.path not in clocked) for each in (mine, theirs)]
    yield from part_changes("output", _parts(outputs[0]), _parts(outputs[1]), manifests)


def _parts(parts: Iterable[Part]) -> dict[str, tuple[str, str]]:
    return {part.path: (part.kind.value, part.digest) for part in parts}


def _causes(mine: StageResult, theirs: StageResult, manifests: Manifests) -> Iterator[Change]:
    yield from part_changes("input", _parts(mine.inputs), _parts(theirs.inputs), manifests)
    yield from compare({"run": mine.run}, {"run": theirs.run}, unknown)
    if mine.key is not None and theirs.key is not None:  # or one of them never looked at its environment
        yield from compare(_surroundings(mine), _surroundings(theirs), unknown)


def _surroundings(stage: StageResult) -> dict[str, object]:
    return {
        "environment": stage.environment,
        "accelerator": asdict(stage.accelerator) if stage.accelerator else None,
    }


def _unexplained(mine: StageResult, theirs: StageResult, version: str, other_version: str) -> str:
    for letter, each in (("A", mine), ("B", theirs)):
        if each.key is None:
            return f"it did not run in {letter}: {each.reason.sentence}"
    if mine.key == theirs.key:
        declared = "no-cache" in (mine.reason.code, theirs.reason.code)
        known = " (the pipeline file says `cache: false`)" if declared else ""
        return f"nothing that its key holds: this stage is not deterministic{known}"
    versions = f", or Penstock itself ({version} and {other_version})" if version != other_version else ""
    return f"something in its key that run.json does not hold: variables, files of a recipe{versions}"


def _following(parting: Parting, stage: StageResult | None, parted: Mapping[str, Parting]) -> Parting:
    if stage is None:  # pragma: no cover - one of the two runs has it
        return parting
    above = {each for need in stage.needs if need in parted for each in (need, *parted[need].follows)}
    follows = tuple(name for name in parted if name in above)
    return replace(parting, follows=follows)


# Gates


def _gate(
    name: str, mine: GateResult | None, theirs: GateResult | None, clocked: frozenset[str]
) -> Parting | None:
    if mine is None or theirs is None:
        before, after = (None if each is None else each.verdict.value for each in (mine, theirs))
        change = Change(what="verdict", name="", before=before, after=after)
        return Parting(what="gate", name=name, changes=(change,), sentence="only one of the runs has it")
    looked_at = [each for each in _JUDGED if mine.gate not in CLOCKED_GATES or each not in _MEASURED]
    changes = [
        Change(what=field.replace("_", " "), name="", before=before, after=after)
        for field, before, after in _fields(mine, theirs, looked_at)
    ]
    evidence = [
        {each.path: ("file", each.digest) for each in gate.evidence if each.path not in clocked}
        for gate in (mine, theirs)
    ]
    changes += part_changes("evidence", evidence[0], evidence[1], unknown)
    return Parting(what="gate", name=name, changes=tuple(changes)) if changes else None


# Notes


def _stage_notes(alike: Iterable[tuple[StageResult, StageResult]], manifests: Manifests) -> Iterator[Note]:
    stages: dict[Change, list[str]] = {}
    for mine, theirs in alike:
        changes = [each for each in _causes(mine, theirs, manifests) if each.what != "command"]
        if mine.key != theirs.key and not changes:
            changes = [Change(what="key", name="", before=mine.key, after=theirs.key)]
        for change in changes:
            stages.setdefault(change, []).append(mine.name)
    return (Note(change, tuple(names)) for change, names in stages.items())


def _ends(one: RunReport, two: RunReport) -> Iterator[Note]:
    for _, before, after in _fields(one, two, ("exit_code",)):
        yield Note(Change(what="exit code", name="", before=before, after=after))
    mine, theirs = (
        {f"{each.kind} {number}": _published(each) for number, each in enumerate(run.publications)}
        for run in (one, two)
    )
    for name in sorted({*mine, *theirs}):
        if mine.get(name) != theirs.get(name):
            kind = name.rpartition(" ")[0]
            yield Note(Change(what="publication", name=kind, before=mine.get(name), after=theirs.get(name)))


def _published(publication: Publication) -> str:
    if publication.state in STANDING:
        return publication.digest or f"at {publication.target}"
    return publication.state.value
