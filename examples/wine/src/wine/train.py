"""Grows the forest."""

import pandas as pd
from sklearn.ensemble import RandomForestRegressor

from wine import features, model_file

FALLING = "volatile acidity"
"""Vinegar: more of it must never make a wine better, whatever the few wines with a lot of it suggest."""


def fit(rows: pd.DataFrame, *, trees: int, min_leaf: int, share: float, seed: int) -> RandomForestRegressor:
    """A random forest in which quality does not rise with volatile acidity.

    Args:
        rows: Wines to learn from.
        trees: How many.
        min_leaf: Least wines in a leaf; more of them make smaller trees and a smaller file.
        share: Of the features that each branch chooses from.
        seed: Of the rows and features that each tree is given.
    """
    model = RandomForestRegressor(
        n_estimators=trees,
        min_samples_leaf=min_leaf,
        max_features=share,
        monotonic_cst=[-1 if name == FALLING else 0 for name in features.FEATURES],
        random_state=seed,
    )
    return model.fit(features.predictors(rows), rows[features.TARGET])


def main() -> None:
    """Write the model."""
    settings = features.params("train")
    rows = pd.read_csv(features.TRAIN)
    model = fit(rows, **settings)
    model_file.save(model, features.MODEL)
    leaves = sum(tree.get_n_leaves() for tree in model.estimators_)
    print(f"{len(model.estimators_)} trees with {leaves} leaves on {len(rows)} wines")


if __name__ == "__main__":
    main()
