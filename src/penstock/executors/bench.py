"""The room that the workspaces of a run share, and how it is cleared away, also of runs that were killed."""

from __future__ import annotations

import fcntl
import itertools
import os
import queue
import secrets
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from penstock.record import Record, field

_SWEEPERS = 4
_TRIES = 5
_opening = threading.Lock()
_open: dict[Path, Bench] = {}


class Bench(Record, frozen=False, kw_only=False):
    """A directory that is locked while its run lives, so that later runs know what they may remove.

    What is thrown away is renamed now and removed by threads of its own: where blocks are discarded at once,
    a `rmdir` takes milliseconds, more than a short stage.

    Attributes:
        path: Holds the workspaces.
    """

    path: Path
    _lock: int
    _count: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _temporaries: list[Path] = field(default_factory=list)
    _waste: queue.SimpleQueue[Path | None] = field(default_factory=queue.SimpleQueue)
    _sweepers: list[threading.Thread] = field(default_factory=list)

    @staticmethod
    def of(work: Path) -> Bench:
        """This process's bench in a project's `.penstock/work`, opened when first asked for.

        Raises:
            OSError: It cannot be made.
        """
        with _opening:
            bench = _open.get(work)
            if bench is None or not bench.path.is_dir():  # somebody has cleaned up
                if bench is not None:
                    bench.finish()
                bench = _open[work] = _opened(work)
            return bench

    @staticmethod
    def close(work: Path) -> None:
        """Remove what this process has there, once nothing of it is used any more."""
        with _opening:
            bench = _open.pop(work, None)
        if bench is not None:
            bench.discard(bench.path)
            bench.finish()

    def new(self, name: str) -> Path:
        """A path at which nothing is."""
        return self.path / f"{name}-{next(self._count)}"

    def temporary(self) -> Path:
        """A directory for temporary files, with an empty `home` in it.

        Raises:
            OSError: It cannot be made.
        """
        with suppress(IndexError):
            return self._temporaries.pop()
        path = self.new("tmp")
        (path / "home").mkdir(parents=True)
        path.chmod(0o1777)
        return path

    def give_back(self, temporary: Path) -> None:
        """Use a directory for temporary files again if nothing was left in it; else discard it."""
        try:
            fresh = os.listdir(temporary) == ["home"] and not os.listdir(temporary / "home")  # noqa: PTH208 - names only
            fresh = fresh and stat.S_ISDIR((temporary / "home").lstat().st_mode)
            if fresh:
                temporary.chmod(0o1777)
                (temporary / "home").chmod(0o755)
                self._temporaries.append(temporary)
        except OSError:
            fresh = False
        if not fresh:
            self.discard(temporary)

    def discard(self, path: Path) -> None:
        """Remove something soon; it is no longer at its path when this returns."""
        waste = path.with_name(f".waste-{next(self._count)}")
        try:
            path.rename(waste)
        except FileNotFoundError:
            return
        except OSError:
            waste = path
        self._waste.put(waste)
        if len(self._sweepers) < _SWEEPERS:
            sweeper = threading.Thread(target=self._sweep, daemon=True)
            self._sweepers.append(sweeper)
            sweeper.start()

    def _sweep(self) -> None:
        while (path := self._waste.get()) is not None:
            remove_tree(path)

    def finish(self) -> None:
        """Wait until what was discarded is gone, and let go of the lock."""
        for _ in self._sweepers:
            self._waste.put(None)
        for sweeper in self._sweepers:
            sweeper.join()
        os.close(self._lock)


def _opened(work: Path) -> Bench:
    work.mkdir(parents=True, exist_ok=True)
    left = [path for path in work.iterdir() if _is_dead(path)]
    bench = _locked(work)
    for path in left:
        bench.discard(path)
    return bench


def _locked(work: Path) -> Bench:
    for attempt in itertools.count(1):
        path = work / secrets.token_hex(4)
        unborn = work / f".{path.name}"
        unborn.mkdir()
        lock = os.open(unborn, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            # it gets its name once it is locked; until then another run could take it for a dead one's
            unborn.rename(path)
        except FileNotFoundError:
            os.close(lock)
            if attempt == _TRIES:
                raise
            continue
        return Bench(path, lock)
    raise AssertionError


def _is_dead(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def remove_tree(path: Path) -> None:
    """Remove a directory without following links; what cannot be removed is left."""
    try:
        while os.path.lexists(path):
            # another thread may be removing something in there at the same time
            with suppress(FileNotFoundError):
                shutil.rmtree(path)
    except (OSError, RecursionError):
        # directories without permission to write, or too deep for Python
        for command in (("chmod", "-R", "u+rwX"), ("rm", "-rf")):
            with suppress(OSError):
                argv = [*command, "--", path]
                subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True)  # noqa: S603 - fixed
