"""Says which drug each patient got whom the model has never seen; Penstock computes the metrics from that."""

from pathlib import Path
from typing import Any

import pandas as pd

from drug import features, model_file

PREDICTIONS = Path("build/predictions.csv")

DIGITS = 6
"""Decimals kept: more would differ between processors, and mean nothing."""


def predict(model: Any, rows: pd.DataFrame) -> pd.DataFrame:  # noqa: ANN401 - anything that predicts
    """What each patient got, what the model says, and how probable it holds each drug."""
    seen = features.predictors(rows)
    classes = {
        f"probability_{drug}": shares
        for drug, shares in zip(model.classes_, model.predict_proba(seen).T, strict=True)
    }
    answers = {
        "id": rows[features.PATIENT],
        "truth": rows[features.TARGET],
        "prediction": model.predict(seen),
    }
    return pd.DataFrame({**answers, **classes}).round(DIGITS)


def main() -> None:
    """Write the predictions."""
    predictions = predict(model_file.load(features.MODEL), pd.read_csv(features.TEST))
    predictions.to_csv(PREDICTIONS, index=False, lineterminator="\n")
    right = (predictions["truth"] == predictions["prediction"]).sum()
    print(f"{right} of {len(predictions)} right")


if __name__ == "__main__":
    main()
