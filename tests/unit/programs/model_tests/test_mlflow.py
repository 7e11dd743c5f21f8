"""Model directories that MLflow itself wrote, in an environment that has MLflow and nothing of Penstock."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from model_samples import FEATURES, rows
from penstock.plan import carrying

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

SAVE = """
import mlflow.lightgbm, mlflow.pyfunc, mlflow.sklearn, lightgbm, pandas as pd, numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

rows = pd.read_csv("rows.csv")
encode = ColumnTransformer([("n", StandardScaler(), ["age", "income"]), ("c", OneHotEncoder(), ["city", "member"])])
model = Pipeline([("encode", encode), ("fit", LogisticRegression())])
model.fit(rows[["age", "income", "city", "member"]], rows["paid"])
mlflow.sklearn.save_model(model, "pickled", serialization_format="cloudpickle", pip_requirements=[])
mlflow.sklearn.save_model(model, "skopsed", serialization_format="skops", pip_requirements=[])
class Own(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return np.where(model_input["age"] > 45, "yes", "no")
mlflow.pyfunc.save_model("own", python_model=Own(), pip_requirements=[])
numbers = lightgbm.LGBMRegressor(n_estimators=20, verbose=-1).fit(rows[["age", "income"]], rows["amount"])
mlflow.lightgbm.save_model(numbers.booster_, "boosted", pip_requirements=[])
"""


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mlflow") / "env"
    uv, index = find_uv_bin(), {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run([uv, "venv", "-q", str(place)], check=True, env=index)
    packages = ["mlflow-skinny>=3.8", "scikit-learn", "pandas", "skops", "lightgbm"]
    subprocess.run(
        [uv, "pip", "install", "-q", "--python", str(place / "bin/python"), *packages], check=True, env=index
    )
    return place / "bin/python"


@pytest.fixture(scope="session")
def saved(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    rows().to_csv(root / "rows.csv", index=False)
    subprocess.run([python, "-c", SAVE], cwd=root, check=True, capture_output=True)
    return root


def asked(python: Path, root: Path, model: str, **more: Any) -> tuple[int, str, dict[str, Any]]:
    """What the program says, carried as into a stage."""
    request = {
        "model": model,
        "data": "rows.csv",
        "features": FEATURES,
        "target": "paid",
        "confidence": 0.95,
        "result": f"{model}.json",
        "robustness": [{"noise": 0.1}],
        "tests": {"determinism": {"batch_sizes": [50]}},
    }
    for path, text in carrying.files("model_tests", request | more):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    command = carrying.command("model_tests").replace("python", str(python), 1)
    done = subprocess.run(["/bin/sh", "-c", command], cwd=root, capture_output=True, text=True, check=False)
    document = json.loads((root / f"{model}.json").read_text()) if done.returncode == 0 else {}
    return done.returncode, done.stderr, document


@pytest.mark.parametrize("model", ["pickled", "own"])
def test_a_directory_that_unpickles_needs_consent(python: Path, saved: Path, model: str) -> None:
    code, says, _ = asked(python, saved, model)
    assert code == 2
    assert says.startswith(f"{model}: not loaded: its flavour ")
    code, says, document = asked(python, saved, model, trust="pickle")
    assert code == 0, says
    assert {test["verdict"] for test in document["tests"]} == {"pass"}, document["tests"]
    assert document["classes"] == ["no", "yes"]
    assert "was loaded with `trust: pickle`" in document["warnings"][0]


def test_the_flavour_of_scikit_learn_gives_probabilities(python: Path, saved: Path) -> None:
    metric = {"robustness": [{"noise": 0.1, "metric": "roc_auc"}]}
    _, _, pickled = asked(python, saved, "pickled", trust="pickle", **metric)
    code, says, skopsed = asked(python, saved, "skopsed", **metric)
    assert code == 0, says
    assert skopsed["robustness"][0]["value"] == pickled["robustness"][0]["value"] > 0.7
    assert skopsed["warnings"] == []
    assert skopsed["model"]["format"] == "mlflow"
    assert skopsed["model"]["files"] > 3


def test_a_native_flavour_needs_no_consent(python: Path, saved: Path) -> None:
    code, says, document = asked(python, saved, "boosted", features=["age", "income"], target="amount")
    assert code == 0, says
    assert {test["verdict"] for test in document["tests"]} == {"pass"}, document["tests"]
    assert document["task"] == "regression"
    assert document["robustness"][0]["value"] < 10
    assert document["warnings"] == []
