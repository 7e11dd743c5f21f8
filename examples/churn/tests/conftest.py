"""Customers that resemble the real ones; the tests need no data."""

import numpy as np
import pandas as pd
import pytest

from churn import features


@pytest.fixture
def customers() -> pd.DataFrame:
    """400 prepared customers, of whom those with short contracts leave more often."""
    random = np.random.default_rng(0)
    count = 400
    rows = pd.DataFrame({name: random.choice(["No", "Yes"], count) for name in features.CATEGORICAL})
    monthly = random.choice([True, False], count)
    leaves = random.random(count) < np.where(monthly, 0.8, 0.1)
    tenure = random.integers(1, 72, count).astype("float64")
    return rows.assign(
        customerID=[f"{number:04d}-ABCDE" for number in range(count)],
        gender=random.choice(["Female", "Male"], count),
        Contract=np.where(monthly, "Month-to-month", "Two year"),
        SeniorCitizen=random.integers(0, 2, count),
        tenure=tenure,
        MonthlyCharges=50.0,
        TotalCharges=50.0 * tenure,
        Churn=np.where(leaves, "Yes", "No"),
    )
