from pathlib import Path

import pandas as pd
import pytest

from wine import evaluate, features, train


@pytest.fixture
def predictions(wines: pd.DataFrame) -> pd.DataFrame:
    forest = train.fit(wines.head(200), trees=10, min_leaf=2, share=0.5, seed=0)
    return evaluate.predict(forest, wines.tail(100))


def test_every_wine_is_predicted_once(wines: pd.DataFrame, predictions: pd.DataFrame) -> None:
    assert list(predictions.columns) == ["id", "truth", "prediction", "sweetness", "alcohol"]
    assert predictions["id"].tolist() == wines["wine"].tail(100).tolist()


def test_the_forest_beats_the_mean(predictions: pd.DataFrame) -> None:
    error = (predictions["prediction"] - predictions["truth"]).abs().mean()
    assert error < 0.8 * (predictions["truth"].mean() - predictions["truth"]).abs().mean()


def test_a_prediction_is_written_with_no_more_digits_than_mean_something(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    evaluate.write(predictions, tmp_path / "p.csv")
    _, first, *_ = (tmp_path / "p.csv").read_text().splitlines()
    assert len(first.split(",")[2].partition(".")[2]) <= evaluate.DIGITS


def test_the_rmse_is_what_it_is_by_hand() -> None:
    assert evaluate.rmse(pd.DataFrame({"prediction": [5.0, 6.0], "truth": [5, 8]})) == 1.414214


@pytest.mark.parametrize(
    ("sugar", "word"), [(0.0, "dry"), (4.0, "dry"), (4.1, "medium dry"), (45.0, "medium"), (65.8, "sweet")]
)
def test_the_sugar_says_what_is_on_the_label(sugar: float, word: str) -> None:
    assert features.sweetness(pd.DataFrame({"residual sugar": [sugar]})).tolist() == [word]
