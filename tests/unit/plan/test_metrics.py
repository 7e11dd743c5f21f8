"""The names of metrics that pipeline files know are those that the program of the recipe computes."""

from __future__ import annotations

import pytest

from penstock.plan import metrics
from penstock.programs.common.program import UnusableError
from penstock.programs.measure import metrics as computed


def test_both_know_the_same_names() -> None:
    assert metrics.NAMES == computed.NAMES


@pytest.mark.parametrize(
    "name",
    ["accuracy_score", "neg_log_loss", "RMSE", " recall ", "top_5_accuracy", "top_3_accuracy_score", "f1"],
)
def test_what_is_known_here_is_computed_there(name: str) -> None:
    assert metrics.is_measured(name)
    assert computed.find(name).name == name


@pytest.mark.parametrize("name", ["profit", "acuracy", "top_x_accuracy", "", "score"])
def test_what_is_not_computed_there_is_not_known_here(name: str) -> None:
    assert not metrics.is_measured(name)
    with pytest.raises(UnusableError, match="there is no metric"):
        computed.find(name)


def test_a_function_is_computed_by_whoever_wrote_it() -> None:
    assert metrics.is_measured("churn.money:profit")


@pytest.mark.parametrize("criterion", metrics.CRITERIA)
def test_criteria_of_fairness_are_made_of_known_metrics(criterion: str) -> None:
    assert all(metrics.is_measured(name) for name in metrics.CRITERIA[criterion])
