"""How bytes get into the store: written beside their place, hashed on the way, synced, renamed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.cache.faults import Reported
from penstock.cache.locks import Lock
from penstock.digest import CHUNK_BYTES, PREFIX
from penstock.errors import InputError

_FICLONE = 0x40049409
_FEW = 4
_SYNC_THREADS = 8
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # never hangs on a FIFO


class Deposit:
    """Entries that arrive in the store together, when `seal` says so, or not at all.

    Leaving the `with` block without `seal` leaves nothing behind.

    Args:
        home: Of a store that is prepared.
        lock: Given back at the end of the block.
    """

    def __init__(self, home: str, lock: Lock) -> None:
        self._home = home
        self._lock = lock
        self._waiting: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for temporary, _ in self._waiting:
            discard(temporary)
        self._lock.release()

    def add_file(self, path: str | bytes | os.PathLike[str]) -> tuple[str, int]:
        """Copy a regular file; its digest and size.

        Raises:
            InputError: It is no regular file, or cannot be opened.
            StoreError: The store cannot be written.
        """
        try:
            source = os.open(path, _READ)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=os.fsdecode(path)) from error
        with Reported(self._home, "written"):
            try:
                if not stat.S_ISREG(os.fstat(source).st_mode):
                    raise InputError("is no regular file", where=os.fsdecode(path))
                temporary, target = self._begin()
                try:
                    found, size = copy_hashing(source, target)
                finally:
                    os.close(target)
            finally:
                os.close(source)
        self._waiting[-1] = (temporary, f"{self._home}/blobs/sha256/{found[:2]}/{found[2:]}")
        return PREFIX + found, size

    def add_bytes(self, data: bytes) -> str:
        """Keep these bytes as a blob; its digest.

        Raises:
            StoreError: The store cannot be written.
        """
        return self._add(data, "blobs/sha256")

    def add_manifest(self, manifest: bytes) -> str:
        """Keep a manifest; its digest.

        Raises:
            StoreError: The store cannot be written.
        """
        return self._add(manifest, "trees")

    def seal(self) -> None:
        """Put everything in its place, on disk.

        An entry that is there already is replaced, so that a damaged one heals.

        Raises:
            StoreError: The store cannot be written.
        """
        with Reported(self._home, "written"):
            sync([temporary for temporary, _ in self._waiting])
            for temporary, path in self._waiting:
                move_into_place(temporary, path)
            sync(sorted({path.rpartition("/")[0] for _, path in self._waiting}))
        self._waiting.clear()

    def _add(self, data: bytes, kind: str) -> str:
        with Reported(self._home, "written"):
            temporary, target = self._begin()
            try:
                write_all(target, data)
            finally:
                os.close(target)
        found = hashlib.sha256(data).hexdigest()
        self._waiting[-1] = (temporary, f"{self._home}/{kind}/{found[:2]}/{found[2:]}")
        return PREFIX + found

    def _begin(self) -> tuple[str, int]:
        temporary = new_name(self._home)
        target = os.open(temporary, _NEW, 0o444)
        self._waiting.append((temporary, ""))
        return temporary, target


def new_name(home: str) -> str:
    """A path that nobody else uses, on the file system of the store."""
    return f"{home}/tmp/{os.getpid()}-{os.urandom(8).hex()}"  # noqa: S108 - not the system's, but the store's own


def copy_hashing(source: int, target: int) -> tuple[str, int]:
    """Copy an open file to an empty one; hex digest and size of what the copy holds.

    Shares the bytes where the file system can, which is safe: writing to either file separates them.

    Raises:
        OSError: Reading or writing failed.
    """
    size = os.fstat(source).st_size
    if size < CHUNK_BYTES:
        data = os.read(source, size + 1)
        if len(data) == size:
            write_all(target, data)
            return hashlib.sha256(data).hexdigest(), size
    return _copy_large(source, target)


def _copy_large(source: int, target: int) -> tuple[str, int]:
    os.lseek(source, 0, os.SEEK_SET)
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        cloned = False
    else:
        cloned = True
    hashing = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    size = 0
    origin = target if cloned else source
    while count := os.readv(origin, [buffer]):
        piece = buffer[:count]
        hashing.update(piece)
        if not cloned:
            write_all(target, piece)
        size += count
    return hashing.hexdigest(), size


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte.

    Raises:
        OSError: Not all could be written.
    """
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


def write_whole(home: str, path: str, data: bytes, *, durable: bool) -> None:
    """Write a file that is there whole or not at all, and on disk on return if it is durable.

    Raises:
        OSError: It could not be written.
    """
    temporary = new_name(home)
    try:
        descriptor = os.open(temporary, _NEW, 0o444)
        try:
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        move_into_place(temporary, path)
    except BaseException:
        discard(temporary)
        raise
    if durable:
        sync_one(os.path.dirname(path))  # noqa: PTH120 - a path that is str


def discard(temporary: str) -> None:
    """Remove a temporary file as far as that is possible; `gc` removes what is left."""
    with suppress(OSError):
        os.unlink(temporary)  # noqa: PTH108 - a path that is str


def move_into_place(temporary: str, path: str) -> None:
    """Rename, making the directory if this is its first entry.

    Raises:
        OSError: It could not be renamed.
    """
    try:
        os.rename(temporary, path)  # noqa: PTH104 - paths that are str
    except FileNotFoundError:
        directory = os.path.dirname(path)  # noqa: PTH120 - a path that is str
        make_directories(Path(directory))
        os.rename(temporary, path)  # noqa: PTH104 - paths that are str


def make_directories(*paths: Path) -> None:
    """Make directories and what is missing above them, on disk on return.

    Raises:
        OSError: They could not be made.
    """
    for path in paths:
        missing = [path]
        while not missing[-1].exists():
            missing.append(missing[-1].parent)
        for directory in reversed(missing[:-1]):
            directory.mkdir(exist_ok=True)
            sync_one(os.fspath(directory.parent))


def sync(paths: Sequence[str]) -> None:
    """Have files' contents and directories' names on disk.

    Many at a time are told to the disk from several threads: the journal of the file system then writes
    them together, which is ten times as fast or more.

    Raises:
        OSError: It failed for one of them.
    """
    if len(paths) <= _FEW:
        for path in paths:
            sync_one(path)
        return
    import threading

    waiting = list(paths)
    failures: list[OSError] = []

    def work() -> None:
        with suppress(IndexError):
            while not failures:
                try:
                    sync_one(waiting.pop())
                except OSError as error:
                    failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(_SYNC_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def sync_one(path: str) -> None:
    """Have one file's content, or a directory's names, on disk.

    Raises:
        OSError: It failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
