"""Run what must run: as many stages at once as there are jobs, each as soon as its inputs are there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from penstock.errors import CorruptError, Interrupted, PenstockError
from penstock.executors.base import Outcome, Request
from penstock.observer import Observer
from penstock.plan.model import Stage
from penstock.record import Record, field, replace
from penstock.results import Reason, StageResult, StageState
from penstock.runner.assess import Standing, Walk, stage_result
from penstock.runner.reasons import why_not
from penstock.runner.secrets import load_passed
from penstock.runner.signals import AWAITED
from penstock.runner.watched import Watched

T = TypeVar("T")
_MOST_ROUNDS = 20
"""How often a stage that is observed may be seen to read the outputs of still another one."""


class Execution(Record, Generic[T], frozen=False):
    """The part of a run that needs an event loop.

    Attributes:
        environ: Where what a stage passes on (`Stage.passes`) is looked up.
        began: When the run did, by the monotonic clock.
        signals: That came before this listens for any.
        results: Of every stage that has ended, by name.
        error: What stopped the run, if it was no stage.
    """

    walk: Walk[T]
    observer: Observer
    root: Path
    run_id: str
    began: float
    secrets: Mapping[str, bytes]
    environ: Mapping[str, str]
    jobs: int
    keep_going: bool
    signals: Sequence[int] = ()
    results: dict[str, StageResult] = field(default_factory=dict)
    error: PenstockError | None = None
    _finished: dict[str, anyio.Event] = field(default_factory=dict)
    _group: TaskGroup | None = None
    _failed: str | None = None
    _slots: anyio.CapacityLimiter | None = None
    _alone: anyio.Lock = field(default_factory=anyio.Lock)
    _started: set[str] = field(default_factory=set)
    _began: dict[str, float] = field(default_factory=dict)

    async def run(self, stages: tuple[Stage, ...]) -> None:
        """Run these stages; `walk.outcomes` knows the results of all others that they read.

        Raises:
            PenstockError: The run could not go on: an executor failed, an input vanished.
            Interrupted: A signal stopped it; every stage has a result all the same.
        """
        self._finished = {stage.name: anyio.Event() for stage in stages}
        self._slots = anyio.CapacityLimiter(self.jobs)
        async with anyio.create_task_group() as signals:
            signals.start_soon(self._watch_signals)
            async with anyio.create_task_group() as self._group:
                self._group.start_soon(self._stages, stages)
            signals.cancel_scope.cancel()
        for stage in stages:
            if stage.name not in self.results:
                self._end(stage_result(stage, StageState.SKIPPED, self._stopped()))
        if self.error is not None:
            raise self.error

    async def _stages(self, stages: tuple[Stage, ...]) -> None:
        # a stage that is prepared or put away leaves the processor to others that run
        begun = anyio.CapacityLimiter(2 * self.jobs)
        try:
            async with self.walk.executor.session(), anyio.create_task_group() as group:
                for stage in stages:
                    group.start_soon(self._stage, stage, begun)
        except PenstockError as error:
            self._stop(error)

    async def _watch_signals(self) -> None:
        with anyio.open_signal_receiver(*AWAITED) as received:
            for early in self.signals:
                self._stop(Interrupted(early))
            async for number in received:
                self._stop(Interrupted(int(number)))

    def _stop(self, error: PenstockError) -> None:
        if self.error is None:
            self.error = error
        if self._group is not None:
            self._group.cancel_scope.cancel()

    def _stopped(self) -> Reason:
        if self._failed is not None:
            return Reason(code="stopped", sentence=f"stage {self._failed!r} failed first")
        return Reason(code="stopped", sentence="the run was stopped before it began")

    async def _stage(self, stage: Stage, begun: anyio.CapacityLimiter) -> None:
        for name in stage.needs:
            if name in self._finished:
                await self._finished[name].wait()
            if name not in self.walk.outcomes:
                reason = Reason(code="upstream-failed", sentence=f"it needs stage {name!r}")
                self._end(stage_result(stage, StageState.SKIPPED, reason))
                return
        try:
            result = None
            while result is None and await self._has_all(stage):
                async with begun:
                    result = await self._fulfil(stage)
            if result is not None:
                self._end(result)
        except PenstockError as error:
            # not raised here: a task group would wrap it, and one message is enough
            self._stop(error)

    async def _has_all(self, stage: Stage) -> bool:
        """Wait for what a stage was seen to read besides what it needs; False if that cannot be had."""
        for _ in range(_MOST_ROUNDS if stage.observe else 0):
            missing = self.walk.lacking((await self.walk.inspect(stage)).stage)
            for name in missing:
                if name in self._finished:
                    await self._finished[name].wait()
                if name not in self.walk.outcomes:
                    reason = Reason(
                        code="upstream-failed", sentence=f"it reads what stage {name!r} writes, undeclared"
                    )
                    self._end(stage_result(stage, StageState.SKIPPED, reason))
                    return False
            if not missing:
                break
        return True

    def _end(self, result: StageResult) -> None:
        self.results[result.name] = result
        self._finished[result.name].set()
        self.observer.stage_finished(result)
        if result.state in (StageState.FAILED, StageState.TIMED_OUT) and not self.keep_going:
            self._failed = self._failed or result.name
            if self._group is not None:
                self._group.cancel_scope.cancel()

    async def _fulfil(self, stage: Stage) -> StageResult | None:
        """Its result; none if it has to begin anew, as it was seen to read what other stages write."""
        self._began[stage.name] = time.monotonic()
        standing = self.walk.fresh(stage) or await self.walk.inspect(stage)
        self.walk.history.put_key_document(standing.document)
        try:
            async with self.walk.executor.flight(standing.base or standing.key):
                # another process may have made the result while this one waited
                hit = standing.hit
                if hit is None and standing.base is not None:
                    hit = (await self.walk.inspect(stage)).hit
                elif hit is None and stage.cache and stage.name not in self.walk.force:
                    hit = await self.walk.executor.recall(standing.key)
                if hit is not None and await self.place(stage, hit):
                    reason = standing.reason
                    if standing.hit is None:
                        reason = Reason(code="known", sentence="another run made its result meanwhile")
                    result = stage_result(stage, StageState.CACHED, reason, standing)
                    outcome = hit
                else:
                    if standing.hit is not None:
                        lost = Reason(code="evicted", sentence="its stored result is damaged")
                        standing = replace(standing, hit=None, reason=lost)
                    done = await self._attempts(standing)
                    if done is None:
                        return None
                    result, outcome = done
        except anyio.get_cancelled_exc_class():
            result = stage_result(stage, StageState.INTERRUPTED, self._stopped_midway(), standing)
            self._end(self._timed(result))
            raise
        return replace(
            self._timed(result),
            attempts=outcome.attempts,
            outputs=outcome.parts,
            made_at=outcome.made_at,
        )

    @asynccontextmanager
    async def _slot(self, standing: Standing[T]) -> AsyncIterator[None]:
        name = standing.stage.name
        async with self._exclusive() if standing.stage.exclusive else self._slots or nullcontext():
            if name not in self._started:
                self._started.add(name)
                self._began[name] = time.monotonic()  # waiting for others is no part of its time
                self.observer.stage_started(name, standing.reason.sentence)
            yield

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        """All slots at once."""
        slots = self._slots
        if slots is None:  # pragma: no cover - `run` makes them
            raise RuntimeError("no run is under way")
        async with AsyncExitStack() as held:
            await held.enter_async_context(self._alone)  # two that take one by one would wait for each other
            for _ in range(self.jobs):
                borrower = object()
                await slots.acquire_on_behalf_of(borrower)
                held.callback(slots.release_on_behalf_of, borrower)
            yield

    def _timed(self, result: StageResult) -> StageResult:
        began = self._began[result.name]
        return replace(result, wall_s=time.monotonic() - began, started_s=began - self.began)

    def _stopped_midway(self) -> Reason:
        if self._failed is not None:
            return Reason(code="stopped", sentence=f"ended because stage {self._failed!r} failed")
        return Reason(code="stopped", sentence="ended because the run was stopped")

    async def place(self, stage: Stage, outcome: Outcome[T]) -> bool:
        """Put a stored outcome where it belongs; False if it turned out to be damaged."""
        if outcome.tree is None:  # pragma: no cover - only successes are stored
            return False
        try:
            if stage.placed:
                await self.walk.executor.export(outcome.tree, self.root)
        except CorruptError as error:
            self.observer.note(f"stage {stage.name!r}: {error}; it runs again")
            return False
        self._succeeded(stage, outcome)
        return True

    def _succeeded(self, stage: Stage, outcome: Outcome[T]) -> None:
        self.walk.outcomes[stage.name] = outcome

    async def _attempts(self, standing: Standing[T]) -> tuple[StageResult, Outcome[T]] | None:
        stage = standing.stage
        watched = Watched(self.walk, standing) if standing.base is not None else None
        passed, hidden = load_passed(stage, self.environ)
        secrets = {**hidden, **{name: self.secrets[name] for name in stage.secrets}}
        request = Request(
            stage=stage,
            tree=standing.tree,
            parts=standing.parts,
            key=standing.key,
            run_id=self.run_id,
            secrets=secrets,
            variables=passed,
            observing=watched.observing if watched is not None else None,
            reuse=stage.cache and stage.name not in self.walk.force,
            emit=lambda text: self.observer.stage_output(stage.name, text),
            slot=lambda: self._slot(standing),
        )
        left = stage.retries
        while True:
            outcome = await self.walk.executor.run(request)
            if watched is not None:
                if await watched.missed(outcome):
                    return None
                standing = watched.concluded(outcome)
            if outcome.tree is not None:
                if stage.placed:
                    await self.walk.executor.export(outcome.tree, self.root)
                self._succeeded(stage, outcome)
                self.walk.history.set_last_key(stage.name, standing.key, self.run_id)
                if outcome.reused:
                    reason = why_not(stage, standing.key, outcome.made_at, self.walk.history)
                    return stage_result(stage, StageState.CACHED, reason, standing), outcome
                return stage_result(stage, StageState.RAN, standing.reason, standing), outcome
            if not left:
                break
            self.observer.attempt_failed(stage.name, outcome.attempts[-1], left)
            request = replace(request, earlier=outcome.attempts)
            left -= 1
        state = StageState.TIMED_OUT if outcome.timed_out else StageState.FAILED
        return stage_result(stage, state, standing.reason, standing), outcome
