"""What the tests of the registry share: a real server for all of them, and registries of either kind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_server import MlflowServer
from registry_samples import Registry


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with MlflowServer(tmp_path_factory.mktemp("mlflow-server")) as running:
        yield running


@pytest.fixture
def own(made_once: Path, tmp_path: Path) -> Registry:
    """The registry of a project in which there is nothing else; making its database takes seconds."""
    state = tmp_path / "project" / ".penstock"
    (state / "mlflow").mkdir(parents=True)
    shutil.copyfile(made_once / "mlflow" / "mlflow.db", state / "mlflow" / "mlflow.db")
    return Registry(state)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a project whose registry is empty."""
    state = tmp_path_factory.mktemp("project") / ".penstock"
    assert Registry(state).act("list", model=None).facts["models"] == []
    return state


@pytest.fixture(params=["own", "server"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    """A project's own registry, and a server's."""
    if request.param == "own":
        found: Registry = request.getfixturevalue("own")
        return found
    return Registry(tmp_path / "project" / ".penstock", request.getfixturevalue("server").address)
