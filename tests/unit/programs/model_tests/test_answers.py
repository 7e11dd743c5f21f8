"""Smoke, validity, collapse and determinism: of models that do well, and of models that do not."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from model_samples import Workspace, classifier, regressor


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {test["name"]: test["verdict"] for test in document["tests"]}


def sentence(document: dict[str, Any], name: str) -> str:
    return next(str(test["sentence"]) for test in document["tests"] if test["name"] == name)


def test_a_sound_model_passes_what_is_always_tested(workspace: Workspace) -> None:
    model = workspace.skops(classifier(workspace.rows()))
    document = workspace.document(model=model)
    assert set(verdicts(document).values()) == {"pass"}
    assert list(verdicts(document)) == [
        "smoke",
        "validity",
        "determinism: the same rows again",
        "determinism: the rows in another order",
        "determinism: one row at a time",
        "determinism: in batches of 32",
        "determinism: the model loaded again",
    ]
    assert document["kind"] == "model-tests"
    assert document["version"] == 1
    assert (document["task"], document["classes"], document["positive"]) == ("binary", ["no", "yes"], "yes")
    assert document["rows"] == 300
    assert document["model"]["format"] == "skops"
    assert document["warnings"] == []


def test_a_regression_passes_too(workspace: Workspace) -> None:
    model = workspace.skops(regressor(workspace.rows()))
    document = workspace.document(
        model=model,
        target="amount",
        tests={"validity": {"min": 0, "max": 200}, "collapse": {"max_share": 0.2}},
    )
    assert set(verdicts(document).values()) == {"pass"}
    assert document["task"] == "regression"


@pytest.mark.parametrize(
    ("loader", "failing", "says"),
    [
        ("raising", "smoke", "asked to predict, it raised RuntimeError: no weights were found"),
        ("unloadable", "smoke", "rows.csv cannot be loaded as loader: ValueError: truncated weights"),
        ("short", "validity", "it gave 299 predictions for 300 rows"),
        ("cube", "validity", "it gave an array of shape (300, 2, 2) instead of a value for each row"),
        ("nan", "validity", "a probability is NaN in 1 row"),
        ("improbable", "validity", "a probability is outside of 0 to 1 in"),
        ("stranger", "validity", "the class is none of no, yes (such as 'maybe') in 1 row"),
        ("silent", "validity", "there is no prediction in 300 rows"),
        ("random", "determinism: the same rows again", "got another prediction"),
        ("by_place", "determinism: the rows in another order", "got another prediction"),
        ("by_batch", "determinism: one row at a time", "got another prediction"),
        ("by_batch", "determinism: in batches of 32", "got another prediction"),
        ("fickle", "determinism: the model loaded again", "got another prediction"),
        ("stateful", "determinism: the rows in another order", "got another prediction"),
    ],
)
def test_a_bad_model_fails_the_test_that_is_about_it(
    workspace: Workspace, loader: str, failing: str, says: str
) -> None:
    document = workspace.document(loader=f"shop:{loader}")
    assert verdicts(document)[failing] == "fail"
    assert says in sentence(document, failing)


def test_a_model_may_not_change_the_rows_of_other_tests(workspace: Workspace) -> None:
    assert set(verdicts(workspace.document(loader="shop:meddler")).values()) == {"pass"}


def test_a_row_that_fails_is_named_by_its_id(workspace: Workspace) -> None:
    validity = workspace.document(loader="shop:stranger")["tests"][1]
    assert validity["examples"] == ["id p2: the class is none of no, yes (such as 'maybe')"]
    validity = workspace.document(loader="shop:stranger", id=None)["tests"][1]
    assert validity["examples"] == ["row 3: the class is none of no, yes (such as 'maybe')"]


def test_numbers_are_finite_and_within_their_range(workspace: Workspace) -> None:
    document = workspace.document(loader="shop:endless", target=None)
    assert "the prediction is infinite in" in sentence(document, "validity")
    document = workspace.document(loader="shop:number", target="amount", tests={"validity": {"max": 150}})
    assert "the prediction is above 150 in" in sentence(document, "validity")


def test_a_declared_class_is_what_the_model_may_predict(workspace: Workspace) -> None:
    document = workspace.document(tests={"validity": {"classes": ["yes"]}})
    assert "the class is none of yes (such as 'no')" in sentence(document, "validity")


@pytest.mark.parametrize(
    ("loader", "most", "verdict"),
    [("constant", 0.9, "fail"), ("good", 0.9, "pass"), ("good", 0.55, "inconclusive"), ("good", 0.3, "fail")],
)
def test_a_model_that_always_says_the_same_has_collapsed(
    workspace: Workspace, loader: str, most: float, verdict: str
) -> None:
    document = workspace.document(loader=f"shop:{loader}", tests={"collapse": {"max_share": most}})
    assert verdicts(document)["collapse"] == verdict


def test_a_constant_number_has_collapsed_too(workspace: Workspace) -> None:
    (workspace.root / "flat.py").write_text("def load(path):\n    return lambda rows: [1.5] * len(rows)\n")
    document = workspace.document(loader="flat:load", target="amount", tests={"collapse": True})
    assert verdicts(document)["collapse"] == "fail"


def test_tests_that_are_always_there_can_be_switched_off(workspace: Workspace) -> None:
    document = workspace.document(tests={"validity": False, "determinism": False})
    assert list(verdicts(document)) == ["smoke"]


def test_a_model_that_cannot_predict_leaves_no_number_behind(workspace: Workspace) -> None:
    document = workspace.document(
        loader="shop:raising",
        tests={"invariance": [{"name": "x", "change": {"add": {"age": 1}}}]},
        robustness=[{"name": "shaken", "noise": 0.1}, {"missing": 0.5}],
        importance={},
    )
    assert [test["name"] for test in document["tests"]] == ["smoke"]
    assert [entry["name"] for entry in document["robustness"]] == ["shaken", "missing 0.5"]
    assert all(
        entry["change"] is None and "RuntimeError" in entry["problem"] for entry in document["robustness"]
    )
    assert document["importance"] is None


def test_a_random_model_gives_the_same_document_again(workspace: Workspace) -> None:
    def written() -> bytes:
        workspace.document(
            loader="shop:random", robustness=[{"noise": 0.5}], importance={"repeats": 2, "rows": 50}
        )
        return (workspace.root / "build/result.json").read_bytes()

    assert written() == written()


def test_probabilities_alone_are_enough(workspace: Workspace) -> None:
    document = workspace.document(loader="shop:probability", tests={"collapse": {"max_share": 0.9}})
    assert set(verdicts(document).values()) == {"pass"}
    assert document["task"] == "binary"


@pytest.mark.parametrize(("no", "yes"), [(0, 1), (False, True)])
def test_a_model_of_numbers_is_matched_with_a_target_of_names(
    workspace: Workspace, no: object, yes: object
) -> None:
    table = workspace.rows()
    coded = table.assign(paid=table["paid"].map({"no": no, "yes": yes}))
    model = workspace.skops(classifier(coded))
    plain = workspace.document(
        model=workspace.skops(classifier(table), "build/names.skops"), robustness=[{"noise": 0}]
    )
    matched = workspace.document(model=model, robustness=[{"noise": 0}])
    assert matched["robustness"][0]["value"] == plain["robustness"][0]["value"] > 0.7
    assert matched["classes"] == ["no", "yes"]
    assert matched["warnings"] == [
        f"the model's classes are taken for those of the target by their meaning: {no}, {yes} as no, yes"
    ]


def test_missing_truth_is_left_out_of_what_is_measured(workspace: Workspace) -> None:
    table = workspace.rows()
    table["paid"] = table["paid"].where(table.index % 3 > 0)
    table.to_csv(workspace.root / "rows.csv", index=False)
    document = workspace.document(robustness=[{"noise": 0.1}])
    assert document["robustness"][0]["rows"] == int(table["paid"].notna().sum())


def test_parquet_needs_a_package_and_says_which(
    workspace: Workspace, complaint: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        "penstock.programs.common.packages.find_spec", lambda name: None if name == "pyarrow" else 1
    )
    (workspace.root / "rows.parquet").write_bytes(b"PAR1")
    assert complaint(data="rows.parquet") == (
        "rows.parquet: reading Parquet needs pyarrow, which this environment lacks: add pyarrow to the project's lock file"
    )


def test_an_environment_without_pandas_is_told_what_to_add(
    workspace: Workspace, complaint: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("penstock.programs.common.packages.find_spec", lambda name: None)
    assert complaint() == (
        "the recipe model-tests needs numpy and pandas, which this environment lacks: "
        "add numpy and pandas to the project's lock file"
    )


def test_whole_numbers_are_classes_if_they_are_few(workspace: Workspace) -> None:
    assert workspace.document(loader="shop:number", target="amount")["task"] == "regression"
    (workspace.root / "grades.py").write_text(
        "def load(path):\n    return lambda rows: (rows['age'] // 20).astype(int)\n"
    )
    table = pd.read_csv(workspace.root / "rows.csv")
    table.assign(grade=table["age"] // 20).to_csv(workspace.root / "rows.csv", index=False)
    document = workspace.document(loader="grades:load", target="grade", robustness=[{"noise": 0}])
    assert (document["task"], document["classes"]) == ("multiclass", ["0", "1", "2", "3"])
    assert document["robustness"][0]["value"] == 1
