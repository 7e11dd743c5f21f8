"""`penstock models`, with MLflow's client in the environment that Penstock makes for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.cli import main
from penstock.publish import audit
from penstock.results import Verdict
from registry_samples import Registry, gate, workspace

pytestmark = [pytest.mark.network, pytest.mark.timeout(900)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three versions in its own registry, the second of which did not pass."""
    for name in list(os.environ):
        if name.startswith("MLFLOW_"):
            monkeypatch.delenv(name)
    place = tmp_path / "project"
    registry = Registry(place / ".penstock")
    for word, verdict in (("one", Verdict.PASS), ("two", Verdict.INCONCLUSIVE), ("three", Verdict.PASS)):
        assert registry.publish(workspace(tmp_path / word, word, gates=(gate(verdict),))).code == 0
    monkeypatch.chdir(place)
    return place


def test_versions_are_listed_compared_promoted_rolled_back_and_loaded(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str) -> str:
        assert main(["models", *arguments]) == 0
        return capsys.readouterr().out

    assert said("list").splitlines() == ["model  aliases", "churn  candidate 3"]
    said("promote", "churn/1", "--why", "the first")
    assert "champion of 'churn' is now version 3 instead of version 1" in said(
        "promote", "models:/churn@candidate"
    )
    listed = said("list", "churn").splitlines()
    assert [line.split()[:3] for line in listed[1:4]] == [
        ["3", "candidate,", "champion"], ["2", "not", "passed"], ["1", "previous", "passed"]
    ]  # fmt: skip
    assert "champions so far: 1, 3" in listed
    assert "0.84 [0.82, 0.86]" in said("compare", "churn@champion", "churn/1")
    assert "promote to champion by" in said("show", "churn@champion")
    assert main(["models", "promote", "churn/2"]) == 3
    assert "not promoted: gate 'roc_auc': inconclusive" in capsys.readouterr().err
    said("promote", "churn/2", "--override", "Ada", "--reason", "tried by hand")
    assert "answered for by Ada: tried by hand" in " ".join(said("show", "churn/2").split())
    assert "is now version 3" in said("rollback", "churn")
    assert "is now version 1" in said("rollback", "churn")
    found = json.loads(said("load", "churn@champion", "--to", "out", "--json"))
    assert (found["version"], (project / "out/MLmodel").is_file()) == ("1", True)
    _demand_noted(project)


def _demand_noted(project: Path) -> None:
    """Every move is in the audit log, and the registry knows how long the log was."""
    log = audit.path_of(project, {})
    entries = [entry for _, entry in audit.entries(log) if entry is not None]
    assert [each.what for each in entries] == [
        "promote-begun", "promote", "promote-begun", "promote", "promote-begun", "promote-failed",
        "promote-begun", "promote", "rollback-begun", "rollback", "rollback-begun", "rollback",
    ]  # fmt: skip
    assert "override by Ada: tried by hand" in entries[6].why
    assert entries[1].evidence is not None
    anchor = Registry(project / ".penstock").act("read-anchor").facts["head"]
    assert anchor == str(entries[-2].head)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "churn"], "'churn' names no version of a model"),
        (["show", "a/b/c"], "'a/b/c' names no version of a model"),
        (["compare", "a/1", "b/2"], "versions of different models: a, b"),
        (
            ["promote", "churn/1", "--override", "Ada"],
            "an override needs the name of who answers for it and a reason",
        ),
        (["promote", "churn/1", "--key", "nowhere.pem"], "nowhere.pem: there is no such file"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_asking_anybody(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_core_does_not_import_mlflow() -> None:
    code = "import sys, penstock.commands.models; sys.exit('mlflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
