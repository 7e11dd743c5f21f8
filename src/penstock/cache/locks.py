"""Locks between processes: `flock` on files, so that a killed process holds nothing."""

from __future__ import annotations

import fcntl
import os
import time
from _thread import allocate_lock  # `threading` takes a millisecond to import
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_SHORT_WAIT_S = 0.02


class Lock:
    """A lock that is held until `release`, the end of its `with` block, or the end of the process.

    Args:
        descriptor: Of the locked file; -1 for a lock that stands for none.
        path: Removed on release, so that locks of one key do not pile up.
    """

    def __init__(self, descriptor: int, path: Path | None = None) -> None:
        self._descriptor = descriptor
        self._path = path

    def release(self) -> None:
        """Give it back; doing so again does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if self._path is not None:
            # still locked here: whoever opened the file meanwhile finds that it is gone and starts over
            with suppress(OSError):  # `gc` removes it then
                self._path.unlink()
        os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def try_exclusive(path: Path, *, remove: bool = False) -> Lock | None:
    """Lock a file for this process alone; None if another holds it.

    Args:
        remove: Whether the file goes away with the lock.

    Raises:
        OSError: The file cannot be opened.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        try:
            is_current = _is_at(descriptor, path)
        except OSError:
            os.close(descriptor)
            raise
        if is_current:
            return Lock(descriptor, path if remove else None)
        os.close(descriptor)


def exclusive(path: Path, patience_s: float) -> Lock | None:
    """The same, waiting for as long as `patience_s`.

    Raises:
        OSError: The file cannot be opened.
    """
    until = time.monotonic() + patience_s
    while (lock := try_exclusive(path)) is None:
        if time.monotonic() >= until:
            return None
        time.sleep(_SHORT_WAIT_S)
    return lock


def shared(path: Path) -> Lock:
    """Lock a file together with others that share it, waiting for one that wants it alone.

    Raises:
        OSError: The file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError:
        os.close(descriptor)
        raise
    return Lock(descriptor)


class Usage:
    """A lock that a process shares with others, and counts how often it holds.

    Whoever wants the lock alone takes the gate first. Newcomers wait at the gate then, so that it is had
    as soon as those that are in have left; who is in already may come in again.

    Args:
        path: Of the lock.
        gate: Of the lock that is held while waiting for `path` alone.
    """

    def __init__(self, path: Path, gate: Path) -> None:
        self._path = path
        self._gate = gate
        self._mutex = allocate_lock()
        self._held = Lock(-1)
        self._count = 0

    def share(self) -> Lock:
        """Hold it until the lock that is returned is released.

        Raises:
            OSError: A file cannot be opened.
        """
        with self._mutex:
            if self._count == 0:
                with shared(self._gate):
                    self._held = shared(self._path)
            self._count += 1
        return _Share(self)

    def leave(self) -> None:
        """Release it once."""
        with self._mutex:
            self._count -= 1
            if self._count == 0:
                self._held.release()


class _Share(Lock):
    def __init__(self, usage: Usage) -> None:
        super().__init__(-1)
        self._usage: Usage | None = usage

    def release(self) -> None:
        usage, self._usage = self._usage, None
        if usage is not None:
            usage.leave()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = os.stat(path)  # noqa: PTH116 - compared with fstat
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))
