"""Plans made in code, and runs of them in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.executors.memory import MemoryExecutor
from penstock.plan.model import GateSpec, Output, Plan, Produced, Stage
from penstock.results import RunReport
from penstock.runner.run import Options, Run
from penstock.runner.selection import select
from support import MemoryHistory, SilentObserver


def stage(
    name: str, run: str, *, reads: tuple[str, ...] = (), writes: tuple[str, ...] = (), **fields: Any
) -> Stage:
    """A stage whose inputs say `producer:path` if another stage makes them."""
    produced = tuple(
        Produced(path.partition(":")[2], path.partition(":")[0], path.partition(":")[2])
        for path in reads
        if ":" in path
    )
    return Stage(
        name=name,
        run=run,
        sources=tuple(path for path in reads if ":" not in path),
        produced=produced,
        outputs=tuple(Output(path) for path in writes),
        **fields,
    )


def plan(*stages: Stage, gates: tuple[GateSpec, ...] = ()) -> Plan:
    return Plan(name="p", pipeline_file="p.yaml", profile=None, stages=stages, gates=gates, digest="sha256:0")


@dataclass
class World:
    """A source, a store and a history that outlast one run."""

    root: Path
    files: dict[str, bytes] = field(default_factory=dict)
    store: dict[str, Any] = field(default_factory=dict)
    history: MemoryHistory = field(default_factory=MemoryHistory)
    observer: SilentObserver = field(default_factory=SilentObserver)
    executor: MemoryExecutor | None = None

    def run(
        self, what: Plan, *, only: tuple[str, ...] = (), until: tuple[str, ...] = (), **options: Any
    ) -> RunReport:
        return self.prepared(what, only=only, until=until, **options).report()

    def prepared(
        self, what: Plan, *, only: tuple[str, ...] = (), until: tuple[str, ...] = (), **options: Any
    ) -> Run[Any]:
        self.observer = SilentObserver()
        self.executor = MemoryExecutor(self.files, self.store)
        return Run(
            plan=what,
            executor=self.executor,
            history=self.history,
            observer=self.observer,
            root=self.root,
            options=Options(selection=select(what, only=only, until=until), **options),
        )

    @property
    def ran(self) -> list[str]:
        assert self.executor is not None
        return self.executor.ran


def states(report: RunReport) -> dict[str, str]:
    return {each.name: each.state.value for each in report.stages}
