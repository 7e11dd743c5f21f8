from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker.errors
import pytest
import requests.exceptions

from penstock.errors import EXIT_UNAVAILABLE, ExecutorError
from penstock.executors.docker_daemon import Daemon, Image, _unreachable, connect


class Api:
    """Answers of a daemon, by the name of what it is asked; an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(*arguments: Any, **named: Any) -> Any:
            given = self.answers[name]
            if isinstance(given, Exception):
                raise given
            return given(*arguments, **named) if callable(given) else given

        return answer


def daemon(**answers: Any) -> Daemon:
    return Daemon(Api(**answers), "unix:///d.sock", "1", "linux-amd64", rootless=False, remapped=False)


def refused(status: int, explanation: str) -> docker.errors.APIError:
    return docker.errors.APIError("refused", response=Status(status), explanation=explanation)


class Status:
    url = reason = ""

    def __init__(self, code: int) -> None:
        self.status_code = code


ABOUT = {"Id": "sha256:1", "Config": {"Env": ["A=1", "PATH=/image/bin"]}, "RepoDigests": []}


def test_an_image_that_no_registry_has_is_known_by_its_id() -> None:
    assert daemon(inspect_image=ABOUT).find("mine") == Image("sha256:1", "sha256:1", "/image/bin")


@pytest.mark.parametrize(
    ("name", "known", "digest"),
    [
        ("python:3.12-slim", ["python@sha256:a"], "sha256:a"),
        ("python", ["python@sha256:a"], "sha256:a"),
        ("docker.io/library/python:3.12", ["python@sha256:a"], "sha256:a"),
        ("host:5000/x:1", ["another@sha256:a", "host:5000/x@sha256:b"], "sha256:b"),
        ("host:5000/x", ["host:5000/x@sha256:b", "another@sha256:a"], "sha256:b"),
    ],
)
def test_an_image_is_known_by_its_repository_s_digest(name: str, known: list[str], digest: str) -> None:
    held = daemon(inspect_image={**ABOUT, "RepoDigests": known})
    assert held.digest(name) == digest


def test_a_registry_is_asked_for_the_digest_of_an_image_that_is_not_there() -> None:
    gone = docker.errors.ImageNotFound("gone")
    held = daemon(inspect_image=gone, inspect_distribution={"Descriptor": {"digest": "sha256:c"}})
    assert held.digest("python:3.12-slim") == "sha256:c"
    assert daemon(inspect_image=gone).digest("python@sha256:d") == "sha256:d"


def test_an_image_that_nobody_has_is_named_with_what_the_daemon_said() -> None:
    held = daemon(
        inspect_image=docker.errors.ImageNotFound("gone"), inspect_distribution=refused(403, "denied: login")
    )
    with pytest.raises(
        ExecutorError, match=r"image 'x/y' is not on this machine and cannot be had: denied: login"
    ) as caught:
        held.digest("x/y")
    assert caught.value.exit_code == EXIT_UNAVAILABLE
    assert "docker pull x/y" in caught.value.notes[-1]


@pytest.mark.parametrize(
    "error",
    [
        docker.errors.APIError("500 Server Error"),
        docker.errors.DockerException("broken"),
        requests.exceptions.ConnectionError("gone"),
        requests.exceptions.ReadTimeout("too long"),
        ConnectionResetError(104, "Connection reset by peer"),
    ],
)
def test_whatever_goes_wrong_is_an_error_of_ours(error: Exception) -> None:
    with pytest.raises(ExecutorError, match=r"^docker: it failed: "), daemon().asked("it failed"):
        raise error


def test_removing_what_is_gone_or_going_is_no_trouble() -> None:
    daemon(remove_container=docker.errors.NotFound("gone")).remove("c")
    daemon(remove_container=refused(409, "removal in progress")).remove("c")
    with pytest.raises(ExecutorError, match="a container cannot be removed: busy"):
        daemon(remove_container=refused(500, "busy")).remove("c")


@pytest.mark.parametrize(
    ("info", "there"),
    [
        ({"Runtimes": {"runc": {}, "nvidia": {}}}, True),
        ({"Runtimes": {"runc": {}}, "DiscoveredDevices": [{"ID": "nvidia.com/gpu=0"}]}, True),
        ({"Runtimes": {"runc": {}}, "DiscoveredDevices": [{"ID": "vendor.com/net=0"}]}, False),
        ({}, False),
    ],
)
def test_a_daemon_has_gpus_if_it_has_a_runtime_or_devices_for_them(
    monkeypatch: pytest.MonkeyPatch, info: dict[str, Any], *, there: bool
) -> None:
    monkeypatch.setenv("PATH", "")
    assert daemon(info=info).has_gpu() is there


@pytest.mark.parametrize("address", ["ssh://me@host", "tcp://10.0.0.1:2375", "https://docker.example.com"])
def test_a_daemon_elsewhere_is_refused_before_it_is_asked(address: str) -> None:
    with pytest.raises(
        ExecutorError, match=rf"at {address} does not see the files of this machine"
    ) as caught:
        connect({"DOCKER_HOST": address})
    assert "--executor local" in caught.value.notes[-1]


def test_no_daemon_is_one_message_with_the_remedy(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/none.sock"
    with pytest.raises(
        ExecutorError, match=r"no Docker daemon answers at .*: No such file or directory"
    ) as caught:
        connect({"DOCKER_HOST": address})
    assert caught.value.exit_code == EXIT_UNAVAILABLE
    assert caught.value.notes[0] == "start it: sudo systemctl start docker"
    assert "--executor local" in caught.value.notes[-1]


def test_a_socket_that_is_not_allowed_names_the_group() -> None:
    error = _unreachable("unix:///d.sock", PermissionError(errno.EACCES, "Permission denied"))
    assert error.what == "no Docker daemon answers at unix:///d.sock: Permission denied"
    assert error.notes[0] == "allow it: sudo usermod -aG docker $USER"
