"""Fits the model."""

from pathlib import Path

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from churn import features, model_file, params

TRAIN = Path("build/splits/train.csv")
MODEL = Path("build/model/model.skops")


def fit(rows: pd.DataFrame, *, penalty: float, max_iter: int) -> Pipeline:
    """A logistic regression over the encoded columns.

    Raises:
        ValueError: It did not converge; what came out would depend on where it was stopped.
    """
    model = Pipeline(
        [
            ("encode", features.encoder()),
            ("classify", LogisticRegression(C=1 / penalty, max_iter=max_iter)),
        ]
    )
    model.fit(features.predictors(rows), rows[features.TARGET])
    if iterations(model) >= max_iter:
        raise ValueError(f"no convergence after {max_iter} iterations; raise train.max_iter")
    return model


def iterations(model: Pipeline) -> int:
    """How many the solver took."""
    return int(model["classify"].n_iter_[0])


def main() -> None:
    """Write the model."""
    settings = params.read("train")
    rows = features.read_rows(TRAIN)
    model = fit(rows, penalty=settings["penalty"], max_iter=settings["max_iter"])
    model_file.save(model, MODEL)
    print(f"converged after {iterations(model)} iterations on {len(rows)} customers")


if __name__ == "__main__":
    main()
