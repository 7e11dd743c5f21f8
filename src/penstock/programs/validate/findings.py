"""Findings: a check, how many rows fail it, and the first few of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

EXAMPLES = 5
EXAMPLE_CHARACTERS = 80


@dataclass(slots=True)
class Finding:
    """One check and what fails it.

    Attributes:
        note: What is wrong where no row is to blame; it is the first example.
        failures: Rows, or 1 if there is only a note.
        examples: (row counted from 0, what it holds), in the order of rows.
    """

    name: str
    column: str | None = None
    note: str | None = None
    failures: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def add(self, failing: np.ndarray, first: int, show: Callable[[int], str]) -> None:
        """Note rows that fail.

        Args:
            failing: A truth value for each row from `first` on.
            show: From a place in `failing` to what that row holds.
        """
        count = int(np.count_nonzero(failing))
        if not count:
            return
        self.failures += count
        if len(self.examples) < EXAMPLES:
            places = np.flatnonzero(failing)[: EXAMPLES - len(self.examples)]
            self.examples += [(first + int(place), show(int(place))) for place in places]

    def dismiss(self) -> None:
        """Let it pass: what was found is within what is allowed."""
        self.failures, self.examples, self.note = 0, [], None

    def described(self) -> dict[str, Any]:
        """As it stands in the document."""
        noted = [{"row": None, "value": cut(self.note)}] if self.note else []
        rows = [{"row": row + 1, "value": cut(value)} for row, value in self.examples]
        failures = self.failures or int(self.note is not None)
        return {
            "name": self.name,
            "column": self.column,
            "passed": failures == 0,
            "failures": failures,
            "examples": (noted + rows)[:EXAMPLES],
        }


def named(check: Mapping[str, Any]) -> str:
    """A failed check of the document in a few words."""
    column = f"{check['column']} " if check["column"] else ""
    count = check["failures"]
    return f"{column}{check['name']} ({count:,} {'failure' if count == 1 else 'failures'})"


def cut(text: str | None) -> str:
    """A text short enough to be shown."""
    text = text or ""
    return text if len(text) <= EXAMPLE_CHARACTERS else text[: EXAMPLE_CHARACTERS - 1] + "…"


def percent(share: float) -> str:
    """A share as people write it."""
    return f"{share:.3%}".rstrip("%").rstrip("0").rstrip(".") + " %"
