from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ExecutorError
from penstock.executors import docker_container
from penstock.executors.container import image_of
from penstock.executors.docker import Docker
from penstock.executors.docker import _gpus as gpus
from penstock.executors.docker_daemon import Daemon
from penstock.executors.docker_environments import derives
from penstock.executors.environments import Environments
from penstock.plan.model import Environment, Stage
from penstock.results import Accelerator

WITH_GPUS = Stage(name="s", run="true", accelerator=Accelerator(kind="cuda", image="cuda:12", gpus=2))


def daemon(**answers: object) -> Daemon:
    api = SimpleNamespace(**answers)
    return Daemon(api, "unix:///d.sock", "1", "linux-amd64", rootless=False, remapped=False)


def spec(tmp_path: Path, **more: Any) -> docker_container.Spec:
    usage = tmp_path / "usage"
    usage.touch()
    return docker_container.Spec(
        name="penstock-s",
        image="sha256:1",
        command=["/bin/sh", "-euc", "true"],
        user="7:8",
        labels={"penstock.project": "p"},
        usage=usage,
        **more,
    )


def config(tmp_path: Path, **more: Any) -> Mapping[str, Any]:
    container = docker_container._Container(daemon(), spec(tmp_path, **more), lambda _data: None)
    return container._config()


@given(parts=st.lists(st.binary(max_size=300)), cuts=st.lists(st.integers(1, 400)))
def test_frames_are_put_together_however_they_are_cut(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(b"\1\0\0\0" + len(part).to_bytes(4, "big") + part for part in parts)
    frames, taken = docker_container._Frames(), b""
    for cut in (*cuts, len(data)):
        taken += b"".join(frames.feed(data[:cut]))
        data = data[cut:]
    assert taken == b"".join(parts)
    assert data == b""


@pytest.mark.parametrize(
    ("stage", "image"),
    [
        (Stage(name="s", run="x"), "python:3.12-slim"),
        (Stage(name="s", run="x", environment=Environment(python="3.11")), "python:3.11-slim"),
        (Stage(name="s", run="x", environment=Environment(python="3.11", image="i")), "i"),
        (
            Stage(
                name="s",
                run="x",
                environment=Environment(image="i"),
                accelerator=Accelerator(kind="cuda", image="c"),
            ),
            "c",
        ),
        (
            Stage(
                name="s", run="x", environment=Environment(image="i"), accelerator=Accelerator(kind="cuda")
            ),
            "i",
        ),
    ],
)
def test_the_image_is_the_accelerator_s_or_the_environment_s_or_that_of_python(
    stage: Stage, image: str
) -> None:
    assert image_of(stage) == image


@pytest.mark.parametrize(
    ("environment", "own_image", "expected"),
    [
        (Environment(), True, False),
        (Environment(python="3.12"), False, False),
        (Environment(python="3.12"), True, True),
        (Environment(requirements="r.txt"), False, True),
        (Environment(extra_requirements="ruff"), False, True),
    ],
)
def test_an_image_is_made_only_if_something_is_to_be_added(
    environment: Environment, *, own_image: bool, expected: bool
) -> None:
    assert derives(environment, own_image=own_image) is expected


def test_gpus_are_asked_for_by_number() -> None:
    assert gpus(Stage(name="s", run="x"), {}) is None
    request = gpus(WITH_GPUS, {})
    assert request == {"Driver": "", "Capabilities": [["gpu"]], "Options": {}, "Count": 2}


def test_gpus_that_are_meant_for_this_run_are_asked_for_by_name() -> None:
    request = gpus(WITH_GPUS, {"CUDA_VISIBLE_DEVICES": "3, 1,0"})
    assert request is not None
    assert request["DeviceIDs"] == ["3", "1"]
    assert "Count" not in request


def test_fewer_gpus_than_wanted_are_refused() -> None:
    with pytest.raises(ExecutorError, match=r"2 GPUs are wanted, and CUDA_VISIBLE_DEVICES='0' names 1"):
        gpus(WITH_GPUS, {"CUDA_VISIBLE_DEVICES": "0"})


def test_the_engine_is_asked_for_the_gpus(tmp_path: Path) -> None:
    request = gpus(WITH_GPUS, {})
    host = config(tmp_path, gpus=request)["HostConfig"]
    assert isinstance(host, dict)
    assert host["DeviceRequests"] == [request]


def test_secrets_are_no_part_of_a_container_s_description(tmp_path: Path) -> None:
    made = config(tmp_path, variables={"A": "shown"}, hidden={"TOKEN": "hunter2"})
    assert made["Env"] == ["A=shown"]
    assert "hunter2" not in str(made)


def test_a_stage_s_container_can_change_nothing_but_its_mounts(tmp_path: Path) -> None:
    host = config(tmp_path)["HostConfig"]
    assert isinstance(host, dict)
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["LogConfig"] == {"Type": "none"}
    assert "no-new-privileges" in host["SecurityOpt"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('could not select device driver "" with capabilities: [[gpu]]', "cannot give a container a GPU"),
        ("nvidia-container-cli: initialization error: nvml error", "cannot give a container a GPU"),
        ("CDI device injection failed: unresolvable CDI devices x", "cannot give a container a GPU"),
        ("invalid mount config: bind source path does not exist: /x", "does not see the files"),
        ('runc: exec: "/bin/sh": stat /bin/sh: no such file or directory', "has no /bin/sh"),
        ("no space left on device", "the container could not be started: no space left on device"),
    ],
)
def test_what_a_daemon_says_is_told_in_our_words(tmp_path: Path, said: str, told: str) -> None:
    container = docker_container._Container(
        daemon(), spec(tmp_path, gpus=gpus(WITH_GPUS, {})), lambda _data: None
    )
    error = ExecutorError(f"the container could not be started: {said}", where="docker")
    assert told in str(container._explained(error))


def test_what_a_command_used_is_read_from_what_the_shell_wrote(tmp_path: Path) -> None:
    container = docker_container._Container(daemon(), spec(tmp_path), lambda _data: None)
    assert container._usage().cpu_s == 0
    container.spec.usage.write_text("0m0.00s 0m0.00s\n1m2.50s 0m0.25s\npeak 4096\npeak max\n")
    assert container._usage().cpu_s == 62.75
    assert container._usage().peak_memory_bytes == 4096


def test_the_identity_is_the_image_and_what_is_installed_into_it(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("tiny==1.0\n")
    host = Docker(Environments(tmp_path / "home", tmp_path))
    host._daemon = daemon(inspect_image=lambda name: {"Id": f"sha256:{name}", "Config": {"Env": None}})
    plain = host.identity(Stage(name="s", run="x", environment=Environment(image="i")))
    assert plain == {"platform": "linux-amd64", "image": "sha256:i"}
    locked = Environment(image="i", requirements="r.txt", python="3.12")
    known = host.identity(Stage(name="s", run="x", environment=locked))
    assert {**known, "requirements": ""} == {**plain, "requirements": "", "python": "3.12"}
    on_gpu = host.identity(
        Stage(name="s", run="x", environment=locked, accelerator=Accelerator(kind="cuda", image="c"))
    )
    assert on_gpu == {**known, "image": "sha256:c"}
