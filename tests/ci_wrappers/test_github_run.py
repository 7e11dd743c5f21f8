"""GitHub's workflow, really executed on the embedded executor: steps, conditions, caches, artifacts, verdicts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comment_service import TOKEN, Service, running
from github_runner import Job
from penstock.publish.comment import marker_for
from wrapper_samples import PIPELINE, StandIns, clean_environ, repository, run_directly, snapshot, verdicts

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

Start = Callable[..., Job]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Penstock's repository as an action is downloaded: its files, without git."""
    return snapshot(tmp_path_factory.mktemp("action") / "penstock")


@pytest.fixture
def service() -> Iterator[Service]:
    with running("github") as made:
        yield made


@pytest.fixture
def start(source: Path, tmp_path: Path, service: Service) -> Start:
    project = repository(tmp_path / "project", {"pipelines/default.yaml": PIPELINE})

    def start(name: str, kind: str, ref: str, *, head: str = "o/r", **inputs: Any) -> Job:
        job = Job(
            source=source,
            base=tmp_path / name,
            event={
                "event_name": kind,
                "ref": ref,
                "repository": "o/r",
                "run_id": name,
                "run_attempt": "1",
                "token": TOKEN,
                "workflow": "Penstock",
                "event": {
                    "repository": {"default_branch": "main"},
                    "pull_request": {"head": {"repo": {"full_name": head}}},
                },
            },
            repository=project,
            caches=tmp_path / "caches",
            environ=clean_environ() | {"GITHUB_API_URL": service.address},
        )
        (tmp_path / "caches").mkdir(exist_ok=True)
        job.call_workflow(".github/workflows/penstock.yml", {"executor": "local"} | inputs)
        return job

    return start


def report(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((job.artifacts / "penstock-report" / "run.json").read_text())
    return found


def names(job: Job) -> list[str]:
    return [step.name for step in job.steps]


def test_a_push_and_a_pull_request_get_the_verdicts_of_penstock_run(
    start: Start, source: Path, tmp_path: Path, service: Service
) -> None:
    push = start("push", "push", "refs/heads/main")
    assert push.status == "success", push.said
    assert push.outputs == {"exit-code": "0"}
    assert names(push) == [
        "Check out the repository",
        "Fetch earlier results",
        "Run the pipeline",
        "Keep the results",
        "Keep the report",
    ]
    assert "nothing had to run" not in push.said
    summary = push.summary.read_text()
    assert summary.startswith("## ✅ passed: `tiny`")
    assert summary.count("## ✅") == 1

    again = start("again", "push", "refs/heads/main")
    assert [stage["state"] for stage in report(again)["stages"]] == ["cached", "cached"], again.said

    request = start("request", "pull_request", "refs/pull/12/merge")
    assert request.status == "failure"
    assert request.outputs == {"exit-code": "3"}
    assert [stage["state"] for stage in report(request)["stages"]] == ["cached", "cached"]
    assert "Keep the results" not in names(request)
    assert names(request)[-2:] == ["Keep the report", "Comment on the pull request"]
    (comment,) = service.comments
    assert comment["body"] == f"{marker_for('tiny')}\n{request.summary.read_text()}"
    assert request.summary.read_text().startswith("## ❌ failed: `tiny`")
    assert len(list((tmp_path / "caches").iterdir())) == 2

    penstock = source / ".venv" / "bin" / "penstock"
    for job, event in ((push, "main"), (request, "pull-request")):
        assert verdicts(report(job)) == verdicts(
            run_directly(penstock, job.workspace, tmp_path / event, event)
        )


@pytest.mark.slow
def test_a_failed_stage_a_fork_and_a_wrong_file_end_as_they_should(start: Start, service: Service) -> None:
    tag = start("tag", "push", "refs/tags/v1")
    assert tag.outputs == {"exit-code": "1"}, tag.said
    assert report(tag)["profile"] == "release"
    assert [stage["state"] for stage in report(tag)["stages"]] == ["failed", "skipped"]
    assert (tag.artifacts / "penstock-report" / "junit.xml").exists()

    fork = start("fork", "pull_request", "refs/pull/12/merge", head="stranger/r")
    assert fork.outputs == {"exit-code": "3"}
    assert names(fork)[-1] == "Keep the report"

    assert service.requests == []

    silent = start("silent", "pull_request", "refs/pull/12/merge", comment=False)
    assert names(silent)[-1] == "Keep the report"

    service.read_only = True
    refused = start("refused", "pull_request", "refs/pull/12/merge", profile="main")
    assert refused.outputs == {"exit-code": "0"}
    assert refused.status == "success"
    assert "the comment was not written" in refused.steps[-1].output

    wrong = start("wrong", "push", "refs/heads/main", pipeline="none.yaml")
    assert wrong.outputs == {"exit-code": "2"}
    assert "there is no such pipeline file" in wrong.said
    assert list(wrong.artifacts.iterdir()) == []

    other = start("other", "push", "refs/heads/topic", profile="pull-request")
    assert other.outputs == {"exit-code": "3"}
    assert report(other)["profile"] == "pull-request"


def test_the_comment_needs_no_installation_and_imports_nothing_of_the_repository(
    source: Path, tmp_path: Path, service: Service
) -> None:
    stand_ins = StandIns(tmp_path)
    (stand_ins.source / "src").rmdir()
    (stand_ins.source / "src").symlink_to(source / "src")
    (stand_ins.source / ".venv" / "bin" / "python").unlink()
    folder = stand_ins.work / "penstock-report"
    folder.mkdir()
    (folder / "summary.md").write_text("x")
    (folder / "run.json").write_text('{"pipeline": "tiny"}')
    # what a pull request may contain must not be imported by the program that holds the token
    for name in ("json.py", "penstock.py"):
        (stand_ins.work / name).write_text("raise SystemExit('taken over')")
    environ = clean_environ() | {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": service.address,
        "GITHUB_REF": "refs/pull/12/merge",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_TOKEN": TOKEN,
        "PYTHONPATH": str(stand_ins.work),
    }
    done = subprocess.run(
        ["sh", str(stand_ins.source / "ci-wrappers" / "penstock-ci.sh"), "comment"],
        cwd=stand_ins.work,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [each["body"] for each in service.comments] == [f"{marker_for('tiny')}\nx"]
