"""Groups against each other, against fairlearn and statsmodels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fairlearn.metrics as fair
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from statsmodels.stats import proportion

from penstock.programs.measure import main

Measured = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """The fairness entries of a table."""
    monkeypatch.chdir(tmp_path)

    def run(table: pd.DataFrame, *names: str, by: str = "group", confidence: float | None = 0.95) -> Any:
        table.to_csv("p.csv", index_label="id")
        asked = [{"metric": name, "by": [by], "confidence": confidence} for name in names]
        request = {
            "predictions": "p.csv",
            "positive": "1",
            "metrics": [],
            "fairness": asked,
            "result": "m.json",
        }
        document = main.document(request)
        return document["fairness"]

    return run


def a_table(seed: int, groups: int = 3, rows: int = 300) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    group = generator.integers(0, groups, rows)
    truth = generator.random(rows) < 0.3 + 0.1 * group
    score = np.clip(generator.normal(0.4 + 0.2 * truth + 0.05 * group, 0.2), 0.01, 0.99)
    return pd.DataFrame(
        {
            "truth": truth.astype(int),
            "prediction": (score > 0.5).astype(int),
            "score": score,
            "group": [f"g{each}" for each in group],
        }
    )


def values(entry: Mapping[str, Any], what: str) -> list[float]:
    return [pair[what]["value"] for pair in entry["pairs"]]


@pytest.mark.parametrize("seed", range(20))
def test_groups_and_their_differences_are_those_of_fairlearn(measured: Measured, seed: int) -> None:
    table = a_table(seed, groups=2 + seed % 4)
    truth, predicted, group = table["truth"], table["prediction"], table["group"]
    functions = {
        "selection_rate": fair.selection_rate,
        "recall": fair.true_positive_rate,
        "false_positive_rate": fair.false_positive_rate,
        "accuracy": metrics.accuracy_score,
        "f1": metrics.f1_score,
    }
    entries = {entry["metric"]: entry for entry in measured(table, *functions)}
    for name, function in functions.items():
        frame = fair.MetricFrame(metrics=function, y_true=truth, y_pred=predicted, sensitive_features=group)
        found = {each["value"]: each["measure"] for each in entries[name]["groups"]}
        assert found == pytest.approx(frame.by_group.to_dict(), abs=1e-12)
        assert max(map(abs, values(entries[name], "difference"))) == pytest.approx(
            frame.difference(), abs=1e-12
        )
        assert min(values(entries[name], "ratio")) == pytest.approx(frame.ratio(), abs=1e-12)


@pytest.mark.parametrize("seed", range(20, 30))
def test_parity_and_odds_are_those_of_fairlearn(measured: Measured, seed: int) -> None:
    table = a_table(seed)
    given = (table["truth"], table["prediction"])
    features = {"sensitive_features": table["group"]}
    selected, hit, false = measured(table, "selection_rate", "recall", "false_positive_rate")

    def worst(*entries: Mapping[str, Any]) -> tuple[float, float]:
        return (
            max(abs(value) for entry in entries for value in values(entry, "difference")),
            min(value for entry in entries for value in values(entry, "ratio")),
        )

    assert worst(selected) == pytest.approx(
        (
            fair.demographic_parity_difference(*given, **features),
            fair.demographic_parity_ratio(*given, **features),
        )
    )
    assert worst(hit, false) == pytest.approx(
        (fair.equalized_odds_difference(*given, **features), fair.equalized_odds_ratio(*given, **features))
    )
    assert worst(hit) == pytest.approx(
        (
            fair.equal_opportunity_difference(*given, **features),
            fair.equal_opportunity_ratio(*given, **features),
        )
    )


def test_a_difference_of_shares_has_newcombes_interval(measured: Measured) -> None:
    table = a_table(1)
    (entry,) = measured(table, "recall", confidence=0.9)
    rows = {each["value"]: each["measure_rows"] for each in entry["groups"]}
    hits = {each["value"]: round(each["measure"] * each["measure_rows"]) for each in entry["groups"]}
    assert rows == table[table["truth"] == 1].groupby("group").size().to_dict()
    assert len(entry["pairs"]) == 3
    for pair in entry["pairs"]:
        one, other = pair["groups"]
        expected = proportion.confint_proportions_2indep(
            hits[one], rows[one], hits[other], rows[other], method="newcomb", compare="diff", alpha=0.1
        )
        assert pair["difference"]["interval"] == pytest.approx(expected, abs=1e-9)
        low, high = pair["ratio"]["interval"]
        assert low < pair["ratio"]["value"] < high
        assert (low < 1 < high) == (expected[0] < 0 < expected[1])


def test_a_pair_names_the_lower_group_first(measured: Measured) -> None:
    for entry in measured(a_table(2), "selection_rate", "log_loss", "roc_auc"):
        assert all(value <= 0 for value in values(entry, "difference"))
        assert all(0 <= value <= 1 for value in values(entry, "ratio"))


def test_the_interval_of_a_group_is_that_of_its_slice(measured: Measured) -> None:
    table = a_table(3)
    names = ("recall", "roc_auc", "balanced_accuracy", "log_loss")
    entries = measured(table, *names)
    sliced = main.document(
        {
            "predictions": "p.csv",
            "positive": "1",
            "metrics": [{"metric": name, "confidence": 0.95} for name in names],
            "slices": ["group"],
            "result": "m.json",
        }
    )
    for entry in entries:
        for group in entry["groups"]:
            (measure,) = [
                each
                for each in sliced["measures"]
                if (each["metric"], each["group"]) == (entry["metric"], group["value"])
            ]
            assert (group["measure"], list(group["interval"])) == (measure["value"], measure["interval"])


def test_standard_errors_are_finite_where_nobody_is_selected(measured: Measured) -> None:
    table = pd.DataFrame(
        {"truth": [0, 1] * 60, "prediction": [0] * 60 + [0, 1] * 30, "group": ["a"] * 60 + ["b"] * 60}
    )
    (entry,) = measured(table, "selection_rate")
    (pair,) = entry["pairs"]
    assert pair["groups"] == ["a", "b"]
    assert pair["difference"]["value"] == -0.5
    assert pair["difference"]["standard_error"] == pytest.approx(
        np.sqrt((1 / 62) * (61 / 62) / 62 + (31 / 62) * (31 / 62) / 62)
    )
    assert pair["ratio"]["value"] == 0
    assert pair["ratio"]["interval"][0] == 0
    assert 0 < pair["ratio"]["interval"][1] < 0.2
    assert pair["ratio"]["log_standard_error"] > 1


def test_two_groups_without_a_hit_have_no_ratio(measured: Measured) -> None:
    table = pd.DataFrame({"truth": [0, 1] * 60, "prediction": 0, "group": ["a"] * 60 + ["b"] * 60})
    (entry,) = measured(table, "selection_rate")
    (pair,) = entry["pairs"]
    assert pair["ratio"] is None
    assert pair["problem"] == "a ratio needs measures above 0"
    assert pair["difference"]["interval"][0] < 0 < pair["difference"]["interval"][1]


def test_a_group_without_a_measure_is_named(measured: Measured) -> None:
    table = a_table(4, groups=2)
    table.loc[table["group"] == "g0", "truth"] = 0
    (entry,) = measured(table, "recall")
    first, second = entry["groups"]
    assert (first["measure"], first["measure_rows"], first["interval"]) == (None, 0, None)
    assert second["measure"] is not None
    assert entry["pairs"] == [
        {"groups": ["g0", "g1"], "difference": None, "ratio": None, "problem": f"g0: {first['problem']}"}
    ]


def test_without_a_confidence_there_are_points(measured: Measured) -> None:
    (entry,) = measured(a_table(5), "recall", confidence=None)
    assert {each["interval"] for each in entry["groups"]} == {None}
    assert {each["problem"] for each in (*entry["groups"], *entry["pairs"])} == {None}
    assert {pair[what]["interval"] for pair in entry["pairs"] for what in ("difference", "ratio")} == {None}
    assert all(0 < pair["ratio"]["value"] <= 1 for pair in entry["pairs"])


def test_a_column_with_too_many_groups_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = a_table(6)
    table["name"] = [f"n{row}" for row in range(len(table))]
    table.to_csv("p.csv", index_label="id")
    asked = [{"metric": "recall", "by": ["name", "group"], "confidence": 0.95}]
    document = main.document({"predictions": "p.csv", "positive": "1", "fairness": asked, "result": "m.json"})
    assert [entry["column"] for entry in document["fairness"]] == ["group"]
    assert any("'name'" in warning and "300 values" in warning for warning in document["warnings"])
