from __future__ import annotations

import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from dagger_cli import WORDS, Repository
from engine import require_engine

HERE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this repository as it stands: an edit meanwhile would make the engine load it again."""
    require_engine()
    place = tmp_path_factory.mktemp("module") / "penstock"
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("git does not list the files of this repository: run the tests in a clone")
    for name in filter(None, listed.stdout.split("\0")):
        if (HERE / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HERE / name, place / name)
    return place


@pytest.fixture
def repository(module: Path, tmp_path: Path) -> Repository:
    """A repository without a pipeline file."""
    root = tmp_path / "repository"
    root.mkdir()
    return Repository(root, str(module), require_engine())


@pytest.fixture
def words(repository: Repository) -> Repository:
    """A repository with a small pipeline, of shell commands only, that the engine has not seen before."""
    text = WORDS.replace("MARK: none", f"MARK: x{uuid.uuid4().hex}")
    return repository.write({"pipelines/default.yaml": text, "words.txt": "abc\n"})
