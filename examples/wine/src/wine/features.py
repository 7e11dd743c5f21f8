"""What the model looks at, and what it says."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

WINE = "wine"
TARGET = "quality"
FEATURES = (
    "fixed acidity",
    "volatile acidity",
    "citric acid",
    "residual sugar",
    "chlorides",
    "free sulfur dioxide",
    "total sulfur dioxide",
    "density",
    "pH",
    "sulphates",
    "alcohol",
)

PARAMS = Path("params.yaml")
TRAIN = Path("build/splits/train.csv")
TEST = Path("build/splits/test.csv")
MODEL = Path("build/model.skops")

SWEETNESS = {"dry": 4.0, "medium dry": 12.0, "medium": 45.0, "sweet": float("inf")}
"""Word on the label → most sugar in grams per litre; Regulation (EU) 2019/33, without its exceptions."""


def params(section: str) -> dict[str, Any]:
    """One section of the parameter file: a stage finds those in it that it declared."""
    values: dict[str, Any] = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))[section]
    return values


def predictors(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns that the model may see, as numbers."""
    return rows[[*FEATURES]].astype("float64")


def sweetness(rows: pd.DataFrame) -> pd.Series:
    """What the label would say."""
    bins = [-1.0, *SWEETNESS.values()]
    return pd.cut(rows["residual sugar"], bins, labels=list(SWEETNESS)).astype(str)
