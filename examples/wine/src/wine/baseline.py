"""Makes the baseline that the forest is compared with: a linear regression on the same wines.

No stage of the pipeline: what it writes is committed. Run it again when the split changes, for a baseline of
other wines is compared with nothing.
"""

from pathlib import Path

import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from wine import evaluate, features

BASELINE = Path("baselines/linear.csv")


def fit(rows: pd.DataFrame) -> Pipeline:
    """A weight for each feature."""
    model = make_pipeline(StandardScaler(), LinearRegression())
    return model.fit(features.predictors(rows), rows[features.TARGET])


def main() -> None:
    """Write the baseline's predictions of the test set."""
    model = fit(pd.read_csv(features.TRAIN))
    predictions = evaluate.predict(model, pd.read_csv(features.TEST))
    evaluate.write(predictions[["id", "truth", "prediction"]], BASELINE)


if __name__ == "__main__":
    main()
