"""What the tests of running processes share: a stage, a workspace, and a count of survivors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import pytest

from penstock.cache.observations import Observation
from penstock.cache.stat_index import StatIndex
from penstock.cache.whole_source import WholeSource
from penstock.executors import sandbox
from penstock.executors.environments import Prepared
from penstock.executors.process import Ended, run_process
from penstock.executors.workspace import Binding, Workspace
from penstock.plan.model import Output, Stage

MODES = ("bubblewrap", "none")


def found(mode: str) -> sandbox.Sandbox | None:
    """The sandbox of a mode; skips the test if it cannot be had here."""
    finding = sandbox.detect("auto" if mode == "bubblewrap" else "none")
    if mode == "bubblewrap" and finding.sandbox is None:
        pytest.skip(finding.sentence)
    return finding.sandbox


@dataclass
class Bench:
    """A project in which stages run.

    Attributes:
        observes: Whether they see all of it, and are observed.
        observation: What the last one looked at then.
    """

    root: Path
    mode: str
    observes: bool = False
    observation: Observation | None = None
    output: bytearray = field(default_factory=bytearray)
    changed: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    kept: dict[str, Path] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        return self.root / ".penstock" / "work"

    @property
    def text(self) -> str:
        return self.output.decode()

    def stage(self, run: str, outputs: Sequence[str] = (), **more: object) -> Stage:
        return Stage(name="try", run=run, outputs=tuple(Output(path) for path in outputs), **more)  # type: ignore[arg-type]

    def make(self, stage: Stage, bindings: Sequence[Binding] = ()) -> Workspace:
        index = StatIndex(self.root, self.root / ".penstock" / "state.sqlite")
        whole = WholeSource(index, [output.path for output in stage.outputs]) if self.observes else None
        return Workspace.make(self.work, stage, bindings, sandbox=found(self.mode), whole=whole)

    async def go(
        self,
        stage: Stage,
        bindings: Sequence[Binding] = (),
        *,
        prepared: Prepared | None = None,
        secrets: Mapping[str, str] | None = None,
        timeout_s: float | None = 30.0,
    ) -> Ended:
        workspace = await anyio.to_thread.run_sync(partial(self.make, stage, bindings))
        try:
            argv = ["/bin/sh", "-euc", stage.run]
            with workspace.command(argv, prepared or Prepared(), secrets or {}) as command:
                ended = await run_process(
                    command.argv,
                    cwd=command.cwd,
                    env=command.env,
                    pass_fds=command.pass_fds,
                    leash=command.leash,
                    timeout_s=timeout_s,
                    on_output=self.output.extend,
                )
            self.observation = workspace.observation(str)
            self.changed, self.written = workspace.changed_inputs(), workspace.written()
            if ended.exit_code == 0:
                self.kept = {output.path: workspace.keep(output.path) for output in stage.outputs}
        finally:
            workspace.remove()
        return ended

    def run(self, run: str, bindings: Sequence[Binding] = (), **more: object) -> Ended:
        """Run a script in a stage that declares nothing else."""
        return anyio.run(partial(self.go, self.stage(run), bindings, **more))  # type: ignore[arg-type]


def marker() -> str:
    """A word that no other process has on its command line."""
    return f"survivor{uuid.uuid4().hex}"


def survivors(word: str) -> list[int]:
    """Living processes with a word on their command line, wherever they were put."""
    living = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                line = (path / "cmdline").read_bytes()
                state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            except (OSError, ValueError):
                continue
            if word.encode() in line and state not in "ZX":
                living.append(int(path.name))
    return living


def gone(word: str, within_s: float = 5.0) -> bool:
    """Whether nothing with this word on its command line lives, at the latest after some seconds."""
    end = time.monotonic() + within_s
    while survivors(word):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def appears(word: str, within_s: float = 10.0) -> bool:
    """Whether a process with this word on its command line comes up within some seconds."""
    end = time.monotonic() + within_s
    while not survivors(word):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def daemon(word: str) -> str:
    """A script that leaves a daemon: forked twice, in its own session, deaf to signals, holding no output."""
    code = (
        "import os,signal,time;"
        "os.fork() and os._exit(0);os.setsid();os.fork() and os._exit(0);"
        "[signal.signal(n,signal.SIG_IGN) for n in (1,2,3,15)];"
        "os.closerange(0,3);time.sleep(600)"
    )
    return f"python3 -c '{code}' {word}\n"
