"""Every script of every wrapper, executed with names that try to be commands, arguments or settings."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import hostile_names
from github_runner import Job
from penstock.scaffold.ci_files import SYSTEMS, Reference, render
from wrapper_samples import ROOT, StandIns

PINNED = Reference(name="0123456789abcdef0123456789abcdef01234567", version="v0.1.0")
NAMES = hostile_names.branches()
TITLES = hostile_names.titles()
SITUATIONS = ("request", "branch", "tag")

Environ = dict[str, str]


def github(situation: str, name: str, title: str) -> Environ:
    ref = {"request": "refs/pull/3/merge", "branch": f"refs/heads/{name}", "tag": f"refs/tags/{name}"}[
        situation
    ]
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": title,
        "GITHUB_BASE_REF": name,
        "GITHUB_EVENT_NAME": "pull_request" if situation == "request" else "push",
        "GITHUB_HEAD_REF": name,
        "GITHUB_REF": ref,
        "GITHUB_REF_NAME": name,
    }


def gitlab(situation: str, name: str, title: str) -> Environ:
    shared = {
        "GITLAB_CI": "true",
        "CI_COMMIT_MESSAGE": title,
        "CI_COMMIT_TITLE": title,
        "CI_DEFAULT_BRANCH": "main",
    }
    match situation:
        case "request":
            return shared | {
                "CI_PIPELINE_SOURCE": "merge_request_event",
                "CI_MERGE_REQUEST_IID": "3",
                "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": name,
                "CI_MERGE_REQUEST_TITLE": title,
                "CI_COMMIT_REF_NAME": name,
                "PENSTOCK_COMMENT_TOKEN": "t",
            }
        case "tag":
            return shared | {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": name, "CI_COMMIT_REF_NAME": name}
        case _:
            return shared | {
                "CI_PIPELINE_SOURCE": "push",
                "CI_COMMIT_BRANCH": name,
                "CI_COMMIT_REF_NAME": name,
            }


def circleci(situation: str, name: str, title: str) -> Environ:
    shared = {"CIRCLECI": "true", "CIRCLE_USERNAME": title, "PENSTOCK_TRIGGER": "webhook"}
    more = {
        "request": {"CIRCLE_PULL_REQUEST": f"https://example.org/{name}", "CIRCLE_BRANCH": name},
        "branch": {"CIRCLE_BRANCH": name},
        "tag": {"CIRCLE_TAG": name},
    }
    return shared | more[situation]


def jenkins(situation: str, name: str, title: str) -> Environ:
    shared = {"JENKINS_URL": "https://x", "BRANCH_NAME": name, "GIT_BRANCH": name}
    more = {
        "request": {"CHANGE_ID": "3", "CHANGE_TITLE": title, "CHANGE_BRANCH": name, "CHANGE_TARGET": name},
        "branch": {},
        "tag": {"TAG_NAME": name},
    }
    return shared | more[situation]


def azure(situation: str, name: str, title: str) -> Environ:
    shared = {"TF_BUILD": "True", "BUILD_SOURCEVERSIONMESSAGE": title, "BUILD_SOURCEBRANCHNAME": name}
    more = {
        "request": {"SYSTEM_PULLREQUEST_PULLREQUESTID": "3", "SYSTEM_PULLREQUEST_SOURCEBRANCH": name},
        "branch": {"BUILD_SOURCEBRANCH": f"refs/heads/{name}"},
        "tag": {"BUILD_SOURCEBRANCH": f"refs/tags/{name}"},
    }
    return shared | more[situation]


def buildkite(situation: str, name: str, title: str) -> Environ:
    shared = {"BUILDKITE": "true", "BUILDKITE_MESSAGE": title, "BUILDKITE_BRANCH": name}
    more = {
        "request": {"BUILDKITE_PULL_REQUEST": "3", "BUILDKITE_PULL_REQUEST_BASE_BRANCH": name},
        "branch": {"BUILDKITE_PULL_REQUEST": "false", "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main"},
        "tag": {"BUILDKITE_PULL_REQUEST": "false", "BUILDKITE_TAG": name},
    }
    return shared | more[situation]


MAKERS: dict[str, Callable[[str, str, str], Environ]] = {
    "github": github,
    "gitlab": gitlab,
    "circleci": circleci,
    "jenkins": jenkins,
    "azure": azure,
    "buildkite": buildkite,
}


def scripts(system: str) -> list[str]:
    """The scripts of the job that a user gets, in their order; GitLab's as one shell runs them."""
    text = render(system, PINNED)
    if system == "jenkins":
        return [line.split("'")[1] for line in text.splitlines() if line.strip().startswith("sh '")]
    document = yaml.safe_load(text)
    match system:
        case "gitlab":
            jobs = yaml.safe_load((ROOT / "ci-wrappers" / "gitlab" / "penstock.yml").read_text())
            return ["set -e\n" + "\n".join(jobs[".penstock"][key]) for key in ("script", "after_script")]
        case "circleci":
            found = [step["run"] for step in document["jobs"]["penstock"]["steps"] if "run" in step]
            return [each if isinstance(each, str) else each["command"] for each in found]
        case "azure":
            return [step["script"] for step in document["jobs"][0]["steps"] if "script" in step]
        case _:
            found = document["steps"][0]["commands"]
            assert isinstance(found, list)
            return found


def cases() -> Iterator[tuple[str, str, str, str]]:
    """Each name once, with situations and executors in turn, and a title."""
    for number, name in enumerate(NAMES):
        executor = ("dagger", "local")[number % 2]
        yield SITUATIONS[number % 3], executor, name, TITLES[number % len(TITLES)]


def expected(executor: str, situation: str, source: Path, name: str) -> list[str]:
    event = {"request": "pull-request", "tag": "tag"}.get(situation)
    if executor == "dagger":
        options = [f"--event={event}"] if event else []
        if situation == "tag" and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
            options.append(f"--release={name}")  # as it is, and nothing else of a name ever
        return [
            *("dagger", "-m", str(source), "call", "--source=.", *options),
            *("run", "report", "export", "--path=penstock-report"),
        ]
    return ["penstock", "run", "--report", "penstock-report", *(["--event", event] if event else [])]


def test_there_are_more_than_a_hundred_names_that_git_accepts() -> None:
    assert len(NAMES) > 100
    assert len(TITLES) > 100


@pytest.mark.parametrize("system", sorted(set(SYSTEMS) - {"github"}))
def test_no_name_becomes_anything_in_the_scripts_of(system: str, tmp_path: Path) -> None:
    stand_ins = StandIns(tmp_path)
    (stand_ins.work / ".penstock").mkdir()
    (stand_ins.work / ".penstock" / "source").symlink_to(stand_ins.source)
    for situation, executor, name, title in cases():
        environ = stand_ins.environ | MAKERS[system](situation, name, title)
        environ |= {
            "PENSTOCK_EXECUTOR": executor,
            "PENSTOCK_REF": PINNED.name,
            "PENSTOCK_REPOSITORY": "https://x",
        }
        for script in scripts(system):
            _run(["sh", "-c", script], stand_ins, environ, name)
        calls = [call for call in stand_ins.calls() if call[0] not in ("git", "dev")]
        source = stand_ins.work / ".penstock" / "source"
        assert calls[0] == expected(executor, situation, source, name), (name, title)
        assert all(call[0] == "python" for call in calls[1:]), (name, title)
        _nothing_happened(stand_ins, name)


def test_no_name_becomes_anything_in_the_steps_of_github(tmp_path: Path) -> None:
    stand_ins = StandIns(tmp_path / "stand-ins")
    for number, (situation, executor, name, title) in enumerate(cases()):
        job = Job(
            source=stand_ins.source,
            base=tmp_path / str(number),
            event=_event(situation, name, title),
            environ=stand_ins.environ | github(situation, name, title),
            caches=tmp_path / "caches",
        )
        job.use_action(stand_ins.source / "ci-wrappers" / "github", {"executor": executor, "cache": "false"})
        assert job.status == "success", (name, job.said)
        calls = [call for call in stand_ins.calls() if call[0] not in ("dev", "git")]
        source = stand_ins.source
        assert calls[0] == expected(executor, situation, source, name), (name, title)
        assert len(calls) == (2 if situation == "request" else 1), (name, title, job.said)
        assert {each.name for each in job.workspace.iterdir()} == {"penstock-report"}, name
    _nothing_happened(stand_ins, "")


def _event(situation: str, name: str, title: str) -> dict[str, Any]:
    environ = github(situation, name, title)
    return {
        "event_name": environ["GITHUB_EVENT_NAME"],
        "ref": environ["GITHUB_REF"],
        "ref_name": name,
        "head_ref": name,
        "repository": "o/r",
        "run_id": "1",
        "run_attempt": "1",
        "token": "t",
        "workflow": title,
        "event": {
            "repository": {"default_branch": "the-main-one"},
            "pull_request": {"title": title, "head": {"ref": name, "repo": {"full_name": "o/r"}}},
        },
    }


def test_a_script_that_holds_a_name_would_be_found(tmp_path: Path) -> None:
    stand_ins = StandIns(tmp_path)
    found = 0
    for name in NAMES:
        subprocess.run(
            ["sh", "-c", f"echo {name} >/dev/null"], cwd=stand_ins.work, capture_output=True, check=False
        )
        try:
            _nothing_happened(stand_ins, name)
        except AssertionError:
            found += 1
            for each in stand_ins.work.iterdir():
                each.unlink()
    assert found > 10


def _run(command: list[str], stand_ins: StandIns, environ: Environ, name: str) -> None:
    done = subprocess.run(
        command,
        cwd=stand_ins.work,
        env=environ,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, (name, done.stderr)


def _nothing_happened(stand_ins: StandIns, name: str) -> None:
    left = {each.name for each in stand_ins.work.iterdir()} - {".penstock", "penstock-report"}
    assert not left, (name, left)
