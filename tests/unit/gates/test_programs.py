"""Gates on what the programs really write: every number of theirs must be one that a gate can judge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gate_samples import Document, decide
from penstock.programs.measure import main as measure
from penstock.results import Verdict
from validation_runs import Runs

ROWS = 600
METRICS = (
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "log_loss",
    "brier_score", "matthews_corrcoef", "cohen_kappa", "specificity", "false_positive_rate", "selection_rate",
    "expected_calibration_error",
)  # fmt: skip


def table(noise: float, seed: int) -> pd.DataFrame:
    shared, own = np.random.default_rng(1), np.random.default_rng(seed)
    truth = shared.random(ROWS) < 0.4
    score = 1 / (1 + np.exp(1 - 2 * truth - noise * own.normal(size=ROWS)))
    sex = shared.choice(["f", "m"], ROWS)
    columns = {"id": range(ROWS), "truth": truth.astype(int), "prediction": (score > 0.5).astype(int)}
    return pd.DataFrame({**columns, "score": score, "sex": sex})


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Document:
    folder = tmp_path_factory.mktemp("measured")
    table(0.8, 2).to_csv(folder / "p.csv", index=False)
    table(0.9, 3).to_csv(folder / "b.csv", index=False)
    compared = [
        {"metric": metric, "baseline": "b", "confidence": confidence, "unpaired": False}
        for metric in METRICS
        for confidence in (0.95, None)
    ]
    request: Document = {
        "predictions": str(folder / "p.csv"),
        "result": str(folder / "m.json"),
        "task": None,
        "columns": {},
        "positive": None,
        "metrics": [{"metric": each["metric"], "confidence": each["confidence"]} for each in compared],
        "slices": ["sex"],
        "baselines": [{"name": "b", "path": str(folder / "b.csv"), "member": None}],
        "comparisons": compared,
        "fairness": [{"metric": metric, "by": ["sex"], "confidence": 0.95} for metric in METRICS],
        "bins": 10,
        "resamples": 200,
        "confidence": 0.95,
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    assert measure.main([str(folder / "request.json")]) == 0
    document: Document = json.loads((folder / "m.json").read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("confidence", [0.95, None])
def test_every_metric_can_be_judged_compared_and_sliced(
    measured: Document, metric: str, confidence: float | None
) -> None:
    options = {"metric": metric, "confidence": confidence}
    for place in ({}, {"column": "sex", "group": "f"}):
        result = decide("threshold", measured, min=-9, max=9, **options, **place)
        assert result.verdict is Verdict.PASS, result.sentence
        assert (result.interval is None) == (confidence is None)
    assert decide("threshold", measured, min=9, **options).verdict is Verdict.FAIL
    if metric != "selection_rate":  # neither more nor less of it is better
        result = decide("no-regression", measured, margin=9, baseline="b", **options)
        assert result.verdict is Verdict.PASS, result.sentence
        assert decide("improvement", measured, by=9, baseline="b", **options).verdict is Verdict.FAIL


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_held_against_groups(measured: Document, metric: str) -> None:
    options = {"metrics": [metric], "by": ["sex"], "min": -9}
    result = decide("fairness", measured, max_difference=9, **options)
    assert result.verdict is Verdict.PASS, result.sentence
    assert len(result.parts) == 3
    if metric not in ("matthews_corrcoef", "cohen_kappa"):  # below 0 they have no ratio
        ratio = decide("fairness", measured, min_ratio=0.001, **options)
        assert ratio.verdict is Verdict.PASS, ratio.sentence


def test_calibration_finds_its_metrics(measured: Document) -> None:
    assert decide("calibration", measured, max_ece=0.9, max_brier=0.9).verdict is Verdict.PASS
    assert decide("calibration", measured, max_ece=0.9, max_brier=0.001).verdict is Verdict.FAIL


def test_a_validated_table_can_be_judged(tmp_path: Path) -> None:
    days = [f"2026-11-{day:02}" for day in range(1, 21)] * 10
    lines = [f"{at % 7},{day}" for at, day in enumerate(days)]
    text = "\n".join(["n,day", *lines]) + "\n"
    schema = "freshness: day\ncolumns:\n  - {name: n, type: integer, min: 0, max: 6}\n  - {name: day, type: date}\n"
    document = Runs(tmp_path)(text, schema, reference=text)
    assert decide("schema", document, data="d").verdict is Verdict.PASS
    assert decide("drift", document, data="d").verdict is Verdict.PASS
    assert decide("freshness", document, data="d", max_age=1e10).verdict is Verdict.PASS
    assert decide("freshness", document, data="d", max_age=0.0).verdict is Verdict.FAIL
    shifted = "\n".join(["n,day", *(f"6,{day}" for day in days)]) + "\n"
    drifted = decide("drift", Runs(tmp_path)(text, schema, reference=shifted), data="d")
    assert drifted.verdict is Verdict.FAIL
    assert drifted.details[0].startswith("n: psi ")
    broken = decide("schema", Runs(tmp_path)(text.replace("6,", "9,"), schema), data="d")
    assert broken.verdict is Verdict.FAIL
    assert "column n" in broken.details[0]
