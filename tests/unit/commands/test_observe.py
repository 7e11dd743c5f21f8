"""`penstock run --observe`, and what `penstock explain` says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.cli import main

PIPELINE = """
version: 1
name: try
stages:
  prepare: {run: 'cat helper data/in > made', inputs: [data/never], outputs: [made]}
  train: {run: 'cat made > model', outputs: [model]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    (root / "pipelines").mkdir(parents=True)
    (root / "pipelines/default.yaml").write_text(PIPELINE)
    (root / "data").mkdir()
    for name in ("helper", "data/in", "data/never", "other"):
        (root / name).write_text(f"{name}\n")
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(root)
    return root


def penstock(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(arguments)
    return code, capsys.readouterr().out


def test_it_says_what_to_add_and_what_to_leave_out(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert penstock(capsys, "run", "-q")[0] == 1, "both stages read what they do not declare"
    code, text = penstock(capsys, "run", "--observe", "-q")
    assert code == 0
    for line in (
        "    - data/in\n",
        "    - helper\n",
        "    - made  # of stage 'prepare'\n",
        "prepare never read what it declares: data/never",
    ):
        assert line in text
    document = json.loads(next(project.glob(".penstock/runs/*/run.json")).read_text())
    assert document["version"] == 1
    (project / "other").write_text("changed")
    assert "nothing had to run" in penstock(capsys, "run", "--observe", "-q")[1]
    (project / "helper").write_text("changed")
    assert "undeclared input helper changed" in penstock(capsys, "run", "--observe", "-q")[1]


def test_explain_names_the_undeclared_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "--observe", "-q"])
    (project / "helper").write_text("changed")
    main(["run", "--observe", "-q"])
    capsys.readouterr()
    text = penstock(capsys, "explain", "prepare")[1]
    assert text.startswith("prepare ran in run ")
    assert ": undeclared input helper changed\n" in text
    assert "  undeclared: helper, by cat helper data/in\n" in text
    assert "  never read: data/never\n" in text


def test_what_the_lines_say_is_enough(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    penstock(capsys, "run", "--observe", "-q")
    mended = PIPELINE.replace("[data/never]", "[helper, data/in]").replace(
        "'cat made > model',", "'cat made > model', inputs: [made],"
    )
    (project / "pipelines/default.yaml").write_text(mended)
    code, text = penstock(capsys, "run", "--observe", "-q")
    assert code == 0
    assert "does not declare" not in text
    assert "never read" not in text
    assert penstock(capsys, "run", "-q")[0] == 0, "and without being observed"
