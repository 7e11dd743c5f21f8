"""Entries of the store: where they are, how they are read and written, and what becomes of a bad one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from penstock import digest
from penstock.cache import locks
from penstock.cache.deposit import make_directories, sync_one, write_whole
from penstock.cache.faults import Reported, store_error
from penstock.digest import PREFIX
from penstock.errors import CorruptError, StoreError

FORMAT = "penstock store 1\n"
BLOBS, TREES, RESULTS, KEYS, OBSERVED = "blobs/sha256", "trees", "results", "keys", "observed"
USAGE, GATE = "usage", "gc"
KINDS = (BLOBS, TREES, RESULTS, KEYS, OBSERVED)
SUFFIX = {BLOBS: "", TREES: "", RESULTS: ".json", KEYS: ".json", OBSERVED: ".json"}


class Entries:
    """The files of a store, each under the digest of what it holds or is about.

    Args:
        home: Made by `prepare`, if it is not there.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._home = os.fspath(home)
        self._checked = False
        self._prepared = False
        self._usage = locks.Usage(home / "locks" / USAGE, home / "locks" / GATE)

    def place(self, kind: str, name: str) -> str:
        """Where an entry is, whether or not it is there."""
        hexadecimal = name[len(PREFIX) :]
        return f"{self._home}/{kind}/{hexadecimal[:2]}/{hexadecimal[2:]}{SUFFIX[kind]}"

    def set_aside(self, kind: str, name: str, descriptor: int = -1) -> None:
        """Move a bad entry out of the way.

        Args:
            descriptor: The entry as it was read: one that has been replaced since stays.
        """
        path = self.place(kind, name)
        label = kind.partition("/")[0]
        aside = f"{self._home}/quarantine/{label}-{name.removeprefix(PREFIX)}"
        try:
            if descriptor < 0 or os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116
                os.rename(path, aside)  # noqa: PTH104 - paths that are str
        except OSError:
            return  # a store that cannot be written keeps it; it is found again whenever it is read

    def has_losses(self) -> bool:
        """Whether anything has been set aside or was missed since the last `gc`."""
        try:
            return bool(os.listdir(f"{self._home}/quarantine"))  # noqa: PTH208 - a path that is str
        except OSError:
            return False

    def damaged(self, kind: str, name: str, descriptor: int) -> CorruptError:
        """Set a bad entry aside, and say so."""
        self.set_aside(kind, name, descriptor)
        return CorruptError(
            f"{name} in the store is damaged; it was set aside",
            where=self._home,
            notes=("run again: what is lost will be made anew ('penstock cache verify' checks the rest)",),
        )

    def open(self, kind: str, name: str) -> int:
        """An entry, opened to be read.

        Raises:
            CorruptError: It is gone.
            StoreError: It cannot be read.
        """
        path = self.place(kind, name)
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._note_loss(kind, name)
            raise CorruptError(
                f"{name} is gone from the store",
                where=self._home,
                notes=("run again: it will be made anew",),
            ) from None
        except OSError as error:
            raise store_error(error, path, "read") from error

    def _note_loss(self, kind: str, name: str) -> None:
        if kind != BLOBS:
            return
        try:
            path = f"{self._home}/quarantine/missing-{name.removeprefix(PREFIX)}"
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o444))
        except OSError:
            return  # as in `set_aside`

    def read_verified(self, kind: str, name: str) -> bytes:
        """The bytes of an entry that is named after its content.

        Raises:
            CorruptError: It is damaged or gone.
            StoreError: It cannot be read.
        """
        self.check()
        descriptor = self.open(kind, name)
        with Reported(self.place(kind, name), "read"):
            try:
                data = read_all(descriptor, os.fstat(descriptor).st_size)
                if digest.of_bytes(data) != name:
                    raise self.damaged(kind, name, descriptor)
            finally:
                os.close(descriptor)
        return data

    def write(self, kind: str, name: str, data: bytes, *, durable: bool) -> None:
        """Write an entry, whole or not at all.

        Raises:
            StoreError: It cannot be written.
        """
        self.prepare()
        path = self.place(kind, name)
        with Reported(path, "written"), self.usage():
            if kind in (KEYS, OBSERVED):
                # losing them costs an explanation or a run, so even their directories need not be synced
                os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - a path that is str
            write_whole(self._home, path, data, durable=durable)

    def touch(self, path: str) -> None:
        """Note that an entry was used."""
        try:
            os.utime(path)
        except OSError:
            return  # a store that is only readable has no order to keep

    # -- the store itself

    def check(self) -> None:
        """See that this is a store, and one of this format; none is one that is still empty.

        Raises:
            StoreError: It is another format.
        """
        if self._checked:
            return
        path = f"{self._home}/version"
        with Reported(path, "read"):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return
            try:
                found = os.read(descriptor, 100)
            finally:
                os.close(descriptor)
        if found != FORMAT.encode():
            raise StoreError(
                f"it has format {found[:40].decode(errors='replace').strip()!r};"
                f" this Penstock reads {FORMAT.strip()!r}",
                where=self._home,
                notes=("remove it, or set PENSTOCK_HOME to another directory",),
            )
        self._checked = True

    def prepare(self) -> None:
        """Make what every store has.

        Raises:
            StoreError: It cannot be made.
        """
        if self._prepared:
            return
        self.check()
        if not self._checked:
            with Reported(self._home, "made"):
                names = (*KINDS, "quarantine", "tmp", "locks", "leases")
                self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
                make_directories(*(self.home / name for name in names))
                for name in (USAGE, GATE):
                    (self.home / "locks" / name).touch()
                sync_one(f"{self._home}/locks")
                write_whole(self._home, f"{self._home}/version", FORMAT.encode(), durable=True)
        self._checked = self._prepared = True

    def usage(self) -> locks.Lock:
        """Held while entries are written that no record names yet, so that `gc` leaves them alone."""
        try:
            return self._usage.share()
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EACCES, errno.EROFS):
                return locks.Lock(-1)  # cannot be written by us: then nobody's writing is protected by us
            raise store_error(error, self._home, "locked") from error


def read_all(descriptor: int, size: int) -> bytes:
    """The rest of an open file, which is about `size` bytes long.

    Raises:
        OSError: It cannot be read.
    """
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    pieces = [data]
    while piece := os.read(descriptor, digest.CHUNK_BYTES):
        pieces.append(piece)
    return b"".join(pieces)
