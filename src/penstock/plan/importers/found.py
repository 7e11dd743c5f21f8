"""What an importer finds: stages as a pipeline file would have them, and what could not be carried over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from penstock.plan.yaml_file import Key
from penstock.record import Record, field

ANY_PYTHON = ">=3.11"
"""What is declared where nothing else is: commands begin with `python`, which only an environment has."""

_MAX_NAME = 63


class ForeignStage(Record):
    """A stage that another tool's file declares.

    Attributes:
        name: In the pipeline.
        called: In its own file.
        fields: As a stage of a pipeline file has them.
        line: Where its own file declares it.
        lines: Of values within `fields`, by their path.
    """

    name: str
    called: str
    fields: Mapping[str, Any]
    line: int
    lines: Mapping[Key, int] = field(default_factory=dict)


class Imported(Record):
    """What one file comes to.

    Attributes:
        file: Relative to the root.
        params: The file whose parameters its stages name by key.
        data: Data sets that must be fetched, by name, as a pipeline file has them.
        environment: As a pipeline file has it, where the file declares one.
        notes: What is not carried over, or otherwise than one might think: `file:line: sentence`.
    """

    file: str
    stages: tuple[ForeignStage, ...]
    params: str | None = None
    data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Names:
    """Gives stages names that a pipeline file can have, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def give(self, called: str, folder: str = "") -> str:
        """The name nearest to what a stage is called elsewhere.

        Args:
            called: Anything.
            folder: Of its file; is put before a name that is taken.
        """
        name = _plain(called)
        if name in self._taken and folder:
            name = _plain(f"{folder}-{called}")
        free, number = name, 1
        while free in self._taken:
            number += 1
            free = f"{name[: _MAX_NAME - 5].rstrip('-')}-{number}"
        self._taken.add(free)
        return free


def _plain(called: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", called.lower()).strip("-")
    if not name or not name[0].isalpha():
        name = f"stage-{name}".strip("-")
    return name[:_MAX_NAME].rstrip("-")


def role_name(path: str, taken: set[str]) -> str:
    """A name for an output in a mapping of roles, which says nothing but what the file is called."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", path.rpartition("/")[2]).lstrip("._-")[:40] or "output"
    name, number = plain, 1
    while name in taken or name in ROLES:
        number += 1
        name = f"{plain}-{number}"
    taken.add(name)
    return name


ROLES = frozenset({"metrics", "model", "predictions"})
"""Roles that gates and recipes look for; the others are only names."""
