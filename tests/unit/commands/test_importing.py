"""`penstock import`: a pipeline file with everything that another tool's file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.cli import main
from penstock.plan.load import load
from penstock.plan.model import Overlay, Plan

DVC = """\
plots: [p.csv]
stages:
  Prepare_It:
    desc: takes rows
    cmd:
    - python prepare.py ${n}
    - echo 'it''s "done"' > said.txt
    deps: [prepare.py, "in[1].csv"]
    params: [n]
    outs: [rows.csv, {log.txt: {persist: true}}]
    metrics: [{m.json: {cache: false}}]
    always_changed: true
  each:
    foreach: [a, b]
    do: {cmd: "cp rows.csv ../${item}.csv", wdir: sub, outs: ["../${item}.csv"]}
"""


def _same(one: Plan, other: Plan) -> None:
    """What two plans say of their stages, but where they say it."""
    assert [stage.name for stage in one.stages] == [stage.name for stage in other.stages]
    for first, second in zip(one.stages, other.stages, strict=True):
        for name in (
            "run",
            "sources",
            "produced",
            "outputs",
            "params",
            "params_file",
            "cache",
            "observe",
            "overwrite",
        ):
            assert getattr(first, name) == getattr(second, name), (first.name, name)


def _load(path: Path) -> Plan:
    return load(path, Overlay()).plan


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "params.yaml").write_text("n: 3\n")
    (tmp_path / "prepare.py").write_text("")
    (tmp_path / "in[1].csv").write_text("")
    return tmp_path


def test_a_file_that_is_written_says_what_the_other_one_says(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "dvc.yaml"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("wrote pipelines/default.yaml: prepare-it, each-a, each-b\n")
    assert "dvc.yaml:1: `plots` is not carried over" in said
    target = project / "pipelines/default.yaml"
    text = target.read_text()
    assert "dvc.yaml:3, called 'Prepare_It' there" in text
    (project / "ref.yaml").write_text("version: 1\nname: x\nstages: {from: dvc.yaml}\n")
    _same(_load(target), _load(project / "ref.yaml"))


def test_an_existing_file_is_kept(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "p.yaml").write_text("mine")
    assert main(["import", "dvc.yaml", "-o", "p.yaml"]) == 2
    assert (project / "p.yaml").read_text() == "mine"
    assert "is there already" in capsys.readouterr().err
    assert main(["import", "dvc.yaml", "-o", "p.yaml", "--force"]) == 0


def test_entry_points_of_mlflow_are_written_with_their_environment(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "MLproject").write_text(
        "conda_env: c.yaml\n"
        "entry_points:\n"
        "  main: {parameters: {a: {default: 1}}, command: 'python main.py {a}'}\n"
        "  more: {command: python more.py}\n"
    )
    (project / "c.yaml").write_text("dependencies: [{pip: [six==1.16.0]}]\n")
    assert main(["import", "MLproject", "--entry-points", "main,more", "-o", "p.yaml"]) == 0
    capsys.readouterr()
    plan = _load(project / "p.yaml")
    assert [stage.name for stage in plan.stages] == ["main", "more"]
    assert plan.stages[0].environment.extra_requirements == "six==1.16.0\n"
    assert plan.stages[0].run == "python main.py 1\nmkdir -p build/mlflow/main"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Makefile"], "is none of the files that can be imported"),
        (["no/dvc.yaml"], "no/dvc.yaml: does not exist"),
        (["../dvc.yaml"], "is outside of the project"),
    ],
)
def test_what_cannot_be_imported_is_said(
    arguments: list[str], message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (project / "pipelines").exists()


def test_what_dvc_refuses_is_said_with_its_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "dvc.yaml").write_text("stages:\n  a: {cmd: 'echo ${gone}'}\n  b: {cmds: ls}\n")
    assert main(["import", "dvc.yaml"]) == 2
    said = capsys.readouterr().err
    assert "dvc.yaml:3: the stage has no `cmd`" in said
