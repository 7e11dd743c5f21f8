"""What the model looks at, and what it says."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

PATIENT = "patient"
TARGET = "Drug"
NUMBERS = ("Age", "Na_to_K")
ORDERED = {"Sex": ["F", "M"], "BP": ["LOW", "NORMAL", "HIGH"], "Cholesterol": ["NORMAL", "HIGH"]}
"""Column → its values from the least."""

PARAMS = Path("params.yaml")
TRAIN = Path("build/splits/train.csv")
TEST = Path("build/splits/test.csv")
MODEL = Path("build/model.skops")


def params(section: str) -> dict[str, Any]:
    """One section of the parameter file: a stage finds those in it that it declared."""
    values: dict[str, Any] = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))[section]
    return values


def predictors(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns that the model may see."""
    return rows[[*ORDERED, *NUMBERS]]
