"""Gates without a pipeline: tables are measured in a project that exists for as long as that takes.

It is a run like any other, so its numbers are those of a pipeline; and since the store knows results by what
went in, asking again measures nothing again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock import digest
from penstock.cache.history import LocalHistory
from penstock.cache.stat_index import StatIndex
from penstock.cache.store import Store, default_home
from penstock.errors import EXIT_STAGE_FAILED, PenstockError, UsageError
from penstock.executors.local import LocalExecutor
from penstock.plan.compiled import Overlay
from penstock.plan.load import load
from penstock.record import Record, replace
from penstock.report import wording
from penstock.report.console import PlainObserver
from penstock.results import DONE, Evidence, GateResult
from penstock.runner.run import Options, Run
from penstock.runner.selection import select

TABLES = ("predictions", "baseline")
"""What gates call the tables that they judge."""


class Measured(Record):
    """What came of it.

    Attributes:
        documents: What was measured, by path.
    """

    gates: tuple[GateResult, ...]
    documents: Mapping[str, bytes]


def measured(gates: Sequence[Mapping[str, Any]], asked: Mapping[str, Any]) -> Measured:
    """Measure the tables that gates name, and ask the gates.

    Args:
        gates: As a pipeline file would list them, with paths as seen from the current directory.
        asked: Of the stage that measures: `columns`, `task`, `positive`.

    Raises:
        UsageError: A table is not there.
        PenstockError: What the gates ask cannot be measured.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-gate-") as folder:
        root = Path(folder)
        names: dict[str, str] = {}
        moved = [_moved(gate, root, names) for gate in gates]
        tables = sorted({gate["predictions"] for gate in moved})
        stages = {
            f"measure-{at}": {"uses": "measure", "predictions": table, **asked}
            for at, table in enumerate(tables, 1)
        }
        pipeline = {"version": 1, "name": "gate", "stages": stages, "gates": moved}
        (root / "gate.yaml").write_text(json.dumps(pipeline, indent=1), encoding="utf-8")
        found = _run(root, {name: path for path, name in names.items()})
        evidence = tuple(
            Evidence(path=path, digest=digest.of_file(root / names[path])) for path in sorted(names)
        )
        return replace(found, gates=tuple(replace(each, evidence=evidence) for each in found.gates))


def _moved(gate: Mapping[str, Any], root: Path, names: dict[str, str]) -> dict[str, Any]:
    """The gate with its tables copied into the project; `names` gets their new paths."""
    moved = dict(gate)
    for key in TABLES:
        path = moved.get(key)
        if path is None:
            continue
        if path not in names:
            if not Path(path).is_file():
                raise UsageError("there is no such table", where=str(path))
            names[path] = f"{len(names) + 1}/{Path(path).name}"
            (root / names[path]).parent.mkdir()
            shutil.copyfile(path, root / names[path])
        moved[key] = names[path]
    return moved


def _run(root: Path, paths: Mapping[str, str]) -> Measured:
    observer = PlainObserver(sys.stderr, environ=os.environ, quiet=True)
    try:
        loaded = load(root / "gate.yaml", Overlay(environ={}))
    except PenstockError as error:
        raise UsageError(error.what.removeprefix("gate 1: "), notes=error.notes) from None
    store = Store(default_home(os.environ))
    index = StatIndex(root, root / ".penstock" / "state.sqlite")
    run = Run(
        plan=loaded.plan,
        executor=LocalExecutor(root=root, store=store, index=index, observer=observer),
        history=LocalHistory(store, index),
        observer=observer,
        root=root,
        options=Options(selection=select(loaded.plan), commit=""),
    )
    try:
        report = run.report()
    finally:
        observer.close()
    for stage in report.stages:
        if stage.state not in DONE:
            last = (wording.log(stage).strip().splitlines() or [wording.problem(stage)])[-1]
            for name, path in paths.items():
                last = last.replace(name, path)
            raise NotMeasuredError(last)
    return Measured(gates=report.gates, documents=run.documents)


class NotMeasuredError(PenstockError):
    """A table cannot be measured; the message is the program's."""

    exit_code = EXIT_STAGE_FAILED
