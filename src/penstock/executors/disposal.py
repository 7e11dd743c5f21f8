"""Environments that nobody used for long: how much they take, and their removal."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from penstock.cache import locks
from penstock.executors.environments import RECORD
from penstock.executors.workspace import remove_tree
from penstock.record import Record

_TRASH = ".trash-"


class Environments(Record):
    """Environments of a store, counted.

    Attributes:
        in_use: Of those that would be old enough to go.
    """

    removed: int = 0
    removed_bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0
    in_use: int = 0


def count(home: Path) -> Environments:
    """The environments of a store."""
    sizes = [_size(place) for place in _places(home)]
    return Environments(kept=len(sizes), kept_bytes=sum(sizes))


def collect(home: Path, older_than_s: float, *, dry_run: bool = False) -> Environments:
    """Remove the environments that were not used for longer than this; one in use stays.

    Raises:
        OSError: The store cannot be written.
    """
    removed, kept, in_use = [], [], 0
    for trash in (home / "envs").glob(f"{_TRASH}*"):
        remove_tree(trash)  # of a gc that was killed
    for place in _places(home):
        size = _size(place)
        old = time.time() - _used(place) > older_than_s
        if old and (dry_run or _remove(place)):
            removed.append(size)
        else:
            kept.append(size)
            in_use += old
    return Environments(
        removed=len(removed),
        removed_bytes=sum(removed),
        kept=len(kept),
        kept_bytes=sum(kept),
        in_use=in_use,
    )


def _remove(place: Path) -> bool:
    building = locks.try_exclusive(place.with_suffix(".lock"), remove=True)
    if building is None:
        return False
    with building:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # moved first: nobody finds half an environment
            trash = place.with_name(f"{_TRASH}{os.urandom(6).hex()}")
            place.chmod(0o700)
            place.rename(trash)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
    remove_tree(trash)
    return True


def _places(home: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for entry in sorted((home / "envs").iterdir()):
            if len(entry.name) == 64 and entry.is_dir():  # noqa: PLR2004 - a digest
                yield entry


def _used(place: Path) -> float:
    for path in (place / RECORD, place):
        with suppress(FileNotFoundError):
            return path.stat().st_mtime
    return time.time()


def _size(place: Path) -> int:
    total = 0
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(OSError):
                total += os.lstat(f"{folder}/{name}").st_size
    return total
