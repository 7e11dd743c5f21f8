"""Rows, models good and bad, and a workspace in which programs ask them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FEATURES = ["age", "income", "city", "member"]

WRONG_MODELS = """
import numpy as np

class Good:
    classes_ = ["no", "yes"]
    def predict_proba(self, rows):
        yes = 1 / (1 + np.exp(-(rows["age"].to_numpy(float) - 45) / 10))
        return np.column_stack([1 - yes, yes])
    def predict(self, rows):
        return np.where(self.predict_proba(rows)[:, 1] > 0.5, "yes", "no")

class Constant(Good):
    def predict_proba(self, rows):
        return np.tile([0.9, 0.1], (len(rows), 1))

class Nan(Good):
    def predict_proba(self, rows):
        scores = super().predict_proba(rows)
        scores[3] = np.nan
        return scores

class Short(Good):
    def predict(self, rows):
        return super().predict(rows)[1:]

class Cube(Good):
    def predict(self, rows):
        return np.zeros((len(rows), 2, 2))

class Raising(Good):
    def predict(self, rows):
        raise RuntimeError("no weights\\nwere found")

class Random(Good):
    def predict(self, rows):
        return np.random.choice(["no", "yes"], len(rows))

class ByPlace(Good):
    def predict_proba(self, rows):
        yes = np.linspace(0, 1, len(rows))
        return np.column_stack([1 - yes, yes])

class ByBatch(Good):
    def predict_proba(self, rows):
        age = rows["age"].to_numpy(float)
        yes = (age > age.mean()).astype(float)
        return np.column_stack([1 - yes, yes])

class Stateful(Good):
    calls = 0
    def predict_proba(self, rows):
        Stateful.calls += 1
        return super().predict_proba(rows) if Stateful.calls < 3 else super().predict_proba(rows) ** 2

class Improbable(Good):
    def predict_proba(self, rows):
        return super().predict_proba(rows) * 2 - 0.5

class Stranger(Good):
    def predict(self, rows):
        return np.where(np.arange(len(rows)) == 2, "maybe", super().predict(rows))

class Meddler(Good):
    def predict(self, rows):
        answer = super().predict(rows)
        rows["age"] = 0
        return answer

class Unhandy:
    pass

LOADED = 0

def loader(kind):
    def load(path):
        return globals()[kind]()
    return load

good, constant, nan, short, cube, raising, random, by_place, by_batch, stateful, improbable, stranger, meddler, unhandy = map(
    loader,
    "Good Constant Nan Short Cube Raising Random ByPlace ByBatch Stateful Improbable Stranger Meddler Unhandy".split(),
)

def fickle(path):
    global LOADED
    LOADED += 1
    model = Good()
    shift = LOADED
    model.predict = lambda rows: np.where(rows["age"].to_numpy(float) > 40 + shift, "yes", "no")
    model.predict_proba = None
    return model

def number(path):
    return lambda rows: rows["age"] * 2.0

def rising(path):
    return lambda rows: rows["income"].to_numpy(float)

def endless(path):
    return lambda rows: np.where(rows["age"] > 60, np.inf, rows["age"])

def probability(path):
    return lambda rows: Good().predict_proba(rows)[:, 1]

def silent(path):
    return lambda rows: [None] * len(rows)

def towns(path):
    return lambda rows: np.array(["Ulm", "Bonn", "Kiel"])[np.arange(len(rows)) % 3]

def unloadable(path):
    raise ValueError("truncated weights")

def train(table):
    cut = table.loc[table["paid"] == "yes", "age"].mean()
    return lambda rows: np.where(rows["age"] > cut - 8, "yes", "no")
"""


def rows(count: int = 300, seed: int = 7) -> pd.DataFrame:
    """People, and whether they paid; the older the likelier, and nothing else matters much."""
    draws = np.random.default_rng(seed)
    age = draws.integers(18, 80, count)
    income = draws.lognormal(10, 0.5, count).round(2)
    city = draws.choice(["Ulm", "Bonn", "Kiel"], count)
    member = draws.choice([True, False], count)
    paid = draws.random(count) < 1 / (1 + np.exp(-(age - 45) / 10))
    return pd.DataFrame(
        {
            "id": [f"p{number}" for number in range(count)],
            "age": age,
            "income": income,
            "city": city,
            "member": member,
            "paid": np.where(paid, "yes", "no"),
            "amount": (age * 2.0 + draws.normal(0, 5, count)).round(3),
        }
    )


def classifier(table: pd.DataFrame, target: str = "paid") -> Pipeline:
    """A trained logistic regression over all columns."""
    encode = ColumnTransformer(
        [("numbers", StandardScaler(), ["age", "income"]), ("names", OneHotEncoder(), ["city", "member"])]
    )
    return Pipeline([("encode", encode), ("fit", LogisticRegression())]).fit(table[FEATURES], table[target])


def regressor(table: pd.DataFrame) -> Pipeline:
    """A trained linear regression over the numbers."""
    encode = ColumnTransformer([("numbers", StandardScaler(), ["age", "income"])])
    return Pipeline([("encode", encode), ("fit", LinearRegression())]).fit(table[FEATURES], table["amount"])


class Canary:
    """Unpickled, it creates a file called canary."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("canary"),)


class Workspace:
    """A stage's workspace: data, a model, and a program that is asked about them."""

    def __init__(self, root: Path, program: Callable[[Sequence[str]], int]) -> None:
        self.root, self.program = root, program
        (root / "build").mkdir()
        self.rows()
        (root / "shop.py").write_text(WRONG_MODELS, encoding="utf-8")

    def rows(self, count: int = 300) -> pd.DataFrame:
        """Write the data."""
        table = rows(count)
        table.to_csv(self.root / "rows.csv", index=False)
        return table

    def skops(self, model: Any, name: str = "build/model.skops") -> str:
        """Save a model."""
        skops.io.dump(model, self.root / name)
        return name

    def request(self, **more: Any) -> dict[str, Any]:
        """A request about the loader `shop:good`, unless something else is said."""
        usual = {
            "model": "rows.csv",
            "format": None,
            "loader": None if "model" in more else "shop:good",
            "trust": None,
            "data": "rows.csv",
            "features": FEATURES,
            "drop": [],
            "target": "paid",
            "id": "id",
            "confidence": 0.95,
            "result": "build/result.json",
        }
        return usual | more

    def start(self, **more: Any) -> int:
        """Run the program; its exit code."""
        place = self.root / "request.json"
        place.write_text(json.dumps(self.request(**more)), encoding="utf-8")
        return self.program([str(place)])

    def document(self, **more: Any) -> dict[str, Any]:
        """Run the program; what it wrote."""
        assert self.start(**more) == 0
        found: dict[str, Any] = json.loads((self.root / "build/result.json").read_text(encoding="utf-8"))
        return found


@contextmanager
def entered(root: Path, monkeypatch: Any) -> Iterator[None]:
    """Work in a directory, and forget the modules that were imported from it."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    try:
        yield
    finally:
        for name, module in sys.modules.copy().items():  # at once: other threads import
            if str(getattr(module, "__file__", None) or "").startswith(str(root)):
                del sys.modules[name]
