"""One attempt at a stage under Dagger: its container, the exec, and what came of it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio
import dagger
from dagger import dag

from penstock import digest
from penstock.cache.observations import EVERYTHING
from penstock.errors import EXIT_TIMEOUT
from penstock.executors import problems
from penstock.executors.base import Outcome, Request
from penstock.executors.carried import LAUNCH, STAGE
from penstock.executors.container import ENVIRONMENT, WORK
from penstock.executors.dagger_images import asking
from penstock.executors.dagger_tree import INPUTS, LIBRARY, DaggerTree, Held, part_of, sources
from penstock.executors.hints import undeclared_inputs
from penstock.executors.host import COMMAND
from penstock.executors.in_container import ATTEMPT, RUN, TIMEOUT, TRY
from penstock.executors.sandbox import HOME, TEMPORARY
from penstock.executors.surroundings import FIXED, GIT, ROOT, STATE
from penstock.executors.workspace import params_text
from penstock.plan.model import Stage
from penstock.redact import Redactor
from penstock.results import Attempt, PartKind, Usage, timestamp

if TYPE_CHECKING:
    from penstock.executors.dagger_engine import DaggerExecutor

_SPEC = "/penstock/spec.json"
_RESULT = "/penstock/result"
_STATE = "/penstock/state"
_PROJECT = "/penstock/project"
_GIT = "/penstock/git"
_PATIENCE_S = 60.0
"""How much longer than a stage's own time limit the engine may take to say that it is over."""
_KILLED = 137


Found = Mapping[str, Any]
"""What `in_container` wrote down."""


class DaggerAttempt:
    """Makes one attempt, unless the engine has the result of an earlier one that succeeded."""

    def __init__(self, executor: DaggerExecutor, request: Request[DaggerTree]) -> None:
        self.executor = executor
        self.request = request

    @property
    def stage(self) -> Stage:
        """The stage that is attempted."""
        return self.request.stage

    async def make(self) -> Outcome[DaggerTree]:
        """What it came to.

        Raises:
            ExecutorError: The engine could not do its work.
        """
        container = await self._container()
        tries = self.executor.tries
        async with self.request.slot():
            while True:
                number = tries.get(self.request.key, 0)
                executed = self._exec(container, number)
                found = await self._ask(executed)
                if _succeeded(found):
                    break
                # the engine keeps failures too, and one of an earlier run says nothing about this one
                tries[self.request.key] = number + 1
                if found["run"] == self.executor.run_id:
                    break
        return await self._outcome(found, executed)

    async def _container(self) -> dagger.Container:
        executor, stage = self.executor, self.stage
        container = (
            await executor.images.container(stage, await executor.library(STAGE))
        ).with_mounted_directory(WORK, sources(executor.source_directory, self.request.tree))
        archives = {}
        for number, held in enumerate(self.request.tree):
            if held.archive is not None:
                archives[held.part.path] = f"{INPUTS}/{number}.tar"
                container = container.with_mounted_file(archives[held.part.path], held.archive)
            elif isinstance(held.made, dagger.File):
                container = container.with_mounted_file(f"{WORK}/{held.part.path}", held.made)
        for name, value in self.request.secrets.items():
            # kept apart by name and not by value: another token must not train again
            secret = dag.set_secret(f"penstock-{name}", value.decode("utf-8", "surrogateescape"))
            container = container.with_secret_variable(name, secret)
        if stage.outside:
            container = self._outside(container)
        spec = executor.courier.file(digest.canonical_json(self._spec(archives)))
        return container.with_mounted_file(_SPEC, spec)

    def _outside(self, container: dagger.Container) -> dagger.Container:
        """With what a stage needs that works on the world beyond its workspace."""
        for name, service in self.executor.services.items():
            container = container.with_service_binding(name, service)
        for name, value in self.request.variables.items():
            container = container.with_env_variable(name, value)
        if GIT in self.stage.passes:  # it looks at the project as it lies
            source = self.executor.source_directory
            container = container.with_mounted_directory(_PROJECT, source).with_env_variable(ROOT, _PROJECT)
            if self.executor.git is not None:
                container = container.with_mounted_directory(_GIT, self.executor.git)
                container = container.with_env_variable(GIT, _GIT)
        state = dag.cache_volume(f"penstock-state-{self.executor.plan.name}")
        return container.with_mounted_cache(_STATE, state).with_env_variable(STATE, _STATE)

    def _spec(self, archives: Mapping[str, str]) -> dict[str, Any]:
        stage = self.stage
        files = dict(stage.files)
        if stage.params_file is not None:
            files[stage.params_file] = params_text(stage)
        home = {"HOME": HOME, "TMPDIR": TEMPORARY}
        environment = {"VIRTUAL_ENV": ENVIRONMENT} if stage.environment.declared else {}
        declared = [held for held in self.request.tree if held.part.path != EVERYTHING]
        inputs = [path for held in declared for path in held.members or (held.part.path,)]
        return {
            **({"inputs": inputs} if stage.observe else {}),
            "work": WORK,
            "variables": {**FIXED, **home, **environment, **dict(stage.variables)},
            "path": [f"{ENVIRONMENT}/bin"] if environment else [],
            "archives": dict(archives),
            "files": files,
            "outputs": [output.path for output in stage.outputs],
            "secrets": list(self.request.secrets),
        }

    def _exec(self, container: dagger.Container, number: int) -> dagger.Container:
        # neither the run nor the time limit is in a cache key: they cannot change what the stage writes
        container = container.with_volatile_variable(RUN, self.executor.run_id)
        if self.stage.timeout_s is not None:
            container = container.with_volatile_variable(TIMEOUT, str(self.stage.timeout_s))
        if not self.request.reuse:
            container = container.with_env_variable(TRY, f"{self.executor.run_id}-{number}")
        elif number:
            container = container.with_env_variable(TRY, str(number))
        launch = [f"{LIBRARY}/{LAUNCH}", "run", _SPEC, _RESULT]
        return container.with_exec([*launch, *COMMAND, self.stage.run])

    async def _ask(self, executed: dagger.Container) -> Found:
        """What `in_container` wrote down, or the same of a stage that took it along when it died."""
        limit = math.inf if self.stage.timeout_s is None else self.stage.timeout_s + _PATIENCE_S
        began = time.monotonic()
        with (
            asking("the container of the stage cannot be run", f"stage {self.stage.name!r}"),
            anyio.move_on_after(limit),
        ):
            try:
                answer: Found = json.loads(await executed.file(f"{_RESULT}/{ATTEMPT}").contents())
            except dagger.ExecError as error:
                if error.exit_code != _KILLED:
                    raise
                # out of memory, the kernel may choose the process that watches the stage
                return self._killed(_KILLED, began, log=error.stdout)
            else:
                return answer
        return self._killed(EXIT_TIMEOUT, began)

    def _killed(self, exit_code: int, began: float, log: str = "") -> Found:
        return {
            "run": self.executor.run_id,
            "made_at": time.time(),
            "wall_s": time.monotonic() - began,
            "cpu_s": 0.0,
            "peak_memory_bytes": 0,
            "exit_code": exit_code,
            "timed_out": exit_code == EXIT_TIMEOUT,
            "log": log,
            "changed": [],
            "missing": [],
            "outputs": [],
            "problem": None,
        }

    async def _outcome(self, found: Found, executed: dagger.Container) -> Outcome[DaggerTree]:
        reused = found["run"] != self.executor.run_id
        if not reused:
            self.request.emit(found["log"])
        problem = await self._problem(found)
        attempt = Attempt(
            number=len(self.request.earlier) + 1,
            exit_code=found["exit_code"],
            usage=Usage(
                wall_s=found["wall_s"], cpu_s=found["cpu_s"], peak_memory_bytes=found["peak_memory_bytes"]
            ),
            log=found["log"],
            problem=Redactor(self.request.secrets).mask_text(problem) if problem else None,
        )
        tree = None
        if problem is None:
            tree = tuple(self.executor.noted(_held(executed, each)) for each in found["outputs"])
        return Outcome(
            attempts=(*self.request.earlier, attempt),
            made_at=timestamp(found["made_at"]),
            tree=tree,
            parts=tuple(held.part for held in tree or ()),
            problem=attempt.problem,
            timed_out=found["timed_out"],
            reused=reused,
        )

    async def _problem(self, found: Found) -> str | None:
        stage, timed_out = self.stage, found["timed_out"]
        undeclared: tuple[str, ...] = ()
        if found["exit_code"] and not timed_out:
            declared = [part.path for part in self.request.parts]
            names = await self.executor.names()
            undeclared = undeclared_inputs(found["log"], names, declared, dict(stage.variables))
        failure = problems.failure(stage, found["exit_code"], timed_out=timed_out, undeclared=undeclared)
        if failure is not None:
            return failure
        if found["changed"]:
            return problems.changed_input(found["changed"][0])
        if found["missing"]:
            return str(problems.not_written(found["missing"], found["written"]))
        problem: str | None = found["problem"]
        return problem


def _succeeded(found: Found) -> bool:
    return not (found["exit_code"] or found["changed"] or found["missing"] or found["problem"])


def _held(executed: dagger.Container, found: Found) -> Held:
    """An output that the engine has."""
    place = f"{WORK}/{found['path']}"
    part = part_of(found["path"], found)
    if part.kind is not PartKind.DIRECTORY:
        # by way of its directory: a file that is asked of a directory is known by its content
        folder, _, name = place.rpartition("/")
        return Held(part=part, made=executed.directory(folder).file(name))
    return Held(
        part=part,
        manifest=found["manifest"].encode("latin-1"),
        made=executed.directory(place),
        archive=executed.directory(_RESULT).file(found["archive"]),
    )
