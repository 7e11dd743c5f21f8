"""`penstock init --ci`: what is written, where, and which Penstock it refers to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import penstock
from penstock.cli import main
from penstock.errors import UsageError
from penstock.scaffold import ci_files
from penstock.scaffold.ci_files import SYSTEMS, Reference

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIPELINE = "version: 1\nname: x\nstages: {a: {run: 'true'}}\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, the current directory, and a Penstock that knows its commit."""
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    known = Reference(name=COMMIT, version="v0.1.0", reason="the commit that it was installed from")
    monkeypatch.setattr(ci_files, "reference", lambda: known)
    return tmp_path


def with_pipeline(root: Path) -> Path:
    (root / "pipelines").mkdir()
    (root / "pipelines" / "default.yaml").write_text(PIPELINE)
    return root


def test_every_system_gets_its_file_where_it_looks_for_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_pipeline(root)
    assert main(["init", "--ci", ",".join(SYSTEMS)]) == 0
    for system, (path, _) in SYSTEMS.items():
        text = (root / path).read_text()
        assert text == ci_files.render(system, ci_files.reference())
        assert COMMIT in text
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == f"  they run Penstock {COMMIT}: the commit that it was installed from"
    assert (root / "pipelines" / "default.yaml").read_text() == PIPELINE


def test_a_repository_without_a_pipeline_gets_one_too(root: Path) -> None:
    (root / "train.py").write_text("print(1)\n")
    assert main(["init", "--ci", "gitlab"]) == 0
    assert (root / "pipelines" / "default.yaml").is_file()
    assert (root / ".gitlab-ci.yml").is_file()


def test_a_file_that_is_there_is_kept_and_nothing_is_written(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / ".gitlab-ci.yml").write_text("mine")
    assert main(["init", "--ci", "github,gitlab"]) == 2
    assert (root / ".gitlab-ci.yml").read_text() == "mine"
    assert not (root / ".github").exists()
    assert not (root / "pipelines").exists()
    said = capsys.readouterr().err
    assert ".gitlab-ci.yml: is there already" in said
    assert "  extends: .penstock-dagger" in said


def test_force_replaces_the_ci_file_and_keeps_the_pipeline(root: Path) -> None:
    with_pipeline(root)
    (root / ".gitlab-ci.yml").write_text("theirs")
    assert main(["init", "--ci", "gitlab", "--force"]) == 0
    assert COMMIT in (root / ".gitlab-ci.yml").read_text()
    assert (root / "pipelines" / "default.yaml").read_text() == PIPELINE


@pytest.mark.parametrize("text", ["gitea", "github,gitea", "", ",", "GitHub"])
def test_a_system_that_there_is_not_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(UsageError, match=r"there is no CI system .*\n  there are github, gitlab") as caught:
        ci_files.systems(text)
    assert caught.value.exit_code == 2


def test_systems_may_be_given_twice_and_with_spaces() -> None:
    assert ci_files.systems("gitlab, github,gitlab") == ("gitlab", "github")


@pytest.mark.parametrize("branch", ["main", "trunk", "release/1.x"])
def test_the_main_branch_is_the_one_that_the_clone_remembers(root: Path, branch: str) -> None:
    _commit(root)
    _git(root, "update-ref", f"refs/remotes/origin/{branch}", "HEAD")
    _git(root, "symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{branch}")
    assert ci_files.main_branch(root) == branch
    with_pipeline(root)
    assert main(["init", "--ci", "github"]) == 0
    assert f'branches: ["{branch}"]' in (root / ".github" / "workflows" / "penstock.yml").read_text()


@pytest.mark.parametrize(("there", "branch"), [("master", "master"), ("topic", "main"), (None, "main")])
def test_without_a_remote_the_main_branch_is_guessed(root: Path, there: str | None, branch: str) -> None:
    if there:
        _git(root, "symbolic-ref", "HEAD", f"refs/heads/{there}")
        _commit(root)
    assert ci_files.main_branch(root) == branch


@pytest.mark.parametrize("name", ['a"]}', "$(touch${IFS}x)", "a${{github.token}}"])
def test_a_main_branch_that_is_no_plain_word_is_not_put_into_a_file(root: Path, name: str) -> None:
    _commit(root)
    _git(root, "update-ref", f"refs/remotes/origin/{name}", "HEAD")
    _git(root, "symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{name}")
    assert ci_files.main_branch(root) == "main"


def noted(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    """What the installer noted about where Penstock is from."""
    found = SimpleNamespace(read_text=lambda _name: text)
    monkeypatch.setattr(ci_files, "distribution", lambda _name: found)


def test_the_commit_is_that_of_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    noted(monkeypatch, json.dumps({"url": "https://x", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}))
    found = ci_files.reference()
    assert found.text == f"{COMMIT} # v{penstock.__version__}"
    assert "installed from" in found.reason


@pytest.mark.parametrize(
    "text", [None, "", "no json", "[]", '{"vcs_info": 1}', '{"vcs_info": {"commit_id": "main # x"}}']
)
def test_otherwise_it_is_that_of_the_clone_or_the_version(
    monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    noted(monkeypatch, text)
    root = Path(penstock.__file__).parents[2]
    asked = ["git", "-C", str(root), "rev-parse", "HEAD"]
    here = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if here:
        assert ci_files.reference().name == here
    monkeypatch.setattr(ci_files, "_git", lambda *_words: None)
    found = ci_files.reference()
    assert found.text == f"v{penstock.__version__}"
    assert "no commit is known" in found.reason


def _commit(root: Path) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    _git(root, *identity, "commit", "-q", "--allow-empty", "-m", "x")


def _git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True)
