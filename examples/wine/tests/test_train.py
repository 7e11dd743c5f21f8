from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestRegressor

from wine import baseline, features, model_file, train

SMALL: dict[str, Any] = {"trees": 10, "min_leaf": 2, "share": 0.5}


@pytest.fixture
def forest(wines: pd.DataFrame) -> RandomForestRegressor:
    return train.fit(wines, **SMALL, seed=0)


def test_the_forest_prefers_alcohol(wines: pd.DataFrame, forest: RandomForestRegressor) -> None:
    rows = features.predictors(wines)
    weak, strong = (forest.predict(rows.assign(alcohol=alcohol)).mean() for alcohol in (1.1, 1.9))
    assert strong > weak + 1


def test_more_vinegar_makes_no_wine_better(wines: pd.DataFrame, forest: RandomForestRegressor) -> None:
    rows = features.predictors(wines)
    more = rows.assign(**{train.FALLING: rows[train.FALLING] + 0.2})
    assert (forest.predict(more) <= forest.predict(rows) + 1e-12).all()


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(
    wines: pd.DataFrame, tmp_path: Path
) -> None:
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        model_file.save(train.fit(wines, **SMALL, seed=seed), tmp_path / name)
    one, again, other = ((tmp_path / name).read_bytes() for name in ("one", "again", "other"))
    assert one == again
    assert one != other


def test_a_model_predicts_the_same_after_it_was_saved(
    wines: pd.DataFrame, forest: RandomForestRegressor, tmp_path: Path
) -> None:
    model_file.save(forest, tmp_path / "model.skops")
    rows = features.predictors(wines)
    assert (model_file.load(tmp_path / "model.skops").predict(rows) == forest.predict(rows)).all()


def test_a_saved_model_holds_one_type_beyond_those_that_skops_trusts(
    forest: RandomForestRegressor, tmp_path: Path
) -> None:
    model_file.save(forest, tmp_path / "model.skops")
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops") == list(model_file.TRUSTED)


def test_the_baseline_is_the_line_through_the_wines(wines: pd.DataFrame) -> None:
    line = baseline.fit(wines)
    assert set(line["linearregression"].coef_.argsort()[[0, -1]]) == {1, 10}  # volatile acidity and alcohol
