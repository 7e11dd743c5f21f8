"""A project on the Docker executor, its stages in an image that is made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docker_samples
from conformance.conftest import Bench
from penstock.cache.history import LocalHistory
from penstock.cache.stat_index import StatIndex
from penstock.cache.store import Store
from penstock.executors.base import Executor
from penstock.executors.opening import Opening
from penstock.plan.model import Plan
from penstock.record import replace
from penstock.runner.reasons import History


def docker_bench(root: Path, home: Path) -> Bench:
    docker_samples.demand_daemon()
    from penstock.executors import docker

    store = Store(home)

    def make(plan: Plan, root: Path) -> tuple[Executor[object], History]:
        index = StatIndex(root, root / ".penstock" / "state.sqlite", plan.ignore)
        executor = docker.open_executor(Opening(root=root, store=store, index=index))
        return executor, LocalHistory(store, index)  # type: ignore[return-value] # trees are opaque to a bench

    def read(path: str) -> bytes | None:
        return (root / path).read_bytes() if (root / path).is_file() else None

    return Bench(root, make, read, in_image(docker_samples.image()))


def in_image(name: str) -> Callable[[Plan], Plan]:
    """What makes the stages of a plan run in an image."""

    def adapt(plan: Plan) -> Plan:
        stages = (replace(each, environment=replace(each.environment, image=name)) for each in plan.stages)
        return replace(plan, stages=tuple(stages))

    return adapt
