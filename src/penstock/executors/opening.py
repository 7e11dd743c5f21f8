"""What a command gives an executor to open it with."""

from __future__ import annotations

from pathlib import Path

from penstock.cache.stat_index import StatIndex
from penstock.cache.store import Store
from penstock.observer import Observer
from penstock.record import Record


class Opening(Record):
    """A project, for which an executor is made by the function `open_executor` of its module.

    Attributes:
        overwrite: Whether outputs may replace files that no run wrote.
        replaced: Outputs that may in any case.
    """

    root: Path
    store: Store
    index: StatIndex
    overwrite: bool = False
    replaced: frozenset[str] = frozenset()
    observer: Observer | None = None
