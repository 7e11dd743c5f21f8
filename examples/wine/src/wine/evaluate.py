"""Says how good the wines are that the model has never seen; Penstock computes the metrics from that.

One of them it computes itself, for the gate that trains with other seeds: that one compares bare numbers.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from wine import features, model_file

PREDICTIONS = Path("build/predictions.csv")
METRICS = Path("build/metrics.json")

DIGITS = 6
"""Decimals kept: more would differ between processors, and mean nothing."""


def predict(model: Any, rows: pd.DataFrame) -> pd.DataFrame:  # noqa: ANN401 - anything that predicts
    """What the tasters said, what the model says, and two columns to look at the errors by."""
    return pd.DataFrame(
        {
            "id": rows[features.WINE],
            "truth": rows[features.TARGET],
            "prediction": model.predict(features.predictors(rows)).round(DIGITS),
            "sweetness": features.sweetness(rows),
            "alcohol": rows["alcohol"].round(DIGITS),
        }
    )


def write(predictions: pd.DataFrame, path: Path = PREDICTIONS) -> None:
    """One line for each wine."""
    predictions.to_csv(path, index=False, lineterminator="\n")


def rmse(predictions: pd.DataFrame) -> float:
    """The root of the mean squared error."""
    squares = (predictions["prediction"] - predictions["truth"]) ** 2
    return round(float(squares.mean() ** 0.5), DIGITS)


def main() -> None:
    """Write the predictions and one metric of them."""
    predictions = predict(model_file.load(features.MODEL), pd.read_csv(features.TEST))
    write(predictions)
    METRICS.write_text(
        json.dumps({"rmse": rmse(predictions), "rows": len(predictions)}) + "\n", encoding="utf-8"
    )
    print(f"{len(predictions)} wines predicted, RMSE {rmse(predictions)}")


if __name__ == "__main__":
    main()
