"""Declared changes of rows, slices and folds: what they do, and what is said about a wrong declaration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from model_samples import FEATURES, Workspace, classifier, rows
from penstock.programs.common.program import UnusableError
from penstock.programs.model_tests import changes, folds
from penstock.programs.model_tests.judging import share_verdict, within
from penstock.programs.model_tests.options import Options


def changed(change: dict[str, Any], table: pd.DataFrame | None = None) -> pd.DataFrame:
    table = rows(50)[FEATURES] if table is None else table
    before = table.copy()
    after = changes.read(Options({"change": change}, "tests.x[0]"), "change", table).applied(table)
    pd.testing.assert_frame_equal(table, before)  # a change is made to a copy
    return after


# What changes do


def test_a_value_is_set_for_every_row() -> None:
    after = changed({"set": {"city": "Ulm", "age": 30, "member": True}})
    assert set(after["city"]) == {"Ulm"}
    assert set(after["age"]) == {30}
    assert after["member"].dtype == bool
    assert after["income"].equals(rows(50)["income"])


def test_numbers_are_added_and_multiplied() -> None:
    after = changed({"add": {"age": 2}, "multiply": {"income": 0.5}})
    assert (after["age"] == rows(50)["age"] + 2).all()
    assert after["age"].dtype == "int64"
    assert np.allclose(after["income"], rows(50)["income"] / 2)


def test_two_values_are_swapped_and_others_stay() -> None:
    before, after = rows(50)["city"], changed({"swap": {"city": ["Ulm", "Bonn"]}})["city"]
    assert (after[before == "Ulm"] == "Bonn").all()
    assert (after[before == "Bonn"] == "Ulm").all()
    assert (after[before == "Kiel"] == "Kiel").all()


def test_values_are_dropped_whatever_their_type() -> None:
    after = changed({"drop": FEATURES})
    assert after.isna().all().all()
    assert changed({"set": {"city": None}})["city"].isna().all()


def test_pieces_of_text_are_replaced_all_at_once() -> None:
    table = pd.DataFrame({"text": ["ab", "a", None, "bab"]})
    after = changed({"replace": {"text": {"a": "b", "b": "a", "ab": "!"}}}, table)["text"]
    assert after.tolist()[:2] + after.tolist()[3:] == ["!", "b", "a!"]
    assert pd.isna(after[2])
    assert changed({"replace": {"text": {".": "x"}}}, table)["text"][0] == "ab"  # text, no pattern


def test_noise_has_the_spread_that_is_declared_and_is_the_same_every_time() -> None:
    table = rows(5000)[FEATURES]
    after = changed({"noise": {"income": 0.5, "age": 0.1}}, table)
    assert after.equals(changed({"noise": {"income": 0.5, "age": 0.1}}, table))
    spread = (after["income"] - table["income"]).std() / table["income"].std(ddof=0)
    assert spread == pytest.approx(0.5, rel=0.05)
    assert after["age"].dtype == "int64"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (None, "tests.x[0].change: None is no mapping of set, add, multiply, swap, drop, replace, noise"),
        ({}, "{} is no mapping of set"),
        ({"sett": {"age": 1}}, "tests.x[0].change: unknown key 'sett'; did you mean 'set'?"),
        ({"add": 3}, "tests.x[0].change.add: 3 is no mapping from columns"),
        (
            {"add": {"agee": 1}},
            "tests.x[0].change.add: no column 'agee'; did you mean 'age'? (there are 'age', 'income'",
        ),
        ({"add": {"age": "1"}}, "tests.x[0].change.add.age: '1' is no number"),
        ({"add": {"age": True}}, "True is no number"),
        ({"multiply": {"city": 2}}, "tests.x[0].change.multiply.city: the column holds"),
        ({"set": {"age": "old"}}, "'old' is no number"),
        ({"set": {"city": ["Ulm"]}}, "['Ulm'] is no single value"),
        ({"swap": {"city": ["Ulm"]}}, "['Ulm'] is no pair of two different values"),
        ({"swap": {"city": ["Ulm", "Ulm"]}}, "is no pair of two different values"),
        (
            {"swap": {"age": ["a", "b"]}},
            "tests.x[0].change.swap.age: the column holds int64, which 'a' is none of",
        ),
        ({"drop": {"age": 1}}, "is no list of columns"),
        ({"replace": {"age": {"1": "2"}}}, "the column holds int64 and no text"),
        ({"replace": {"city": "x"}}, "'x' is no mapping from old to new text"),
        ({"noise": {"city": 1}}, "and no numbers"),
        ({"noise": {"age": -1}}, "-1 is no share of a standard deviation"),
        ({"add": {"age": 1}, "noise": {"age": 1}}, "'age' is changed by another operation already"),
    ],
)
def test_a_change_that_means_nothing_is_named(change: Any, says: str) -> None:
    with pytest.raises(UnusableError, match=r"^tests") as error:
        changed(change)
    assert says in str(error.value)


# Invariance and direction


def relation(workspace: Workspace, kind: str, **options: Any) -> dict[str, Any]:
    document = workspace.document(
        loader=options.pop("loader", "shop:good"),
        target=options.pop("target", "paid"),
        tests={"validity": False, "determinism": False, kind: [{"name": "it"} | options]},
    )
    found: dict[str, Any] = document["tests"][1]
    assert (found["name"], found["kind"]) == ("it", kind)
    return found


def test_what_the_model_does_not_look_at_may_change(workspace: Workspace) -> None:
    found = relation(workspace, "invariance", change={"swap": {"city": ["Ulm", "Bonn"]}})
    touched = int((workspace.rows()["city"] != "Kiel").sum())
    assert (found["verdict"], found["value"], found["rows"]) == ("pass", 0, touched)
    assert found["interval"][0] == 0 < found["interval"][1]


def test_what_the_model_looks_at_may_not(workspace: Workspace) -> None:
    found = relation(workspace, "invariance", change={"add": {"age": 3}})
    ages = workspace.rows()["age"]
    crossing = int(((ages <= 45) & (ages + 3 > 45)).sum())
    assert (found["verdict"], found["value"] * 300) == ("fail", pytest.approx(crossing))
    assert found["sentence"].startswith(f"it: the prediction changed for {crossing} of 300 rows")
    assert found["sentence"].endswith("none may")
    assert "changed yes (0.5" in found["examples"][0]


@pytest.mark.parametrize(("most", "verdict"), [(0.2, "pass"), (0.05, "inconclusive"), (0.01, "fail")])
def test_a_share_of_rows_is_judged_with_its_interval(workspace: Workspace, most: float, verdict: str) -> None:
    found = relation(workspace, "invariance", change={"add": {"age": 3}}, max_share=most)
    assert found["verdict"] == verdict
    assert found["maximum"] == most
    low, high = stats.binomtest(round(found["value"] * 300), 300).proportion_ci(0.95, method="wilson")
    assert found["interval"] == pytest.approx([low, high])


def test_a_tolerance_is_about_the_probability(workspace: Workspace) -> None:
    # the steepest the logistic curve gets is a quarter per unit, here 0.025 a year
    assert relation(workspace, "invariance", change={"add": {"age": 1}}, tolerance=0.026)["verdict"] == "pass"
    assert relation(workspace, "invariance", change={"add": {"age": 1}}, tolerance=0.02)["verdict"] == "fail"


def test_a_number_may_not_change_at_all_without_a_tolerance(workspace: Workspace) -> None:
    number: dict[str, Any] = {"loader": "shop:number", "target": "amount"}
    assert relation(workspace, "invariance", change={"add": {"age": 1}}, **number)["verdict"] == "fail"
    assert (
        relation(workspace, "invariance", change={"add": {"age": 1}}, tolerance=2, **number)["verdict"]
        == "pass"
    )
    assert relation(workspace, "invariance", change={"add": {"income": 1}}, **number)["verdict"] == "pass"


@pytest.mark.parametrize(("must_not", "verdict"), [("fall", "pass"), ("rise", "fail")])
def test_a_prediction_moves_in_the_direction_that_is_declared(
    workspace: Workspace, must_not: str, verdict: str
) -> None:
    assert (
        relation(workspace, "direction", change={"add": {"age": 5}}, must_not=must_not)["verdict"] == verdict
    )
    number: dict[str, Any] = {"loader": "shop:number", "target": "amount", "must_not": must_not}
    assert relation(workspace, "direction", change={"add": {"age": 5}}, **number)["verdict"] == verdict


def test_the_direction_of_a_class_is_that_of_its_probability(workspace: Workspace) -> None:
    options: dict[str, Any] = {"change": {"add": {"age": 5}}, "must_not": "rise"}
    assert relation(workspace, "direction", **options, **{"class": "no"})["verdict"] == "pass"
    assert relation(workspace, "direction", **options, **{"class": "yes"})["verdict"] == "fail"


def test_a_change_of_no_row_tests_nothing(workspace: Workspace) -> None:
    found = relation(workspace, "invariance", change={"swap": {"city": ["Köln", "Graz"]}})
    assert found["verdict"] == "fail"
    assert "the change alters no row, so nothing was tested" in found["sentence"]


def test_a_model_that_cannot_predict_changed_rows_fails(workspace: Workspace) -> None:
    model = workspace.skops(classifier(workspace.rows()))
    document = workspace.document(
        model=model, tests={"determinism": False, "invariance": [{"change": {"drop": ["income"]}}]}
    )
    assert document["tests"][2]["verdict"] == "fail"
    assert (
        "invariance[0]: the model cannot predict the changed rows: it raised ValueError"
        in document["tests"][2]["sentence"]
    )


@pytest.mark.parametrize(
    ("tests", "says"),
    [
        ({"invarience": []}, "tests: unknown key 'invarience'; did you mean 'invariance'?"),
        ({"invariance": {}}, "tests.invariance: {} is no list"),
        ({"invariance": ["x"]}, "tests.invariance[0]: 'x' is no mapping of options"),
        ({"invariance": [{"change": {"add": {"age": 1}}, "max_share": 2}]}, "tests.invariance[0].max_share: 2 is not between 0 and 1"),
        ({"invariance": [{"change": {"add": {"age": 1}}, "tolerance": "1"}]}, "tests.invariance[0].tolerance: '1' is no number"),
        ({"invariance": [{"change": {"add": {"age": 1}}, "must_not": "rise"}]}, "tests.invariance[0]: unknown key 'must_not'"),
        ({"direction": [{"change": {"add": {"age": 1}}}]}, "tests.direction[0].must_not: is missing: say fall or rise"),
        ({"direction": [{"change": {"add": {"age": 1}}, "must_not": "drop"}]}, "tests.direction[0].must_not: 'drop' is none of fall, rise"),
        ({"direction": [{"change": {"add": {"age": 1}}, "must_not": "rise", "class": "x"}]}, "tests.direction[0].class: 'x' is unknown: name one of no, yes"),
        ({"slices": [{"min": 0.5}]}, "tests.slices[0].by: is missing"),
        ({"slices": [{"by": "city", "min": 0.5, "max": 0.4}]}, "tests.slices[0].min: 0.5 is above max 0.4"),
        ({"slices": [{"by": "city"}]}, "tests.slices[0].min: is missing: give `min` or `max`"),
        ({"slices": [{"by": "town", "min": 0.5}]}, "tests.slices[0].by: no column 'town'"),
        ({"slices": [{"by": "city", "min": 0.5, "metric": "acuracy"}]}, "tests.slices[0].metric: there is no metric 'acuracy'"),
        ({"slices": [{"by": "city", "min": 0.5, "metric": "r2"}]}, "tests.slices[0].metric: r2 is no metric of a binary task"),
        ({"slices": [{"by": "city", "min": 0.5, "metric": "selection_rate"}]}, "neither more nor less is better"),
        ({"slices": [{"by": "city", "min": 0.5, "metric": "my.own:metric"}]}, "functions of your own are for the recipe `measure`"),
        ({"cross_validation": {"folds": 1}}, "tests.cross_validation.folds: 1 is not between 2 and 100"),
        ({"cross_validation": {"max_spread": 0.1}}, "tests.cross_validation.trainer: is missing: a Good cannot be trained again"),
        ({"cross_validation": {"trainer": "shop:train"}}, "tests.cross_validation.max_spread: is missing"),
        ({"collapse": {"share": 1}}, "tests.collapse: unknown key 'share'"),
        ({"determinism": {"batch_sizes": [0]}}, "tests.determinism.batch_sizes: [0] is no list of whole numbers from 1"),
        ({"validity": {"min": 0}}, "tests.validity.min: means nothing for classes"),
        ({"validity": 3}, "tests.validity: 3 is no mapping of options"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_named(
    workspace: Workspace, complaint: Callable[..., str], tests: dict[str, Any], says: str
) -> None:
    assert says in complaint(tests=tests)


# Slices


def slices(workspace: Workspace, **options: Any) -> dict[str, Any]:
    document = workspace.document(
        loader=options.pop("loader", "shop:good"),
        target=options.pop("target", "paid"),
        tests={"determinism": False, "slices": [options]},
    )
    found: dict[str, Any] = document["tests"][2]
    return found


def test_the_worst_group_is_judged(workspace: Workspace) -> None:
    table = workspace.rows()
    right = (table["age"] > 45).map({True: "yes", False: "no"}) == table["paid"]
    found = slices(workspace, by="city", min=0.5)
    worst = right.groupby(table["city"]).mean()
    assert found["value"] == pytest.approx(worst.min())
    assert found["name"] == "accuracy by city"
    assert worst.idxmin() in found["sentence"]
    hits, count = (
        int(right[table["city"] == worst.idxmin()].sum()),
        int((table["city"] == worst.idxmin()).sum()),
    )
    assert found["rows"] == count
    assert found["interval"] == pytest.approx(
        stats.binomtest(hits, count).proportion_ci(0.95, method="wilson")
    )
    assert len(found["examples"]) == 3


@pytest.mark.parametrize(("low", "verdict"), [(0.5, "pass"), (0.75, "inconclusive"), (0.95, "fail")])
def test_every_group_must_be_within_the_bound(workspace: Workspace, low: float, verdict: str) -> None:
    assert slices(workspace, by=["city"], min=low)["verdict"] == verdict


def test_a_group_of_few_rows_cannot_be_judged(workspace: Workspace) -> None:
    assert slices(workspace, by="city", min=0.1, min_rows=1000)["verdict"] == "inconclusive"
    assert slices(workspace, by=["city", "member"], min=0.1)["verdict"] == "pass"


def test_the_group_that_decides_is_the_one_that_is_told(workspace: Workspace) -> None:
    table = workspace.rows()
    right = (table["age"] > 45).map({True: "yes", False: "no"}) == table["paid"]
    table["team"] = np.where(right, "good", "bad")
    table.loc[~right, "team"] = np.where(np.arange((~right).sum()) < 3, "tiny", "bad")
    table.to_csv("rows.csv", index=False)
    found = slices(workspace, by=["team", "team"], min=0.5)
    assert found["verdict"] == "fail"
    assert "the worst of 3 groups is team bad: 0 [0, " in found["sentence"]


def test_errors_have_an_upper_bound(workspace: Workspace) -> None:
    options: dict[str, Any] = {"by": "city", "loader": "shop:number", "target": "amount"}
    assert slices(workspace, max=6, **options)["verdict"] == "pass"
    assert slices(workspace, max=2, **options)["verdict"] == "fail"


def test_too_many_groups_are_refused(workspace: Workspace) -> None:
    found = slices(workspace, by="id", min=0.1)
    assert found["verdict"] == "fail"
    assert "300 groups, of which 200 can be looked at" in found["sentence"]


# Cross-validation


def test_an_estimator_is_trained_again_for_each_fold(workspace: Workspace) -> None:
    model = workspace.skops(classifier(workspace.rows()))
    tests = {"determinism": False, "cross_validation": {"folds": 4, "max_spread": 0.1}}
    found = workspace.document(model=model, tests=tests)["tests"][2]
    assert (found["kind"], found["verdict"], found["interval"]) == ("cross-validation", "pass", None)
    values = [float(example.split(": ")[1]) for example in found["examples"]]
    assert len(values) == 4
    assert found["value"] == pytest.approx(np.std(values, ddof=1), abs=1e-3)
    assert 0.6 < np.mean(values) < 0.95
    tests["cross_validation"] = {"folds": 4, "max_spread": 0}
    assert workspace.document(model=model, tests=tests)["tests"][2]["verdict"] == "fail"


def test_a_trainer_makes_the_models_of_the_folds(workspace: Workspace) -> None:
    tests = {"determinism": False, "cross_validation": {"trainer": "shop:train", "max_spread": 0.2}}
    found = workspace.document(tests=tests)["tests"][2]
    assert found["verdict"] == "pass"
    assert len(found["examples"]) == 5


def test_a_training_that_raises_fails(workspace: Workspace) -> None:
    (workspace.root / "lazy.py").write_text("def train(table):\n    raise MemoryError(len(table))\n")
    tests = {"determinism": False, "cross_validation": {"trainer": "lazy:train", "max_spread": 0.2}}
    found = workspace.document(tests=tests)["tests"][2]
    assert (found["verdict"], found["sentence"]) == (
        "fail",
        "trained on all but one of 5 folds, it raised MemoryError: 240",
    )


def test_folds_are_of_equal_size_and_have_all_classes() -> None:
    truth = np.array(["a"] * 90 + ["b"] * 10, dtype=object)
    fold_of = folds.folds(truth, 5, stratified=True)
    assert [int((fold_of == fold).sum()) for fold in range(5)] == [20] * 5
    assert [int((truth[fold_of == fold] == "b").sum()) for fold in range(5)] == [2] * 5
    assert (fold_of == folds.folds(truth, 5, stratified=True)).all()


# Verdicts


def test_a_share_of_none_is_a_claim_about_these_rows() -> None:
    assert share_verdict(0, 10, 0, 0.95)[0] == "pass"
    assert share_verdict(1, 10_000, 0, 0.95)[0] == "fail"
    assert share_verdict(0, 10, 0.1, 0.95)[0] == "inconclusive"
    assert share_verdict(0, 10, 0.1, None) == ("pass", None)


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [((0.5, 0.6), "pass"), ((0.39, 0.6), "inconclusive"), ((0.1, 0.39), "fail"), ((0.4, 0.4), "pass")],
)
def test_an_interval_is_within_or_outside_or_neither(bounds: tuple[float, float], verdict: str) -> None:
    assert within(0.5, bounds, minimum=0.4) == verdict
    assert within(-0.5, (-bounds[1], -bounds[0]), maximum=-0.4) == verdict
