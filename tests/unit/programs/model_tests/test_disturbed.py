"""Robustness and permutation importance, against what scikit-learn and plain arithmetic say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.inspection import permutation_importance
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, roc_auc_score

from model_samples import FEATURES, Workspace, classifier, regressor, rows
from penstock.programs.common.outputs import Outputs, Subject
from penstock.programs.model_tests.measuring import changes, measured, metric_of
from penstock.programs.model_tests.robustness import disturbed


def robustness(workspace: Workspace, *declared: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    document = workspace.document(tests={"determinism": False}, robustness=list(declared), **more)
    found: list[dict[str, Any]] = document["robustness"]
    return found


# Disturbances


def test_noise_is_a_share_of_each_columns_spread() -> None:
    table = rows(4000)[FEATURES]
    after = disturbed(table, "noise", 0.3, ["age", "income"])
    for name in ("age", "income"):
        assert (after[name] - table[name]).std() / table[name].std() == pytest.approx(0.3, rel=0.05)
    assert after["age"].dtype == "int64"
    assert after[["city", "member"]].equals(table[["city", "member"]])


def test_missing_values_come_at_the_rate_that_is_declared() -> None:
    table = rows(4000)[FEATURES]
    after = disturbed(table, "missing", 0.2, FEATURES)
    assert after.isna().mean().to_numpy() == pytest.approx([0.2] * 4, abs=0.03)
    kept = after["city"].notna()
    assert (after["city"][kept] == table["city"][kept]).all()
    assert not after["age"].isna().equals(after["income"].isna())  # each column has its own draws


def test_swapped_values_become_others_of_the_same_column() -> None:
    table = rows(4000)[FEATURES]
    after = disturbed(table, "swapped", 0.25, ["city", "member"])
    assert (after["city"] != table["city"]).mean() == pytest.approx(0.25, abs=0.03)
    assert set(after["city"]) == set(table["city"])
    changed = after["city"][(table["city"] == "Ulm") & (after["city"] != "Ulm")]
    assert (changed == "Bonn").mean() == pytest.approx(0.5, abs=0.08)
    assert after["member"].dtype == bool


# Robustness


def test_the_metric_is_that_of_the_disturbed_rows(workspace: Workspace) -> None:
    table = workspace.rows()
    model = classifier(table)
    path = workspace.skops(model)
    found = robustness(
        workspace,
        {"noise": 0.5},
        {"noise": 0.5, "metric": "roc_auc"},
        {"noise": 0.5, "metric": "log_loss"},
        model=path,
    )
    after = disturbed(table[FEATURES], "noise", 0.5, ["age", "income"])
    scores = [model.predict_proba(part)[:, 1] for part in (table[FEATURES], after)]
    expected = {
        "accuracy": [accuracy_score(table["paid"], model.predict(part)) for part in (table[FEATURES], after)],
        "roc_auc": [roc_auc_score(table["paid"] == "yes", score) for score in scores],
        "log_loss": [log_loss(table["paid"] == "yes", score) for score in scores],
    }
    for entry in found:
        assert [entry["value"], entry["perturbed_value"]] == pytest.approx(expected[entry["metric"]])
        assert entry["change"] == pytest.approx(entry["perturbed_value"] - entry["value"])
        low, high = entry["interval"]
        assert low < entry["change"] < high
        assert (entry["rows"], entry["confidence"], entry["problem"]) == (300, 0.95, None)
    assert [entry["better"] for entry in found] == ["higher", "higher", "lower"]
    assert [entry["name"] for entry in found] == ["noise 0.5"] * 3


def test_a_disturbance_of_nothing_changes_nothing_but_says_how_sure_it_is(workspace: Workspace) -> None:
    (entry,) = robustness(workspace, {"noise": 0.5, "columns": ["income"], "name": "pay"})
    assert (entry["name"], entry["change"]) == ("pay", 0)
    assert entry["interval"][0] < 0 < entry["interval"][1]  # of 300 rows none differs; of others some may


def test_without_confidence_there_is_no_interval(workspace: Workspace) -> None:
    document = workspace.document(confidence=None, robustness=[{"noise": 1}], importance={"repeats": 2})
    assert document["confidence"] is None
    assert document["robustness"][0]["interval"] is None
    assert document["robustness"][0]["change"] < 0
    assert all(feature["interval"] is None for feature in document["importance"]["features"])


def test_a_model_that_cannot_take_missing_values_has_a_problem(workspace: Workspace) -> None:
    path = workspace.skops(regressor(workspace.rows()))
    (entry,) = robustness(workspace, {"missing": 0.1}, model=path, target="amount")
    assert entry["value"] > 0
    assert entry["change"] is entry["interval"] is None
    assert entry["problem"].startswith("with the disturbed rows, it raised ValueError: Input X contains NaN")


def test_an_interval_of_the_change_covers_the_true_change() -> None:
    """The accuracy of a threshold on one number falls by a known share when noise is added to it."""
    about = Subject("binary", ("no", "yes"), "yes")
    metric = metric_of("accuracy", about, "metric")
    draws = np.random.default_rng(3)
    covered, true_change = 0, np.arctan(0.5) / np.pi  # P(sign(x + e) != sign(x)), e half as spread as x
    for _ in range(400):
        x = draws.normal(size=200)
        noisy = x + draws.normal(0, 0.5, 200)
        truth = np.where(x > 0, "yes", "no").astype(object)
        said = [Outputs(labels=np.where(part > 0, "yes", "no").astype(object)) for part in (x, noisy)]
        before, after = (measured(metric, truth, part, about) for part in said)
        bounds = changes(before, [after], 0.95)[0].interval
        assert bounds is not None
        covered += bounds[0] <= -true_change <= bounds[1]
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ([{}], "robustness[0].noise: give exactly one of noise, missing, swapped"),
        ([{"noise": 1, "missing": 0.1}], "give exactly one of"),
        ([{"missing": 2}], "robustness[0].missing: 2 is not between 0 and 1"),
        ([{"noise": -1}], "robustness[0].noise: -1 is not at least 0"),
        ([{"noise": 1, "columns": ["city"]}], "robustness[0].columns: 'city' holds"),
        (
            [{"swapped": 0.1, "columns": ["age"]}],
            "robustness[0].columns: 'age' holds int64, which swapped is not for",
        ),
        ([{"noise": 1, "columns": ["agee"]}], "robustness[0].columns: no column 'agee'; did you mean 'age'?"),
        ([{"noise": 1, "metric": "r2"}], "robustness[0].metric: r2 is no metric of a binary task"),
        ([{"noise": 1, "nose": 1}], "robustness[0]: unknown key 'nose'"),
        ("x", "robustness: 'x' is no list"),
    ],
)
def test_a_wrong_disturbance_is_named(
    workspace: Workspace, complaint: Callable[..., str], declared: Any, says: str
) -> None:
    assert says in complaint(robustness=declared)


def test_a_metric_needs_a_target(workspace: Workspace, complaint: Callable[..., str]) -> None:
    line = complaint(target=None, robustness=[{"noise": 1}])
    assert line == "robustness[0].metric: a metric needs the truth: name its column as `target`"


# Importance


def importance(workspace: Workspace, **more: Any) -> dict[str, Any]:
    document = workspace.document(tests={"determinism": False}, **more)
    found: dict[str, Any] = document["importance"]
    return found


@pytest.mark.parametrize(
    ("metric", "scoring"), [("accuracy", "accuracy"), ("roc_auc", "roc_auc"), ("log_loss", "neg_log_loss")]
)
def test_importance_is_that_of_scikit_learn(workspace: Workspace, metric: str, scoring: str) -> None:
    table = workspace.rows(600)
    model = classifier(table)
    found = importance(workspace, model=workspace.skops(model), importance={"metric": metric, "repeats": 20})
    other = permutation_importance(
        model, table[FEATURES], table["paid"], scoring=scoring, n_repeats=20, random_state=1
    )
    for feature in found["features"]:
        place = FEATURES.index(feature["feature"])
        spread = other["importances_std"][place]
        # two means of twenty shuffles each
        assert feature["value"] == pytest.approx(
            other["importances_mean"][place], abs=4 * spread * np.sqrt(2 / 20) + 1e-12
        )
        low, high = feature["interval"]
        assert low <= feature["value"] <= high
    assert found["features"][0]["feature"] == "age"
    assert sum(feature["share"] for feature in found["features"]) == pytest.approx(1)
    assert (found["metric"], found["method"], found["repeats"]) == (metric, "permutation", 20)


def test_importance_of_errors_is_positive_where_shuffling_hurts(workspace: Workspace) -> None:
    table = workspace.rows()
    model = regressor(table)
    found = importance(workspace, model=workspace.skops(model), target="amount", importance={})
    assert found["metric"] == "mean_absolute_error"
    features = {feature["feature"]: feature for feature in found["features"]}
    mixed = table.assign(age=np.random.default_rng(0).permutation(table["age"]))
    loss = mean_absolute_error(table["amount"], model.predict(mixed[FEATURES]))
    loss -= mean_absolute_error(table["amount"], model.predict(table[FEATURES]))
    assert features["age"]["value"] == pytest.approx(loss, rel=0.1)
    assert features["city"]["value"] == features["city"]["share"] == 0
    assert features["age"]["interval"][0] > 0


def test_importance_of_a_model_that_looks_at_nothing_has_no_shares(workspace: Workspace) -> None:
    found = importance(workspace, loader="shop:constant", importance=True)
    assert all(feature["value"] == 0 and feature["share"] is None for feature in found["features"])


def test_importance_of_some_features_and_rows(workspace: Workspace) -> None:
    found = importance(workspace, importance={"features": ["city", "age"], "rows": 100, "repeats": 3})
    assert [feature["feature"] for feature in found["features"]] == ["age", "city"]
    assert found["rows"] == 100


def test_importance_that_cannot_be_measured_is_a_warning(workspace: Workspace) -> None:
    document = workspace.document(loader="shop:nan", importance={"metric": "roc_auc"})
    assert document["importance"] is None
    assert document["warnings"] == [
        "the importance of features was not measured: with age shuffled, the model gave values that are not finite"
    ]


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"repeats": 1}, "importance.repeats: 1 is not between 2 and 1000"),
        ({"features": ["x"]}, "importance.features: the model gets no column 'x'"),
        ({"metric": "magic"}, "importance.metric: there is no metric 'magic'"),
        ({"max_share": 0.5}, "importance: unknown key 'max_share'"),
    ],
)
def test_a_wrong_importance_is_named(
    workspace: Workspace, complaint: Callable[..., str], declared: Any, says: str
) -> None:
    assert says in complaint(importance=declared)


def test_rows_of_the_same_file_give_the_same_bytes(workspace: Workspace) -> None:
    path = workspace.skops(classifier(workspace.rows()))
    request: dict[str, Any] = {
        "model": path,
        "robustness": [{"noise": 0.2, "metric": "f1"}, {"swapped": 0.2}],
        "importance": {"repeats": 2, "metric": "f1"},
        "tests": {"determinism": False, "cross_validation": {"folds": 3, "max_spread": 1}},
    }
    first, second = (json.dumps(workspace.document(**request)) for _ in range(2))
    assert first == second
