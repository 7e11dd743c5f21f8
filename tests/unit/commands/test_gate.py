"""`penstock gate` and `penstock baseline`: verdicts on what is there, with the exit code of a run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock import digest
from penstock.cache.store import Store, default_home
from penstock.cli import main
from penstock.commands import gate

PIPELINE = """\
version: 1
name: x
stages:
  judge:
    run: "printf '%s' \\"$TABLE\\" > p.csv; echo '{\\"profit\\": 3}' > metrics.json"
    variables: {TABLE: "id,truth\\n1,1\\n"}
    outputs: {predictions: p.csv, metrics: metrics.json}
gates:
  - {gate: threshold, metric: profit, min: 2}
"""

Answer = tuple[int, str, str]
Penstock = Callable[..., Answer]


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Penstock:
    """Runs the command in an empty directory; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))

    def penstock(*arguments: str) -> Answer:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return penstock


def metrics(tmp_path: Path, **values: Any) -> str:
    (tmp_path / "m.json").write_text(json.dumps(values))
    return "m.json"


@pytest.mark.parametrize(
    ("bound", "code", "verdict"),
    [("--min=0.9", 0, "pass"), ("--min=0.96", 3, "fail"), ("--max=0.9", 3, "fail")],
)
def test_a_gate_judges_a_file_and_ends_like_a_run(
    penstock: Penstock, tmp_path: Path, bound: str, code: int, verdict: str
) -> None:
    document = metrics(tmp_path, accuracy=0.95)
    answer = penstock(
        "gate", "threshold", "--document", document, "--metric", "accuracy", bound, "--confidence", "none"
    )
    assert answer[0] == code
    assert f"[{verdict}]" in answer[1]
    assert digest.of_file(document)[:15] in answer[1]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("fairness --metric f1 --by a --by b --min-ratio 0.8", {"metric": "f1", "by": ["a", "b"], "min_ratio": 0.8}),
        ("improvement --metric f1 --by 0.1 --baseline b.csv", {"metric": "f1", "by": 0.1, "baseline": "b.csv"}),
        ("no-regression --metric f1 --margin 0 --unpaired", {"metric": "f1", "margin": 0, "unpaired": True}),
        ("threshold --metric 1 --min -0.5 --slice sex=F --confidence none", {"metric": "1", "min": -0.5, "slice": {"sex": "F"}, "confidence": "none"}),
        ("latency --batch 4 --p99-ms 3", {"batch": 4, "p99_ms": 3}),
        ("explainability --forbidden a --forbidden b", {"forbidden": ["a", "b"]}),
    ],
)  # fmt: skip
def test_the_command_line_says_what_the_pipeline_file_would(arguments: str, options: dict[str, Any]) -> None:
    parser = argparse.ArgumentParser()
    gate.add(parser)
    words = arguments.split()
    assert gate.demanded(parser.parse_args(words)) == {"gate": words[0], **options}


def test_verdicts_can_be_had_as_json(penstock: Penstock, tmp_path: Path) -> None:
    document = metrics(tmp_path, accuracy=0.95)
    code, out, _ = penstock(
        "gate", "threshold", "--document", document, "--metric", "accuracy", "--min", "0.5", "--json",
        "--confidence", "none",
    )  # fmt: skip
    (verdict,) = json.loads(out)
    assert (code, verdict["verdict"], verdict["value"], verdict["minimum"]) == (0, "pass", 0.95, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is nothing to judge\n  name a gate, or a run: `penstock gate --run latest`"),
        (("threshold",), "there is nothing to judge\n  name a table: `--predictions FILE`"),
        (("latency", "--p99-ms", "5"), "gate 'latency' judges what a program of a recipe wrote"),
        (("threshold", "--predictions", "p.csv", "--metric", "f1"), "has neither `min` nor `max`"),
        (("threshold", "--predictions", "p.csv", "--metric", "f1", "--min", "x"), "--min "),
        (("threshold", "--predictions", "p.csv", "--min", "0.1"), "--metric is missing"),
        (("threshold", "--predictions", "p.csv", "--metric", "f1", "--min", "0"), "p.csv: there is no such table"),
        (("threshold", "--document", "no.json", "--metric", "f1", "--min", "0"), "no.json: cannot be read"),
        (("latency", "--document", "b.json", "--min", "0"), "gate 'latency' has no --min\n  it has --batch"),
        (("threshold", "--document", "b", "--metric", "f", "--min", "0", "--confidence", "95"), "no confidence"),
        (("threshold", "--predictions", "p.csv", "--column", "what=x", "--metric", "f1", "--min", "0"), "--column is"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_one_message(
    penstock: Penstock, arguments: tuple[str, ...], message: str
) -> None:
    code, _, said = penstock("gate", *arguments)
    assert code == 2
    assert message in said
    assert "Traceback" not in said


@pytest.fixture
def ran(penstock: Penstock, tmp_path: Path) -> Penstock:
    """The same, in a project whose pipeline has run."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "default.yaml").write_text(PIPELINE)
    assert penstock("run", "-q")[0] == 0
    return penstock


def test_the_gates_of_a_pipeline_are_asked_about_a_run_without_running_it(
    ran: Penstock, tmp_path: Path
) -> None:
    pipeline = tmp_path / "pipelines" / "default.yaml"
    pipeline.write_text(pipeline.read_text().replace("min: 2", "min: 4"))
    before = sorted((tmp_path / ".penstock" / "runs").iterdir())
    code, out, _ = ran("gate", "--run", "latest")
    assert (code, "3 < 4" in out.replace(".00", "")) == (3, True)
    assert sorted((tmp_path / ".penstock" / "runs").iterdir()) == before


def test_a_run_whose_output_is_gone_cannot_be_judged(ran: Penstock, tmp_path: Path) -> None:
    store = Store(default_home({"PENSTOCK_HOME": str(tmp_path / "home")}))
    for blob in (store.home / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    code, out, _ = ran("gate", "--run", "latest")
    assert code == 3
    assert "[skip]" in out


def test_a_baseline_is_what_a_run_predicted(ran: Penstock, tmp_path: Path) -> None:
    code, _, said = ran("baseline")
    assert (code, "no gate compares with a file of predictions" in said) == (2, True)
    pipeline = tmp_path / "pipelines" / "default.yaml"
    gate = "  - {gate: no-regression, metric: accuracy, margin: 0.1, baseline: b/p.csv}\n"
    pipeline.write_text(pipeline.read_text() + gate)
    code, out, _ = ran("baseline")
    assert code == 0
    assert "b/p.csv: p.csv of run" in out
    assert (tmp_path / "b" / "p.csv").read_bytes() == (tmp_path / "p.csv").read_bytes()


def test_the_model_of_a_run_that_failed_is_no_baseline(ran: Penstock, tmp_path: Path) -> None:
    pipeline = tmp_path / "pipelines" / "default.yaml"
    pipeline.write_text(pipeline.read_text().replace("min: 2", "min: 4"))
    assert ran("run", "-q")[0] == 3
    code, _, said = ran("baseline")
    assert code == 2
    assert "ended with 3, so its model is nothing to compare with" in said
