"""What the tests of the registry share: a real server for all of them, and registries of either kind."""

from __future__ import annotations

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
def own(tmp_path: Path) -> Registry:
    """The registry of an empty project."""
    return Registry(tmp_path / "project" / ".penstock")


@pytest.fixture(params=["own", "server"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    """A project's own registry, and a server's."""
    address = request.getfixturevalue("server").address if request.param == "server" else None
    return Registry(tmp_path / "project" / ".penstock", address)
