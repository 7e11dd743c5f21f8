"""A repository with data of every shape, made by real git and DVC, and a copy of it for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dvc_samples import Repository, tools

TABLE = b"a,b\r\n1,2\r\n"
FILES = {"1": b"1\n", "2": b"2" * 300_000, "deep/er": b"\0\1\2", "same": b"1\n", "empty": b""}


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a repository `repo` and its remote `store`."""
    top = tmp_path_factory.mktemp("dvc")
    repository = Repository.make(top / "repo")
    repository.write("data/t.csv", TABLE)
    repository.write("data/run.sh", b"echo\n").chmod(0o755)
    for name, content in FILES.items():
        repository.write(f"data/dir/{name}", content)
    repository.dvc("add", "data/t.csv", "data/run.sh", "data/dir")
    repository.dvc("remote", "add", "-d", "Store", "../store")
    repository.commit()
    repository.dvc("push")
    return top


@pytest.fixture
def repository(original: Path, tmp_path: Path) -> Repository:
    """A repository whose remote `../store` has all its data."""
    shutil.copytree(original, tmp_path / "top", symlinks=True)
    place = tmp_path / "top" / "repo"
    return Repository(place, python=tools("dvc"), environ={"HOME": str(tmp_path)})


@pytest.fixture
def store(repository: Repository) -> Path:
    """The folder that is its remote."""
    return repository.place.parent / "store"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"
