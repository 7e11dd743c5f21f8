"""What an operating system's error means for the store, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType

from penstock.errors import StoreError

_REMEDIES = {
    errno.ENOSPC: "free some room: 'penstock cache gc --max-size 10G', or set PENSTOCK_HOME to a larger disk",
    errno.EDQUOT: "free some room: 'penstock cache gc --max-size 10G', or set PENSTOCK_HOME to a larger disk",
    errno.EACCES: "make it writable for you, or set PENSTOCK_HOME to a directory that is",
    errno.EPERM: "make it writable for you, or set PENSTOCK_HOME to a directory that is",
    errno.EROFS: "it is mounted read-only: set PENSTOCK_HOME to a directory that can be written",
    errno.EIO: "the disk may be failing: set PENSTOCK_HOME to another one, then 'penstock cache verify'",
    errno.EMFILE: "raise the limit on open files ('ulimit -n')",
}
_DEFAULT_REMEDY = "look at the disk that holds it, or set PENSTOCK_HOME to another directory"


def store_error(error: OSError, path: str | Path, doing: str) -> StoreError:
    """What an operating system's error means for the store."""
    reason = error.strerror or str(error)
    return StoreError(
        f"the store could not be {doing}: {reason}",
        where=os.fsdecode(path),
        notes=(_REMEDIES.get(error.errno or 0, _DEFAULT_REMEDY),),
    )


class Reported:
    """Within its block, an `OSError` becomes the `StoreError` that it means.

    Args:
        path: What the error is about, if it does not say so itself.
        doing: What the store could not be: `written`, `read`, ...
    """

    __slots__ = ("_doing", "_path")

    def __init__(self, path: str | Path, doing: str) -> None:
        self._path = path
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise store_error(error, error.filename or self._path, self._doing) from error


def not_written(error: OSError, destination: Path) -> StoreError:
    """What an operating system's error means for an output on its way out of the store."""
    return StoreError(
        f"cannot be written: {error.strerror or error}",
        where=os.fsdecode(destination),
        notes=("an output from the store belongs there",),
    )
