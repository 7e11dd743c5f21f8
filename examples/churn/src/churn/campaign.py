"""What the model is for: to call those who would leave, and to keep some of them.

The amounts are made up; the point is that a metric of one's own has an interval and a gate like any other.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

CALL = 10.0
"""What one call costs."""
KEPT = 0.25
"""How many of the leavers who are called stay."""
WORTH = 200.0
"""What a customer who stays is worth."""


def profit(rows: Mapping[str, Any]) -> float:
    """What calling everyone who is predicted to leave earns for each customer, called or not."""
    called = rows["prediction"] == 1
    earned = np.where(rows["truth"] == 1, KEPT * WORTH, 0.0) - CALL
    return float(np.where(called, earned, 0.0).mean())
