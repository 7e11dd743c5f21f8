"""`penstock gates power`, and the note of `penstock plan`, on the documents of a run that was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.cli import main

PATH = "build/penstock/measure.measures.json"
PIPELINE = """\
version: 1
name: x
stages: {evaluate: {run: ./evaluate, inputs: [in], outputs: {predictions: p.csv}}}
gates:
  - {gate: threshold, metric: accuracy, min: 0.95}
  - {gate: threshold, name: easy, metric: accuracy, min: 0.5}
"""


def measures(rows: int, hits: int) -> bytes:
    digest = "sha256:" + "0" * 64
    low, high = (max(0.0, hits / rows - 0.1), min(1.0, hits / rows + 0.1))
    measure = {
        "metric": "accuracy", "better": "higher", "column": None, "group": None, "value": hits / rows,
        "interval": [low, high], "confidence": 0.95, "method": "wilson", "rows": rows,
        "standard_error": 0.05, "proportion": True, "hits": hits, "problem": None,
    }  # fmt: skip
    document = {
        "version": 1, "kind": "measures", "task": "binary", "evaluation_set": digest, "classes": ["0", "1"],
        "predictions": {"path": "p.csv", "digest": digest, "rows": rows, "columns": {}}, "positive": "1",
        "confidence": 0.95, "resamples": 2000, "bins": 10, "slices": [], "measures": [measure],
        "baselines": [], "comparisons": [], "fairness": [], "plots": {}, "warnings": [],
    }  # fmt: skip
    return json.dumps(document).encode()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """A project in the current directory; gives it a last run with a document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "default.yaml").write_text(PIPELINE)
    (tmp_path / "in").write_text("")

    def measured(document: bytes) -> None:
        folder = tmp_path / ".penstock" / "runs" / "20260101T000000Z-abcdef"
        (folder / "documents" / PATH).parent.mkdir(parents=True)
        (folder / "documents" / PATH).write_bytes(document)
        (folder.parent / "latest").symlink_to(folder.name)

    return measured


def test_a_gate_that_forty_rows_cannot_decide_is_named(
    project: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    project(measures(40, 36))
    assert main(["gates", "power"]) == 0
    said = capsys.readouterr().out
    assert "with 40 rows not even 1 passes" in " ".join(said.split())
    assert said.splitlines()[-1] == "cannot pass as things are: threshold-accuracy"
    assert main(["plan"]) == 0
    assert "gate 'threshold-accuracy' cannot pass" in capsys.readouterr().out


def test_more_rows_can_be_supposed(
    project: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    project(measures(40, 36))
    assert main(["gates", "power", "--rows", "4000", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["rows"], first["hopeless"], second["hopeless"]) == (4000, False, False)


def test_where_nothing_was_measured_that_is_said(
    project: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gates", "power"]) == 0
    assert "nothing was measured yet" in capsys.readouterr().out


@pytest.mark.parametrize("rows", ["0", "-3"])
def test_a_number_of_rows_that_cannot_be_is_refused(
    project: Callable[[bytes], None], capsys: pytest.CaptureFixture[str], rows: str
) -> None:
    assert main(["gates", "power", "--rows", rows]) == 2
    assert "--rows is" in capsys.readouterr().err


def test_a_document_that_cannot_be_read_stops_neither(
    project: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    project(b"{")
    assert main(["gates", "power"]) == 0
    assert "unknown: " in capsys.readouterr().out
    assert main(["plan"]) == 0
