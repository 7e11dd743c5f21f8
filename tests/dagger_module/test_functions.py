"""Every function of the module, by the real CLI."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from dagger_cli import Repository

pytestmark = pytest.mark.dagger

FUNCTIONS = {
    *("evaluate", "full-pipeline", "gate", "lint", "plan", "publish", "run", "stage", "test", "train"),
    "validate-data",
}


def test_every_function_has_a_description(repository: Repository) -> None:
    listed = repository.dagger("functions", "-m", repository.module)
    assert listed.code == 0, listed.log
    rows = [re.split(r"\s{2,}", line, maxsplit=1) for line in listed.out.splitlines() if line.strip()]
    assert {row[0] for row in rows} >= FUNCTIONS
    described = {row[0]: row[1] for row in rows if row[0] in FUNCTIONS and len(row) > 1}
    assert set(described) == FUNCTIONS
    assert all(len(text) > 10 for text in described.values())


@pytest.mark.parametrize("function", ["", "run", "stage"])
def test_every_argument_has_a_description(repository: Repository, function: str) -> None:
    shown = repository.dagger("call", "-m", repository.module, *filter(None, [function]), "--help")
    assert shown.code == 0, shown.log
    arguments = shown.out.partition("ARGUMENTS")[2].partition("OPTIONS")[0].partition("\nUse ")[0]
    pieces = re.split(r"^ +--", arguments, flags=re.MULTILINE)[1:]
    assert len(pieces) == {"": 8, "run": 1, "stage": 1}[function], arguments
    for piece in pieces:
        words = re.sub(r"\[required\]|\(default .*\)|[A-Z,]{2,}", "", piece).split()
        assert len(words) > 4, piece


def test_the_report_and_all_else_of_a_run(words: Repository, tmp_path: Path) -> None:
    called = words.call("run", "report", "export", "--path", str(tmp_path / "report"))
    assert called.code == 0, called.log
    report = {path.name: path for path in (tmp_path / "report").iterdir()}
    assert {"run.json", "junit.xml", "summary.md", "metrics.txt", "exit-code"} <= set(report)
    assert report["exit-code"].read_text().strip() == "0"
    run = json.loads(report["run.json"].read_text())
    assert [stage["state"] for stage in run["stages"]] == ["ran"] * 5
    assert [gate["verdict"] for gate in run["gates"]] == ["pass"]
    assert "threshold-bytes" in report["summary.md"].read_text()

    summary = words.call("run", "summary")
    assert "nothing had to run: 5 stages unchanged, 1 gate passed" in summary.out
    assert words.call("run", "passed").out.strip() == "true"
    assert words.call("run", "exit-code").out.strip() == "0"

    run = json.loads(words.call("run", "run-json", "contents").out)
    assert [stage["state"] for stage in run["stages"]] == ["cached"] * 5
    cases = ET.fromstring(words.call("run", "junit", "contents").out).iter("testcase")
    assert {"train", "evaluate", "threshold-bytes"} <= {case.get("name") for case in cases}

    forced = words.call("run", "--force", "summary")
    assert "5 stages ran" in forced.out


def test_artifacts_are_what_stages_wrote_and_what_was_published(words: Repository, tmp_path: Path) -> None:
    called = words.call("run", "artifacts", "export", "--path", str(tmp_path / "out"))
    assert called.code == 0, called.log
    assert (tmp_path / "out/build/model/upper.txt").read_text() == "ABC\n'!'\n"
    assert json.loads((tmp_path / "out/build/metrics.json").read_text()) == {"bytes": 8}
    assert [path.suffix for path in (tmp_path / "out/dist").iterdir()] == [".tar"]


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["train"], {"upper.txt"}),
        (["evaluate"], {"build/metrics.json"}),
        (["stage", "--name", "train"], {"upper.txt"}),
        (["publish"], {".tar"}),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_what_functions_give_can_be_exported(
    words: Repository, tmp_path: Path, arguments: list[str], files: set[str]
) -> None:
    called = words.call(*arguments, "export", "--path", str(tmp_path / "out"))
    assert called.code == 0, called.log
    found = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert len(found) == 1
    assert {name if arguments != ["publish"] else Path(name).suffix for name in found} == files


@pytest.mark.parametrize(
    ("function", "stages"),
    [
        ("full-pipeline", 5),
        ("lint", 1),
        ("test", 1),
        ("validate-data", 1),
        ("gate", 2),
    ],
)
def test_functions_with_a_verdict_print_a_summary(words: Repository, function: str, stages: int) -> None:
    called = words.call(function)
    assert called.code == 0, called.log
    counted = f"{stages} stage{'s' if stages > 1 else ''}"
    assert re.search(rf"^passed: {counted} ran|^nothing had to run: {counted} unch", called.out, re.MULTILINE)
    assert ("[pass] threshold-bytes" in called.out) is (function in ("full-pipeline", "gate"))
    assert ("dist/" in called.out) is (function == "full-pipeline")


def test_a_plan_runs_nothing_and_shows_all(words: Repository) -> None:
    called = words.call("plan")
    assert called.code == 0, called.log
    assert called.out.startswith("words (pipelines/default.yaml), plan ")
    for line in ("reads    build/model (from train)", "gate threshold-bytes  (threshold, required)"):
        assert line in called.out
    assert "withExec" not in called.log


def test_settings_reach_the_stages(words: Repository, tmp_path: Path) -> None:
    called = words.call("--set", "train.suffix=abc", "train", "export", "--path", str(tmp_path / "out"))
    assert called.code == 0, called.log
    assert (tmp_path / "out/upper.txt").read_text() == "ABC\nabc\n"


def test_profiles_and_events_choose(words: Repository) -> None:
    words.write(
        {
            "pipelines/default.yaml": (words.root / "pipelines/default.yaml").read_text()
            + "profiles:\n  pull-request: {publish: false}\n  strict:\n    gates:"
            " [{gate: threshold, metric: bytes, min: 99}]\n"
        }
    )
    called = words.call("--event", "pull-request", "full-pipeline")
    assert called.code == 0, called.log
    assert "dist/" not in called.out
    assert words.call("--profile", "strict", "full-pipeline").code == 3
    assert words.call("--profile", "strict", "train", "entries").out.split() == ["upper.txt"]
