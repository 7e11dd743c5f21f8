"""What the model looks at, and how it is turned into numbers."""

from pathlib import Path

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

CUSTOMER = "customerID"
TARGET = "Churn"
LEFT = "Yes"
GENDER = "gender"
"""Kept to compare men and women by; no feature."""

NUMERIC = ("tenure", "MonthlyCharges", "TotalCharges")
CATEGORICAL = (
    "SeniorCitizen",
    "Partner",
    "Dependents",
    "PhoneService",
    "MultipleLines",
    "InternetService",
    "OnlineSecurity",
    "OnlineBackup",
    "DeviceProtection",
    "TechSupport",
    "StreamingTV",
    "StreamingMovies",
    "Contract",
    "PaperlessBilling",
    "PaymentMethod",
)


def read_rows(path: Path) -> pd.DataFrame:
    """Prepared customers, one per row, in the order of the file."""
    return pd.read_csv(path, dtype=dict.fromkeys(NUMERIC, "float64"))


def predictors(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns that the model may see: neither who it is, nor their gender, nor what became of them."""
    return rows[[*CATEGORICAL, *NUMERIC]]


def left(rows: pd.DataFrame) -> pd.Series:
    """Whether each customer left."""
    return rows[TARGET] == LEFT


def encoder() -> ColumnTransformer:
    """Categories to 0/1 columns, numbers to zero mean and unit variance.

    A category that training never saw becomes all zeros: a new contract type must not stop predictions.
    """
    return ColumnTransformer(
        [
            (
                "categories",
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                list(CATEGORICAL),
            ),
            ("numbers", StandardScaler(), list(NUMERIC)),
        ]
    )
