"""GitLab's jobs, really run by gitlab-ci-local on the embedded executor, with the verdicts of `penstock run`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from comment_service import TOKEN, running
from penstock.publish.comment import marker_for
from penstock.scaffold.ci_files import Reference, render
from wrapper_samples import (
    PIPELINE,
    ROOT,
    clean_environ,
    commit,
    repository,
    run_directly,
    snapshot,
    verdicts,
)

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

# the last version that runs on Node 20, which is what Debian and Ubuntu have
VERSION = "4.69.0"
REQUEST = {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "12",
    "CI_COMMIT_REF_PROTECTED": "false",
}
PUSH = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_REF_PROTECTED": "true"}


@pytest.fixture(scope="session")
def gitlab_ci_local() -> str:
    """The program, installed once for all tests of this machine."""
    if not shutil.which("rsync"):
        pytest.skip("rsync is not here, which gitlab-ci-local needs: apt-get install rsync")
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "penstock-tests")
    folder = kept / f"gitlab-ci-local-{VERSION}"
    program = folder / "node_modules" / ".bin" / "gitlab-ci-local"
    if not program.exists():
        npm = shutil.which("npm")
        if not npm:
            pytest.skip("npm is not here: apt-get install npm")
        unfinished = kept / f".gitlab-ci-local-{os.getpid()}"
        unfinished.mkdir(parents=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(unfinished)]
        done = subprocess.run([*command, f"gitlab-ci-local@{VERSION}"], capture_output=True, check=False)
        if done.returncode:
            shutil.rmtree(unfinished)
            pytest.skip(f"npm cannot install gitlab-ci-local {VERSION}: a package registry is needed")
        try:
            unfinished.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(unfinished)
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
    if said.returncode:
        pytest.skip("gitlab-ci-local does not start: it needs Node.js 18 or newer")
    return str(program)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Penstock's repository in one commit, and that commit's name."""
    folder = snapshot(tmp_path_factory.mktemp("gitlab") / "penstock")
    return folder, commit(folder)


@dataclass
class Done:
    """A pipeline that ended."""

    code: int
    said: str
    work: Path

    @property
    def folder(self) -> Path:
        return self.work / "penstock-report"

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return found


Start = Callable[[str, Mapping[str, str]], Done]


@pytest.fixture
def start(gitlab_ci_local: str, tmp_path: Path) -> Start:
    def start(configuration: str, variables: Mapping[str, str], *, name: str = "project") -> Done:
        work = tmp_path / name
        if not work.exists():
            template = (ROOT / "templates" / "penstock.yml").read_text()
            include = (ROOT / "ci-wrappers" / "gitlab" / "penstock.yml").read_text()
            files = {"pipelines/default.yaml": PIPELINE, "component.yml": template, "include.yml": include}
            repository(work, {**files, ".gitlab-ci.yml": configuration, ".gitignore": "/penstock-report/\n"})
            address = "git@gitlab.example.org:group/project.git"
            _git(work, "remote", "add", "origin", address)
            # what the server has of it, and a branch that changes one file
            _git(work, "update-ref", "refs/remotes/origin/main", "HEAD")
            _git(work, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
            repository(work, {"data/new.csv": "a\n"})
        (work / ".gitlab-ci.yml").write_text(configuration)
        given = [word for item in variables.items() for word in ("--variable", "=".join(item))]
        done = subprocess.run(
            # GitLab itself takes an empty list of tags; the schema of its editor does not
            [
                *(gitlab_ci_local, "--force-shell-executor"),
                *("--ignore-schema-paths", "#/definitions/tags/minItems"),
                *given,
            ],
            cwd=work,
            env=clean_environ() | {"HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, work)

    return start


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True)


def as_included(source: tuple[Path, str]) -> str:
    """What `penstock init --ci gitlab` writes, with this machine in the place of the servers."""
    folder, made = source
    document = yaml.safe_load(render("gitlab", Reference(name=made)))
    (include,) = document["include"]
    assert include["remote"].endswith(f"/{made}/ci-wrappers/gitlab/penstock.yml")
    document["include"] = [{"local": "include.yml"}]
    assert document["penstock"]["extends"] == ".penstock-dagger"
    document["penstock"]["extends"] = ".penstock-local"
    document["penstock"]["variables"]["PENSTOCK_REPOSITORY"] = f"file://{folder}"
    return yaml.safe_dump(document)


def as_component(source: tuple[Path, str], **inputs: Any) -> str:
    folder, made = source
    given = {"ref": made, "repository": f"file://{folder}", "executor": "local"} | inputs
    return yaml.safe_dump({"include": [{"local": "component.yml", "inputs": given}]})


def test_a_push_and_a_merge_request_get_the_verdicts_of_penstock_run(
    start: Start, source: tuple[Path, str], tmp_path: Path
) -> None:
    push = start(as_included(source), PUSH)
    assert push.code == 0, push.said
    assert (push.folder / "exit-code").read_text() == "0\n"
    assert push.report["profile"] == "main"
    with running("gitlab") as service:
        variables = {"CI_API_V4_URL": service.address, "CI_PROJECT_ID": "group/project"}
        request = start(as_included(source), REQUEST | variables | {"PENSTOCK_COMMENT_TOKEN": TOKEN})
        (comment,) = service.comments
    assert request.code != 0
    assert (request.folder / "exit-code").read_text() == "3\n", request.said
    assert comment["body"] == f"{marker_for('tiny')}\n{(request.folder / 'summary.md').read_text()}"

    jobs = yaml.safe_load((ROOT / "ci-wrappers" / "gitlab" / "penstock.yml").read_text())
    reports = jobs[".penstock"]["artifacts"]["reports"]
    assert ET.parse(request.work / reports["junit"]).getroot().get("failures") == "1"
    assert 'penstock_gate_value{gate="threshold-auc"} 0.9' in (request.work / reports["metrics"]).read_text()

    penstock = request.work / ".penstock" / "source" / ".venv" / "bin" / "penstock"
    direct = run_directly(penstock, request.work, tmp_path / "direct", "pull-request")
    assert verdicts(request.report) == verdicts(direct)


@pytest.mark.slow
def test_the_component_passes_its_inputs_on(start: Start, source: tuple[Path, str]) -> None:
    done = start(as_component(source, profile="release", job="models", tags=["gpu"]), PUSH)
    assert done.code != 0
    assert (done.folder / "exit-code").read_text() == "1\n", done.said
    assert done.report["profile"] == "release"
    assert "models" in done.said


@pytest.mark.slow
def test_a_merge_request_that_changes_no_chosen_file_starts_no_job(
    start: Start, source: tuple[Path, str]
) -> None:
    def changing(pattern: str) -> Done:
        return start(as_component(source, changes=[pattern]), REQUEST)

    assert not changing("nothing/**").folder.exists()
    for pattern in ("data/**", "**/*"):
        done = changing(pattern)
        assert (done.folder / "exit-code").read_text() == "3\n", done.said
