"""Grows the tree."""

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from drug import features, model_file


def fit(rows: pd.DataFrame, *, depth: int) -> Pipeline:
    """A decision tree of at most `depth` questions in a row."""
    words = OrdinalEncoder(categories=list(features.ORDERED.values()))
    encoder = ColumnTransformer([("words", words, list(features.ORDERED))], remainder="passthrough")
    tree = DecisionTreeClassifier(max_depth=depth, random_state=0)
    model = Pipeline([("encode", encoder), ("classify", tree)])
    return model.fit(features.predictors(rows), rows[features.TARGET])


def main() -> None:
    """Write the model."""
    rows = pd.read_csv(features.TRAIN)
    model = fit(rows, **features.params("train"))
    model_file.save(model, features.MODEL)
    print(f"{model['classify'].get_n_leaves()} leaves on {len(rows)} patients")


if __name__ == "__main__":
    main()
