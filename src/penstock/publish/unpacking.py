"""Take an archive of Penstock's apart, whoever wrote it: files and directories, and nothing outside."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import RefusedError, UsageError

if TYPE_CHECKING:
    import tarfile


def unpack(archive: Path, destination: Path) -> Path:
    """Unpack an archive into an empty directory; gives the one directory that it holds.

    Raises:
        UsageError: It cannot be read.
        RefusedError: It holds what Penstock does not write: a link, a device, a name that leads out.
    """
    import tarfile

    tops = set()
    try:
        with tarfile.open(archive, "r:") as opened:
            for member in opened:
                tops.add(_unpack(opened, member, archive, destination))
    except (EOFError, OSError, OverflowError, RecursionError, tarfile.TarError, ValueError) as error:
        raise UsageError(f"cannot be read as an archive of Penstock: {error}", where=str(archive)) from None
    if len(tops) != 1:
        raise RefusedError("is no archive of Penstock", where=str(archive))
    return destination / tops.pop()


def _unpack(opened: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, destination: Path) -> str:
    """Write one member; gives the first part of its path."""
    # no member before this one was a link, so its path cannot lead anywhere but below the destination
    parts = member.name.split("/")
    is_known = member.isdir() or (member.isreg() and not member.issparse())
    if not is_known or not {"", ".", ".."}.isdisjoint(parts):
        raise RefusedError(f"holds {member.name!r}, which Penstock does not write", where=str(archive))
    place = destination.joinpath(*parts)
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
    elif file := opened.extractfile(member):
        place.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        mode = 0o755 if member.mode & 0o100 else 0o644
        with file, os.fdopen(os.open(place, flags, mode), "wb") as copy:
            shutil.copyfileobj(file, copy)
    return parts[0]
