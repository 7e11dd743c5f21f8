from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from penstock.commands.checks import Machine, State
from penstock.commands.containers import dagger
from penstock.executors.container import DAGGER

RUNNER = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def findings(path: Path, **environ: str) -> dict[str, tuple[State, str]]:
    machine = Machine(root=path, environ={"PATH": str(path), **environ}, system="debian", pipeline=None)
    return {each.name: (each.state, each.found) for each in dagger(machine)}


def test_the_pinned_engine_is_the_one_of_the_module() -> None:
    module = json.loads((Path(__file__).parents[3] / "dagger.json").read_text())
    assert module["engineVersion"] == DAGGER


def test_no_dagger_is_missing(tmp_path: Path) -> None:
    assert findings(tmp_path) == {"dagger": (State.MISSING, "not installed")}


def test_another_version_is_noted(tmp_path: Path) -> None:
    program(tmp_path, "dagger", "echo dagger v0.18.1 linux/amd64")
    state, found = findings(tmp_path)["dagger"]
    assert state is State.NOTE
    assert f"the module is made for {DAGGER}" in found


def test_a_program_that_does_not_run_is_broken(tmp_path: Path) -> None:
    program(tmp_path, "dagger", "exit 3")
    assert findings(tmp_path)["dagger"][0] is State.BROKEN


def test_without_docker_and_address_there_is_no_engine(tmp_path: Path) -> None:
    program(tmp_path, "dagger", f"echo dagger {DAGGER} linux/amd64")
    assert findings(tmp_path)["dagger engine"][0] is State.MISSING
    program(tmp_path, "docker", "exit 0")
    assert findings(tmp_path)["dagger engine"][0] is State.OK


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_an_engine_is_there_while_somebody_listens(tmp_path: Path, kind: str) -> None:
    program(tmp_path, "dagger", f"echo dagger {DAGGER} linux/amd64")
    if kind == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "engine.sock"))
        address = f"unix://{tmp_path}/engine.sock"
    else:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    listener.listen()
    assert findings(tmp_path, **{RUNNER: address})["dagger engine"] == (State.OK, address)
    listener.close()
    state, found = findings(tmp_path, **{RUNNER: address})["dagger engine"]
    assert state is State.BROKEN
    assert "refused" in found.lower()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:99999999", "tcp://:x", "unix:///no/such.sock"])
def test_an_address_where_nobody_can_listen_is_broken(tmp_path: Path, address: str) -> None:
    program(tmp_path, "dagger", f"echo dagger {DAGGER} linux/amd64")
    assert findings(tmp_path, **{RUNNER: address})["dagger engine"][0] is State.BROKEN
