"""The stage that builds the image of `publish: image` under Dagger."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import dagger
from dagger import dag

from penstock import digest
from penstock.errors import EXIT_GATE_FAILED, RefusedError
from penstock.executors import serving, serving_dagger
from penstock.executors.base import Outcome, Request
from penstock.executors.container import RUNTIME_IMAGE, image_of
from penstock.executors.dagger_images import asking
from penstock.executors.dagger_tree import DaggerTree, Held
from penstock.plan.model import Serving
from penstock.results import Attempt, Part, PartKind, Usage, timestamp

if TYPE_CHECKING:
    from penstock.executors.dagger_engine import DaggerExecutor

_HELD = "/penstock/held"


async def build(executor: DaggerExecutor, request: Request[DaggerTree]) -> Outcome[DaggerTree]:
    """Build and try an image; one that fails its smoke test fails the stage.

    Raises:
        ExecutorError: The engine could not do its work.
    """
    began, stage = time.monotonic(), request.stage
    wanted = stage.serving
    if wanted is None:
        raise TypeError(stage)
    package = await _package(executor, request, wanted)
    described = serving.described(
        await serving_dagger.read_package(package),
        image=image_of(stage),
        port=wanted.port,
        labels=wanted.labels,
    )
    tree: DaggerTree | None = None
    problem, code = None, 0
    async with request.slot():
        try:
            archive, facts = await serving_dagger.build_and_test(executor, described, package)
            log = serving.told(facts)
            tree = (await _archive(wanted, archive), _facts(executor, wanted, facts))
        except RefusedError as error:
            log, problem, code = f"{error.what}\n", error.what, EXIT_GATE_FAILED
    request.emit(log)
    usage = Usage(wall_s=time.monotonic() - began, cpu_s=0.0, peak_memory_bytes=0)
    number = len(request.earlier) + 1
    attempt = Attempt(number=number, exit_code=code, usage=usage, log=log, problem=problem)
    return Outcome(
        attempts=(*request.earlier, attempt),
        made_at=timestamp(),
        tree=tree,
        parts=tuple(held.part for held in tree or ()),
        problem=problem,
    )


async def _package(
    executor: DaggerExecutor, request: Request[DaggerTree], wanted: Serving
) -> dagger.Directory:
    (held,) = await executor.select(request.tree, wanted.package)
    if not isinstance(held.made, dagger.Directory):
        raise TypeError(held)
    return held.made


async def _archive(wanted: Serving, archive: dagger.File) -> Held:
    container = dag.container().from_(RUNTIME_IMAGE).with_mounted_file(_HELD, archive)
    with asking("the image cannot be read"):
        said = await container.with_exec(["sha256sum", _HELD]).stdout()
        size = await archive.size()
    part = Part(wanted.archive, PartKind.FILE, digest.PREFIX + said.split()[0], size, 1)
    return Held(part=part, made=archive)


def _facts(executor: DaggerExecutor, wanted: Serving, facts: dict[str, object]) -> Held:
    data = (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()
    part = Part(wanted.facts, PartKind.FILE, digest.of_bytes(data), len(data), 1)
    return Held(part=part, made=executor.courier.file(data))
