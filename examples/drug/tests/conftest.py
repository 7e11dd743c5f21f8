"""Patients that resemble the real ones; the tests need no data."""

import numpy as np
import pandas as pd
import pytest

from drug import features


@pytest.fixture
def patients() -> pd.DataFrame:
    """120 patients, whose drug depends on their sodium and their blood pressure."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame({name: random.choice(values, 120) for name, values in features.ORDERED.items()})
    rows = rows.assign(Age=random.integers(15, 75, 120), Na_to_K=random.uniform(6, 38, 120).round(3))
    pressed = np.where(rows["BP"] == "HIGH", "drugA", "drugX")
    rows[features.TARGET] = np.where(rows["Na_to_K"] > 15, "DrugY", pressed)
    rows.insert(0, features.PATIENT, [f"patient-{place:03d}" for place in range(1, 121)])
    return rows
