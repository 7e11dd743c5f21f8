from pathlib import Path

import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from drug import evaluate, features, model_file, prepare, train


@pytest.fixture
def tree(patients: pd.DataFrame) -> Pipeline:
    return train.fit(patients.head(80), depth=4)


def test_as_many_are_set_aside_as_were_asked_for_and_nobody_is_lost(patients: pd.DataFrame) -> None:
    learnt, judged = prepare.split(patients, test_rows=40, seed=7)
    assert len(judged) == 40
    assert sorted([*learnt["patient"], *judged["patient"]]) == patients["patient"].tolist()


def test_another_seed_sets_others_aside(patients: pd.DataFrame) -> None:
    one, other = (prepare.split(patients, test_rows=40, seed=seed)[1] for seed in (7, 8))
    assert set(one["patient"]) != set(other["patient"])


@pytest.mark.parametrize("count", [0, 120, 500])
def test_somebody_must_be_left_on_both_sides(patients: pd.DataFrame, count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} of 120 patients cannot be set aside"):
        prepare.split(patients, test_rows=count, seed=7)


def test_the_tree_finds_the_rules(patients: pd.DataFrame, tree: Pipeline) -> None:
    predictions = evaluate.predict(tree, patients.tail(40))
    assert (predictions["truth"] == predictions["prediction"]).mean() > 0.9


def test_every_patient_is_predicted_once_with_a_probability_of_each_drug(
    patients: pd.DataFrame, tree: Pipeline
) -> None:
    predictions = evaluate.predict(tree, patients.tail(40))
    drugs = ["probability_DrugY", "probability_drugA", "probability_drugX"]
    assert list(predictions.columns) == ["id", "truth", "prediction", *drugs]
    assert predictions["id"].tolist() == patients["patient"].tail(40).tolist()
    assert (predictions[drugs].sum(axis=1) - 1).abs().max() < 1e-5


def test_training_twice_gives_the_same_bytes(patients: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("one", "other"):
        model_file.save(train.fit(patients, depth=4), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_model_predicts_the_same_after_it_was_saved(
    patients: pd.DataFrame, tree: Pipeline, tmp_path: Path
) -> None:
    model_file.save(tree, tmp_path / "model.skops")
    rows = features.predictors(patients)
    assert (model_file.load(tmp_path / "model.skops").predict(rows) == tree.predict(rows)).all()
