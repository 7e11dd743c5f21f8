"""The store: outputs, manifests, result records and key documents, by digest.

An entry is written beside its place, hashed while it is written, synced and renamed; the record of a result
comes last. So a killed process leaves entries whole or absent, and what was acknowledged survives a power
cut. Everything is verified whenever it is read: what does not match its name is set aside, and the stage
that made it runs again.

Writers hold `usage` shared from their first blob to the record that names it; only `gc` takes it alone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from penstock import digest
from penstock.cache import locks, records
from penstock.cache.deposit import Deposit, copy_hashing, make_directories, sync_directory, write_whole
from penstock.cache.faults import not_written, store_error
from penstock.cache.records import ResultRecord
from penstock.digest import PREFIX
from penstock.errors import CorruptError, StoreError
from penstock.results import Part, PartKind

FORMAT = "penstock store 1\n"
BLOBS, TREES, RESULTS, KEYS = "blobs/sha256", "trees", "results", "keys"
KINDS = (BLOBS, TREES, RESULTS, KEYS)
SUFFIX = {BLOBS: "", TREES: "", RESULTS: ".json", KEYS: ".json"}
TOUCH_AFTER_S = 3600.0


def default_home(environ: Mapping[str, str]) -> Path:
    """Where the store is: `PENSTOCK_HOME`, else below the XDG cache."""
    if home := environ.get("PENSTOCK_HOME"):
        return Path(home).absolute()
    cache = environ.get("XDG_CACHE_HOME", "")
    # the XDG rules: a relative path is to be ignored
    base = Path(cache) if cache.startswith("/") else Path(environ.get("HOME") or "/tmp", ".cache")  # noqa: S108
    return base / "penstock"


class Store:
    """What stages made, by content; nothing is written before the first `put`.

    Every method that writes raises `StoreError` when it cannot; a store that is only readable serves hits.

    Args:
        home: Made if it is not there.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._home = os.fspath(home)
        self._checked = False
        self._prepared = False
        self._lease = -1

    # -- writing

    def deposit(self) -> Deposit:
        """Several entries that arrive together; see `Deposit`.

        Raises:
            StoreError: The store cannot be written.
        """
        self._prepare()
        return Deposit(self._home, self.usage())

    def put_file(self, path: Path) -> tuple[str, int]:
        """Copy a regular file in; its digest and size.

        Raises:
            InputError: It is no regular file, or cannot be read.
        """
        with self.deposit() as deposit:
            put = deposit.add_file(path)
            deposit.seal()
        return put

    def put_bytes(self, data: bytes) -> str:
        """Keep these bytes as a blob; its digest."""
        with self.deposit() as deposit:
            name = deposit.add_bytes(data)
            deposit.seal()
        return name

    def put_manifest(self, manifest: bytes, *, durable: bool) -> str:
        """Keep a manifest; its digest.

        Args:
            durable: Whether a result will name it; a manifest of inputs only serves `explain`.
        """
        name = digest.of_bytes(manifest)
        if durable:
            with self.deposit() as deposit:
                deposit.add_manifest(manifest)
                deposit.seal()
        elif not os.path.exists(self.place(TREES, name)):  # noqa: PTH110 - a path that is str
            self._write(TREES, name, manifest, durable=False)
        return name

    def put_key_document(self, document: Mapping[str, object]) -> str:
        """Keep a key document, for `explain`; its digest, which is the key."""
        data = digest.canonical_json(document)
        key = digest.of_bytes(data)
        if not os.path.exists(self.place(KEYS, key)):  # noqa: PTH110 - a path that is str
            self._write(KEYS, key, data, durable=False)
        return key

    def commit(self, record: ResultRecord) -> None:
        """Make a result known, once all that it names is in the store; it is on disk on return.

        Raises:
            StoreError: A part is not in the store, or the store cannot be written.
        """
        self._prepare()
        with self.usage():
            for part in record.parts:
                if not self.holds(part):
                    raise StoreError(
                        f"output {part.path!r} ({part.digest}) is not in the store", where=self._home
                    )
            self._hold(record.key)
            self._write(RESULTS, record.key, records.encode(record), durable=True)

    # -- reading

    def has(self, name: str) -> bool:
        """Whether a blob is there, unverified."""
        return os.path.exists(self.place(BLOBS, name))  # noqa: PTH110 - a path that is str

    def holds(self, part: Part) -> bool:
        """Whether a part's blob or manifest is there, unverified."""
        kind = TREES if part.kind is PartKind.DIRECTORY else BLOBS
        return os.path.exists(self.place(kind, part.digest))  # noqa: PTH110 - a path that is str

    def read(self, name: str) -> bytes:
        """The content of a blob, verified.

        Raises:
            CorruptError: It is damaged or gone.
        """
        return self._read_verified(BLOBS, name)

    def manifest(self, name: str) -> bytes:
        """A manifest by its digest, verified.

        Raises:
            CorruptError: It is damaged or gone.
        """
        return self._read_verified(TREES, name)

    def key_document(self, key: str) -> dict[str, object] | None:
        """What a key is the digest of, if it is still known."""
        try:
            document = json.loads(self._read_verified(KEYS, key))
        except (StoreError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def get_file(self, name: str, destination: Path, *, executable: bool = False) -> None:
        """Copy a blob to a path, verified while it is copied, whole or not at all.

        Raises:
            CorruptError: It is damaged or gone.
            StoreError: It cannot be read, or the destination cannot be written.
        """
        temporary = destination.parent / f".penstock-{os.getpid()}-{os.urandom(6).hex()}"
        try:
            self.copy_out(name, temporary, executable=executable)
            try:
                os.rename(temporary, destination)  # noqa: PTH104 - the short way
            except OSError as error:
                raise not_written(error, destination) from error
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def copy_out(self, name: str, destination: Path, *, executable: bool = False) -> None:
        """Like `get_file` for a path of which nobody knows yet: a failure leaves part of a file there."""
        source = self._open(BLOBS, name)
        try:
            mode = 0o777 if executable else 0o666
            try:
                target = os.open(destination, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
                try:
                    found, _ = copy_hashing(source, target)
                finally:
                    os.close(target)
            except OSError as error:
                raise not_written(error, destination) from error
            if PREFIX + found != name:
                raise self._damaged(BLOBS, name, source)
        finally:
            os.close(source)

    def recall(self, key: str) -> ResultRecord | None:
        """The result under a key, if its record is sound and its parts are there.

        A record that is damaged is set aside. Blobs are verified later, as they are read.

        Raises:
            StoreError: The store cannot be read.
        """
        self._check()
        if self._lease >= 0:
            with self.usage():
                self._hold(key)
                return self._recall(key)
        return self._recall(key)

    def _recall(self, key: str) -> ResultRecord | None:
        path = self.place(RESULTS, key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise store_error(error, path, "read") from error
        try:
            about = os.fstat(descriptor)
            record = records.decode(read_all(descriptor, about.st_size), key)
        except ValueError:
            self.set_aside(RESULTS, key, descriptor)
            return None
        except OSError as error:
            raise store_error(error, path, "read") from error
        finally:
            os.close(descriptor)
        if not all(self._complete(part) for part in record.parts):
            return None
        # the clock only orders what `gc` removes first
        if abs(time.time() - about.st_mtime) > TOUCH_AFTER_S:
            self._touch(path)
        return record

    def _complete(self, part: Part) -> bool:
        if not self.holds(part):
            return False
        if part.kind is not PartKind.DIRECTORY or not self.has_losses():
            return True
        # something was lost: now each file of a directory is looked for, until gc has tidied up
        try:
            manifest = self.manifest(part.digest)
            return all(self.has(name) for name in blobs_of(manifest))
        except (StoreError, ValueError):
            return False

    # -- locks

    def usage(self) -> locks.Lock:
        """Held while entries are written that no record names yet, so that `gc` leaves them alone."""
        try:
            return locks.shared(Path(self._home, "locks", "usage"))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EACCES, errno.EROFS):
                return locks.Lock(-1)  # cannot be written by us: then nobody's writing is protected by us
            raise store_error(error, self._home, "locked") from error

    def try_lock(self, key: str) -> locks.Lock | None:
        """The right to run the stage of a key; None while another process has it.

        Raises:
            StoreError: The store cannot be written.
        """
        self._prepare()
        path = Path(self._home, "locks", "flight-" + key.removeprefix(PREFIX))
        try:
            return locks.try_exclusive(path, remove=True)
        except OSError as error:
            raise store_error(error, path, "locked") from error

    def lease(self) -> locks.Lock:
        """While held, `gc` keeps every result that this store recalls or commits.

        Raises:
            StoreError: The store cannot be written.
        """
        self._prepare()
        path = Path(self._home, "leases", f"{os.getpid()}-{os.urandom(6).hex()}")
        try:
            self._lease = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._lease, fcntl.LOCK_EX)
        except OSError as error:
            raise store_error(error, path, "written") from error
        return _Lease(self, path)

    def end_lease(self) -> None:
        """Let go of what the lease held."""
        descriptor, self._lease = self._lease, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _hold(self, key: str) -> None:
        if self._lease >= 0:
            os.write(self._lease, key.encode() + b"\n")

    # -- entries and their places

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

    def _damaged(self, kind: str, name: str, descriptor: int) -> CorruptError:
        self.set_aside(kind, name, descriptor)
        return CorruptError(
            f"{name} in the store is damaged; it was set aside",
            where=self._home,
            notes=("run again: what is lost will be made anew ('penstock cache verify' checks the rest)",),
        )

    def _open(self, kind: str, name: str) -> int:
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

    def _read_verified(self, kind: str, name: str) -> bytes:
        self._check()
        descriptor = self._open(kind, name)
        try:
            data = read_all(descriptor, os.fstat(descriptor).st_size)
            if digest.of_bytes(data) != name:
                raise self._damaged(kind, name, descriptor)
        except OSError as error:
            raise store_error(error, self.place(kind, name), "read") from error
        finally:
            os.close(descriptor)
        return data

    def _write(self, kind: str, name: str, data: bytes, *, durable: bool) -> None:
        self._prepare()
        path = self.place(kind, name)
        try:
            write_whole(self._home, path, data, durable=durable)
        except OSError as error:
            raise store_error(error, path, "written") from error

    def _touch(self, path: str) -> None:
        try:
            os.utime(path)
        except OSError:
            return  # a store that is only readable has no order to keep

    # -- the store itself

    def _check(self) -> None:
        if self._checked:
            return
        path = f"{self._home}/version"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise store_error(error, path, "read") from error
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

    def _prepare(self) -> None:
        if self._prepared:
            return
        self._check()
        try:
            if not self._checked:
                names = (*KINDS, "quarantine", "tmp", "locks", "leases")
                self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
                make_directories(*(self.home / name for name in names))
                write_whole(self._home, f"{self._home}/version", FORMAT.encode(), durable=True)
                os.close(os.open(f"{self._home}/locks/usage", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
                sync_directory(f"{self._home}/locks")
        except OSError as error:
            raise store_error(error, self._home, "made") from error
        self._checked = self._prepared = True


class _Lease(locks.Lock):
    def __init__(self, store: Store, path: Path) -> None:
        super().__init__(-1)
        self._store = store
        self._file = path

    def release(self) -> None:
        self._file.unlink(missing_ok=True)
        self._store.end_lease()


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


def blobs_of(manifest: bytes) -> Iterable[str]:
    """The digests of the files in a manifest.

    Raises:
        ValueError: It is no manifest.
    """
    for entry in digest.decode_manifest(manifest):
        if entry.kind in (digest.FILE, digest.EXECUTABLE):
            yield PREFIX + entry.value.decode("ascii")
