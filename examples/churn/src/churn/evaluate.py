"""Judges the model by customers that it has never seen."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, recall_score, roc_auc_score

from churn import features, model_file, params

TEST = Path("build/splits/test.csv")
MODEL = Path("build/model/model.skops")
METRICS = Path("build/metrics.json")
PREDICTIONS = Path("build/predictions.csv")

DIGITS = 6
"""Decimals kept: more would differ between processors, and mean nothing."""


def predict(model: Any, rows: pd.DataFrame, *, threshold: float) -> pd.DataFrame:  # noqa: ANN401
    """What became of each customer (1: left), what the model says, and the groups to compare."""
    left = list(model.classes_).index(features.LEFT)
    score = model.predict_proba(features.predictors(rows))[:, left].round(DIGITS)
    return pd.DataFrame(
        {
            "id": rows[features.CUSTOMER],
            "truth": features.left(rows).astype(int),
            "prediction": (score >= threshold).astype(int),
            "score": score,
            features.GENDER: rows[features.GENDER],
            "SeniorCitizen": rows["SeniorCitizen"],
        }
    )


def measure(predictions: pd.DataFrame) -> dict[str, float | int]:
    """The metrics; `recall` is the share of leavers that the model finds."""
    truth, prediction, score = (predictions[name] for name in ("truth", "prediction", "score"))
    metrics = {
        "accuracy": accuracy_score(truth, prediction),
        "log_loss": log_loss(truth, score),
        "recall": recall_score(truth, prediction),
        "roc_auc": roc_auc_score(truth, score),
    }
    rounded = {name: round(float(value), DIGITS) for name, value in metrics.items()}
    return {**rounded, "rows": len(predictions)}


def write(predictions: pd.DataFrame, path: Path) -> None:
    """One line for each customer."""
    predictions.to_csv(path, index=False, lineterminator="\n", float_format=f"%.{DIGITS}f")


def main() -> None:
    """Write the metrics and the predictions they were computed from."""
    settings = params.read("evaluate")
    predictions = predict(model_file.load(MODEL), features.read_rows(TEST), threshold=settings["threshold"])
    metrics = measure(predictions)
    write(predictions, PREDICTIONS)
    METRICS.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    for name, value in metrics.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
