"""The wrappers' script with a real Dagger engine: the verdicts of the embedded executor, secrets handed over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import require_engine
from wrapper_samples import PIPELINE, clean_environ, repository, run_directly, snapshot, verdicts

pytestmark = [pytest.mark.dagger, pytest.mark.timeout(600)]

EVENTS = {
    "main": ({"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"}, 0),
    "pull-request": ({"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/3/merge"}, 3),
    "tag": ({"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/tags/v1"}, 1),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_engine()
    return snapshot(tmp_path_factory.mktemp("action") / "penstock")


def run(source: Path, project: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    dagger = {name: value for name, value in os.environ.items() if "DAGGER" in name}
    return subprocess.run(
        ["sh", str(source / "ci-wrappers" / "penstock-ci.sh"), "run"],
        cwd=project,
        env=clean_environ()
        | dagger
        | {"PENSTOCK_DAGGER": require_engine(), "GITHUB_ACTIONS": "true"}
        | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def report(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "penstock-report" / "run.json").read_text())
    return found


@pytest.mark.parametrize("event", EVENTS)
def test_a_run_under_dagger_has_the_verdicts_of_penstock_run(
    source: Path, tmp_path: Path, event: str
) -> None:
    project = repository(tmp_path / "project", {"pipelines/default.yaml": PIPELINE})
    variables, code = EVENTS[event]
    done = run(source, project, PENSTOCK_DEFAULT_BRANCH="main", **variables)
    assert done.returncode == code, done.stdout[-3000:]
    penstock = Path(sys.executable).with_name("penstock")
    theirs, ours = report(project), run_directly(penstock, project, tmp_path / "direct", event)
    # keys name the environment, which is an image there and this machine here
    assert verdicts(theirs) | {"keys": None} == verdicts(ours) | {"keys": None}
    assert theirs["commit"] == ours["commit"]


def test_secrets_are_handed_over_by_name_and_are_in_no_report(source: Path, tmp_path: Path) -> None:
    text = PIPELINE.replace("params:", "secrets: {TOKEN: {}}\nparams:", 1)
    text = text.replace("    outputs: [rows.csv]", "    secrets: [TOKEN]\n    outputs: [rows.csv]", 1)
    text = text.replace("run: printf", 'run: test "${#TOKEN}" = 12 && echo "$TOKEN" && printf', 1)
    project = repository(tmp_path / "project", {"pipelines/default.yaml": text})
    done = run(source, project, PENSTOCK_SECRETS="TOKEN", TOKEN="s3cr3t-value")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "s3cr3t-value" not in done.stdout
    for path in (project / "penstock-report").iterdir():
        assert "s3cr3t-value" not in path.read_text(), path


def test_a_wrong_pipeline_file_ends_with_2(source: Path, tmp_path: Path) -> None:
    project = repository(tmp_path / "project", {"pipelines/default.yaml": PIPELINE})
    done = run(source, project, PENSTOCK_PIPELINE="none.yaml")
    assert done.returncode == 2, done.stdout[-3000:]
    assert "none.yaml" in done.stdout
