"""Which versions were champion, in order: what `rollback` goes back along.

The alias `champion` is the truth, and moves in one request. The rest is a record beside it, written before
the alias moves: the champions until then (`before`) and those afterwards (`after`). Whichever request was the
last to arrive, the alias tells which of the two holds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

TAG = "penstock.champions"
LONGEST = 200
"""Champions that are remembered."""


@dataclass(frozen=True, slots=True)
class Record:
    """Champions around the last move, the oldest first.

    Attributes:
        operation: Names the move, so that one that was interrupted is not made twice.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    operation: str = ""

    @classmethod
    def parse(cls, text: str | None) -> Record:
        """What the tag holds; nothing, if it is not a record."""
        try:
            found = json.loads(text or "{}")
            return cls(
                tuple(str(each) for each in found["before"]),
                tuple(str(each) for each in found["after"]),
                str(found["operation"]),
            )
        except (ValueError, KeyError, TypeError):
            return cls()

    def text(self) -> str:
        """For the tag."""
        before, after = self.before[-LONGEST:], self.after[-LONGEST:]
        return json.dumps({"before": before, "after": after, "operation": self.operation})

    def champions(self, champion: str | None) -> tuple[str, ...]:
        """Every champion until now, the present one last.

        Args:
            champion: What the alias says; somebody may have moved it by hand.
        """
        if champion is None:
            return self.before
        if self.after and self.after[-1] == champion:
            return self.after
        if self.before and self.before[-1] == champion:
            return self.before
        return (*self.after, champion)


def back(champions: Sequence[str], steps: int) -> tuple[str, ...] | None:
    """The champions after going back; None if there are not that many."""
    return tuple(champions[:-steps]) if 0 < steps < len(champions) else None
