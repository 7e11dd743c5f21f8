import io
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import skops.io
from sklearn.exceptions import ConvergenceWarning

from churn import features, model_file, train


def test_the_model_learns_what_makes_customers_leave(customers: pd.DataFrame) -> None:
    model = train.fit(customers, penalty=1.0, max_iter=200)
    names = list(model["encode"].get_feature_names_out())
    weight = model["classify"].coef_[0]
    monthly = weight[names.index("categories__Contract_Month-to-month")]
    assert monthly == max(weight)


def test_a_stronger_penalty_gives_smaller_weights(customers: pd.DataFrame) -> None:
    weak = train.fit(customers, penalty=0.1, max_iter=200)["classify"].coef_
    strong = train.fit(customers, penalty=100.0, max_iter=200)["classify"].coef_
    assert abs(strong).sum() < abs(weak).sum()


@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")
def test_a_model_that_did_not_converge_is_no_model(customers: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="no convergence after 1 iterations"):
        train.fit(customers, penalty=1.0, max_iter=1)


def test_training_twice_gives_the_same_bytes(customers: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("one", "other"):
        model_file.save(train.fit(customers, penalty=1.0, max_iter=200), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_model_predicts_the_same_after_it_was_saved(customers: pd.DataFrame, tmp_path: Path) -> None:
    model = train.fit(customers, penalty=1.0, max_iter=200)
    model_file.save(model, tmp_path / "model.skops")
    rows = features.predictors(customers)
    again = model_file.load(tmp_path / "model.skops")
    assert (again.predict_proba(rows) == model.predict_proba(rows)).all()


def test_a_saved_model_holds_nothing_that_could_run(customers: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    model_file.save(train.fit(customers, penalty=1.0, max_iter=200), path)
    assert skops.io.get_untrusted_types(file=path) == []


def test_the_time_of_day_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    model_file.save({"weights": [1.0, 2.0]}, path)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        assert {member.date_time for member in archive.infolist()} == {model_file.EPOCH}
