"""One attempt at a stage on this machine: environment, workspace, process, outputs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from penstock.cache.members import refusing
from penstock.cache.observations import Observation
from penstock.cache.records import ResultRecord
from penstock.cache.trees import ingest
from penstock.cache.whole_source import WholeSource
from penstock.errors import ExecutorError, InputError
from penstock.executors import problems
from penstock.executors.base import Outcome, Request
from penstock.executors.hints import inputs_written, undeclared_inputs
from penstock.executors.log import Log
from penstock.executors.process import Ended
from penstock.executors.workspace import Workspace
from penstock.plan.model import Stage
from penstock.redact import Redactor
from penstock.results import Attempt, Part, timestamp

if TYPE_CHECKING:
    from penstock.executors.host import Ready
    from penstock.executors.local import LocalExecutor, LocalTree


async def attempt(executor: LocalExecutor, request: Request[LocalTree]) -> Outcome[LocalTree]:
    """Make one attempt; a success is in the store when this returns.

    Raises:
        ExecutorError: The environment, the workspace or the store could not be had.
    """
    return await _Attempt(executor, request).make()


class _Attempt:
    def __init__(self, executor: LocalExecutor, request: Request[LocalTree]) -> None:
        self.executor = executor
        self.request = request
        self.redactor = Redactor(self.request.secrets)
        self.log = Log(self.redactor, self.request.emit)
        observing = request.observing
        self.whole = WholeSource(executor.index, observing.outputs) if observing is not None else None
        self.observation: Observation | None = None
        self.key: str | None = request.key

    @property
    def stage(self) -> Stage:
        return self.request.stage

    async def make(self) -> Outcome[LocalTree]:
        try:
            ready = await self.executor.host.prepare(self.stage, self._waiting)
        except ExecutorError as error:
            if error.where is None:
                error.where = f"stage {self.stage.name!r}"
            raise
        workspace = await to_thread.run_sync(self._workspace, ready)
        try:
            async with self.request.slot():
                ended = await ready.run(workspace, self._variables(), self.log.feed)
            log = self.log.close()
            return await to_thread.run_sync(self._keep, workspace, ended, log)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(workspace.remove)

    def _waiting(self, why: str) -> None:
        if self.executor.observer is not None:
            self.executor.observer.stage_waiting(self.stage.name, why)

    def _workspace(self, ready: Ready) -> Workspace:
        bindings = [self.executor.bind(located) for located in self.request.tree]
        return ready.workspace(self.executor.root / ".penstock" / "work", bindings, self.whole)

    def _variables(self) -> dict[str, str]:
        secrets = {name: os.fsdecode(value) for name, value in self.request.secrets.items()}
        return {**self.request.variables, **secrets}

    def _keep(self, workspace: Workspace, ended: Ended, log: str) -> Outcome[LocalTree]:
        # from the first blob to the record that names it, gc must not come in between
        with self.executor.store.usage():
            return self._conclude(workspace, ended, log)

    def _conclude(self, workspace: Workspace, ended: Ended, log: str) -> Outcome[LocalTree]:
        problem = self._failure(ended, log) or self._meddled(workspace)
        parts: tuple[Part, ...] = ()
        self.observation = workspace.observation(self.redactor.mask_text)
        if problem is None:
            try:
                parts = self._outputs(workspace)
                self.key = self._key()
            except InputError as error:
                problem = str(error)
        attempt = Attempt(
            number=len(self.request.earlier) + 1,
            exit_code=ended.exit_code,
            usage=ended.usage,
            log=log,
            problem=self.redactor.mask_text(problem) if problem else None,
        )
        return self._outcome(attempt, parts, timed_out=ended.timed_out)

    def _outcome(self, attempt: Attempt, parts: tuple[Part, ...], *, timed_out: bool) -> Outcome[LocalTree]:
        from penstock.executors.local import Located

        attempts = (*self.request.earlier, attempt)
        made_at = timestamp()
        if attempt.problem is not None:
            return Outcome(
                attempts=attempts,
                made_at=made_at,
                problem=attempt.problem,
                timed_out=timed_out,
                observation=self.observation,
            )
        if self.key is not None:
            record = ResultRecord(
                key=self.key, parts=parts, attempts=attempts, made_at=made_at, run_id=self.request.run_id
            )
            self.executor.store.commit(record)
        tree = tuple(Located(part, made=True) for part in parts)
        return Outcome(
            attempts=attempts,
            made_at=made_at,
            tree=tree,
            parts=parts,
            observation=self.observation,
            key=self.key,
        )

    def _key(self) -> str | None:
        """What the result is kept under: of a stage that was observed, that depends on what it looked at.

        Raises:
            InputError: What it looked at has changed meanwhile.
        """
        observing, observation = self.request.observing, self.observation
        if observing is None or observation is None or self.whole is None:
            return self.request.key
        return observing.key_of(observation, self.whole.facts(observation.looks))

    def _failure(self, ended: Ended, log: str) -> str | None:
        missing: tuple[str, ...] = ()
        written: tuple[str, ...] = ()
        if ended.exit_code and not ended.timed_out:
            declared = [part.path for part in self.request.parts]
            if self.request.observing is None:  # or it has seen them all
                missing = undeclared_inputs(log, self.executor.root, declared, dict(self.stage.variables))
            written = inputs_written(log, declared)
        return problems.failure(
            self.stage, ended.exit_code, timed_out=ended.timed_out, undeclared=missing, written=written
        )

    def _meddled(self, workspace: Workspace) -> str | None:
        changed = workspace.changed_inputs()
        if changed:
            return problems.changed_input(changed[0])
        for located in self.request.tree:
            if not self.executor.unchanged(located):
                return (
                    f"input {located.part.path!r} changed while the stage ran, so its result says nothing"
                    "\n  run again"
                )
        return None

    def _outputs(self, workspace: Workspace) -> tuple[Part, ...]:
        places = {output.path: workspace.output(output.path) for output in self.stage.outputs}
        missing = [path for path, at in places.items() if not os.path.lexists(at)]
        if missing:
            raise problems.not_written(missing, workspace.written())
        parts = []
        inspect = refusing(self.redactor) if self.request.secrets else None
        for path, at in places.items():
            part, _ = ingest(self.executor.store, at, path, inspect=inspect)
            parts.append(part)
        # moved now: the workspace goes away with this attempt
        for part in parts:
            self.executor.fresh[part.path, part.digest] = workspace.keep(part.path)
        return tuple(parts)
