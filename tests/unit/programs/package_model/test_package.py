"""Packages of good and bad models, asked in this process; what MLflow makes of them is asked in `test_mlflow`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from model_samples import FEATURES, Workspace, classifier, entered, regressor
from penstock.programs.common import digests
from penstock.programs.package_model import main

PACKAGE = "build/penstock/package-model"
OWN = """
import shapes

class Model:
    classes_ = [0, 1]
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.middle = float(file.read())
    def predict_proba(self, rows):
        return shapes.both(1 / (1 + 2.718281828459045 ** (-(rows["age"].astype(float) - self.middle) / 10)))
    def predict(self, rows):
        return (self.predict_proba(rows)[:, 1] > 0.5).astype(int)

def load(path):
    return Model(path)
"""
SHAPES = """
import numpy as np

def both(yes):
    return np.column_stack([1 - yes, yes])
"""


class Packaging(Workspace):
    """A workspace whose model is packaged."""

    def request(self, **more: Any) -> dict[str, Any]:
        own = {
            "target": None,
            "predictions": None,
            "columns": {},
            "task": None,
            "positive": None,
            "threshold": None,
            "examples": 5,
            "python": None,
            "result": PACKAGE,
            "requirements": {"lines": ["pandas==3.1.1"], "exact": True, "tools": ["mlflow-skinny==3.17.2"]},
        }
        return super().request(**{**own, **more})

    def read(self, name: str) -> Any:
        """A JSON file of the package."""
        return json.loads((self.root / PACKAGE / name).read_text(encoding="utf-8"))

    def judged(self, **columns: Any) -> str:
        """Write a predictions table beside the rows."""
        table = pd.DataFrame({"id": pd.read_csv(self.root / "rows.csv")["id"], **columns})
        table.to_csv(self.root / "build/predictions.csv", index=False, lineterminator="\n")
        return "build/predictions.csv"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packaging]:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with entered(tmp_path, monkeypatch):
        yield Packaging(tmp_path, main.main)


@pytest.fixture
def complaint(workspace: Packaging, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Exit code and the one line that a model ends with which cannot be packaged."""

    def run(**more: object) -> tuple[int, str]:
        code = workspace.start(**more)
        said = capfd.readouterr().err.strip()
        assert "\n" not in said, said
        return code, said

    return run


def asked(workspace: Packaging, rows: pd.DataFrame) -> Any:
    """What the package says in a process that sees nothing else."""
    rows.to_json(workspace.root / "asked.json", orient="split", index=False)
    code = (
        "import io, json, sys; sys.path.insert(0, sys.argv[1] + '/code'); import pandas as pd\n"
        "from penstock_model.package_model.served import _load_pyfunc\n"
        "rows = pd.DataFrame(**json.load(open(sys.argv[2])))\n"
        "print(_load_pyfunc(sys.argv[1]).predict(rows).to_json(orient='records'))"
    )
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, str(workspace.root / PACKAGE), str(workspace.root / "asked.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def scored(model: Any, table: pd.DataFrame) -> Any:
    return model.predict_proba(table[FEATURES])[:, list(model.classes_).index("yes")]


# what is in a package


def test_a_package_says_what_was_judged_and_holds_the_model_byte_for_byte(workspace: Packaging) -> None:
    table = workspace.rows()
    model = classifier(table)
    path = workspace.skops(model)
    predictions = workspace.judged(
        prediction=model.predict(table[FEATURES]), score=scored(model, table).round(6)
    )
    assert workspace.start(model=path, predictions=predictions, target="paid") == 0
    root = workspace.root / PACKAGE
    assert (root / "data/model.skops").read_bytes() == (workspace.root / path).read_bytes()
    about = workspace.read("penstock.json")
    assert about["judged"]["rows"] == 300
    assert about["judged"]["columns"] == ["prediction", "score"]
    assert about["model"]["digest"] == digests.of_path(workspace.root / path).digest
    assert (root / "requirements.txt").read_text() == "pandas==3.1.1\nmlflow-skinny==3.17.2\n"
    example = workspace.read("example.json")
    assert len(example["expected"]) == 5
    assert {row[0] for row in example["expected"]} == {"yes", "no"}
    assert not (root / "code/shop.py").exists()  # the file says all


def test_the_same_model_gives_the_same_bytes(workspace: Packaging) -> None:
    path = workspace.skops(classifier(workspace.rows()))
    found = set()
    for _ in range(2):
        assert workspace.start(model=path) == 0
        found.add(digests.of_path(workspace.root / PACKAGE).digest)
        shutil.rmtree(workspace.root / PACKAGE)
    assert len(found) == 1


def test_the_users_modules_come_along_where_the_model_needs_them(
    workspace: Packaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = workspace.root / "src"
    source.mkdir()
    (source / "own.py").write_text(OWN)
    (source / "shapes.py").write_text(SHAPES)
    (workspace.root / "build/middle.txt").write_text("45")
    monkeypatch.setenv("PYTHONPATH", "src")
    monkeypatch.syspath_prepend(source)
    assert workspace.start(model="build/middle.txt", loader="own:load", format="loader") == 0
    assert workspace.read("penstock.json")["paths"] == ["src"]
    shutil.rmtree(source)
    said = asked(workspace, workspace.rows()[FEATURES].head(3))
    assert [row["prediction"] for row in said] == [int(row["score"] > 0.5) for row in said]


def test_a_package_of_an_onnx_file_says_what_onnxruntime_says(workspace: Packaging) -> None:
    table = workspace.rows()
    model = (
        regressor(table)
        .named_steps["fit"]
        .fit(table[["age", "income"]].to_numpy(np.float32), table["amount"])
    )
    inputs = [("rows", FloatTensorType([None, 2]))]
    (workspace.root / "build/model.onnx").write_bytes(
        convert_sklearn(model, initial_types=inputs).SerializeToString()
    )
    wanted = model.predict(table[["age", "income"]].to_numpy(np.float32))
    predictions = workspace.judged(prediction=wanted.round(3))
    request = {"model": "build/model.onnx", "features": ["age", "income"], "predictions": predictions}
    assert workspace.start(**request) == 0
    said = asked(workspace, table[["income", "age", "city"]].head(4))
    assert [row["prediction"] for row in said] == pytest.approx(wanted[:4], rel=1e-5)


def test_a_pickle_is_packaged_with_its_consent_and_the_package_says_so(workspace: Packaging) -> None:
    joblib.dump(classifier(workspace.rows()), workspace.root / "build/model.joblib")
    request = {"model": "build/model.joblib", "format": "pickle", "trust": "pickle"}
    assert workspace.start(**request) == 0
    assert "could run any code" in workspace.read("penstock.json")["warnings"][0]
    assert len(asked(workspace, workspace.rows()[FEATURES].head(2))) == 2


def test_rows_that_come_as_json_get_the_types_that_the_model_was_judged_with(workspace: Packaging) -> None:
    table = workspace.rows()
    model = classifier(table)
    assert workspace.start(model=workspace.skops(model)) == 0
    rows = table[FEATURES].head(3).astype({"age": "float64"})  # 45.0 is 45
    rows["unasked"] = "x"
    said = asked(workspace, rows[["member", "unasked", "city", "income", "age"]])
    assert [row["score"] for row in said] == pytest.approx(scored(model, table.head(3)), rel=1e-9)


# what is refused


def test_a_model_that_says_something_else_than_was_judged_is_refused(
    workspace: Packaging, complaint: Callable[..., tuple[int, str]]
) -> None:
    table = workspace.rows()
    path, judged = workspace.skops(classifier(table)), classifier(table.assign(age=80 - table["age"]))
    predictions = workspace.judged(prediction=judged.predict(table[FEATURES]))
    code, said = complaint(model=path, predictions=predictions)
    assert code == 3
    assert said.startswith("build/predictions.csv:2: the model does not say what was judged: of 300 rows ")
    assert (
        "judged prediction no, and the model says prediction yes; package the model that was judged" in said
    )
    assert not (workspace.root / PACKAGE).exists()


def test_one_wrong_score_among_all_rows_is_enough(
    workspace: Packaging, complaint: Callable[..., tuple[int, str]]
) -> None:
    table = workspace.rows()
    model = classifier(table)
    score = scored(model, table).round(6)
    score[217] += 0.000_002
    request = {"model": workspace.skops(model), "predictions": workspace.judged(score=score)}
    code, said = complaint(**request)
    assert code == 3
    assert "csv:219: the model does not say what was judged: of 300 rows 1 differ" in said


def test_another_threshold_is_found_out_and_can_be_given(
    workspace: Packaging, complaint: Callable[..., tuple[int, str]]
) -> None:
    table = workspace.rows()
    model = classifier(table)
    score = scored(model, table)
    predictions = workspace.judged(prediction=(score >= 0.3).astype(int), score=score.round(6))
    request = {"model": workspace.skops(model), "predictions": predictions, "target": "paid"}
    code, said = complaint(**request)
    assert code == 3
    assert said.endswith("the scores agree, so say which score is enough: `threshold: 0.3`")
    assert complaint(**request, threshold=0.3) == (0, "")
    rows = asked(workspace, table[FEATURES].head(50))
    assert [row["prediction"] for row in rows] == np.where(score[:50] >= 0.3, "yes", "no").tolist()


def test_rows_are_matched_by_id_in_whatever_order_they_were_judged(workspace: Packaging) -> None:
    table = workspace.rows()
    model = classifier(table)
    workspace.judged(prediction=model.predict(table[FEATURES]))
    shuffled = pd.read_csv("build/predictions.csv").sample(120, random_state=1)
    shuffled.to_csv("build/predictions.csv", index=False)
    assert workspace.start(model=workspace.skops(model), predictions="build/predictions.csv") == 0
    assert workspace.read("penstock.json")["judged"]["rows"] == 120
    assert {*workspace.read("example.json")["ids"]} <= {*shuffled["id"]}


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (
            {"loader": "shop:unloadable"},
            2,
            "rows.csv cannot be loaded as loader: ValueError: truncated weights",
        ),
        ({"loader": "shop:raising"}, 2, "asked to predict, it raised RuntimeError: no weights were found"),
        ({"loader": "shop:short"}, 2, "asked to predict, it gave 299 predictions for 300 rows"),
        ({"loader": "shop:by_batch"}, 3, "it depends on the rows beside, or on chance"),
        ({"loader": "shop:by_place"}, 3, "it depends on the rows beside, or on chance"),
        (
            {"threshold": 0.5, "loader": "shop:number"},
            2,
            "threshold: rows.csv gives no scores of two classes",
        ),
    ],
)
def test_a_model_that_cannot_serve_is_not_packaged(
    workspace: Packaging,
    complaint: Callable[..., tuple[int, str]],
    request_: dict[str, Any],
    code: int,
    said: str,
) -> None:
    found = complaint(**request_)
    assert found[0] == code
    assert said in found[1]


def test_a_table_about_other_rows_is_no_proof(
    workspace: Packaging, complaint: Callable[..., tuple[int, str]]
) -> None:
    (workspace.root / "build/predictions.csv").write_text("id,prediction\nq1,yes\n")
    code, said = complaint(predictions="build/predictions.csv")
    assert code == 2
    assert said.startswith("rows.csv: no row has an id of build/predictions.csv")


# what is installed


@pytest.mark.parametrize(
    ("asked_for", "text"),
    [
        (
            {"lines": ["a==1 --hash=sha256:1"], "exact": True, "tools": ["b==2 --hash=sha256:2"]},
            "a==1 --hash=sha256:1\nb==2 --hash=sha256:2\n",
        ),
        ({"lines": ["a==1"], "exact": True, "tools": ["A==3", "b==2 --hash=sha256:2"]}, "a==1\nb==2\n"),
    ],
)
def test_the_lock_comes_first_and_either_all_have_hashes_or_none(
    workspace: Packaging, asked_for: dict[str, Any], text: str
) -> None:
    assert workspace.start(requirements=asked_for) == 0
    assert (workspace.root / PACKAGE / "requirements.txt").read_text() == text


def test_without_a_lock_what_was_loaded_is_pinned(workspace: Packaging) -> None:
    path = workspace.skops(classifier(workspace.rows()))
    assert (
        workspace.start(model=path, requirements={"lines": None, "exact": False, "tools": ["numpy==1"]}) == 0
    )
    lines = (workspace.root / PACKAGE / "requirements.txt").read_text().splitlines()
    assert f"numpy=={np.__version__}" in lines
    assert any(line.startswith("scikit-learn==") for line in lines)
    assert "numpy==1" not in lines
