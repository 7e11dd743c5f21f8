"""Documents as programs write them, about simulated rows: for the tests of everything that shows documents."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
from sklearn import metrics

import report_samples as samples
from penstock import digest
from penstock.record import replace
from penstock.results import (
    Change,
    Evidence,
    GateResult,
    Holdout,
    Judged,
    Part,
    PartKind,
    Reason,
    RunReport,
    StageState,
    Verdict,
)

ROWS = 1409
BASELINE = "champion"
BASELINE_DIGEST = "sha256:" + 32 * "0b"


def wilson(hits: int, rows: int, z: float = 1.96) -> list[float]:
    share = hits / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return [middle - half, middle + half]


class Rows:
    """Simulated customers: who left, how likely a model holds it, and two columns to slice by."""

    def __init__(self, rows: int = ROWS, seed: int = 5) -> None:
        rng = np.random.default_rng(seed)
        risk = rng.normal(-1.3, 1.5, rows)
        self.truth = rng.random(rows) < 1 / (1 + np.exp(-risk))
        self.score = 1 / (1 + np.exp(-(0.9 * risk + rng.normal(0, 0.9, rows))))
        self.prediction = self.score > 0.5
        self.columns = {
            "gender": rng.choice(["Female", "Male"], rows),
            "SeniorCitizen": rng.choice(["0", "1"], rows, p=[0.84, 0.16]),
            "Contract": rng.choice(["Month-to-month", "One year", "Two year"], rows, p=[0.55, 0.21, 0.24]),
        }


def measured(rows: Rows, keep: Any, metric: str) -> tuple[float, list[float], int, bool]:
    truth, score, prediction = rows.truth[keep], rows.score[keep], rows.prediction[keep]
    if metric == "roc_auc":
        value = float(metrics.roc_auc_score(truth, score))
        spread = 1.96 * math.sqrt(value * (1 - value) / max(int(truth.sum()), 1)) * 0.8
        return value, [value - spread, min(value + spread, 1.0)], len(truth), False
    if metric == "log_loss":
        value = float(metrics.log_loss(truth, score))
        return value, [value * 0.93, value * 1.08], len(truth), False
    among = {"accuracy": truth | ~truth, "recall": truth, "precision": prediction}[metric]
    hits = int((truth == prediction)[among].sum())
    count = int(among.sum())
    return hits / count, wilson(hits, count), count, True


def _measure(rows: Rows, metric: str, column: str | None, group: str | None) -> dict[str, Any]:
    keep = slice(None) if column is None else rows.columns[column] == group
    value, interval, count, proportion = measured(rows, keep, metric)
    return {
        "metric": metric,
        "better": "lower" if metric == "log_loss" else "higher",
        "column": column,
        "group": group,
        "value": value,
        "interval": interval,
        "confidence": 0.95,
        "method": "wilson" if proportion else "delong" if metric == "roc_auc" else "bca",
        "rows": count,
        "standard_error": (interval[1] - interval[0]) / 3.92,
        "proportion": proportion,
        "hits": round(value * count) if proportion else None,
        "problem": None,
    }


METRICS = ("roc_auc", "accuracy", "recall", "precision", "log_loss")


def measures(rows: Rows | None = None, names: tuple[str, ...] = METRICS) -> dict[str, Any]:
    """Of a binary classifier, with slices, a baseline and every plot."""
    rows = rows or Rows()
    groups = {column: sorted(set(values)) for column, values in rows.columns.items()}
    places = [(None, None), *((column, group) for column, known in groups.items() for group in known)]
    found = [_measure(rows, name, column, group) for name in names for column, group in places]
    return {
        "version": 1,
        "kind": "measures",
        "task": "binary",
        "predictions": {
            "path": "build/predictions.csv",
            "digest": samples.DIGEST,
            "rows": len(rows.truth),
            "columns": {"id": "customerID", "truth": "churn", "prediction": "prediction", "score": "score"},
        },
        "evaluation_set": samples.DIGEST,
        "classes": ["no", "yes"],
        "positive": "yes",
        "confidence": 0.95,
        "resamples": 2000,
        "bins": 10,
        "slices": [
            {
                "column": column,
                "groups": [
                    {"value": each, "rows": int((rows.columns[column] == each).sum())} for each in known
                ],
            }
            for column, known in groups.items()
        ],
        "measures": found,
        "baselines": [
            {
                "name": BASELINE,
                "path": "champion.csv",
                "digest": BASELINE_DIGEST,
                "rows": len(rows.truth),
                "evaluation_set": samples.DIGEST,
                "same": True,
                "shared_rows": len(rows.truth),
                "problem": None,
            }
        ],
        "comparisons": [_contrast(each) for each in found if each["column"] is None],
        "fairness": [_fairness(rows, "recall", column) for column in ("gender", "SeniorCitizen")],
        "plots": plots(rows),
        "warnings": ["column 'TotalCharges' has more than 50 values and is no slice"],
    }


def _contrast(measure: dict[str, Any]) -> dict[str, Any]:
    change = 0.012 if measure["better"] == "higher" else -0.004
    return {
        "baseline": BASELINE,
        "metric": measure["metric"],
        "better": measure["better"],
        "column": None,
        "group": None,
        "paired": True,
        "rows": measure["rows"],
        "value": measure["value"],
        "baseline_value": measure["value"] - change,
        "change": change,
        "interval": [change - 0.011, change + 0.011],
        "confidence": 0.95,
        "method": "bca",
        "standard_error": 0.0056,
        "problem": None,
        "mcnemar": {"only_this_right": 61, "only_baseline_right": 44, "p_value": 0.118, "method": "exact"}
        if measure["metric"] == "accuracy"
        else None,
    }


def _fairness(rows: Rows, metric: str, column: str) -> dict[str, Any]:
    values = sorted(set(rows.columns[column]))
    found = {each: _measure(rows, metric, column, each) for each in values}
    one, two = (found[each] for each in values[:2])
    difference, ratio = one["value"] - two["value"], one["value"] / two["value"]
    spread = 1.96 * math.hypot(one["standard_error"], two["standard_error"])
    return {
        "metric": metric,
        "column": column,
        "confidence": 0.95,
        "better": "higher",
        "groups": [
            {
                "value": name,
                "rows": int((rows.columns[column] == name).sum()),
                "measure_rows": each["rows"],
                "measure": each["value"],
                "interval": each["interval"],
                "problem": None,
            }
            for name, each in found.items()
        ],
        "pairs": [
            {
                "groups": values[:2],
                "difference": {
                    "value": difference,
                    "standard_error": spread / 1.96,
                    "interval": [difference - spread, difference + spread],
                },
                "ratio": {
                    "value": ratio,
                    "log_standard_error": 0.07,
                    "interval": [ratio * 0.87, ratio * 1.15],
                },
                "problem": None,
            }
        ],
    }


def plots(rows: Rows) -> dict[str, Any]:
    fpr, tpr, _ = metrics.roc_curve(rows.truth, rows.score)
    precision, recall, _ = metrics.precision_recall_curve(rows.truth, rows.score)
    thin = max(len(fpr) // 150, 1)
    coarse = max(len(recall) // 150, 1)
    counts = metrics.confusion_matrix(rows.truth, rows.prediction)
    edges = np.linspace(0, 1, 21)
    bins = []
    for low in np.arange(0, 1, 0.1):
        keep = (rows.score >= low) & (rows.score < low + 0.1)
        hits, count = int(rows.truth[keep].sum()), int(keep.sum())
        bins.append(
            {
                "low": float(low),
                "high": float(low + 0.1),
                "rows": count,
                "mean_score": float(rows.score[keep].mean()) if count else None,
                "observed": hits / count if count else None,
                "interval": wilson(hits, count) if count else None,
            }
        )
    return {
        "confusion": {"labels": ["no", "yes"], "counts": counts.tolist()},
        "roc": [
            {
                "class": None,
                "points": [[float(a), float(b)] for a, b in zip(fpr[::thin], tpr[::thin], strict=True)],
            }
        ],
        "precision_recall": [
            {
                "class": None,
                "points": [
                    [float(a), float(b)] for a, b in zip(recall[::coarse], precision[::coarse], strict=True)
                ],
            }
        ],
        "calibration": [{"class": None, "bins": bins}],
        "scores": [
            {
                "class": name,
                "edges": edges.tolist(),
                "counts": np.histogram(rows.score[rows.truth == flag], edges)[0].tolist(),
            }
            for name, flag in (("no", False), ("yes", True))
        ],
    }


def regression() -> dict[str, Any]:
    """Of a regression: another task, other plots."""
    rng = np.random.default_rng(7)
    truth = rng.normal(5.6, 0.8, 1143)
    prediction = 5.6 + 0.6 * (truth - 5.6) + rng.normal(0, 0.45, 1143)
    residuals = truth - prediction
    counts, edges = np.histogram(residuals, 24)
    document = measures(names=("accuracy",))
    found = []
    for name, value, better in (
        ("root_mean_squared_error", float(np.sqrt((residuals**2).mean())), "lower"),
        ("mean_absolute_error", float(np.abs(residuals).mean()), "lower"),
        ("r2", 0.412, "higher"),
    ):
        found.append(
            document["measures"][0]
            | {
                "metric": name,
                "better": better,
                "value": value,
                "interval": [value * 0.95, value * 1.06],
                "method": "bca",
            }
        )
    points = [[float(a), float(b)] for a, b in zip(prediction[:500], residuals[:500], strict=True)]
    return document | {
        "task": "regression",
        "measures": found,
        "comparisons": [],
        "fairness": [],
        "warnings": [],
        "plots": {"residuals": {"edges": edges.tolist(), "counts": counts.tolist(), "points": points}},
    }


def multiclass() -> dict[str, Any]:
    """Of a classifier with five classes; each has its curves."""
    labels = ["DrugY", "drugA", "drugB", "drugC", "drugX"]
    counts = [[40, 1, 0, 2, 1], [2, 10, 0, 0, 0], [0, 1, 7, 0, 1], [1, 0, 0, 7, 0], [3, 0, 0, 1, 23]]
    rng = random.Random(4)
    curves = [
        {
            "class": name,
            "points": [[x / 40, min(1.0, (x / 40) ** (0.1 + 0.1 * rng.random()))] for x in range(41)],
        }
        for name in labels
    ]
    document = measures(names=("accuracy",))
    return document | {
        "task": "multiclass",
        "classes": labels,
        "fairness": [],
        "plots": {
            "confusion": {"labels": labels, "counts": counts},
            "roc": curves,
            "precision_recall": [
                each | {"points": [[x, 1 - 0.4 * y * x] for x, y in each["points"]]} for each in curves
            ],
        },
    }


def validation() -> dict[str, Any]:
    """Of a table with a failed check, drift in one column and rows that stand in two splits."""
    rng = random.Random(3)

    def bell(shift: float = 0.0) -> list[int]:
        return [round(400 * math.exp(-((x - 9.5 - shift) ** 2) / 18) + rng.random() * 9) for x in range(20)]

    tenure = {"edges": [0.0 + 3.6 * each for each in range(21)], "counts": bell()}
    contract = {"values": ["Month-to-month", "Two year", "One year"], "counts": [3875, 1695, 1473]}
    columns = [
        ("customerID", "string", 0, 7043, None, None, None, None),
        ("tenure", "int64", 0, 73, 0, 72, 32.37, tenure),
        ("MonthlyCharges", "float64", 0, 1585, 18.25, 118.75, 64.76, tenure | {"counts": bell(4)}),
        ("TotalCharges", "float64", 11, 6530, 18.8, 8684.8, 2283.3, tenure | {"counts": bell(-5)}),
        ("Contract", "string", 0, 3, None, None, None, contract),
    ]
    return {
        "version": 2,
        "kind": "validation",
        "data": {"path": "data/telco-churn.csv", "digest": samples.DIGEST},
        "rows": 7043,
        "passed": False,
        "summary": "1 of 31 checks failed",
        "checks": [
            {
                "name": "nulls",
                "column": "TotalCharges",
                "passed": False,
                "failures": 11,
                "examples": ["line 490", "line 755"],
            },
            *(
                {"name": "type", "column": name, "passed": True, "failures": 0, "examples": []}
                for name, *_ in columns
            ),
        ],
        "columns": [
            dict(
                zip(
                    ("column", "type", "nulls", "distinct", "min", "max", "mean", "histogram"),
                    each,
                    strict=True,
                )
            )
            for each in columns
        ],
        "newest": {"column": "signed_up", "value": "2026-11-20T06:00:00Z"},
        "drift": {
            "reference": {"path": "data/reference.csv", "digest": samples.DIGEST, "rows": 7043},
            "confidence": 0.95,
            "correction": "holm",
            "columns": [
                {
                    "column": "MonthlyCharges",
                    "kind": "numeric",
                    "test": "ks",
                    "statistic": 0.144,
                    "p_value": 1e-9,
                    "adjusted_p_value": 4e-9,
                    "effect": {"name": "psi", "value": 0.31, "interval": [0.24, 0.38], "threshold": 0.2},
                    "psi": 0.31,
                    "wasserstein": 5.2,
                    "drifted": True,
                    "problem": None,
                    "histogram": tenure | {"counts": bell(4), "reference_counts": bell()},
                },
                {
                    "column": "Contract",
                    "kind": "categorical",
                    "test": "chi-squared",
                    "statistic": 2.1,
                    "p_value": 0.35,
                    "adjusted_p_value": 0.7,
                    "effect": {"name": "psi", "value": 0.004, "interval": [0.0, 0.011], "threshold": 0.2},
                    "psi": 0.004,
                    "wasserstein": None,
                    "drifted": False,
                    "problem": None,
                    "histogram": contract | {"reference_counts": [3901, 1640, 1502]},
                },
            ],
        },
        "leakage": {
            "splits": [
                {"name": "train", "path": "build/splits/train.csv", "rows": 5634},
                {"name": "test", "path": "build/splits/test.csv", "rows": 1409},
            ],
            "overlaps": [
                {"splits": ["train", "test"], "by": "row", "rows": 12, "share": 0.0085, "examples": ["17"]}
            ],
            "telling": [
                {"column": "ChurnReason", "target": "churn", "score": 0.998, "method": "mutual information"}
            ],
        },
        "warnings": [],
    }


MODEL = {
    "path": "build/model",
    "digest": samples.DIGEST,
    "format": "skops",
    "trust": None,
    "size_bytes": 1_204_233,
    "files": 3,
}


def model_tests() -> dict[str, Any]:
    """Of a model that fails one test."""
    tests = [
        ("loads and predicts", "smoke", "pass", "it loads and predicts 1,409 rows", None, None, None),
        ("probabilities", "validity", "pass", "every score is a probability", None, None, None),
        (
            "gender does not matter",
            "invariance",
            "fail",
            "41 of 1,409 predictions changed",
            0.0291,
            [0.0215, 0.0392],
            0.01,
        ),
        ("longer tenure, less churn", "direction", "pass", "no row went up", 0.0, [0.0, 0.0027], 0.01),
        (
            "recall of seniors",
            "slice",
            "inconclusive",
            "recall 0.71 [0.62, 0.79] reaches across 0.70",
            0.71,
            [0.62, 0.79],
            None,
        ),
    ]
    shares = [
        ("Contract", 0.41),
        ("tenure", 0.27),
        ("MonthlyCharges", 0.16),
        ("InternetService", 0.11),
        ("gender", -0.01),
    ]
    return {
        "version": 1,
        "kind": "model-tests",
        "model": MODEL,
        "rows": 1409,
        "confidence": 0.95,
        "tests": [
            {
                "name": name,
                "kind": kind,
                "verdict": verdict,
                "sentence": sentence,
                "value": value,
                "interval": interval,
                "minimum": 0.7 if kind == "slice" else None,
                "maximum": maximum,
                "rows": 1409,
                "examples": ["row 3: 0.41 became 0.58"] if verdict == "fail" else [],
            }
            for name, kind, verdict, sentence, value, interval, maximum in tests
        ],
        "robustness": [
            {
                "name": "noise of 5 % on charges",
                "metric": "roc_auc",
                "better": "higher",
                "value": 0.846,
                "perturbed_value": 0.839,
                "change": -0.007,
                "interval": [-0.011, -0.003],
                "confidence": 0.95,
                "rows": 1409,
                "standard_error": 0.002,
                "method": "bca",
                "problem": None,
            }
        ],
        "importance": {
            "metric": "roc_auc",
            "method": "permutation",
            "repeats": 20,
            "features": [
                {
                    "feature": name,
                    "value": share / 4,
                    "interval": [share / 4 - 0.008, share / 4 + 0.008],
                    "share": max(share, 0),
                }
                for name, share in shares
            ],
        },
        "warnings": [],
    }


def benchmark() -> dict[str, Any]:
    """Of a model, against one from another machine."""

    def of(value: float) -> dict[str, Any]:
        return {"value": value, "interval": [value * 0.94, value * 1.09]}

    def latency(batch: int, typical: float) -> dict[str, Any]:
        return {
            "batch": batch,
            "calls": 200,
            "mean_ms": of(typical * 1.05),
            "p50_ms": of(typical),
            "p95_ms": of(typical * 1.4),
            "p99_ms": of(typical * 2.1),
            "histogram": {
                "edges_ms": [typical * (0.8 + 0.1 * each) for each in range(16)],
                "counts": [3, 21, 58, 44, 27, 15, 9, 7, 5, 3, 2, 2, 1, 2, 1],
            },
        }

    machine = {
        "processor": "Intel Xeon 8488C",
        "cores": 2,
        "memory_bytes": 24 << 30,
        "system": "Linux 6.1",
        "python": "3.12.1",
        "accelerator": None,
        "identity": samples.DIGEST,
    }
    return {
        "version": 1,
        "kind": "benchmark",
        "model": MODEL,
        "machine": machine,
        "rows": 1409,
        "confidence": 0.95,
        "latency": [latency(1, 1.8), latency(32, 2.6)],
        "throughput": [{"batch": 1, "rows_per_s": of(540.0)}, {"batch": 32, "rows_per_s": of(12_100.0)}],
        "memory": {"before_bytes": 44 << 20, "loaded_bytes": 131 << 20, "peak_bytes": 148 << 20},
        "cold_start_s": of(1.31) | {"starts": 3},
        "baseline": {
            "path": "champion.benchmark.json",
            "digest": samples.DIGEST,
            "same_machine": False,
            "machine": machine | {"processor": "AMD EPYC 7R13"},
            "ratios": None,
        },
        "warnings": ["the machine was busy: its load was 1.9 before the first call"],
    }


def reproducibility() -> dict[str, Any]:
    """Of a stage that was run three times."""
    return {
        "version": 1,
        "kind": "reproducibility",
        "stage": "train",
        "repetitions": [
            {
                "seed": seed,
                "outputs": [{"path": "build/model", "digest": samples.DIGEST}],
                "metrics": {"roc_auc": value},
            }
            for seed, value in ((1, 0.8461), (2, 0.8447), (3, 0.8472))
        ],
        "same": True,
        "differing": [],
        "parameter": "train.seed",
        "warnings": [],
    }


def command() -> dict[str, Any]:
    """Of a user's own gate."""
    return {
        "version": 1,
        "kind": "command",
        "exit_code": 0,
        "result": {
            "value": 0.97,
            "interval": [0.95, 0.98],
            "rows": 300,
            "sentence": "97 % of the goldens match",
        },
        "problem": None,
        "output": "300 goldens\n291 match\n",
    }


DOCUMENTS = {
    "build/penstock/quality.measures.json": measures,
    "build/penstock/validate.validation.json": validation,
    "build/penstock/tests.model-tests.json": model_tests,
    "build/penstock/speed.benchmark.json": benchmark,
    "build/penstock/twice.reproducibility.json": reproducibility,
    "build/penstock/goldens.verdict.json": command,
}


def encoded(document: Any) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()


def documents() -> dict[str, bytes]:
    """One of each kind, by path."""
    return {path: encoded(make()) for path, make in DOCUMENTS.items()}


def gates() -> tuple[GateResult, ...]:
    """One for each look: passed, failed, undecided, advisory, skipped, with and without intervals, with parts."""
    proof = (Evidence(path="build/penstock/quality.measures.json", digest=samples.DIGEST),)
    facts: dict[str, Any] = {"confidence": 0.95, "method": "delong", "evidence": proof, "details": ()}
    return (
        samples.SCHEMA_GATE,
        samples.gate("auc", value=0.8461, interval=(0.8237, 0.8668), minimum=0.8, **facts),
        samples.gate(
            "auc-not-worse",
            Verdict.PASS,
            0.012,
            gate="no-regression",
            interval=(0.001, 0.023),
            minimum=-0.01,
            sentence="roc_auc changed by +0.012 [+0.001, +0.023] against champion: within the margin of 0.01",
            **(facts | {"method": "bca, paired"}),
        ),
        replace(
            samples.gate(
                "recall",
                Verdict.INCONCLUSIVE,
                sentence="recall 0.5524 [0.4985, 0.6051]: its interval contains the minimum 0.55",
                minimum=0.55,
                sample_size=353,
                rows_to_decide=165_000,
                **(facts | {"method": "wilson"}),
            ),
            value=0.5524,
            interval=(0.4985, 0.6051),
        ),
        samples.gate(
            "fair-recall",
            Verdict.FAIL,
            0.62,
            gate="fairness",
            required=False,
            interval=(0.49, 0.78),
            minimum=0.8,
            sentence="the ratio of recall of SeniorCitizen 1 to 0 is 0.62, below 0.8",
            parts=(
                Judged(
                    label="gender: Female / Male",
                    verdict=Verdict.PASS,
                    value=0.96,
                    interval=(0.84, 1.09),
                    minimum=0.8,
                    sample_size=1409,
                ),
                Judged(
                    label="SeniorCitizen: 1 / 0",
                    verdict=Verdict.FAIL,
                    value=0.62,
                    interval=(0.49, 0.78),
                    minimum=0.8,
                    sample_size=1409,
                ),
            ),
            **(facts | {"method": "log ratio"}),
        ),
        samples.gate(
            "fast",
            Verdict.PASS,
            3.9,
            gate="latency",
            minimum=None,
            maximum=5.0,
            interval=(3.6, 4.3),
            sentence="p99 of single calls is 3.9 ms, at most 5 ms",
            parts=(
                Judged(
                    label="p50, batches of 1",
                    verdict=Verdict.PASS,
                    value=1.8,
                    interval=(1.7, 1.9),
                    maximum=3.0,
                ),
                Judged(
                    label="p99, batches of 1",
                    verdict=Verdict.PASS,
                    value=3.9,
                    interval=(3.6, 4.3),
                    maximum=5.0,
                ),
            ),
            **(facts | {"method": "order statistics"}),
        ),
        samples.gate(
            "drift",
            Verdict.SKIP,
            None,
            gate="drift",
            minimum=None,
            sentence="there is no reference yet",
            reason="first-version",
        ),
    )


def whole(papers: dict[str, bytes] | None = None) -> tuple[RunReport, dict[str, bytes]]:
    """A run with everything that a report can show, and its documents, or these instead of them."""
    papers = papers or documents()
    plan = (
        ("lint", (), "src/churn", None, StageState.CACHED, 0.0, 0.002),
        (
            "validate",
            (),
            "data/telco-churn.csv",
            "build/penstock/validate.validation.json",
            StageState.CACHED,
            0.0,
            0.004,
        ),
        ("prepare", ("validate",), "src/churn/prepare.py", "build/splits", StageState.RAN, 0.2, 6.4),
        ("train", ("prepare",), "src/churn/train.py", "build/model", StageState.RAN, 6.7, 21.8),
        (
            "evaluate",
            ("prepare", "train"),
            "src/churn/evaluate.py",
            "build/predictions.csv",
            StageState.RAN,
            28.6,
            4.1,
        ),
        (
            "quality",
            ("evaluate",),
            "champion.csv",
            "build/penstock/quality.measures.json",
            StageState.RAN,
            32.8,
            1.7,
        ),
        (
            "tests",
            ("train",),
            "tests/model.yaml",
            "build/penstock/tests.model-tests.json",
            StageState.RAN,
            28.6,
            8.9,
        ),
        (
            "speed",
            ("train",),
            "champion.benchmark.json",
            "build/penstock/speed.benchmark.json",
            StageState.RAN,
            28.7,
            12.2,
        ),
    )
    made: dict[str, Part] = {}
    stages = []
    for name, needs, reads, writes, state, started, took in plan:
        outputs: tuple[Part, ...] = ()
        if writes is not None:
            content = papers.get(writes)
            known = digest.of_bytes(content) if content else samples.DIGEST
            made[name] = Part(
                writes,
                PartKind.FILE if content else PartKind.DIRECTORY,
                known,
                len(content or b"") or 5 << 20,
                1 if content else 3,
            )
            outputs = (made[name],)
        plain = samples.stage(name, state, wall_s=took)
        stages.append(
            replace(
                plain,
                inputs=(Part(reads, PartKind.FILE, samples.DIGEST, 812, 1), *(made[each] for each in needs)),
                outputs=outputs,
                needs=needs,
                started_s=started,
                wall_s=took,
            )
        )
    stages[3] = replace(
        stages[3],
        reason=Reason(
            code="changed",
            sentence="parameter train.max_iter changed from 100 to 200, and 1 more change",
            changes=(
                Change(what="parameter", name="train.max_iter", before="100", after="200"),
                Change(
                    what="input",
                    name="src/churn/train.py",
                    before=samples.DIGEST,
                    after=samples.DIGEST[:-4] + "0000",
                ),
            ),
        ),
    )
    report = samples.report(
        *stages, gates=gates(), publications=(samples.NO_ARCHIVE,), exit_code=4, wall_s=41.23
    )
    return (
        replace(
            report,
            holdouts=(Holdout(evaluation_set=samples.DIGEST, rows=ROWS, decisions=23, budget=20),),
            warnings=(
                "the evaluation set has decided about 23 models; its budget is 20: its verdicts weaken",
            ),
        ),
        papers,
    )
