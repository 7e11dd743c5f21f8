"""The store: outputs, manifests, result records and key documents, by digest.

An entry is written beside its place, hashed while it is written, synced and renamed; the record of a result
comes last. So a killed process leaves entries whole or absent, and what was acknowledged survives a power
cut. Everything is verified whenever it is read: what does not match its name is set aside, and the stage
that made it runs again.

Writers hold `usage` shared from their first blob to the record that names it; only `gc` takes it alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from penstock import digest
from penstock.cache import locks, observations, records
from penstock.cache.deposit import Deposit, copy_hashing, discard
from penstock.cache.entries import BLOBS, KEYS, OBSERVED, RESULTS, TREES, Entries, read_all
from penstock.cache.faults import Reported, not_written
from penstock.cache.observations import Observation
from penstock.cache.records import ResultRecord
from penstock.digest import PREFIX
from penstock.errors import StoreError
from penstock.results import Part, PartKind

TOUCH_AFTER_S = 3600.0


def default_home(environ: Mapping[str, str]) -> Path:
    """Where the store is: `PENSTOCK_HOME`, else below the XDG cache."""
    if home := environ.get("PENSTOCK_HOME"):
        return Path(home).absolute()
    cache = environ.get("XDG_CACHE_HOME", "")
    # the XDG rules: a relative path is to be ignored
    base = Path(cache) if cache.startswith("/") else Path(environ.get("HOME") or "/tmp", ".cache")  # noqa: S108
    return base / "penstock"


class Store(Entries):
    """What stages made, by content; nothing is written before the first `put`.

    Every method that writes raises `StoreError` when it cannot; a store that is only readable serves hits.

    Args:
        home: Made if it is not there.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._lease = -1

    # -- writing

    def deposit(self) -> Deposit:
        """Several entries that arrive together; see `Deposit`.

        Raises:
            StoreError: The store cannot be written.
        """
        self.prepare()
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
            self.write(TREES, name, manifest, durable=False)
        return name

    def put_key_document(self, document: Mapping[str, object]) -> str:
        """Keep a key document, for `explain`; its digest, which is the key."""
        data = digest.canonical_json(document)
        key = digest.of_bytes(data)
        if not os.path.exists(self.place(KEYS, key)):  # noqa: PTH110 - a path that is str
            self.write(KEYS, key, data, durable=False)
        return key

    def put_observations(self, key: str, found: Sequence[Observation]) -> None:
        """Keep what stages with this base key looked at, newest first."""
        self.write(OBSERVED, key, observations.encode(found), durable=False)

    def observations(self, key: str) -> tuple[Observation, ...]:
        """What stages with this base key looked at, newest first; nothing if it is unknown or damaged."""
        path = self.place(OBSERVED, key)
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - a path that is str
                found = observations.decode(file.read())
                if time.time() - os.fstat(file.fileno()).st_mtime > TOUCH_AFTER_S:
                    self.touch(path)
                return found
        except ValueError:
            self.set_aside(OBSERVED, key)
        except OSError:
            pass
        return ()

    def commit(self, record: ResultRecord) -> None:
        """Make a result known, once all that it names is in the store; it is on disk on return.

        Raises:
            StoreError: A part is not in the store, or the store cannot be written.
        """
        self.prepare()
        with self.usage():
            for part in record.parts:
                if not self.holds(part):
                    raise StoreError(
                        f"output {part.path!r} ({part.digest}) is not in the store", where=self._home
                    )
            self._hold(record.key)
            self.write(RESULTS, record.key, records.encode(record), durable=True)

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
        return self.read_verified(BLOBS, name)

    def manifest(self, name: str) -> bytes:
        """A manifest by its digest, verified.

        Raises:
            CorruptError: It is damaged or gone.
        """
        return self.read_verified(TREES, name)

    def key_document(self, key: str) -> dict[str, object] | None:
        """What a key is the digest of, if it is still known."""
        try:
            document = json.loads(self.read_verified(KEYS, key))
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
            discard(os.fspath(temporary))
            raise

    def copy_out(self, name: str, destination: Path, *, executable: bool = False) -> None:
        """Like `get_file` for a path of which nobody knows yet: a failure leaves part of a file there."""
        source = self.open(BLOBS, name)
        try:
            target = os.open(
                destination, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o777 if executable else 0o666
            )
            try:
                found, _ = copy_hashing(source, target)
            finally:
                os.close(target)
            if PREFIX + found != name:
                raise self.damaged(BLOBS, name, source)
        except OSError as error:
            raise not_written(error, destination) from error
        finally:
            os.close(source)

    def recall(self, key: str) -> ResultRecord | None:
        """The result under a key, if its record is sound and its parts are there.

        A record that is damaged is set aside. Blobs are verified later, as they are read.

        Raises:
            StoreError: The store cannot be read.
        """
        self.check()
        if self._lease >= 0:
            with self.usage():
                self._hold(key)
                return self._recall(key)
        return self._recall(key)

    def _recall(self, key: str) -> ResultRecord | None:
        path = self.place(RESULTS, key)
        with Reported(path, "read"):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                about = os.fstat(descriptor)
                record = records.decode(read_all(descriptor, about.st_size), key)
            except ValueError:
                self.set_aside(RESULTS, key, descriptor)
                return None
            finally:
                os.close(descriptor)
        if not all(self._complete(part) for part in record.parts):
            return None
        # the clock only orders what `gc` removes first
        if abs(time.time() - about.st_mtime) > TOUCH_AFTER_S:
            self.touch(path)
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

    def try_lock(self, key: str) -> locks.Lock | None:
        """The right to run the stage of a key; None while another process has it.

        Raises:
            StoreError: The store cannot be written.
        """
        self.prepare()
        path = Path(self._home, "locks", "flight-" + key.removeprefix(PREFIX))
        with Reported(path, "locked"):
            return locks.try_exclusive(path, remove=True)

    def lease(self) -> locks.Lock:
        """While held, `gc` keeps every result that this store recalls or commits.

        Raises:
            StoreError: The store cannot be written.
        """
        self.prepare()
        path = Path(self._home, "leases", f"{os.getpid()}-{os.urandom(6).hex()}")
        with Reported(path, "written"), self.usage():
            self._lease = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._lease, fcntl.LOCK_EX)
        return _Lease(self, path)

    def end_lease(self) -> None:
        """Let go of what the lease held."""
        descriptor, self._lease = self._lease, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _hold(self, key: str) -> None:
        if self._lease >= 0:
            with Reported(self._home, "written"):
                os.write(self._lease, key.encode() + b"\n")


class _Lease(locks.Lock):
    def __init__(self, store: Store, path: Path) -> None:
        super().__init__(-1)
        self._store = store
        self._file = path

    def release(self) -> None:
        with suppress(OSError):  # `gc` removes it then
            self._file.unlink()
        self._store.end_lease()


def blobs_of(manifest: bytes) -> Iterable[str]:
    """The digests of the files in a manifest.

    Raises:
        ValueError: It is no manifest.
    """
    for entry in digest.decode_manifest(manifest):
        if entry.kind in (digest.FILE, digest.EXECUTABLE):
            yield PREFIX + entry.value.decode("ascii")
