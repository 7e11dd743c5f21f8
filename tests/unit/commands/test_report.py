from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import document_samples
import report_samples as samples
from penstock.cli import main
from penstock.record import replace
from penstock.report import keep

PLAN = """\
version: 1
name: p
stages: {make: {run: echo 1 > a, outputs: [a]}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The reports of a run, as `penstock run --report` writes them."""
    report, documents = document_samples.whole()
    keep.copy(report, tmp_path / "report", documents=documents)
    (tmp_path / "report" / "report.html").unlink()
    return tmp_path / "report"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "default.yaml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("name", ["report", "report/run.json"])
def test_a_page_is_written_beside_the_report_that_is_named(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    assert main(["report", name]) == 0
    assert capsys.readouterr().out == "report/report.html\n"
    html = (folder / "report.html").read_text()
    assert "Model quality" in html
    assert "cannot be read" not in html


def test_the_last_run_is_shown_from_its_folder_and_a_run_by_its_id(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-q"]) == 0
    (run,) = (path.name for path in (project / ".penstock/runs").iterdir() if not path.is_symlink())
    assert not (project / ".penstock/runs" / run / "report.html").exists()
    capsys.readouterr()
    assert main(["report"]) == 0
    assert capsys.readouterr().out == f".penstock/runs/{run}/report.html\n"
    assert "Passed" in (project / ".penstock/runs" / run / "report.html").read_text()
    assert main(["report", run[:10], "--output", "mine.html"]) == 0
    assert (project / "mine.html").read_bytes() == (
        project / ".penstock/runs" / run / "report.html"
    ).read_bytes()


def test_a_run_writes_its_page_where_a_report_is_asked_for(project: Path) -> None:
    assert main(["run", "-q", "--report", "out"]) == 0
    assert "Passed" in (project / "out" / "report.html").read_text()


def test_a_page_is_opened_where_there_is_a_browser_and_named_where_there_is_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []

    def browse(address: str) -> bool:
        opened.append(address)
        return len(opened) == 1

    monkeypatch.setattr("webbrowser.open", browse)
    assert main(["report", str(folder), "--open"]) == 0
    assert opened == [(folder / "report.html").as_uri()]
    assert "no browser" not in capsys.readouterr().out
    assert main(["report", str(folder), "--open"]) == 0
    assert "no browser could be started: open it yourself\n" in capsys.readouterr().out


def test_two_runs_are_put_beside_each_other_as_text_and_as_a_page(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, documents = document_samples.whole()
    keep.copy(
        replace(report, params={"train": {"max_iter": 100, "rate": 0.1}}), tmp_path / "b", documents=documents
    )
    assert main(["report", "compare", str(folder), str(tmp_path / "b")]) == 0
    text = capsys.readouterr().out
    assert "parameter train.max_iter  200 | 100" in text
    assert "roc_auc ↑" in text
    assert ".html" not in text
    page = tmp_path / "two.html"
    assert main(["report", "compare", str(folder), str(tmp_path / "b"), "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"{text}\n{os.path.relpath(page)}\n"
    assert "Two runs" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.json"], "there is no such file"),
        (["compare", "a"], "compare takes two runs"),
        (["compare"], "compare takes two runs"),
        (["a", "b"], "a page is of one run"),
        (["a", "--html", "x.html"], "a page is of one run"),
        (["20990101"], "there is no run '20990101'"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said(
    project: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"run_id": 1, "version": 1}', "[" * 100_000])
def test_what_is_no_report_is_refused(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(content)
    assert main(["report", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "file").write_text("")
    assert main(["report", str(folder), "--output", str(folder / "file" / "x.html")]) == 5
    assert "x.html: the report cannot be written" in capsys.readouterr().err


def test_a_run_does_not_import_what_makes_pages() -> None:
    code = "import sys, penstock.commands.run, penstock.report.keep; print('jinja2' in sys.modules, 'markupsafe' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_a_report_without_documents_is_shown(tmp_path: Path) -> None:
    keep.copy(samples.refused(), tmp_path)
    assert main(["report", str(tmp_path)]) == 0
    assert "Failed" in (tmp_path / "report.html").read_text()
