"""Models of every format, and files that only look like models."""

from __future__ import annotations

import json
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
import yaml
from safetensors.numpy import save_file
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from model_samples import FEATURES, Canary, Workspace, classifier, regressor

FAST = {"determinism": {"batch_sizes": [50]}}
PICKLE = "which can run any code when it is loaded"


def accuracy(workspace: Workspace, **request: Any) -> float:
    document = workspace.document(robustness=[{"noise": 0}], tests=FAST, **request)
    assert {test["verdict"] for test in document["tests"]} == {"pass"}, document["tests"]
    return float(document["robustness"][0]["value"])


# skops


def test_skops_asks_for_trust_in_types_by_their_names(
    workspace: Workspace, complaint: Callable[..., str]
) -> None:
    table = workspace.rows()
    model = HistGradientBoostingClassifier(max_iter=5).fit(table[["age", "income"]], table["paid"])
    path = workspace.skops(model)
    features = ["age", "income"]
    line = complaint(model=path, features=features)
    assert line.startswith(
        "build/model.skops: not loaded: it holds types that skops does not know to be harmless"
    )
    unknown = skops.io.get_untrusted_types(file=path)
    assert line.endswith(f"say `trust: [{', '.join(sorted(unknown))}]`")
    assert "not loaded" in complaint(model=path, features=features, trust="pickle")
    assert "not loaded" in complaint(model=path, features=features, trust=unknown[1:])
    assert accuracy(workspace, model=path, features=features, trust=unknown) > 0.7


# pickles


def pickled(workspace: Workspace, content: object, name: str) -> str:
    (workspace.root / name).parent.mkdir(parents=True, exist_ok=True)
    (workspace.root / name).write_bytes(pickle.dumps(content))
    return name


def mlflow_directory(workspace: Workspace, flavours: dict[str, Any], name: str = "build/mlflow") -> str:
    (workspace.root / name).mkdir(exist_ok=True)
    (workspace.root / name / "MLmodel").write_text(yaml.safe_dump({"flavors": flavours}), encoding="utf-8")
    return name


@pytest.mark.parametrize("trust", [None, ["builtins.object"]])
@pytest.mark.parametrize("kind", [None, "pickle", "skops", "onnx", "safetensors", "mlflow"])
@pytest.mark.parametrize("name", ["build/model.pkl", "build/model.skops", "build/model.onnx", "build/model"])
def test_no_pickle_is_loaded_without_consent(
    workspace: Workspace, capfd: pytest.CaptureFixture[str], name: str, kind: str | None, trust: Any
) -> None:
    path = pickled(workspace, Canary(), name)
    code = workspace.start(model=path, format=kind, trust=trust)
    assert not Path("canary").exists()
    if code == 0:  # what a library refuses to load is a finding
        document = json.loads((workspace.root / "build/result.json").read_text())
        assert [test["verdict"] for test in document["tests"]] == ["fail"]
    else:
        assert code == 2
        assert capfd.readouterr().err.count("\n") == 1


def test_the_canary_sings_where_there_is_consent(workspace: Workspace, complaint: Callable[..., str]) -> None:
    path = pickled(workspace, Canary(), "build/model.pkl")
    complaint(model=path, format="pickle", trust="pickle")  # None is no model
    assert Path("canary").exists()


def test_consent_to_a_pickle_does_not_make_a_file_one(
    workspace: Workspace, complaint: Callable[..., str]
) -> None:
    path = pickled(workspace, Canary(), "build/model.bin")
    assert complaint(model=path, trust="pickle") == (
        f"build/model.bin: looks like a pickle, {PICKLE}; if it is your own, say `format: pickle` and `trust: pickle`; "
        "otherwise save the model as skops, ONNX or safetensors instead"
    )
    assert not Path("canary").exists()


def test_an_object_array_of_numpy_is_no_way_in(workspace: Workspace, complaint: Callable[..., str]) -> None:
    np.save(workspace.root / "build/model.npy", np.array([Canary()], dtype=object), allow_pickle=True)
    assert "an array of NumPy is no model yet: name a `loader`" in complaint(
        model="build/model.npy", trust="pickle"
    )
    with zipfile.ZipFile(
        workspace.root / "build/model.skops", "w"
    ) as archive:  # a skops file that brings one along
        archive.write(workspace.root / "build/model.npy", "1.npy")
        schema = {
            "__class__": "ndarray",
            "__module__": "numpy",
            "__loader__": "NdArrayNode",
            "type": "numpy",
            "file": "1.npy",
        }
        archive.writestr(
            "schema.json", json.dumps(schema | {"__id__": 1, "protocol": 2, "_skops_version": "0.16.0"})
        )
    smoke = workspace.document(model="build/model.skops")["tests"][0]
    assert "Object arrays cannot be loaded when allow_pickle=False" in smoke["sentence"]
    assert not Path("canary").exists()


@pytest.mark.parametrize(
    "save", [joblib.dump, lambda model, path: Path(path).write_bytes(pickle.dumps(model))]
)
def test_a_pickle_with_consent_is_a_model_with_a_warning(
    workspace: Workspace, save: Callable[[Any, str], Any], complaint: Callable[..., str]
) -> None:
    save(classifier(workspace.rows()), "build/model.pkl")
    line = complaint(model="build/model.pkl", format="pickle")
    assert line.startswith(
        "build/model.pkl: not loaded: it is a pickle, and can run any code; if it is your own, say"
    )
    document = workspace.document(model="build/model.pkl", format="pickle", trust="pickle")
    assert document["warnings"] == [
        "build/model.pkl was loaded with `trust: pickle`: it is a pickle, and could run any code"
    ]
    assert document["model"]["trust"] == "pickle"
    assert {test["verdict"] for test in document["tests"]} == {"pass"}


def test_a_pickle_that_holds_no_model_says_what_it_holds(
    workspace: Workspace, complaint: Callable[..., str]
) -> None:
    path = pickled(workspace, {"weights": [1]}, "build/model.pkl")
    assert "holds a dict, which has no `predict` and cannot be called" in complaint(
        model=path, format="pickle", trust="pickle"
    )


# MLflow


UNSAFE = {
    "sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"},
    "python_function": {"loader_module": "mlflow.pyfunc.model", "python_model": "model.pkl"},
    "pytorch": {"model_data": "data"},
    "lightgbm": {"data": "model.pkl", "model_class": "lightgbm.LGBMClassifier"},
    "xgboost": {"data": "model.ubj", "model_class": "os.system"},
    "catboost": {"data": "model.cb", "code": "code"},
}


@pytest.mark.parametrize("flavour", UNSAFE)
def test_an_mlflow_directory_that_may_run_code_needs_consent(
    workspace: Workspace, complaint: Callable[..., str], flavour: str
) -> None:
    path = mlflow_directory(workspace, {flavour: UNSAFE[flavour]})
    (workspace.root / path / "model.pkl").write_bytes(pickle.dumps(Canary()))
    line = complaint(model=path)
    assert line.startswith(f"build/mlflow: not loaded: its flavour {flavour}")
    assert line.endswith(
        "say `trust: pickle`; otherwise save the model as skops, ONNX or safetensors instead"
    )
    assert not Path("canary").exists()


def test_mlflow_with_skops_is_loaded_as_skops_and_trusts_no_more(
    workspace: Workspace, complaint: Callable[..., str]
) -> None:
    table = workspace.rows()
    model = HistGradientBoostingClassifier(max_iter=5).fit(table[["age", "income"]], table["paid"])
    options = {"pickled_model": "model.skops", "serialization_format": "skops"}
    path = mlflow_directory(workspace, {"sklearn": options})
    workspace.skops(model, f"{path}/model.skops")
    unknown = skops.io.get_untrusted_types(file=f"{path}/model.skops")
    # what the directory itself declares to be trusted does not count
    mlflow_directory(workspace, {"sklearn": options | {"skops_trusted_types": unknown}})
    features = ["age", "income"]
    assert complaint(model=path, features=features).startswith(
        "build/mlflow/model.skops: not loaded: it holds types"
    )
    assert accuracy(workspace, model=path, features=features, trust=unknown) > 0.7


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flavors: {}", "names no flavours"),
        ("[1, 2", "no YAML: "),
        ("a: 1", "names no flavours"),
        (
            "flavors: {sklearn: {serialization_format: skops, pickled_model: ../../model.skops}}",
            "is not in the directory",
        ),
        ("flavors: {onnx: {data: /etc/passwd}}", "is not in the directory"),
    ],
)
def test_a_directory_that_is_no_mlflow_model_is_refused(
    workspace: Workspace, complaint: Callable[..., str], text: str, says: str
) -> None:
    mlflow_directory(workspace, {})
    (workspace.root / "build/mlflow/MLmodel").write_text(text)
    assert says in complaint(model="build/mlflow")


# ONNX


@pytest.mark.parametrize("options", [{"zipmap": True}, {"zipmap": False}])
def test_onnx_with_an_input_for_each_column(workspace: Workspace, options: dict[str, Any]) -> None:
    table = workspace.rows()
    model = classifier(table)
    table["member"] = table["member"].map(
        {True: "in", False: "out"}
    )  # its encoder of booleans has no ONNX form
    table.to_csv("rows.csv", index=False)
    model = classifier(table)
    kinds = {
        "age": FloatTensorType,
        "income": FloatTensorType,
        "city": StringTensorType,
        "member": StringTensorType,
    }
    onnx = convert_sklearn(
        model,
        initial_types=[(name, kind([None, 1])) for name, kind in kinds.items()],
        options={id(model): options},
    )
    (workspace.root / "build/model.onnx").write_bytes(onnx.SerializeToString())
    document = workspace.document(
        model="build/model.onnx", tests=FAST, robustness=[{"noise": 0, "metric": "roc_auc"}]
    )
    assert {test["verdict"] for test in document["tests"]} == {"pass"}, document["tests"]
    assert document["model"]["format"] == "onnx"
    expected = workspace.skops(model)
    plain = workspace.document(model=expected, tests=FAST, robustness=[{"noise": 0, "metric": "roc_auc"}])
    assert document["robustness"][0]["value"] == pytest.approx(plain["robustness"][0]["value"], abs=1e-4)


def test_onnx_with_one_matrix_of_numbers(workspace: Workspace, complaint: Callable[..., str]) -> None:
    table = workspace.rows()
    model = LogisticRegression().fit(table[["age", "income"]].to_numpy(), table["paid"])
    onnx = convert_sklearn(model, initial_types=[("x", FloatTensorType([None, 2]))])
    (workspace.root / "build/model.onnx").write_bytes(onnx.SerializeToString())
    assert accuracy(workspace, model="build/model.onnx", features=["age", "income"]) > 0.7
    document = workspace.document(model="build/model.onnx", features=["age"])
    assert "the model takes 2 columns, and the rows have 1" in document["tests"][0]["sentence"]


def test_an_onnx_regression(workspace: Workspace) -> None:
    table = workspace.rows()
    model = regressor(table)
    kinds = [("age", FloatTensorType([None, 1])), ("income", FloatTensorType([None, 1]))]
    (workspace.root / "build/model.onnx").write_bytes(
        convert_sklearn(model, initial_types=kinds).SerializeToString()
    )
    document = workspace.document(
        model="build/model.onnx", features=["age", "income"], target="amount", robustness=[{"noise": 0}]
    )
    assert document["task"] == "regression"
    assert document["robustness"][0]["value"] < 6


# safetensors and loaders


TENSORS = """
import numpy as np
from safetensors.numpy import load_file

def load(path):
    weights = load_file(path)
    return lambda rows: rows[["age", "income"]].to_numpy() @ weights["w"] + weights["b"]
"""


def test_safetensors_with_a_loader(workspace: Workspace, complaint: Callable[..., str]) -> None:
    save_file({"w": np.array([2.0, 0.0]), "b": np.array([0.5])}, "build/model.safetensors")
    Path("tensors.py").write_text(TENSORS)
    assert complaint(model="build/model.safetensors") == (
        "build/model.safetensors: holds tensors and no model: "
        "name `loader: package.module:function`, which makes a model of the path"
    )
    document = workspace.document(
        model="build/model.safetensors", loader="tensors:load", target="amount", robustness=[{"noise": 0}]
    )
    assert document["model"]["format"] == "safetensors"
    assert document["robustness"][0]["value"] < 6


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "its first 8 bytes are not the length of a header"),
        (struct.pack("<Q", 9) + b"{}", "its first 8 bytes are not the length of a header"),
        (struct.pack("<Q", 2) + b"[]", "its header is no mapping"),
        (struct.pack("<Q", 2) + b"{]", "its header is no JSON"),
        (struct.pack("<Q", 8) + b'{"w": 1}', "tensor 'w' has no place in it"),
        (struct.pack("<Q", 29) + b'{"w": {"data_offsets": [0,8]}}', "its header is no JSON"),
        (struct.pack("<Q", 30) + b'{"w": {"data_offsets": [0,8]}}', "tensor 'w' lies outside of it"),
    ],
)
def test_a_damaged_safetensors_file_is_refused(
    workspace: Workspace, complaint: Callable[..., str], content: bytes, says: str
) -> None:
    Path("build/model.safetensors").write_bytes(content)
    line = complaint(model="build/model.safetensors", format="safetensors", loader="shop:good")
    assert line == f"build/model.safetensors: no safetensors file: {says}"


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (
            {"model": "build/none"},
            "build/none: there is no model; name the output of the stage that trains it",
        ),
        ({"model": "build"}, "a directory that is no MLflow model (no file MLmodel; it holds nothing)"),
        (
            {"model": "rows.csv"},
            "its format cannot be told from its content: say `format`, one of mlflow, skops",
        ),
        ({"format": "onnx"}, "loader: means nothing for the format onnx; leave one of them out"),
        (
            {"model": "rows.csv", "format": "loader"},
            "has the format loader: name `loader: package.module:function`",
        ),
        ({"format": "h5"}, "format: 'h5' is none of mlflow, skops"),
        ({"trust": "me"}, "trust: 'me' is neither `pickle` nor a list of types that skops may load"),
        ({"loader": "shop"}, "loader: 'shop' is not of the form package.module:function"),
        ({"loader": "shop:nothing"}, "has no attribute 'nothing'"),
        (
            {"loader": "missing:load"},
            "no module named 'missing'; add its file to the stage's inputs, or its package",
        ),
        ({"loader": "shop:LOADED"}, "loader: 'shop:LOADED' is no function but int"),
        ({"loader": "broken:load"}, "importing it failed: ZeroDivisionError: division by zero"),
        ({"loader": "shop:unhandy"}, "loader shop:unhandy: holds a Unhandy, which has no `predict`"),
        ({"data": "none.csv"}, "none.csv: No such file or directory"),
        ({"data": "shop.py"}, "shop.py: neither .csv nor .parquet"),
        ({"data": "empty.csv"}, "empty.csv: no CSV table: EmptyDataError: No columns to parse from file"),
        ({"data": "head.csv"}, "head.csv: holds no rows to ask the model about"),
        (
            {"target": "payed"},
            "rows.csv: target: no column 'payed'; did you mean 'paid'? (there are 'id', 'age'",
        ),
        ({"features": ["agee"]}, "rows.csv: features: no column 'agee'; did you mean 'age'?"),
        (
            {"features": ["age", "paid"]},
            "rows.csv: features: 'paid' is the target, which the model must not see",
        ),
        ({"drop": ["x"]}, "rows.csv: drop: no column 'x'"),
        ({"positive": "maybe"}, "positive: the model knows no class 'maybe', but no, yes"),
        (
            {"task": "binary", "target": "city", "features": ["age"], "loader": "shop:towns"},
            "task: binary, and there are the classes Bonn",
        ),
        ({"task": "magic"}, "task: 'magic' is none of binary, multiclass, regression, ranking"),
        (
            {"target": "city", "features": ["age"]},
            "target 'city' holds Bonn, Kiel, Ulm, and the model predicts no, yes: name a target",
        ),
        ({"loader": "shop:number", "target": "paid", "task": "regression"}, "target 'paid' holds"),
    ],
)
def test_a_request_that_cannot_be_used_ends_with_one_line(
    workspace: Workspace, complaint: Callable[..., str], request_: dict[str, Any], says: str
) -> None:
    Path("broken.py").write_text("1 / 0\n")
    Path("empty.csv").write_text("")
    Path("head.csv").write_text("age,income,city,member,paid,id\n")
    assert says in complaint(**request_)


def test_a_package_that_a_format_needs_is_named(
    workspace: Workspace, complaint: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = workspace.skops(classifier(workspace.rows()))
    monkeypatch.setitem(sys.modules, "skops.io", None)
    assert complaint(model=model) == (
        "build/model.skops: loading a skops file needs skops, which this environment lacks: "
        "add skops to the project's lock file"
    )


def test_the_features_are_all_columns_but_those_that_are_named(workspace: Workspace) -> None:
    Path("nosy.py").write_text("def load(path):\n    return lambda rows: [','.join(rows)] * len(rows)\n")
    document = workspace.document(loader="nosy:load", features=None, drop=["income", "amount"], target=None)
    assert document["classes"] == ["age,city,member,paid"]
    assert FEATURES
