"""Puts what was pulled into a directory, and nothing outside of it.

No path is ever resolved by the system: every directory is opened from the one above it and never through a
link, every file is made new, and links come last. Python's own filters can be escaped (CVE-2025-4517).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, TypeVar

from ..common.program import RefusedError
from .packing import leads_out
from .tar_reader import DIRECTORY, FILE, MAX_DEPTH, MAX_NAME_BYTES, MAX_PATH_BYTES, Entry, Tar

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Made = TypeVar("Made")

_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Target:
    """A new directory that is filled.

    Args:
        root: Its open descriptor.
        limit_bytes: Of all files together.
    """

    def __init__(self, root: int, limit_bytes: int) -> None:
        self._root, self._left = root, limit_bytes

    def file(self, path: bytes, chunks: Iterable[bytes], *, executable: bool = False) -> None:
        """Write a new file.

        Raises:
            RefusedError: There is something at its path, or it is too large.
        """
        with self._parent(path) as (parent, name):
            mode = 0o755 if executable else 0o644
            handle = _made(path, partial(os.open, name, _FILE_FLAGS, mode, dir_fd=parent))
            with os.fdopen(handle, "wb") as file:
                for chunk in chunks:
                    self._left -= len(chunk)
                    if self._left < 0:
                        raise RefusedError(
                            f"{_shown(path)}: more than the artifact may hold; nothing was kept"
                        )
                    file.write(chunk)

    def unpack(self, file: BinaryIO, name: str, size: int, top: str) -> None:
        """Unpack a tar, all of whose entries must lie at or below `top`.

        Raises:
            RefusedError: It is hostile or broken; what was unpacked so far is to be thrown away.
        """
        tar = Tar(file, name, size)
        root = os.fsencode(top)
        links: list[Entry] = []
        for entry in tar.entries():
            if entry.path != root and not entry.path.startswith(root + b"/"):
                raise RefusedError(f"{name}: {_shown(entry.path)} lies outside of {top}; nothing was kept")
            if entry.kind == FILE:
                self.file(entry.path, tar.content(), executable=entry.executable)
            elif entry.kind == DIRECTORY:
                self._directory(entry.path)
            else:
                links.append(entry)
        for entry in links:
            if entry.path == root or leads_out(entry.path, entry.target, root):
                raise RefusedError(
                    f"{name}: the link {_shown(entry.path)} leads out of {top}; nothing was kept"
                )
            self._link(entry)

    def _directory(self, path: bytes) -> None:
        with self._parent(path) as (parent, name):
            _made(path, partial(os.mkdir, name, 0o755, dir_fd=parent))

    def _link(self, entry: Entry) -> None:
        with self._parent(entry.path) as (parent, name):
            _made(entry.path, partial(os.symlink, entry.target, name, dir_fd=parent))

    @contextmanager
    def _parent(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """The open directory that a path's last name belongs in; the ones above are made."""
        names = checked(path)
        handle = os.dup(self._root)
        try:
            for name in names[:-1]:
                below = _made(path, partial(_opened, name, handle))
                os.close(handle)
                handle = below
            yield handle, names[-1]
        finally:
            os.close(handle)


def checked(path: bytes) -> list[bytes]:
    """The names of a path that stays below its directory.

    Raises:
        RefusedError: It does not.
    """
    names = path.split(b"/")
    if any(name in (b"", b".", b"..") or len(name) > MAX_NAME_BYTES or b"\0" in name for name in names):
        raise RefusedError(f"{_shown(path)}: no path that stays below its directory")
    if len(names) > MAX_DEPTH or len(path) > MAX_PATH_BYTES:
        raise RefusedError(f"{_shown(path)}: too long a path")
    return names


def _opened(name: bytes, above: int) -> int:
    try:
        return os.open(name, _DIRECTORY_FLAGS, dir_fd=above)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=above)
        return os.open(name, _DIRECTORY_FLAGS, dir_fd=above)


def _made(path: bytes, make: Callable[[], Made]) -> Made:
    """What `make` gives; what is in its way is the archive's fault, all else the disk's."""
    try:
        return make()
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTDIR, errno.ELOOP):
            raise
        raise RefusedError(
            f"{_shown(path)}: stands twice, or below a file or a link; nothing was kept"
        ) from None


def _shown(path: bytes) -> str:
    return repr(os.fsdecode(path[:100]))
