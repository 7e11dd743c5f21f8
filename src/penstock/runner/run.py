"""A whole run: assess, execute, judge, publish, report."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import penstock
from penstock.errors import EXIT_OK, CorruptError, Interrupted, StoreError
from penstock.executors.base import Executor
from penstock.gates import policy
from penstock.observer import Observer
from penstock.plan.model import Plan, Stage
from penstock.publish import archive
from penstock.record import Record, field, replace
from penstock.results import (
    NOT_NEEDED,
    Publication,
    PublicationState,
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
from penstock.runner.reasons import History
from penstock.runner.secrets import load_secrets
from penstock.runner.selection import Selection

if TYPE_CHECKING:
    from penstock.runner.execute import Execution

T = TypeVar("T")


class Options(Record):
    """What the command line says of a run.

    Attributes:
        force: Run every chosen stage, whatever the store has.
        jobs: Stages at a time, at least 1.
        keep_going: After a failure, go on with all that does not need what failed.
        environ: Where secrets are looked up.
        commit: That the source is of; git is asked at the root if absent.
    """

    selection: Selection
    force: bool = False
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    keep_going: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    commit: str | None = None


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
            self._walk = Walk(plan=self.plan, executor=self.executor, history=self.history, force=force)
        return self._walk

    def report(self) -> RunReport:
        """Do the run; an event loop is started only if something must run.

        Raises:
            PenstockError: There is nothing that could be reported: a wrong input, an executor that failed.
        """
        try:
            pending = drive(self._begin())
            interrupted = self._execute(pending) if pending else None
            return drive(self._end(interrupted))
        finally:
            self.history.close()

    async def report_waiting(self) -> RunReport:
        """Do the run inside the caller's event loop, with an executor whose every method may wait.

        Raises:
            PenstockError: As `report`.
        """
        try:
            pending = await self._begin()
            interrupted = None
            if pending:
                try:
                    await self._execution(pending).run(pending)
                except Interrupted as stop:
                    interrupted = stop
            return await self._end(interrupted)
        finally:
            self.history.close()

    async def _begin(self) -> tuple[Stage, ...]:
        """Find out what stands, and put stored results where they belong; gives the stages that must run."""
        if self.options.commit is None:
            self._revision = Revision(self.root)
        assessment = await assess(self.walk, self.options.selection)
        chosen = [stage for stage in self.plan.stages if stage.name in self.options.selection.chosen]
        self.observer.run_started(tuple(stage.name for stage in chosen), self.options.jobs)
        await self._reuse(assessment)
        unneeded = spared(self.walk, self.options.selection)
        for stage in chosen:
            if stage.name in unneeded:
                reason = Reason(code=NOT_NEEDED, sentence="nothing that reads it has to run")
                self._record(stage_result(stage, StageState.SKIPPED, reason))
        pending = tuple(stage for stage in chosen if stage.name not in {*self.walk.outcomes, *unneeded})
        if pending:
            outputs = [output.path for stage in pending for output in stage.outputs]
            await self.executor.reserve(outputs, self.root)
        return pending

    async def _end(self, interrupted: Interrupted | None) -> RunReport:
        report = self._draft(interrupted)
        if interrupted is None:
            report = await self._judged(report)
            report = replace(report, publications=await self._publish(report))
        code = exit_code(report, self.plan.on_inconclusive, interrupted)
        return replace(report, exit_code=code, wall_s=time.monotonic() - self._began)

    async def _reuse(self, assessment: Assessment[T]) -> None:
        """Put the stored results where they belong; a damaged one must run after all."""
        outcomes = self.walk.outcomes
        for stage in self.plan.stages:
            standing = assessment.standings.get(stage.name)
            hit = standing.hit if standing else None
            if standing is None or hit is None or hit.tree is None:
                continue
            if self.walk.lacking(stage):
                outcomes.pop(stage.name)  # what it reads is made anew, so its key may differ
                continue
            began = time.monotonic()
            if stage.name in self.options.selection.chosen:
                try:
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

    def _execute(self, pending: tuple[Stage, ...]) -> Interrupted | None:
        from penstock.runner.signals import Noted

        with Noted() as noted:
            import anyio

            execution = self._execution(pending, noted.numbers)
            try:
                anyio.run(execution.run, pending)
            except Interrupted as stop:
                return stop
        return None

    async def _judged(self, report: RunReport) -> RunReport:
        judgement = Judgement(
            plan=self.plan, walk=self.walk, observer=self.observer, documents=self.documents
        )
        gates = await judgement.verdicts()
        holdouts = judgement.holdouts(gates, self.history)
        return replace(report, gates=gates, holdouts=holdouts, warnings=judgement.warnings(holdouts))

    async def _publish(self, report: RunReport) -> tuple[Publication, ...]:
        if self.plan.archive is None:
            return ()
        blocked = self._blocked(report)
        if blocked:
            publication = Publication(kind="archive", state=PublicationState.SKIPPED, sentence=blocked)
        else:
            try:
                publication = await self._archive(report)
            except (CorruptError, StoreError) as error:
                publication = Publication(kind="archive", state=PublicationState.FAILED, sentence=str(error))
        self.observer.published(publication)
        return (publication,)

    def _blocked(self, report: RunReport) -> str | None:
        open_stages = [stage.name for stage in report.stages if not stage.settled]
        if open_stages:
            return f"stage {open_stages[0]!r} has no result in this run"
        for gate in report.gates:
            if gate.required and policy.stops(gate, self.plan.on_inconclusive):
                return f"gate {gate.name!r} did not pass"
        return None

    async def _archive(self, report: RunReport) -> Publication:
        spec = self.plan.archive
        assert spec is not None  # noqa: S101 - `_publish` asked
        trees = []
        for stage, path in spec.contents:
            tree = self.walk.outcomes[stage].tree
            assert tree is not None  # noqa: S101 - every stage is done
            trees.append(await self.executor.select(tree, path))
        tree = await self.executor.merge(trees)
        contents = archive.contents(report, await self.executor.parts(tree))
        target = f"{spec.path}/{contents.name}"
        known = self.history.intact(target)
        state, sentence = PublicationState.UNCHANGED, "the same as before"
        if known is None:
            state, sentence = PublicationState.WRITTEN, f"{len(contents.parts)} outputs, run and manifest"
            staging = self.root / ".penstock" / "tmp" / f"archive-{self.run_id}"
            try:
                await self.executor.export(tree, staging)
                known = archive.write(contents, staging, self.root / target)
            finally:
                import shutil

                shutil.rmtree(staging, ignore_errors=True)
            self.history.set_written(target, known)
        return Publication(
            kind="archive",
            state=state,
            sentence=sentence,
            target=target,
            digest=known,
            size_bytes=(self.root / target).stat().st_size,
        )

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
            stages=tuple(self._stage_results(interrupted)),
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
