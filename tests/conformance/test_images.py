"""The same package makes the same layers by Docker and by Dagger, and both find out a wrong one."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

import docker_samples
from engine import require_engine
from penstock.errors import RefusedError
from penstock.executors import serving
from penstock.executors.environments import Environments
from penstock.plan.model import Plan
from penstock.record import replace
from serving_samples import package

pytestmark = [pytest.mark.network, pytest.mark.timeout(1800)]
BASE = "python:3.12-slim"


def described(model: Path, **more: Any) -> serving.Description:
    return replace(serving.described(serving.read_package(model), image=BASE), **more)


def by_dagger(model: Path, scratch: Path, **more: Any) -> Mapping[str, Any]:
    """Facts of an image that was built and tried in a session of its own."""
    require_engine()

    async def work() -> Mapping[str, Any]:
        import dagger
        from dagger import dag

        from penstock.executors import serving_dagger
        from penstock.executors.dagger_engine import DaggerExecutor
        from penstock.executors.dagger_tree import Courier

        async with dagger.connection(dagger.Config(log_output=io.StringIO())):
            executor = DaggerExecutor(
                plan=Plan(name="images", pipeline_file="p", profile=None, stages=()),
                source_directory=dag.directory(),
                root=model.parent,
                run_id="run",
                courier=Courier(place=scratch, load=lambda path: dag.host().directory(str(path))),
            )
            directory = dag.host().directory(str(model))
            _, facts = await serving_dagger.build_and_test(executor, described(model, **more), directory)
        return facts

    return anyio.run(work)


def by_docker(model: Path, scratch: Path) -> Mapping[str, Any]:
    found = docker_samples.demand_daemon()
    if found.find(BASE) is None:
        pytest.skip(f"image {BASE} is not on this machine: docker pull {BASE}")
    from penstock.executors import serving_docker

    async def work() -> Mapping[str, Any]:
        built = await serving_docker.build_and_test(
            described(model),
            model,
            Environments(scratch / "home", model.parent),
            scratch / "image",
            project="penstock-test-images",
            environ=os.environ,
            on_wait=lambda _: None,
        )
        return built.facts

    return anyio.run(work)


@pytest.mark.slow
@pytest.mark.dagger
def test_docker_and_dagger_add_the_same_layers(tmp_path: Path) -> None:
    model = package(tmp_path / "good")
    one, other = by_docker(model, tmp_path), by_dagger(model, tmp_path)
    # the bases are what each engine calls by the same name
    assert [each["diff_id"] for each in one["layers"][-2:]] == [
        each["diff_id"] for each in other["layers"][-2:]
    ]
    for facts in (one, other):
        assert facts["smoke"]["network"] == "none"
        assert facts["smoke"]["read_only"] is True
        assert facts["smoke"]["uid"] == 10001


@pytest.mark.dagger
@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ("other", "does not say what was judged: of row 'p0' it says score 0"),
        pytest.param("listening", "port 8080 is taken in its own container", marks=pytest.mark.slow),
        pytest.param("endless", "did not answer /ping within 15 s", marks=pytest.mark.slow),
        pytest.param("calling", "Network is unreachable", marks=pytest.mark.slow),
    ],
)
def test_dagger_hands_on_no_image_that_does_not_work(tmp_path: Path, loader: str, said: str) -> None:
    model = package(tmp_path / loader, loader)
    with pytest.raises(RefusedError, match=said):
        by_dagger(model, tmp_path, start_limit_s=15 if loader == "endless" else 120)
