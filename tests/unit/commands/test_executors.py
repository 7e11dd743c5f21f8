from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.cli import main
from penstock.commands import executors
from penstock.commands.executors import Choice
from penstock.errors import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE, UsageError
from penstock.executors import local
from penstock.plan.model import Overlay

PIPELINE = """
version: 1
name: p
stages:
  a: {run: "true", accelerator: {cuda: {image: "cuda:12", gpus: 2}}}
"""


def choice(executor: str | None = None, accelerator: str | None = None, **environ: str) -> Choice:
    return Choice.of(argparse.Namespace(executor=executor, accelerator=accelerator), environ)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    for name in ("PENSTOCK_EXECUTOR", "PENSTOCK_ACCELERATOR", "PENSTOCK_PIPELINE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "here"
    (folder / "pipelines").mkdir(parents=True)
    (folder / "pipelines/default.yaml").write_text(PIPELINE)
    monkeypatch.chdir(folder)
    return folder


def test_the_command_line_wins_over_the_environment_and_local_is_the_default() -> None:
    assert choice() == Choice("local", "cpu")
    environ = {"PENSTOCK_EXECUTOR": "docker", "PENSTOCK_ACCELERATOR": "auto"}
    assert choice(**environ) == Choice("docker", "auto")
    assert choice("local", "cuda", **environ) == Choice("local", "cuda")


@pytest.mark.parametrize(
    ("given", "environ", "message"),
    [
        (("podman", None), {}, r"--executor: there is no executor 'podman'\n  choose one of local, docker"),
        (("dagger", None), {}, r"no executor 'dagger'\n  a Dagger engine runs the pipeline by: dagger call"),
        ((None, None), {"PENSTOCK_EXECUTOR": "x"}, r"PENSTOCK_EXECUTOR: there is no executor 'x'"),
        ((None, "tpu"), {}, r"there is no accelerator 'tpu'\n  choose one of cpu, cuda, auto"),
        ((None, None), {"PENSTOCK_ACCELERATOR": "x"}, r"PENSTOCK_ACCELERATOR: there is no accelerator 'x'"),
    ],
)
def test_an_unknown_choice_is_answered_with_the_known_ones(
    given: tuple[str | None, str | None], environ: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        choice(*given, **environ)
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize("there", [False, True])
def test_auto_asks_the_executor(monkeypatch: pytest.MonkeyPatch, *, there: bool) -> None:
    monkeypatch.setattr(local, "has_gpu", lambda: there)
    found = choice(accelerator="auto").accelerated(Overlay())
    assert found == Overlay(accelerator="cuda" if there else "cpu", accelerator_required=False)


def test_auto_is_content_with_a_pipeline_that_uses_no_accelerator(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "has_gpu", lambda: True)
    (here / "pipelines/default.yaml").write_text("version: 1\nname: p\nstages: {a: {run: 'true'}}\n")
    assert main(["plan", "--accelerator", "auto"]) == EXIT_OK
    assert main(["plan", "--accelerator", "cuda"]) == EXIT_USAGE


def test_without_a_gpu_nothing_is_begun(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "has_gpu", lambda: False)
    assert main(["run", "--accelerator", "cuda"]) == EXIT_UNAVAILABLE
    assert capsys.readouterr().err == (
        "penstock: --accelerator cuda: there is no GPU on this machine: neither /dev/nvidiactl nor nvidia-smi\n"
        "  install the NVIDIA driver, or let Penstock decide: --accelerator auto\n"
    )
    assert not (here / ".penstock/runs").exists()


def test_a_run_records_the_accelerator_that_was_asked_for(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.report import keep

    monkeypatch.setattr(local, "has_gpu", lambda: True)
    assert main(["run", "-q", "--accelerator", "cuda"]) == EXIT_OK
    report = keep.read(here / keep.RUNS, keep.LATEST)
    assert [stage.accelerator for stage in report.stages] == [local_request()]


def local_request() -> object:
    from penstock.results import Accelerator

    return Accelerator(kind="cuda", image="cuda:12", gpus=2)


def test_a_plan_shows_the_accelerator(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-v", "--accelerator", "cuda"]) == EXIT_OK
    assert "on       cuda, GPUs: 2, image cuda:12" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(executors.EXECUTORS))
def test_every_executor_has_what_the_command_line_needs(name: str) -> None:
    module = Choice(name, "cpu").module
    assert callable(module.open_executor)
    assert callable(module.has_gpu)


def test_a_local_run_imports_nothing_of_docker(here: Path) -> None:
    code = (
        "import sys; from penstock.cli import main; main(['run', '-q']);"
        "sys.exit('docker' in sys.modules or 'penstock.executors.docker' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=here).returncode == 0
