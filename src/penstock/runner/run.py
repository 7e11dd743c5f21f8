"""A whole run: assess, execute, judge, publish, report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import penstock
from penstock.errors import EXIT_OK, CorruptError, Interrupted
from penstock.executors.base import Executor
from penstock.observer import Observer
from penstock.plan.model import Plan, Stage
from penstock.record import Record, field, replace
from penstock.results import (
    NOT_NEEDED,
    Publication,
    Reason,
    RunReport,
    StageResult,
    StageState,
    timestamp,
)
from penstock.revision import Revision
from penstock.runner.assess import Assessment, Walk, assess, drive, spared, stage_result
from penstock.runner.conclude import exit_code, new_run_id
from penstock.runner.judge import Judgement
from penstock.runner.observed import clashing
from penstock.runner.publish import Publishing
from penstock.runner.reasons import History
from penstock.runner.secrets import load_secrets
from penstock.runner.selection import Selection

if TYPE_CHECKING:
    from penstock.runner.execute import Execution

T = TypeVar("T")
R = TypeVar("R")


class Options(Record):
    """What the command line says of a run.

    Attributes:
        force: Run every chosen stage, whatever the store has.
        jobs: Stages at a time, at least 1.
        keep_going: After a failure, go on with all that does not need what failed.
        environ: Where secrets are looked up.
        commit: That the source is of; git is asked at the root if absent.
        release: What is released is called, if anything: a tag of the source.
        observe: Observe every stage that can be, and say what it declares and never reads (`--observe`).
    """

    selection: Selection
    force: bool = False
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    keep_going: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    commit: str | None = None
    release: str | None = None
    observe: bool = False


class Run(Record, Generic[T], frozen=False):
    """One run of a plan; `report` does it all.

    Attributes:
        root: Where outputs are put; `.penstock` below it holds what runs leave behind.
        documents: What programs measured, by the path of the output that each is; known after judging.
    """

    plan: Plan
    executor: Executor[T]
    history: History
    observer: Observer
    root: Path
    options: Options
    run_id: str = field(default_factory=new_run_id)
    documents: dict[str, bytes] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _started_at: str = field(default_factory=timestamp)
    _results: dict[str, StageResult] = field(default_factory=dict)
    _walk: Walk[T] | None = None
    _revision: Revision | None = None

    @property
    def walk(self) -> Walk[T]:
        """What is known of the stages so far."""
        if self._walk is None:
            force = self.options.selection.chosen if self.options.force else frozenset[str]()
            self._walk = Walk(
                plan=self.plan,
                executor=self.executor,
                history=self.history,
                force=force,
                audit=self.options.observe,
            )
        return self._walk

    def report(self) -> RunReport:
        """Do the run; an event loop is started only if something must run.

        Raises:
            PenstockError: There is nothing that could be reported: a wrong input, an executor that failed.
        """
        try:
            pending = drive(self._begin())
            interrupted = _looped(partial(self._work, pending)) if pending else None
            report = drive(self._judge(interrupted))
            if self.plan.deliveries and interrupted is None:
                report, interrupted = _looped(partial(self._deliver, report))
            return self._concluded(report, interrupted)
        finally:
            self.history.close()

    async def report_waiting(self) -> RunReport:
        """Do the run inside the caller's event loop, with an executor whose every method may wait.

        Raises:
            PenstockError: As `report`.
        """
        try:
            pending = await self._begin()
            interrupted = await self._work(pending) if pending else None
            report = await self._judge(interrupted)
            if self.plan.deliveries and interrupted is None:
                report, interrupted = await self._deliver(report)
            return self._concluded(report, interrupted)
        finally:
            self.history.close()

    async def _begin(self) -> tuple[Stage, ...]:
        """Find out what stands, and put stored results where they belong; gives the stages that must run."""
        if self.options.commit is None:
            self._revision = Revision(self.root)
        assessment = await assess(self.walk, self.options.selection)
        chosen = [stage for stage in self.plan.stages if stage.name in self.options.selection.chosen]
        deliveries = self._expected_deliveries(chosen)
        self.observer.run_started(tuple(stage.name for stage in (*chosen, *deliveries)), self.options.jobs)
        await self._reuse(assessment)
        unneeded = spared(self.walk, self.options.selection)
        for stage in chosen:
            if stage.name in unneeded:
                reason = Reason(code=NOT_NEEDED, sentence="nothing that reads it has to run")
                self._record(stage_result(stage, StageState.SKIPPED, reason))
        pending = tuple(stage for stage in chosen if stage.name not in {*self.walk.outcomes, *unneeded})
        if pending:
            outputs = [output.path for stage in pending if stage.placed for output in stage.outputs]
            await self.executor.reserve(outputs, self.root)
        return pending

    def _expected_deliveries(self, chosen: Sequence[Stage]) -> list[Stage]:
        """The programs that publish if all goes well.

        Raises:
            UsageError: A secret that one needs is not there: better said now than when all is done.
        """
        if len(chosen) < len(self.plan.stages):
            return []
        stages = [stage for delivery in self.plan.deliveries for stage in delivery.stages]
        load_secrets(self.plan, stages, self.options.environ, self.root)
        return stages

    async def _work(self, pending: tuple[Stage, ...], signals: Sequence[int] = ()) -> Interrupted | None:
        try:
            await self._execution(pending, signals).run(pending)
        except Interrupted as stop:
            return stop
        return None

    async def _judge(self, interrupted: Interrupted | None) -> RunReport:
        report = self._draft(interrupted)
        if interrupted is None:
            report = await self._judged(report)
            report = replace(report, publications=await self._publishing.archive(report))
        return report

    async def _deliver(
        self, report: RunReport, signals: Sequence[int] = ()
    ) -> tuple[RunReport, Interrupted | None]:
        """Have programs publish; an interruption leaves those skipped that had not begun."""

        async def execute(stage: Stage) -> StageResult:
            await self.executor.reserve([output.path for output in stage.outputs], self.root)
            await self._execution((stage,), signals).run((stage,))
            return self._results[stage.name]

        made: list[Publication] = []
        stopped = None
        try:
            await self._publishing.deliver(report, execute, made)
        except Interrupted as stop:
            stopped = stop
        return replace(report, publications=(*report.publications, *made)), stopped

    def _concluded(self, report: RunReport, interrupted: Interrupted | None) -> RunReport:
        outside = {stage.name for stage in self.plan.stages if stage.outside}
        code = exit_code(report, self.plan.on_inconclusive, interrupted, outside)
        return replace(report, exit_code=code, wall_s=time.monotonic() - self._began)

    @property
    def _publishing(self) -> Publishing[T]:
        return Publishing(
            walk=self.walk,
            history=self.history,
            observer=self.observer,
            root=self.root,
            run_id=self.run_id,
            environ=self.options.environ,
            release=self.options.release,
            documents=self.documents,
        )

    async def _reuse(self, assessment: Assessment[T]) -> None:
        """Put the stored results where they belong; a damaged one must run after all."""
        outcomes = self.walk.outcomes
        for stage in self.plan.stages:
            standing = assessment.standings.get(stage.name)
            hit = standing.hit if standing else None
            if standing is None or hit is None or hit.tree is None:
                continue
            if self.walk.lacking(standing.stage):
                outcomes.pop(stage.name)  # what it reads is made anew, so its key may differ
                continue
            began = time.monotonic()
            if stage.name in self.options.selection.chosen:
                try:
                    if stage.placed:
                        await self.executor.export(hit.tree, self.root)
                except CorruptError as error:
                    self.observer.note(f"stage {stage.name!r}: {error}; it runs again")
                    outcomes.pop(stage.name)
                    continue
                self.history.set_last_key(stage.name, standing.key, self.run_id)
                self._record(
                    replace(
                        stage_result(stage, StageState.CACHED, standing.reason, standing),
                        attempts=hit.attempts,
                        outputs=hit.parts,
                        made_at=hit.made_at,
                        wall_s=time.monotonic() - began,
                        started_s=began - self._began,
                    )
                )

    def _record(self, result: StageResult) -> None:
        self._results[result.name] = result
        self.observer.stage_finished(result)

    def _execution(self, pending: tuple[Stage, ...], signals: Sequence[int] = ()) -> Execution[T]:
        from penstock.runner.execute import Execution

        return Execution(
            walk=self.walk,
            observer=self.observer,
            root=self.root,
            run_id=self.run_id,
            began=self._began,
            secrets=load_secrets(self.plan, pending, self.options.environ, self.root),
            environ=self.options.environ,
            jobs=self.options.jobs,
            keep_going=self.options.keep_going,
            signals=signals,
            results=self._results,
        )

    async def _judged(self, report: RunReport) -> RunReport:
        judgement = Judgement(
            plan=self.plan, walk=self.walk, observer=self.observer, documents=self.documents
        )
        gates = await judgement.verdicts()
        holdouts = judgement.holdouts(gates, self.history)
        return replace(report, gates=gates, holdouts=holdouts, warnings=judgement.warnings(holdouts))

    def _draft(self, interrupted: Interrupted | None) -> RunReport:
        return RunReport(
            penstock=penstock.__version__,
            run_id=self.run_id,
            pipeline=self.plan.name,
            pipeline_file=self.plan.pipeline_file,
            plan=self.plan.digest,
            profile=self.plan.profile,
            commit=self._revision.answer() if self._revision else self.options.commit,
            executor=self.executor.name,
            started_at=self._started_at,
            wall_s=0.0,
            exit_code=EXIT_OK,
            stages=tuple(clashing(self.plan, self._stage_results(interrupted), self.walk.seen)),
            gates=(),
            publications=(),
            params=self.plan.params,
        )

    def _stage_results(self, interrupted: Interrupted | None) -> Iterator[StageResult]:
        reason = Reason(code="not-selected", sentence="not selected on the command line")
        if interrupted is not None:
            reason = Reason(code="stopped", sentence="the run was stopped before it began")
        for stage in self.plan.stages:
            yield self._results.get(stage.name) or stage_result(stage, StageState.SKIPPED, reason)


def _looped(work: Callable[[Sequence[int]], Coroutine[Any, Any, R]]) -> R:
    """Do something in an event loop, with the signals that came before it listened for any."""
    from penstock.runner.signals import Noted

    with Noted() as noted:
        import anyio

        return anyio.run(work, noted.numbers)
