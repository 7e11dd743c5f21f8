import pandas as pd
import pytest

from churn import prepare


def raw(charges: list[str], tenure: list[int]) -> pd.DataFrame:
    names = [f"{number:04d}-ABCDE" for number in range(len(charges))]
    return pd.DataFrame({"customerID": names, "tenure": tenure, "TotalCharges": charges})


def test_a_customer_who_was_never_billed_has_paid_nothing() -> None:
    rows = prepare.clean(raw(["29.85", " "], [1, 0]))
    assert rows["TotalCharges"].tolist() == [29.85, 0.0]


def test_a_blank_that_has_no_explanation_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"blank for 1 customers who have been billed.*0001-ABCDE"):
        prepare.clean(raw(["29.85", " "], [1, 5]))


def test_charges_that_are_no_number_are_refused() -> None:
    with pytest.raises(ValueError, match="twelve"):
        prepare.clean(raw(["twelve"], [1]))


def test_both_sides_together_are_all_customers_once(customers: pd.DataFrame) -> None:
    train, test = prepare.split(customers, test_fraction=0.25, seed=7)
    assert sorted([*train["customerID"], *test["customerID"]]) == customers["customerID"].tolist()
    assert 0.18 < len(test) / len(customers) < 0.32


def test_nobody_changes_sides_when_customers_are_added(customers: pd.DataFrame) -> None:
    _, before = prepare.split(customers.head(200), test_fraction=0.25, seed=7)
    _, after = prepare.split(customers, test_fraction=0.25, seed=7)
    assert set(before["customerID"]) == set(after["customerID"]) & set(customers.head(200)["customerID"])


def test_another_seed_gives_another_split(customers: pd.DataFrame) -> None:
    _, one = prepare.split(customers, test_fraction=0.25, seed=7)
    _, other = prepare.split(customers, test_fraction=0.25, seed=8)
    assert set(one["customerID"]) != set(other["customerID"])


def test_a_customers_position_never_changes() -> None:
    assert prepare.position("7590-VHVEG", 7) == pytest.approx(0.301248, abs=1e-6)
