"""Data that DVC keeps, on every executor: the same bytes and the same keys, and nothing that is damaged."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.conftest import Bench, pipeline, stage, states
from dvc_samples import Repository, damage, http_server

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

READ = {"run": "cat data/t.csv data/dir/a > read", "inputs": ["data/t.csv", "data/dir"], "outputs": ["read"]}
TABLE = b"a,b\r\n"
DATA = {"t": {"dvc": "data/t.csv.dvc"}, "d": {"dvc": "data/dir.dvc"}}


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("dvc")
    repository = Repository.make(top / "repo")
    repository.remote("../../store")
    repository.write("data/t.csv", TABLE)
    repository.write("data/dir/a", b"1\n")
    repository.dvc("add", "data/t.csv", "data/dir")
    repository.dvc("push")
    return top


@pytest.fixture
def store(original: Path, isolated: Bench, tmp_path: Path) -> Path:
    """The remote of a repository that has nothing but `.dvc` files."""
    repository = original / "repo"
    for path in (".dvc/config", "data/t.csv.dvc", "data/dir.dvc"):
        isolated.write({path: (repository / path).read_text()})
    shutil.copytree(original / "store", tmp_path / "store")
    return tmp_path / "store"


@contextmanager
def served(bench: Bench, store: Path) -> Iterator[None]:
    """With a remote that speaks HTTP."""
    with http_server(store) as url:
        if bench.kind == "dagger":
            bench.served["store"] = store
        Repository(bench.root, Path()).remote("http://store:80" if bench.served else url)
        yield


def test_data_come_where_a_stage_reads_them(isolated: Bench, store: Path) -> None:
    with served(isolated, store):
        report = isolated.run(pipeline({"use": READ}, data=DATA))
    assert states(report) == {"fetch-t": "ran", "fetch-d": "ran", "use": "ran"}
    assert isolated.read("read") == b"a,b\r\n1\n"
    assert [part.digest for part in stage(report, "use").inputs] == [
        "md5:978ca45691cd12e610fb0788867f8252.dir",
        f"md5:{hashlib.md5(TABLE, usedforsecurity=False).hexdigest()}",
    ]


def test_damaged_data_reach_no_stage(isolated: Bench, store: Path) -> None:
    damage(next(path for path in store.rglob("*") if path.is_file() and path.read_bytes() == TABLE))
    with served(isolated, store):
        report = isolated.run(pipeline({"use": READ}, data=DATA), keep_going=True)
    assert states(report) == {"fetch-t": "failed", "fetch-d": "ran", "use": "skipped"}, (
        isolated.observer.output
    )
    assert stage(report, "fetch-t").attempts[-1].exit_code == 3
    assert "data/t.csv: remote 'store' (" in stage(report, "fetch-t").attempts[-1].log
    assert isolated.read("read") is None


def test_a_container_says_that_it_cannot_see_a_folder(isolated: Bench, store: Path) -> None:
    Repository(isolated.root, Path()).remote(str(store))
    report = isolated.run(pipeline({"use": READ}, data=DATA))
    if isolated.kind == "dagger":
        assert report.exit_code == 5
        failed = next(each for each in report.stages if each.state == "failed")
        assert "a folder can be a remote only where it is" in failed.attempts[-1].log
    else:
        assert isolated.read("read") == b"a,b\r\n1\n"
