import pandas as pd
import pytest

from churn import evaluate, train


@pytest.fixture
def predictions(customers: pd.DataFrame) -> pd.DataFrame:
    model = train.fit(customers.head(300), penalty=1.0, max_iter=200)
    return evaluate.predict(model, customers.tail(100), threshold=0.5)


def test_every_customer_is_predicted_once_with_their_groups(
    customers: pd.DataFrame, predictions: pd.DataFrame
) -> None:
    assert list(predictions.columns) == [
        "id",
        "truth",
        "prediction",
        "score",
        "gender",
        "SeniorCitizen",
    ]
    assert predictions["id"].tolist() == customers["customerID"].tail(100).tolist()
    assert predictions["score"].between(0, 1).all()


def test_a_lower_threshold_finds_more_leavers(customers: pd.DataFrame) -> None:
    model = train.fit(customers.head(300), penalty=1.0, max_iter=200)
    low, high = (
        evaluate.measure(evaluate.predict(model, customers.tail(100), threshold=threshold))
        for threshold in (0.2, 0.8)
    )
    assert low["recall"] > high["recall"]
    assert low["roc_auc"] == high["roc_auc"]


def test_the_model_beats_a_coin(predictions: pd.DataFrame) -> None:
    metrics = evaluate.measure(predictions)
    assert metrics["roc_auc"] > 0.75
    assert metrics["rows"] == 100


def test_the_metrics_are_what_they_are_by_hand() -> None:
    predictions = pd.DataFrame(
        {"truth": [1, 1, 0, 0], "prediction": [1, 0, 0, 0], "score": [0.8, 0.4, 0.6, 0.1]}
    )
    assert evaluate.measure(predictions) == {
        "accuracy": 0.75,
        "log_loss": 0.540271,
        "recall": 0.5,
        "roc_auc": 0.75,
        "rows": 4,
    }
