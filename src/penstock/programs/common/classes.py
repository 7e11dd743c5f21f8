"""Which of two classes metrics are about, where nobody says so."""

from __future__ import annotations

from collections.abc import Sequence

NEGATIVES = ("0", "0.0", "-1", "-1.0", "false", "no", "n", "f", "negative", "neg")


def positive(classes: Sequence[str]) -> tuple[int, bool]:
    """The place of the positive one of two classes, and whether their names tell.

    Where they do not, it is the last one, as for scikit-learn.
    """
    telling = [place for place, name in enumerate(classes) if name.strip().casefold() in NEGATIVES]
    if len(telling) == 1:
        return 1 - telling[0], True
    return len(classes) - 1, False
