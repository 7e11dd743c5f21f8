"""What runs the processes of stages: this machine itself, or (`docker`) containers on it.

All else that the embedded executor does (trees, store, workspaces, outputs) is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from penstock.executors.environments import Environments
from penstock.plan.model import Environment, Stage
from penstock.record import Record, field

if TYPE_CHECKING:
    from penstock.cache.whole_source import WholeSource
    from penstock.executors.environments import Prepared
    from penstock.executors.layout import Binding
    from penstock.executors.process import Ended
    from penstock.executors.workspace import Workspace

COMMAND = ("/bin/sh", "-euc")


class Ready(Protocol):
    """A stage's environment, ready for attempts at it."""

    def workspace(
        self, work: Path, bindings: Sequence[Binding], whole: WholeSource | None = None
    ) -> Workspace:
        """A directory for one attempt, see `Workspace.make`."""
        ...

    async def run(
        self, workspace: Workspace, secrets: Mapping[str, str], on_output: Callable[[bytes], None]
    ) -> Ended:
        """Run the stage's command to its end, see `run_process`."""
        ...


class Host(Protocol):
    """Has environments, and runs processes in them."""

    def identity(self, stage: Stage) -> Mapping[str, str]:
        """See `Executor.identity`."""
        ...

    async def prepare(self, stage: Stage, on_wait: Callable[[str], None]) -> Ready:
        """Make a stage's environment unless it is there.

        Args:
            on_wait: Told what is waited for, before it takes time.

        Raises:
            PipelineError: The environment is wrongly declared.
            ExecutorError: It cannot be had.
        """
        ...

    def tidy(self) -> None:
        """Remove what runs of this project that were killed left; called only where no other runs."""
        ...


class Native(Record, frozen=False, kw_only=False):
    """This machine itself.

    Args:
        sandbox: `auto`, `bubblewrap` or `none`; None asks `PENSTOCK_SANDBOX`.
    """

    environments: Environments
    sandbox: str | None = None
    _identities: dict[Environment, Mapping[str, str]] = field(default_factory=dict)

    def identity(self, stage: Stage) -> Mapping[str, str]:
        """What of the environment can change outputs; the hardware is in the key as it was asked for."""
        if stage.serving is not None:
            return self._docker().identity(stage)
        environment = stage.environment
        if environment not in self._identities:
            self._identities[environment] = self.environments.identity(environment)
        return self._identities[environment]

    async def prepare(self, stage: Stage, on_wait: Callable[[str], None]) -> Ready:
        """Build a virtual environment unless it is there."""
        if stage.serving is not None:
            return await self._docker().prepare(stage, on_wait)
        return _Process(stage, await self.environments.prepare(stage.environment, on_wait), self.sandbox)

    def _docker(self) -> Host:
        # by its name, as commands open it: who does not build images does without Docker
        docker: Host = import_module("penstock.executors.docker").Docker(self.environments)
        return docker

    def tidy(self) -> None:
        """Nothing: processes end with the run that started them."""


class _Process(Record, kw_only=False):
    """Runs a stage's command as a process of this machine."""

    stage: Stage
    prepared: Prepared
    sandbox: str | None

    def workspace(
        self, work: Path, bindings: Sequence[Binding], whole: WholeSource | None = None
    ) -> Workspace:
        from penstock.executors.sandbox import detect
        from penstock.executors.workspace import Workspace

        sandbox = None if self.stage.outside else detect(self.sandbox).sandbox
        return Workspace.make(work, self.stage, bindings, sandbox=sandbox, whole=whole)

    async def run(
        self, workspace: Workspace, secrets: Mapping[str, str], on_output: Callable[[bytes], None]
    ) -> Ended:
        from penstock.executors.process import run_process

        with workspace.command([*COMMAND, self.stage.run], self.prepared, secrets) as command:
            return await run_process(
                command.argv,
                cwd=command.cwd,
                env=command.env,
                pass_fds=command.pass_fds,
                timeout_s=self.stage.timeout_s,
                on_output=on_output,
                leash=command.leash,
            )
