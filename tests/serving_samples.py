"""Packages of models, good ones and such that go wrong only where they are served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from model_samples import rows
from penstock.plan.carrying import command, files
from penstock.plan.exchange import REQUEST
from penstock.plan.model import Environment
from penstock.plan.reads import Reads
from penstock.plan.recipes_models import serving_requirements

LOADERS = """
import os, socket, time
import numpy as np

SERVED = "__pyfunc_model_path__" in os.environ
KEPT = []

class Model:
    classes_ = ["no", "yes"]
    def predict_proba(self, rows):
        yes = 1 / (1 + np.exp(-(rows["age"].to_numpy(float) - self.middle) / 10))
        return np.column_stack([1 - yes, yes])
    def predict(self, rows):
        return np.where(self.predict_proba(rows)[:, 1] > 0.5, "yes", "no")

def good(path):
    model = Model()
    model.middle = float(open(path).read())
    return model

def other(path):
    model = good(path)
    model.middle += SERVED
    return model

def crashing(path):
    if SERVED:
        raise ValueError("truncated weights")
    return good(path)

def lacking(path):
    import hypothesis
    return good(path)

def endless(path):
    while SERVED:
        time.sleep(1)
    return good(path)

def listening(path):
    if SERVED:
        KEPT.append(socket.create_server(("0.0.0.0", 8080)))
    return good(path)

def leaving(path):
    if SERVED:
        os._exit(7)
    return good(path)

def calling(path):
    if SERVED:
        socket.create_connection(("192.0.2.1", 80), timeout=3)
    return good(path)
"""


def package(root: Path, loader: str = "good") -> Path:
    """The package of a model that one of `LOADERS` loads, made by the program as a stage starts it."""
    root.mkdir(parents=True, exist_ok=True)
    rows(40).to_csv(root / "rows.csv", index=False)
    (root / "middle.txt").write_text("45")
    (root / "loaders.py").write_text(LOADERS)
    request: dict[str, Any] = {
        **dict.fromkeys(("trust", "predictions", "task", "threshold", "python")),
        "model": "middle.txt",
        "format": "loader",
        "loader": f"loaders:{loader}",
        "data": "rows.csv",
        "features": ["age", "income"],
        "drop": [],
        "target": "paid",
        "positive": "yes",
        "id": "id",
        "columns": {},
        "examples": 5,
        "requirements": serving_requirements(Environment(), Reads(root)) | {"lines": [], "exact": True},
        "result": "package",
    }
    for path, text in files("package_model", request):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    variables = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": "",
    }
    done = subprocess.run(
        ["/bin/sh", "-euc", command("package_model")],
        cwd=root,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(Path(root / REQUEST).read_text())["result"] == "package"
    return root / "package"
