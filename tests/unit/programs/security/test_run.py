"""A pipeline with a scan, run as users run it: in the recipe's own environment, outside of a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from security_samples import PASSWORD, Project

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

PIPELINE = """\
version: 1
name: scanned
stages:
  scan: {uses: security, checks: [secrets, code, pickles, pins]}
gates:
  - {gate: security, max_severity: {pins: high}}
publish:
  archive: {path: dist, contents: [build/penstock/scan.sarif]}
"""


def test_a_run_fails_on_a_secret_of_the_history_and_passes_without(project: Project) -> None:
    project.write("pipelines/default.yaml", PIPELINE)
    project.write(".gitignore", ".penstock\nbuild\ndist\n")
    project.write("old.env", f"DB_PASSWORD={PASSWORD}")
    project.commit()
    project.git("rm", "-q", "old.env")
    project.commit()

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "penstock", "run"]
        environ = {name: value for name, value in os.environ.items() if name != "PENSTOCK_ROOT"}
        return subprocess.run(
            command, cwd=project.root, env=environ, capture_output=True, text=True, check=False
        )

    failed = run()
    assert failed.returncode == 3, failed.stdout + failed.stderr
    assert "old.env: high: a password that is written down, in the history" in " ".join(failed.stdout.split())
    report = project.root / ".penstock" / "runs" / "latest"
    assert len(json.loads((report / "security.sarif").read_text())["runs"][0]["results"]) == 1
    project.git("checkout", "-q", "--orphan", "fresh")
    project.commit()
    project.git("branch", "-q", "-D", "main")
    passed = run()
    assert passed.returncode == 0, passed.stdout + passed.stderr
    for path in (project.root / ".penstock").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
