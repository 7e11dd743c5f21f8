import numpy as np
import pytest

from churn import campaign

PREDICTED = np.array([1, 1, 0, 0])
LEFT = np.array([1, 0, 1, 0])


def test_a_call_costs_and_a_leaver_who_is_called_may_stay() -> None:
    earned = campaign.profit({"truth": LEFT, "prediction": PREDICTED})
    assert earned == pytest.approx((0.25 * 200 - 10 - 10) / 4)


def test_calling_nobody_earns_nothing() -> None:
    assert campaign.profit({"truth": LEFT, "prediction": np.zeros(4)}) == 0.0


def test_calling_those_who_stay_anyway_costs_money() -> None:
    assert campaign.profit({"truth": np.zeros(4), "prediction": np.ones(4)}) == -campaign.CALL
