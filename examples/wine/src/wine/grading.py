"""What the guesses are for: wines are put on three shelves by quality, and each should stand on its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np

SHELVES = (5.5, 6.5)
"""Where one shelf ends and the next begins."""


def right_shelf(rows: Mapping[str, Any]) -> float:
    """The share of wines that the guess puts on the shelf where the tasters would have put them."""
    guessed, tasted = (np.digitize(rows[column], SHELVES) for column in ("prediction", "truth"))
    return float((guessed == tasted).mean())
