"""Serving images on a real Docker daemon: what a good one is, and that no other is handed on."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import docker_samples
from penstock.errors import RefusedError
from penstock.executors import serving, serving_docker
from penstock.executors.docker_daemon import Daemon
from penstock.executors.environments import Environments
from penstock.record import replace
from serving_samples import package

pytestmark = [pytest.mark.network, pytest.mark.timeout(1200)]
BASE = "python:3.12-slim"
PROJECT = "penstock-test-serving"


@pytest.fixture(scope="session")
def daemon() -> Daemon:
    found = docker_samples.demand_daemon()
    if found.find(BASE) is None:
        pytest.skip(f"image {BASE} is not on this machine: docker pull {BASE}")
    return found


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def build(daemon: Daemon, home: Path, tmp_path: Path) -> Callable[..., serving_docker.Built]:
    def make(model: Path, *, keep: bool = False, **more: Any) -> serving_docker.Built:
        labels = serving.labels_of(name="shop", version="1.2", revision="c0ffee", run="sha256:12")
        described = serving.described(serving.read_package(model), image=BASE, labels=labels)

        async def work() -> serving_docker.Built:
            return await serving_docker.build_and_test(
                replace(described, **more),
                model,
                Environments(home, model.parent),
                tmp_path / "image",
                project=PROJECT,
                environ=os.environ,
                on_wait=lambda _: None,
                keep=keep,
            )

        return anyio.run(work)

    return make


def left(daemon: Daemon) -> list[Any]:
    containers = daemon.api.containers(all=True, filters={"label": f"penstock.project={PROJECT}"})
    return [*containers, *daemon.api.images(name="penstock-serving")]


def test_a_good_model_is_served_by_an_image_that_is_the_same_every_time(
    daemon: Daemon, build: Callable[..., serving_docker.Built], tmp_path: Path
) -> None:
    model = package(tmp_path / "good")
    built = build(model, keep=True)
    try:
        check_health(daemon, built)
    finally:
        daemon.remove_containers(PROJECT)
        daemon.api.remove_image(built.facts["name"], force=True)
    smoke = built.facts["smoke"]
    assert (smoke["rows"], smoke["uid"], smoke["writable"], smoke["network"]) == (5, 10001, False, "none")
    with tarfile.open(built.archive) as archive:
        (entry,) = json.loads(member(archive, "manifest.json"))
        config = json.loads(member(archive, entry["Config"]))
        for path in (entry["Config"], *entry["Layers"]):
            assert hashlib.sha256(member(archive, path)).hexdigest() == Path(path).name
        assert json.loads(member(archive, "index.json"))["manifests"][0]["digest"] == built.facts["manifest"]
        model_layer = built.facts["layers"][-1]["digest"].replace(":", "/")
        with tarfile.open(fileobj=archive.extractfile(f"blobs/{model_layer}")) as files:
            assert {(each.uid, each.gid, each.mtime) for each in files} == {(0, 0, 315532800)}
    assert built.facts["config"] == f"sha256:{Path(entry['Config']).name}"
    assert config["created"] == "1980-01-01T00:00:00Z"
    assert config["config"]["User"] == "10001:10001"
    assert config["config"]["ExposedPorts"] == {"8080/tcp": {}}
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == "c0ffee"
    assert labels["org.opencontainers.image.base.name"] == BASE
    assert labels["penstock.run"] == "sha256:12"
    first = hashlib.sha256(built.archive.read_bytes()).hexdigest()
    for file in model.rglob("*"):
        os.utime(file)
    assert build(model).facts["config"] == built.facts["config"]
    assert hashlib.sha256(built.archive.read_bytes()).hexdigest() == first
    assert left(daemon) == []


def member(archive: tarfile.TarFile, path: str) -> bytes:
    file = archive.extractfile(path)
    assert file is not None
    return file.read()


def check_health(daemon: Daemon, built: serving_docker.Built) -> None:
    """See whether the image, started as a user would, passes its own health check."""
    about = daemon.api.inspect_image(built.facts["name"])
    assert about["Id"] == built.facts["config"]
    check = about["Config"]["Healthcheck"]["Test"]
    host = daemon.api.create_host_config(network_mode="none", read_only=True, tmpfs={"/tmp": ""})
    labels = {"penstock.project": PROJECT}
    made = daemon.api.create_container(built.facts["name"], labels=labels, host_config=host)
    daemon.api.start(made["Id"])
    code = None
    for _ in range(600):
        run = daemon.api.exec_create(made["Id"], check[1:])
        daemon.api.exec_start(run["Id"])
        code = daemon.api.exec_inspect(run["Id"])["ExitCode"]
        if code == 0:
            break
    assert code == 0


def test_an_image_that_says_something_else_is_not_handed_on(
    daemon: Daemon, build: Callable[..., serving_docker.Built], tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match="does not say what was judged: of row 'p0' it says score 0"):
        build(package(tmp_path / "other", "other"))
    assert not (tmp_path / "image/image.tar").exists()
    assert left(daemon) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ("crashing", r"cannot be loaded as loader: ValueError: truncated weights"),
        ("lacking", r"loading it needs the module 'hypothesis': add its package to the project's lock"),
        ("endless", r"the server does not work: it did not answer /ping within 15 s"),
        ("listening", r"port 8080 is taken in its own container"),
        ("leaving", r"the server ended with 7 before it answered: "),
        ("calling", r"OSError: \[Errno 101\] Network is unreachable"),
    ],
)
def test_an_image_whose_server_does_not_work_is_not_handed_on(
    daemon: Daemon, build: Callable[..., serving_docker.Built], tmp_path: Path, loader: str, said: str
) -> None:
    with pytest.raises(RefusedError, match=said) as raised:
        build(package(tmp_path / loader, loader), start_limit_s=15 if loader == "endless" else 120)
    assert len(raised.value.what) < 400
    assert "\n" not in raised.value.what
    assert not (tmp_path / "image/image.tar").exists()
    assert left(daemon) == []
