from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PENSTOCK = [sys.executable, "-m", "penstock"]
PIPELINE = "version: 1\nname: p\nstages:\n  a: {run: echo x > y, outputs: [y]}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path


def penstock(command: str, project: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{' '.join(PENSTOCK)} {command}"],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "HOME": str(project / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["run -f pipeline.yaml", "plan -f pipeline.yaml", "version", "schema"])
def test_a_full_disk_behind_the_output_is_one_line_and_exit_code_5(command: str, project: Path) -> None:
    assert penstock(
        f"{command} -q > /dev/full" if command.startswith("run") else f"{command} > /dev/full", project
    ) == (
        5,
        "penstock: No space left on device\n",
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_do_not_change_the_outcome(closed: str, project: Path) -> None:
    for _ in range(2):
        code, said = penstock(f"run -f pipeline.yaml {closed}", project)
        assert code == 0, said
    assert (project / "y").read_text() == "x\n"


def test_a_current_directory_that_is_gone_is_one_line(project: Path) -> None:
    code, said = penstock(
        "version; mkdir gone; cd gone; rmdir ../gone; " + " ".join([*PENSTOCK, "plan"]), project
    )
    assert code == 5
    assert said == "penstock: No such file or directory\n"


def test_a_directory_as_metrics_file_fails_the_gate_with_a_report(project: Path) -> None:
    (project / "pipeline.yaml").write_text(
        "version: 1\nname: p\nstages:\n  a: {run: mkdir m.json, outputs: {metrics: m.json}}\n"
        "gates:\n  - {gate: threshold, metric: x, max: 1}\n"
    )
    assert penstock("run -f pipeline.yaml -q", project)[0] == 3
    assert (project / ".penstock" / "runs" / "latest" / "run.json").is_file()


def test_an_archive_directory_that_is_a_file_is_a_failed_publication(project: Path) -> None:
    (project / "pipeline.yaml").write_text(f"{PIPELINE}publish: {{archive: {{path: dist, contents: [y]}}}}\n")
    (project / "dist").write_text("mine")
    assert penstock("run -f pipeline.yaml -q", project) == (5, "")
    assert (project / "dist").read_text() == "mine"


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    heavy = ("dagger", "mlflow", "pandas", "pydantic", "yaml", "anyio", "rich", "asyncio")
    code = f"import sys, penstock.commands.run; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
