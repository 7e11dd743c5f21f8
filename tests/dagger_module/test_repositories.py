"""Repositories of all kinds: their roots, their environments, their secrets, where they come from."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagger_cli import Repository
from git_server import GitServer
from penstock.executors.building import find_uv
from wheels import wheel

pytestmark = pytest.mark.dagger

TINY = """\
version: 1
name: tiny
environment: {image: "python:3.12-slim", requirements: LOCK}
variables: {MARK: none}
stages:
  train:
    run: tiny > out; python -c 'import tiny, sys; print(tiny.VERSION, sys.prefix)' >> out
    outputs: [out]
"""
MADE = "tiny 1.0\n1.0 /penstock/env\n"


def test_a_root_below_the_source_is_where_paths_start(words: Repository, tmp_path: Path) -> None:
    text = (words.root / "pipelines/default.yaml").read_text()
    words.write(
        {
            "ml/flows/p.yaml": text.replace("name: words", "name: words\nroot: ../sub project"),
            "ml/sub project/words.txt": "abc\n",
            "words.txt": "no",
        }
    )
    called = words.call(
        "--pipeline", "ml/flows/p.yaml", "run", "artifacts", "export", "--path", str(tmp_path / "o")
    )
    assert called.code == 0, called.log
    assert (tmp_path / "o/build/model/upper.txt").read_text().startswith("ABC\n")
    assert any((tmp_path / "o").glob("**/*.tar"))
    (words.root / "ml/sub project/words.txt").unlink()
    called = words.call("--pipeline", "ml/flows/p.yaml", "full-pipeline")
    assert called.code == 2
    assert "ml/flows/p.yaml:" in called.error
    assert "'words.txt'" in called.error


@pytest.mark.parametrize("kind", ["requirements", "includes", "uv.lock"])
def test_environments_come_from_the_repositorys_own_files(
    repository: Repository, tmp_path: Path, kind: str
) -> None:
    wheel(repository.root / "wheels")
    project = (
        '[project]\nname = "user"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["tiny==1.0"]\n'
        '[tool.uv]\nno-index = true\nfind-links = ["wheels"]\npackage = false\n'
    )
    files = {
        "requirements": {"lock.txt": "--no-index\n--find-links ./wheels\ntiny==1.0\n"},
        "includes": {
            "lock.txt": "-r requirements/base.txt\n",
            "requirements/base.txt": "--no-index\n--find-links ../wheels\n-r more.txt\n",
            "requirements/more.txt": "tiny==1.0\n",
        },
        "uv.lock": {"pyproject.toml": project},
    }[kind]
    lock = kind if kind == "uv.lock" else "lock.txt"
    repository.write(files).write({"pipelines/default.yaml": TINY.replace("LOCK", lock)})
    if kind == "uv.lock":
        command = [find_uv(), "lock", "--quiet", "--python", sys.executable]
        subprocess.run(command, cwd=repository.root, check=True)
    called = repository.call("train", "export", "--path", str(tmp_path / "o"))
    assert called.code == 0, called.log
    assert (tmp_path / "o/out").read_text() == MADE


def with_token(repository: Repository, run: str) -> Repository:
    text = (repository.root / "pipelines/default.yaml").read_text()
    text = text.replace(
        "stages:\n", f"secrets: {{TOKEN: {{}}}}\nstages:\n  use: {{run: '{run}', secrets: [TOKEN]}}\n"
    )
    return repository.write({"pipelines/default.yaml": text})


@pytest.mark.parametrize("way", ["env", "file"])
def test_secrets_arrive_by_their_names_and_are_shown_nowhere(
    words: Repository, tmp_path: Path, way: str
) -> None:
    value = "sword-fish-4711"
    with_token(words, 'test "$TOKEN" = "sword-fish-"4711; echo "it is $TOKEN."; exit 3')
    words.environ = {"TOKEN": value} if way == "env" else {}
    place = tmp_path / "TOKEN"
    place.write_text(f"{value}\n" if way == "file" else "")
    given = "env://TOKEN" if way == "env" else f"file://{place}"
    called = words.call("--secrets", given, "full-pipeline")
    assert called.code == 1, called.log
    assert "it is ***." in called.error
    assert "stage use: exit code 3" in called.error
    assert value not in called.log + called.out


def test_a_secret_that_was_not_given_is_asked_for(words: Repository) -> None:
    called = with_token(words, "true").call("full-pipeline")
    assert called.code == 2, called.log
    assert "pipelines/default.yaml:" in called.error
    assert "secret 'TOKEN' was not given" in called.error
    assert "dagger call --secrets env://TOKEN" in called.error


@pytest.fixture
def served(tmp_path: Path) -> Iterator[GitServer]:
    if shutil.which("git") is None:
        pytest.skip("git is not here: apt-get install git")
    with GitServer(tmp_path / "served") as server:
        yield server


def test_a_source_can_be_a_branch_of_a_remote_repository(words: Repository, served: GitServer) -> None:
    text = (words.root / "pipelines/default.yaml").read_text()
    files = {"README": "x", "ml/words.txt": "abcdef\n", "ml/pipelines/default.yaml": text}
    served.add("words", branch="feature/x", files=files)
    address = f"{served.address}/words.git#feature/x:ml"
    called = words.call("evaluate", "file", "--path", "build/metrics.json", "contents", source=address)
    if "dial tcp" in called.log or "Could not connect" in called.log:
        pytest.skip("the engine does not reach this machine's loopback address")
    assert called.code == 0, called.log
    assert json.loads(called.out) == {"bytes": 11}


def test_a_run_in_the_engine_verifies_against_one_without(words: Repository, tmp_path: Path) -> None:
    called = words.call("run", "run-json", "export", "--path", str(tmp_path / "dagger.json"))
    assert called.code == 0, called.log
    penstock = [sys.executable, "-m", "penstock"]
    subprocess.run([*penstock, "run", "--report", str(tmp_path / "local")], cwd=words.root, check=True)
    verified = subprocess.run(
        [*penstock, "verify", str(tmp_path / "local/run.json"), str(tmp_path / "dagger.json")],
        cwd=words.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.network
def test_the_example_runs_and_its_checks_pass(repository: Repository, tmp_path: Path) -> None:
    checked = repository.dagger("check", "-m", repository.module)
    assert checked.code == 0, checked.log
    called = repository.call("run", "report", "export", "--path", str(tmp_path / "report"), source=None)
    assert called.code == 0, called.log
    run = json.loads((tmp_path / "report/run.json").read_text())
    undecided = {gate["name"]: gate["verdict"] for gate in run["gates"] if gate["verdict"] != "pass"}
    assert undecided == {"threshold-recall": "inconclusive", "fairness-recall": "inconclusive"}
    assert run["exit_code"] == 0
    documents = tmp_path / "report/documents/build/penstock"
    assert json.loads((documents / "measure.measures.json").read_text())["kind"] == "measures"
    assert "<title>" in (tmp_path / "report/report.html").read_text()
