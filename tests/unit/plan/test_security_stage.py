"""`uses: security` and its gate, from the pipeline file to the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import PipelineError
from penstock.plan.exchange import REQUEST
from penstock.plan.load import load
from penstock.plan.model import Overlay, Plan


def planned(root: Path, stages: str, gates: str = "", environment: str = "{}") -> Plan:
    """The plan of a pipeline file with these stages."""
    path = root / "pipelines" / "p.yaml"
    path.parent.mkdir(exist_ok=True)
    text = f"version: 1\nname: p\nenvironment: {environment}\nstages:\n{stages}"
    path.write_text(text + (f"gates:\n{gates}" if gates else ""))
    return load(path, Overlay()).plan


def request(plan: Plan, stage: str = "scan") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dict(plan.stage(stage).files)[REQUEST])
    return found


def test_the_stage_looks_at_the_whole_project_and_its_history_every_time(tmp_path: Path) -> None:
    plan = planned(tmp_path, "  scan: {uses: security}\n")
    stage = plan.stage("scan")
    assert (stage.outside, stage.cache, stage.sources, stage.produced) == (True, False, (), ())
    assert "detect-secrets==" in stage.environment.extra_requirements
    asked = request(plan)
    assert asked["history"] is True
    assert asked["checks"] == ["secrets", "vulnerabilities", "code", "pickles", "pins"]
    assert asked["pipeline"] == "pipelines/p.yaml"
    assert {(each.path, each.role) for each in stage.outputs} == {
        ("build/penstock/scan.security.json", "security"),
        ("build/penstock/scan.sarif", "sarif"),
        ("build/penstock/scan.gl-code-quality-report.json", "gl-code-quality"),
        ("build/penstock/scan.gl-secret-detection-report.json", "gl-secret-detection"),
    }


def test_the_locks_of_all_environments_are_audited_unless_others_are_named(tmp_path: Path) -> None:
    for name in ("a.lock", "b.lock", "pyproject.toml", "uv.lock"):
        (tmp_path / name).write_text("")
    stages = (
        "  scan: {uses: security}\n"
        "  other: {run: x, environment: {requirements: b.lock}}\n"
        "  third: {run: x, environment: {requirements: pyproject.toml}}\n"
    )
    plan = planned(tmp_path, stages, environment="{requirements: a.lock}")
    assert request(plan)["requirements"] == ["a.lock", "b.lock", "uv.lock"]
    assert plan.stage("scan").environment.requirements is None, "it has tools of its own"
    named = planned(tmp_path, "  scan: {uses: security, requirements: [b.lock]}\n")
    assert request(named)["requirements"] == ["b.lock"]


def test_the_plan_does_not_depend_on_where_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = planned(tmp_path, "  scan: {uses: security}\n")
    monkeypatch.chdir(tmp_path / "pipelines")
    assert planned(tmp_path, "  scan: {uses: security}\n").digest == one.digest


def test_the_gate_reads_the_document_of_the_stage(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, "  scan: {uses: security}\n", "  - {gate: security, max_severity: {secrets: none}}\n"
    )
    (gate,) = plan.gates
    assert gate.reads == (("scan", "build/penstock/scan.security.json"),)
    assert gate.options["max_severity"] == {
        "secrets": "none", "vulnerabilities": None, "code": None, "pickles": None, "pins": None,
    }  # fmt: skip


WRONG = {
    "no stage": ("  a: {run: x}\n", "  - {gate: security}\n", "no stage uses `security`"),
    "two stages": (
        "  a: {uses: security}\n  b: {uses: security}\n",
        "  - {gate: security}\n",
        "several stages use `security`",
    ),
    "an unknown severity": (
        "  a: {uses: security}\n",
        "  - {gate: security, max_severity: bad}\n",
        "max_severity",
    ),
    "an unknown check": ("  a: {uses: security, checks: [secret]}\n", "", "checks"),
    "no check": ("  a: {uses: security, checks: []}\n", "", "checks"),
    "an option of another recipe": ("  a: {uses: security, predictions: x.csv}\n", "", "predictions"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    stages, gates, what = WRONG[name]
    with pytest.raises(PipelineError, match=what) as caught:
        planned(tmp_path, stages, gates)
    assert "p.yaml:" in str(caught.value)
