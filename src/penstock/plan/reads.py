"""What was looked at while a plan was made, so that a kept plan is used only while all of it still stands.

Light: a run that finds its plan kept imports this and no YAML.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from penstock import digest
from penstock.record import Record, field

ABSENT, FILE, DIRECTORY = "absent", "file", "directory"


def presence(path: str) -> str:
    """What stands at a path: `ABSENT`, `FILE` or `DIRECTORY`; links are followed."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - no Path is made on the way of a no-op run
    except (OSError, ValueError):
        return ABSENT
    return DIRECTORY if stat.S_ISDIR(mode) else FILE


def unchanged(path: str, before: str) -> bool:
    """Whether a path is as it was looked at: the same content, or only the same presence."""
    if not before.startswith(digest.PREFIX):
        return presence(path) == before
    try:
        return digest.of_file(path) == before
    except OSError:
        return False


class Reads(Record, frozen=False, kw_only=False):
    """Looks at files below a root and remembers what it saw.

    Attributes:
        seen: Absolute path → its content's digest, or its presence where only that mattered.
    """

    root: Path
    seen: dict[str, str] = field(default_factory=dict)

    def presence(self, path: str) -> str:
        """What stands at a path below the root."""
        place = str(self.root / path)
        found = presence(place)
        self.seen.setdefault(place, found)
        return found

    def content(self, path: Path, data: bytes) -> None:
        """Remember a file that was read."""
        self.seen[str(path)] = digest.of_bytes(data)
