"""A project on a real Dagger engine, in the process of the tests: what the module does, without the module."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from conformance.conftest import Bench
from engine import require_engine
from penstock.plan.model import Plan
from penstock.record import replace
from penstock.results import RunReport
from penstock.runner.conclude import new_run_id
from penstock.runner.observed import all_shown
from penstock.runner.run import Options, Run
from support import MemoryHistory

if TYPE_CHECKING:
    import dagger


class DaggerBench(Bench):
    """Every run is a session of its own; its outputs are put into the project afterwards."""

    history: MemoryHistory
    scratch: Path

    def perform(self, plan: Plan, options: Options) -> RunReport:
        return anyio.run(self._perform, self.adapt(plan), options)

    async def _perform(self, plan: Plan, options: Options) -> RunReport:
        import dagger
        from dagger import dag

        from penstock.executors.dagger_engine import DaggerExecutor
        from penstock.executors.dagger_tree import Courier

        outputs = [output.path for stage in plan.stages for output in stage.outputs]
        async with dagger.connection(dagger.Config(log_output=io.StringIO())):
            run_id = new_run_id()
            executor = DaggerExecutor(
                plan=plan,
                source_directory=dag.host().directory(str(self.root), exclude=[".penstock", *outputs]),
                root=self.root,
                run_id=run_id,
                courier=Courier(place=self.scratch, load=lambda path: dag.host().directory(str(path))),
                services={name: _server(folder) for name, folder in self.served.items()},
            )
            run = Run(
                plan=plan,
                executor=executor,
                history=self.history,
                observer=self.observer,
                root=self.root,
                options=options,
                run_id=run_id,
            )
            report = await run.report_waiting()
            for path, held in executor.placed.items():
                assert held.made is not None
                await held.made.export(str(self.root / path))
        return report


def _server(folder: Path) -> dagger.Service:
    """What gives the files of a folder over HTTP, at port 80."""
    from dagger import dag

    return (
        dag.container()
        .from_("python:3.12-slim")
        .with_mounted_directory("/served", dag.host().directory(str(folder)))
        .with_exposed_port(80)
        .as_service(args=["python3", "-m", "http.server", "80", "--directory", "/served"])
    )


def dagger_bench(root: Path) -> Bench:
    require_engine()

    def make(plan: Plan, root: Path) -> object:
        raise NotImplementedError("an executor of the engine lives as long as its session")

    def read(path: str) -> bytes | None:
        return (root / path).read_bytes() if (root / path).is_file() else None

    # an engine keeps what earlier tests made, and knows no other way to tell them apart
    mark = ("PENSTOCK_TEST", uuid.uuid4().hex)

    def adapt(plan: Plan) -> Plan:
        stages = (replace(each, variables=(*each.variables, mark)) for each in plan.stages)
        return all_shown(replace(plan, stages=tuple(stages)))

    bench = DaggerBench(root, make, read, adapt)  # type: ignore[arg-type] # `perform` makes one
    bench.history = MemoryHistory()
    bench.scratch = root.parent / "scratch"
    bench.scratch.mkdir()
    return bench
