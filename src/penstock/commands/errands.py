"""Programs that commands run outside of any pipeline: on this machine, in their own environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.cache.stat_index import StatIndex
from penstock.cache.store import Store, default_home
from penstock.commands.project import DEFAULT_PIPELINE, STATE
from penstock.executors.local import LocalExecutor
from penstock.plan.errands import errand
from penstock.report.console import PlainObserver
from penstock.runner.errand import perform as perform_on


def perform(
    program: str,
    request: Mapping[str, object],
    *,
    tools: str,
    passes: Sequence[str] = (),
    files: Sequence[tuple[str, str]] = (),
    root: Path | None = None,
) -> Mapping[str, Any]:
    """Run a program with what it needs of the environment, and give its receipt.

    Args:
        program: Package below `penstock.programs`.
        request: JSON values; paths in it are absolute, since it runs elsewhere.
        tools: Its environment: a lock file in `plan/tools`, without its suffix.
        passes: Variables that it gets if they are set; what is called a password, token, key or secret is
            masked wherever it is printed.
        files: (path, text) of what it finds in its working directory.
        root: Whose `.penstock` it works with; the project's that is found from here if absent.

    Raises:
        UsageError, RefusedError, ExecutorError: The program says so.
    """
    import anyio

    root = project_root() if root is None else root
    store = Store(default_home(os.environ))
    index = StatIndex(root, root / STATE / "state.sqlite")
    observer = PlainObserver(sys.stderr, environ=os.environ, quiet=True)
    executor = LocalExecutor(root=root, store=store, index=index, observer=observer)
    stage = errand(program, program, request, tools=tools, passes=passes, files=files)
    output = _HeldBack()
    try:
        receipt, _ = anyio.run(perform_on, executor, stage, os.environ, {}, output.take)
    finally:
        index.close()
        observer.close()
    output.show_rest()
    return receipt


def project_root() -> Path:
    """The nearest directory from here upwards with a pipeline file or what a run left; else this one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / DEFAULT_PIPELINE).is_file() or (folder / STATE).is_dir():
            return folder
    return here


class _HeldBack:
    """Shows what a program prints, and keeps the last line back: of one that fails, it is the error."""

    def __init__(self) -> None:
        self.rest = ""

    def take(self, text: str) -> None:
        whole, _, last = (self.rest + text).rstrip("\n").rpartition("\n")
        ended = text.endswith("\n")
        if whole:
            print(whole, file=sys.stderr, flush=True)
        self.rest = f"{last}\n" if ended and last else last

    def show_rest(self) -> None:
        """The last line too: nothing was wrong."""
        if self.rest.strip():
            print(self.rest.rstrip("\n"), file=sys.stderr)
