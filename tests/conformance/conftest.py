"""One set of plans on every executor: what a plan comes to must not depend on where it runs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from penstock.cache.history import LocalHistory
from penstock.cache.stat_index import StatIndex
from penstock.cache.store import Store
from penstock.executors.base import Executor
from penstock.executors.local import LocalExecutor
from penstock.executors.memory import MemoryExecutor, Tree
from penstock.executors.sandbox import detect
from penstock.plan.compiled import Overlay, load_plan
from penstock.plan.model import Plan
from penstock.results import RunReport, StageResult
from penstock.runner.reasons import History
from penstock.runner.run import Options, Run
from penstock.runner.selection import select
from support import MemoryHistory, SilentObserver


@dataclass
class Bench:
    """A project on one executor.

    Attributes:
        environ: Where secrets come from.
        served: Folders that containers of the engine can read over HTTP, by the name of the host.
    """

    root: Path
    make: Callable[[Plan, Path], tuple[Executor[object], History]]
    read: Callable[[str], bytes | None]
    adapt: Callable[[Plan], Plan] = lambda plan: plan
    observer: SilentObserver = field(default_factory=SilentObserver)
    kind: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    served: dict[str, Path] = field(default_factory=dict)

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text))

    def run(self, pipeline: str | None = None, *, only: tuple[str, ...] = (), **options: object) -> RunReport:
        if pipeline is not None:
            self.write({"pipeline.yaml": pipeline})
        _, plan = load_plan(self.root / "pipeline.yaml", Overlay(environ={}))
        self.observer = SilentObserver()
        chosen = Options(selection=select(plan, only=only), environ=self.environ, **options)  # type: ignore[arg-type] # checked where used
        return self.perform(plan, chosen)

    def perform(self, plan: Plan, options: Options) -> RunReport:
        plan = self.adapt(plan)
        executor, history = self.make(plan, self.root)
        return Run(
            plan=plan,
            executor=executor,
            history=history,
            observer=self.observer,
            root=self.root,
            options=options,
        ).report()


def states(report: RunReport) -> dict[str, str]:
    """Name → state of every stage."""
    return {stage.name: stage.state.value for stage in report.stages}


def stage(report: RunReport, name: str) -> StageResult:
    """One stage of a report."""
    return next(each for each in report.stages if each.name == name)


def pipeline(stages: Mapping[str, object], **more: object) -> str:
    """A pipeline file of these stages: a string is the command of one that does nothing else."""
    whole = {name: {"run": each} if isinstance(each, str) else each for name, each in stages.items()}
    return json.dumps({"version": 1, "name": "try", **more, "stages": whole}, ensure_ascii=False)


ISOLATING = ("bubblewrap", "plain", "docker", pytest.param("dagger", marks=pytest.mark.dagger))


@pytest.fixture(params=("memory", *ISOLATING))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return _bench(request.param, tmp_path)


@pytest.fixture(params=ISOLATING)
def isolated(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """Of executors for users; the one in memory isolates, masks and checks nothing, and says so."""
    return _bench(request.param, tmp_path)


def _bench(kind: str, tmp_path: Path) -> Bench:
    root, home = tmp_path / "project", tmp_path / "home"
    root.mkdir()
    if kind == "dagger":
        from conformance.dagger_bench import dagger_bench

        made: Bench = dagger_bench(root)
    elif kind == "memory":
        made = _memory(root)
    elif kind == "docker":
        from conformance.docker_bench import docker_bench

        made = docker_bench(root, home)
    else:
        made = _local(root, home, kind)
    made.kind = kind
    return made


def _memory(root: Path) -> Bench:
    store: dict[str, object] = {}
    history = MemoryHistory()
    exported: dict[str, object] = {}

    def make(plan: Plan, root: Path) -> tuple[Executor[Tree], History]:
        outputs = {output.path for stage in plan.stages for output in stage.outputs}
        files = {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and ".penstock" not in path.parts and path.name not in outputs
        }
        executor = MemoryExecutor(files, store)  # type: ignore[arg-type] # one type of outcome
        executor.exported = exported  # type: ignore[assignment] # shared by the runs of a test
        return executor, history

    def read(path: str) -> bytes | None:
        for declared, files in exported.items():
            if declared == path:
                return files[""][0]  # type: ignore[no-any-return, index] # a file
            if path.startswith(f"{declared}/"):
                return files[path[len(declared) + 1 :]][0]  # type: ignore[no-any-return, index] # a file
        return None

    return Bench(root, make, read)  # type: ignore[arg-type] # trees are opaque to a bench


def _local(root: Path, home: Path, sandbox: str) -> Bench:
    if sandbox == "bubblewrap" and detect("auto").sandbox is None:
        pytest.skip("bubblewrap is not usable here: apt-get install bubblewrap")

    def make(plan: Plan, root: Path) -> tuple[Executor[object], History]:
        store = Store(home)
        index = StatIndex(root, root / ".penstock" / "state.sqlite", plan.ignore)
        executor = LocalExecutor(
            root=root, store=store, index=index, sandbox="none" if sandbox == "plain" else "bubblewrap"
        )
        return executor, LocalHistory(store, index)  # type: ignore[return-value] # trees are opaque to a bench

    def read(path: str) -> bytes | None:
        return (root / path).read_bytes() if (root / path).is_file() else None

    return Bench(root, make, read)
