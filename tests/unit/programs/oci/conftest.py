"""A real registry for all tests of this folder, and a repository in it for each of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import docker_registry
import oci_samples
from docker_registry import Registry
from oci_samples import Asked, Workspace
from penstock.programs.oci import main as oci

_numbers = itertools.count()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with docker_registry.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def name() -> str:
    """A repository that no other test uses."""
    return f"ml/churn-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def ran(tmp_path: Path) -> Workspace:
    return oci_samples.workspace(tmp_path / "workspace")


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Has the program do something for a workspace; gives its exit code and what it said."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def asked(workspace: Workspace, request: dict[str, Any]) -> tuple[int, str]:
        code = oci_samples.here(workspace.root, request, oci.main)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert (workspace.root / request["receipt"]).exists() == (code == 0)
        return code, said.out + said.err

    return asked
