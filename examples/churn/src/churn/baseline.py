"""Makes the baseline that the model is compared with: what the kind of contract and the months alone tell.

No stage of the pipeline: what it writes is committed. Run it again when the split changes, for a baseline of
other customers is compared with nothing.
"""

from pathlib import Path

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from churn import evaluate, features

BASELINE = Path("baselines/predictions.csv")


def fit(rows: pd.DataFrame) -> Pipeline:
    """A logistic regression over two columns of nineteen."""
    encoder = ColumnTransformer(
        [("contract", OneHotEncoder(), ["Contract"]), ("months", StandardScaler(), ["tenure"])]
    )
    model = Pipeline([("encode", encoder), ("classify", LogisticRegression())])
    return model.fit(features.predictors(rows), rows[features.TARGET])


def main() -> None:
    """Write the baseline's predictions of the test set."""
    model = fit(features.read_rows(Path("build/splits/train.csv")))
    predictions = evaluate.predict(model, features.read_rows(evaluate.TEST), threshold=0.5)
    evaluate.write(predictions[["id", "truth", "prediction", "score"]], BASELINE)


if __name__ == "__main__":
    main()
