"""Runs as they are named on the command line: by a file, by a folder, by an id."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from penstock.cache.store import Store, default_home
from penstock.commands.project import find_pipeline
from penstock.errors import StoreError, UsageError
from penstock.plan.compiled import Overlay, load_plan
from penstock.report import keep, members

A_RUN = "a run.json, a folder that holds one, a run's id or `latest`"


def find_run(name: str, pipeline: Path | None) -> Path:
    """The run.json that is meant.

    Args:
        pipeline: Whose runs are known by their ids.

    Raises:
        UsageError: There is no such run.
    """
    path = Path(name)
    try:
        path = path / "run.json" if path.is_dir() else path
        if path.is_file():
            return path
        problem = "is no file" if path.exists() else "there is no such file"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    if problem != "there is no such file" or "/" in str(path) or name.endswith(".json"):
        raise UsageError(
            problem,
            where=str(path),
            notes=("name a run.json, the folder of a run's reports, a run's id or `latest`",),
        )
    root, _ = load_plan(find_pipeline(pipeline), Overlay(environ=os.environ))
    return keep.find(root / keep.RUNS, name) / "run.json"


class Manifests:
    """Finds a directory's manifest: in files beside each run.json, or in the store of this machine."""

    def __init__(self, known: Mapping[str, bytes]) -> None:
        self._known = known
        self._store = Store(default_home(os.environ))

    @classmethod
    def beside(cls, paths: Iterable[Path]) -> Manifests:
        """With what lies beside these run.json."""
        known: dict[str, bytes] = {}
        for path in paths:
            known |= members.read(path.with_name(members.NAME))
        return cls(known)

    def __call__(self, name: str) -> bytes | None:
        """The manifest of a digest, if it is known."""
        if name in self._known:
            return self._known[name]
        if not members.well_formed(name):
            return None
        try:
            return self._store.manifest(name)
        except StoreError:
            return None
