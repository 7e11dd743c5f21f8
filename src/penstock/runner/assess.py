"""What stands of a plan before anything runs: keys, results that are there, and why the rest must run."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from penstock.cache.keys import Document, key_document, observed_document, stage_key
from penstock.cache.observations import Observation
from penstock.errors import InputError, UsageError
from penstock.executors.base import Executor, Outcome
from penstock.plan.graph import nearest_output
from penstock.plan.model import Plan, Produced, Stage
from penstock.record import Record, field, replace
from penstock.results import Observed, Part, PartKind, Reason, StageResult, StageState
from penstock.runner.observed import clash, extended, learned, not_source, told, unobserved
from penstock.runner.reasons import History, why, why_not
from penstock.runner.selection import Selection

FRESH_S = 1.0

T = TypeVar("T")
R = TypeVar("R")


def drive(work: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine that never waits, without an event loop (starting one costs 40 ms).

    Raises:
        RuntimeError: It did wait.
    """
    try:
        work.send(None)
    except StopIteration as done:
        result: R = done.value
        return result
    work.close()
    raise RuntimeError("an executor waited where it must not")


class Standing(Record, Generic[T]):
    """Where a stage stands: what it would see, its key, and its result if there is one.

    Attributes:
        stage: As it would run: one that is observed with what it is known to read of others' outputs.
        identity: Of its environment, as it entered the key.
        hit: None if the stage must run.
        base: The key of what it declares, if it is observed.
        observed: What is known of it from an earlier run, if it is observed.
    """

    stage: Stage
    tree: T
    parts: tuple[Part, ...]
    identity: Mapping[str, str]
    document: Document
    key: str
    reason: Reason
    hit: Outcome[T] | None = None
    base: str | None = None
    observed: Observed | None = None


def stage_result(
    stage: Stage, state: StageState, reason: Reason, standing: Standing[T] | None = None
) -> StageResult:
    """A stage's result with what its plan and standing say; outputs and attempts are for the caller."""
    return StageResult(
        name=stage.name,
        state=state,
        reason=reason,
        run=stage.run,
        uses=stage.uses,
        needs=stage.needs,
        key=standing.key if standing else None,
        environment=standing.identity if standing else {},
        accelerator=stage.accelerator,
        inputs=standing.parts if standing else (),
        observed=standing.observed if standing else None,
    )


class Walk(Record, Generic[T], frozen=False):
    """One walk over a plan: what is known of its stages so far.

    Attributes:
        force: Stages that run although a result is there.
        audit: Whether it is to be said which inputs an observed stage never looks at.
        outcomes: Of every stage whose outputs are known, by name.
    """

    plan: Plan
    executor: Executor[T]
    history: History
    force: frozenset[str] = frozenset()
    audit: bool = False
    outcomes: dict[str, Outcome[T]] = field(default_factory=dict)
    inspected: dict[str, tuple[Standing[T], float]] = field(default_factory=dict)
    """Where stages stood, and when that was found out."""
    seen: dict[str, Observation] = field(default_factory=dict)
    """What stages that are observed looked at and wrote, as far as is known."""
    waits: dict[str, frozenset[str]] = field(default_factory=dict)

    async def inspect(self, stage: Stage) -> Standing[T]:
        """Where a stage stands; what all that it needs wrote, or pledged to write, must be known.

        Raises:
            InputError: An input is missing or cannot be one; names the stage.
            ExecutorError: The stage's environment cannot be had.
        """
        standing = await self._stand(stage)
        if stage.observe and await self.executor.facts((), ()) is None:
            standing = replace(standing, observed=unobserved(self.plan, stage))
        elif stage.observe:
            standing = await self._observed(stage, standing)
        self.inspected[stage.name] = standing, time.monotonic()
        return standing

    async def _observed(self, stage: Stage, base: Standing[T]) -> Standing[T]:
        """Where a stage stands that is observed: what it looked at before, as it is now, is in its key."""
        outputs = not_source(self.plan)
        newest: Standing[T] | None = None
        known = self.history.observations(base.key)
        if known:
            self.seen[stage.name] = known[0]
        for observation in known:
            as_run = self.extended(stage, observation)
            await self._known(as_run)
            if self.lacking(as_run):
                standing = replace(base, stage=as_run, hit=None, base=base.key)
            else:
                facts = await self.executor.facts(observation.looks, outputs) or {}
                if as_run is stage:
                    standing = await self._judged(stage, base.tree, base.parts, facts)
                else:
                    standing = await self._stand(as_run, facts)
                standing = replace(standing, base=base.key)
                parts = base.parts if self.audit else None
                standing = replace(
                    standing, observed=told(self.plan, as_run, stage, observation, facts=facts, parts=parts)
                )
            stray = clash(self.plan, stage, observation, self.seen)
            if standing.hit is not None and stray is None:
                self.seen[stage.name] = observation
                self.wait(stage, as_run)
                return standing
            if stray is not None:
                reason = Reason(code="no-cache", sentence=stray)
                standing = replace(standing, hit=None, reason=reason)
            newest = newest or standing
        if newest is None:  # a result of one that was not observed says nothing about what it reads
            code = Reason(
                code="first-run", sentence=f"{self.history.nothing} of which it is known what it read"
            )
            reason = base.reason if base.hit is None else code
            newest = replace(base, hit=None, reason=reason, base=base.key)
        self.wait(stage, newest.stage)
        return newest

    def extended(self, stage: Stage, observation: Observation) -> Stage:
        """A stage with what it was seen to read of others, see `runner.observed.extended`."""
        return extended(self.plan, stage, observation, self.waits)

    def wait(self, stage: Stage, as_run: Stage) -> None:
        """Note for whom a stage waits besides those that it needs: none of them may wait for it."""
        self.waits[stage.name] = frozenset(item.stage for item in learned(as_run, stage))

    async def _known(self, stage: Stage) -> None:
        """Find the results of stages that nobody asked for, but that were seen to be read."""
        for item in stage.produced:
            if item.stage not in self.outcomes and item.stage not in self.inspected:
                other = self.plan.stage(item.stage)
                if not self.lacking(other):
                    hit = (await self.inspect(other)).hit
                    if hit is not None:
                        self.outcomes[other.name] = hit

    async def _stand(self, stage: Stage, facts: Mapping[str, str] | None = None) -> Standing[T]:
        trees = [await self.sources(stage)]
        pledged: list[Part] = []
        for item in stage.produced:
            pledge = self._pledge(item)
            if pledge is not None:
                pledged.append(pledge)
            outcome = self.outcomes.get(item.stage)
            if outcome is not None and outcome.tree is not None:
                trees.append(await self.executor.select(outcome.tree, item.path))
            elif pledge is None:  # pragma: no cover - callers ask only below successes
                raise RuntimeError(f"stage {item.stage!r} has no outputs")
        tree = await self.executor.merge(trees)
        parts = _with(pledged, await self.executor.parts(tree))
        return await self._judged(stage, tree, parts, facts)

    async def _judged(
        self, stage: Stage, tree: T, parts: tuple[Part, ...], facts: Mapping[str, str] | None
    ) -> Standing[T]:
        identity = await self.executor.identity(stage)
        document = observed_document(key_document(stage, parts, identity), facts or {})
        key = stage_key(document)
        hit = None
        if stage.cache and stage.name not in self.force:
            hit = await self.executor.recall(key)
        if hit is not None:
            reason = why_not(stage, key, hit.made_at, self.history)
        elif stage.name in self.force:
            reason = Reason(code="forced", sentence="--force")
        else:
            reason = why(stage, key, document, self.history)
        return Standing(
            stage=stage,
            tree=tree,
            parts=parts,
            identity=identity,
            document=document,
            key=key,
            reason=reason,
            hit=hit,
        )

    def lacking(self, stage: Stage) -> list[str]:
        """The stages without which its key cannot be known."""
        return [
            item.stage
            for item in stage.produced
            if item.stage not in self.outcomes and self._pledge(item) is None
        ]

    def _pledge(self, item: Produced) -> Part | None:
        """What an input is known to be without it being there, if its stage pledged so."""
        for path, pledge in self.plan.stage(item.stage).pledges:
            if path == item.output:
                inner = item.path.removeprefix(path)
                return Part(item.path, PartKind.FILE, f"{pledge}{inner}", 0, 0)
        return None

    def fresh(self, stage: Stage) -> Standing[T] | None:
        """Where a stage stood a moment ago, if that still is where it stands.

        Only for one that reads nothing that others make. An edit within that moment does not go unnoticed:
        executors look at the inputs again when the stage has ended.
        """
        standing, at = self.inspected.get(stage.name, (None, 0.0))
        recent = time.monotonic() - at < FRESH_S
        return standing if standing is not None and recent and not standing.stage.produced else None

    async def sources(self, stage: Stage) -> T:
        """What a stage reads of the source.

        Raises:
            InputError: An input is missing or cannot be one; names the stage.
        """
        outputs = [output.path for each in self.plan.stages for output in each.outputs]
        try:
            return await self.executor.source(stage.sources, outputs)
        except InputError as error:
            near = nearest_output(self.plan, error.path) if error.path else None
            hint = (f"nearest declared output: {near}",) if near else ()
            raise InputError(
                error.what,
                path=error.path,
                where=self.plan.place(stage),
                notes=(*hint, *error.notes),
            ) from None


def _with(pledged: Sequence[Part], parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Parts with pledges in the place of what they are of: a key is the same before and after a fetch."""
    if not pledged:
        return parts
    paths = {part.path for part in pledged}
    mixed = (*pledged, *(part for part in parts if part.path not in paths))
    return tuple(sorted(mixed, key=lambda part: part.path))


class Assessment(Record, Generic[T]):
    """What a run would do.

    Attributes:
        standings: Of the stages whose inputs are known, by name.
        waiting: Stages whose inputs depend on a stage that must run, with one such stage's name.
    """

    standings: dict[str, Standing[T]]
    waiting: dict[str, str]


async def assess(walk: Walk[T], selection: Selection) -> Assessment[T]:
    """Find out what of a plan is done, and fail now for whatever would fail later for sure.

    Fills `walk.outcomes` with the results that are there.

    Raises:
        InputError: An input of any selected stage is missing.
        UsageError: A stage that is not selected, but is read, has no result.
    """
    standings: dict[str, Standing[T]] = {}
    waiting: dict[str, str] = {}
    for stage in walk.plan.stages:
        if stage.name not in selection.chosen and stage.name not in selection.read:
            continue
        blockers = walk.lacking(stage)
        if blockers:
            await walk.sources(stage)
            waiting[stage.name] = blockers[0]
        else:
            standing = await walk.inspect(stage)
            blockers = walk.lacking(standing.stage)
            if blockers:  # as it was seen to read what another one makes
                waiting[stage.name] = blockers[0]
                continue
            standings[stage.name] = standing
            if standing.hit is not None:
                walk.outcomes[stage.name] = standing.hit
    _demand_results(walk.plan, selection.read - spared(walk, selection), {*walk.outcomes})
    return Assessment(standings=standings, waiting=waiting)


def spared(walk: Walk[T], selection: Selection) -> frozenset[str]:
    """The stages without a result that nobody needs: they pledged what they write, and no reader runs.

    A stage that nothing reads was asked for itself.
    """
    plan = walk.plan
    readers: dict[str, list[str]] = {}
    for stage in plan.stages:
        for name in stage.needs:
            readers.setdefault(name, []).append(stage.name)
    wanted = {stage for stage, _ in plan.archive.contents} if plan.archive else set()
    concerned = {*selection.chosen, *selection.read}
    return frozenset(
        stage.name
        for stage in plan.stages
        if stage.pledges
        and stage.name in concerned
        and stage.name not in walk.outcomes
        and stage.name not in walk.force | wanted
        and stage.name in readers
        and all(name in walk.outcomes or name not in concerned for name in readers[stage.name])
    )


def _demand_results(plan: Plan, read: Iterable[str], known: set[str]) -> None:
    missing = [stage.name for stage in plan.stages if stage.name in read and stage.name not in known]
    if missing:
        raise UsageError(
            f"stage {missing[0]!r} is not selected, but what is selected reads its outputs, and it has no"
            " result for its present inputs",
            where=plan.pipeline_file,
            notes=(f"run it first: penstock run --until {missing[0]}",),
        )
