"""Whole runs over data that DVC keeps: fetched when they must be, and outputs pushed when gates have passed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dvc_samples import KEY, SECRET, Repository, credentials, damage, http_server, s3_server, state, tools

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

PIPELINE = b"""
version: 1
name: x
data: {t: {dvc: data/t.csv.dvc}}
stages:
  train:
    run: |
      mkdir -p out/model
      cat data/t.csv code > out/model/w
      echo '{"auc": 0.9}' > out/metrics.json
    inputs: [data/t.csv, code]
    outputs: {model: out/model, metrics: out/metrics.json}
gates: [{gate: threshold, metric: auc, min: 0.5, confidence: none}]
"""


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("dvc")
    repository = Repository.make(top / "repo")
    repository.remote("../../store")
    repository.write("data/t.csv", b"a,b\n")
    repository.write("code", b"1\n")
    repository.write("pipelines/default.yaml", PIPELINE)
    repository.dvc("add", "data/t.csv")
    repository.dvc("push")
    repository.commit()
    return top


@pytest.fixture
def repository(original: Path, tmp_path: Path) -> Repository:
    """A repository with a data set in DVC, whose remote is the folder `../store`."""
    shutil.copytree(original, tmp_path / "top", symlinks=True)
    return Repository(tmp_path / "top/repo", tools("dvc"), {"HOME": str(tmp_path)})


def run(
    repository: Repository,
    code: int = 0,
    cache: str = "cache",
    environ: Mapping[str, str] | None = None,
    *,
    report: bool = True,
) -> dict[str, Any]:
    """The run's report."""
    home = repository.place.parent
    packages = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache/uv")
    seen = {
        **os.environ,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / cache),
        "UV_CACHE_DIR": packages,
        **(environ or {}),
    }
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "run"],
        cwd=repository.place,
        env=seen,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    said = " ".join(word for word in (done.stdout + done.stderr).split() if word != "│")
    if not report:
        return {"said": said}
    latest = max((repository.place / ".penstock/runs").iterdir())
    written: dict[str, Any] = json.loads((latest / "run.json").read_text())
    return written | {"said": said}


def states(report: dict[str, Any]) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in report["stages"]}


def test_data_are_fetched_only_for_a_stage_that_must_run(repository: Repository) -> None:
    before = state(repository.place / ".dvc"), state(repository.place / "data")
    first = run(repository)
    assert states(first) == {"fetch-t": "ran", "train": "ran"}
    assert states(run(repository)) == {"fetch-t": "cached", "train": "cached"}
    repository.write("code", b"2\n")
    assert states(run(repository)) == {"fetch-t": "cached", "train": "ran"}
    assert (state(repository.place / ".dvc"), state(repository.place / "data")) == before
    (read,) = [part for part in first["stages"][1]["inputs"] if part["path"] == "data/t.csv"]
    assert read["digest"].startswith("md5:")


def test_what_is_in_the_working_tree_does_not_count(repository: Repository) -> None:
    repository.write("data/t.csv", b"edited, and not added\n")
    run(repository)
    assert (repository.place / "out/model/w").read_bytes() == b"a,b\n1\n"
    assert (repository.place / "data/t.csv").read_bytes() == b"edited, and not added\n"


def test_a_clone_without_the_data_gets_them_from_the_remote(repository: Repository) -> None:
    run(repository)
    place = repository.place.parent / "clone"
    repository.git("clone", "-q", ".", str(place))
    clone = Repository(place, repository.python, repository.environ)
    assert states(run(clone, cache="other")) == {"fetch-t": "ran", "train": "ran"}
    assert not (place / "data/t.csv").exists()
    assert not (place / ".dvc/cache").exists()


def test_new_data_are_fetched_and_old_ones_are_known_again(repository: Repository) -> None:
    run(repository)
    old = (repository.place / "data/t.csv.dvc").read_bytes()
    repository.write("data/t.csv", b"c,d\n")
    repository.dvc("add", "data/t.csv")
    assert states(run(repository)) == {"fetch-t": "ran", "train": "ran"}
    assert (repository.place / "out/model/w").read_bytes() == b"c,d\n1\n"
    repository.write("data/t.csv.dvc", old)
    assert states(run(repository)) == {"fetch-t": "cached", "train": "cached"}


def test_a_remote_that_is_away_ends_with_5_and_keeps_nothing(repository: Repository) -> None:
    repository.drop_cache()
    away = repository.place.parent / "store"
    away.rename(away.with_name("elsewhere"))
    report = run(repository, code=5)
    assert states(report) == {"fetch-t": "failed", "train": "skipped"}
    assert "is not there: a folder can be" in report["said"]
    away.with_name("elsewhere").rename(away)
    assert states(run(repository)) == {"fetch-t": "ran", "train": "ran"}


def test_damaged_data_are_not_kept(repository: Repository) -> None:
    repository.drop_cache()
    (place,) = [path for path in (repository.place.parent / "store").rglob("*") if path.is_file()]
    damage(place)
    report = run(repository, code=1)
    assert "has it damaged" in report["said"]
    damage(place)  # the same bit again
    assert states(run(repository)) == {"fetch-t": "ran", "train": "ran"}
    assert (repository.place / "out/model/w").read_bytes() == b"a,b\n1\n"


def test_data_come_from_a_web_server_in_the_locked_environment(repository: Repository) -> None:
    repository.drop_cache()
    with http_server(repository.place.parent / "store") as url:
        repository.remote(url)
        assert states(run(repository)) == {"fetch-t": "ran", "train": "ran"}


def test_what_the_gates_passed_is_pushed_once(repository: Repository) -> None:
    repository.write("pipelines/default.yaml", PIPELINE + b"publish: {dvc: {}}\n")
    report = run(repository)
    (published,) = report["publications"]
    assert (published["state"], published["target"]) == ("written", "out/model.dvc")
    assert "git add out/.gitignore out/model.dvc" in report["said"]
    (again,) = run(repository)["publications"]
    assert again["state"] == "unchanged"
    repository.git("add", "out/.gitignore", "out/model.dvc")
    repository.git("commit", "-q", "-m", "model")
    place = repository.place.parent / "clone"
    repository.git("clone", "-q", ".", str(place))
    Repository(place, tools("dvc"), repository.environ).dvc("pull", "-q", "out/model.dvc")
    assert (place / "out/model/w").read_bytes() == b"a,b\n1\n"


def test_what_a_gate_stopped_is_not_pushed(repository: Repository) -> None:
    pipeline = PIPELINE.replace(b"min: 0.5", b"min: 0.95") + b"publish: {dvc: {}}\n"
    repository.write("pipelines/default.yaml", pipeline)
    before = state(repository.place.parent / "store")
    (published,) = run(repository, code=3)["publications"]
    assert published["state"] == "skipped"
    assert state(repository.place.parent / "store") == before
    assert not (repository.place / "out/model.dvc").exists()


def test_credentials_are_passed_on_and_kept_nowhere(repository: Repository, tmp_path: Path) -> None:
    with s3_server(tmp_path) as url:
        repository.remote("s3://bucket/path", endpointurl=url)
        given = {**credentials(), "AWS_DEFAULT_REGION": "us-east-1"}
        Repository(repository.place, tools("dvc-s3"), {**repository.environ, **given}).dvc("push")
        repository.drop_cache()
        pipeline = PIPELINE.replace(b".dvc}}", b".dvc, secrets: [AWS_SECRET_ACCESS_KEY]}}")
        pipeline += b"secrets: {AWS_SECRET_ACCESS_KEY: {}}\npublish: {dvc: {}}\n"
        repository.write("pipelines/default.yaml", pipeline)
        refused = run(repository, code=2, report=False)
        assert "the variable AWS_SECRET_ACCESS_KEY is not set" in refused["said"]
        report = run(repository, environ=given)
    assert states(report) == {"fetch-t": "ran", "train": "ran"}
    assert [each["state"] for each in report["publications"]] == ["written"]
    kept = [path for path in (tmp_path / "top").rglob("*") if path.is_file() and ".git" not in path.parts]
    assert len(kept) > 20
    for path in kept:
        content = path.read_bytes()
        assert SECRET.encode() not in content, path
        assert KEY.encode() not in content, path
