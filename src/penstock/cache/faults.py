"""What an operating system's error means for the store, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

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


def not_written(error: OSError, destination: Path) -> StoreError:
    """What an operating system's error means for an output on its way out of the store."""
    return StoreError(
        f"cannot be written: {error.strerror or error}",
        where=os.fsdecode(destination),
        notes=("an output from the store belongs there",),
    )
