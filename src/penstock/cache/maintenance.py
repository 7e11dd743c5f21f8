"""`penstock cache`: how much is in the store, whether it is sound, and removing what nobody needs."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from penstock.cache import locks, records
from penstock.cache.entries import BLOBS, GATE, KEYS, OBSERVED, RESULTS, SUFFIX, TREES, USAGE
from penstock.cache.faults import Reported
from penstock.cache.hashing import hash_rest
from penstock.cache.records import ResultRecord
from penstock.cache.store import Store, blobs_of
from penstock.digest import PREFIX
from penstock.errors import StoreError
from penstock.results import PartKind

PATIENCE_S = 60.0
GRACE_S = 86_400.0
"""How long explanations are kept that belong to no result (yet)."""
_KEPT_S = 90 * 86_400.0
"""How long it is known, after a stage last ran, what it looked at."""

_LABELS = {
    BLOBS: "files",
    TREES: "directories",
    RESULTS: "results",
    KEYS: "key documents",
    OBSERVED: "observations",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a store holds: (how many, bytes) of each kind of entry, and how many were set aside."""

    home: str
    entries: dict[str, tuple[int, int]]
    set_aside: int

    def text(self) -> str:
        """The same for people."""
        lines = [f"store  {self.home}"]
        for kind, (count, size) in self.entries.items():
            lines.append(f"  {_LABELS[kind]:<14} {count:>9,}  {shown_bytes(size):>10}")
        lines.append(
            f"  {'in all':<14} {'':>9}  {shown_bytes(sum(size for _, size in self.entries.values())):>10}"
        )
        if self.set_aside:
            lines.append(
                f"  {self.set_aside:,} damaged or missing, set aside; 'penstock cache gc' removes them"
            )
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What reading everything again came to.

    Attributes:
        damaged: What did not match its name and was set aside, and what is gone, one sentence each.
    """

    checked: int
    size_bytes: int
    damaged: tuple[str, ...]

    def text(self) -> str:
        """The same for people."""
        head = f"{self.checked:,} entries read, {shown_bytes(self.size_bytes)}"
        if not self.damaged:
            return f"{head}: all sound\n"
        return "\n".join(
            (
                f"{head}: {len(self.damaged):,} damaged",
                *(f"  {each}" for each in self.damaged),
                "  set aside: the stages that made them will run again",
                "",
            )
        )


@dataclass(slots=True, kw_only=True)
class Collection:
    """What a `gc` removed, or would remove.

    Attributes:
        kept_bytes: Of the outputs that stay.
        leased: Results that stay because a run is using them.
    """

    dry_run: bool
    removed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_LABELS, 0))
    removed_bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0
    leased: int = 0

    def text(self) -> str:
        """The same for people."""
        counts = ", ".join(f"{self.removed[kind]:,} {label}" for kind, label in _LABELS.items())
        verb = "would remove" if self.dry_run else "removed"
        busy = f" ({self.leased:,} in use by a run)" if self.leased else ""
        return (
            f"{verb} {shown_bytes(self.removed_bytes)}: {counts}\n"
            f"kept {self.kept:,} results{busy} with {shown_bytes(self.kept_bytes)} of outputs\n"
        )


@dataclass(slots=True, kw_only=True)
class _Result:
    """A stored result and what it needs."""

    key: str
    used_at: float
    blobs: set[str]
    trees: set[str]
    whole: bool


def stats(store: Store) -> Stats:
    """Count what is in the store.

    Raises:
        StoreError: The store cannot be read.
    """
    entries = {}
    for kind in _LABELS:
        sizes = [_size(store, kind, name) for name in names(store, kind)]
        entries[kind] = (len(sizes), sum(sizes))
    aside = _listed(store.home / "quarantine")
    return Stats(home=os.fspath(store.home), entries=entries, set_aside=len(aside))


def names(store: Store, kind: str) -> Iterator[str]:
    """The digests or keys of all entries of a kind.

    Raises:
        StoreError: The store cannot be read.
    """
    suffix = SUFFIX[kind]
    for shard in _listed(store.home / kind):
        for name in _listed(store.home / kind / shard):
            yield f"{PREFIX}{shard}{name.removesuffix(suffix)}"


def verify(store: Store) -> Verification:
    """Read everything in the store again, and set aside what is damaged.

    Raises:
        StoreError: The store cannot be read.
    """
    damaged: list[str] = []
    checked = size = 0
    for kind in (BLOBS, TREES, KEYS):
        for name in names(store, kind):
            checked += 1
            found = _sound(store, kind, name)
            size += found or 0
            if found is None:
                damaged.append(f"{_LABELS[kind]}: {name}")
    for name in names(store, OBSERVED):
        checked += 1
        size += _size(store, OBSERVED, name)
        if not store.observations(name) and not os.path.exists(store.place(OBSERVED, name)):  # noqa: PTH110
            damaged.append(f"{_LABELS[OBSERVED]}: {name}")
    for result in _results(store, damaged):
        checked += 1
        if not result.whole:
            damaged.append(f"{_LABELS[RESULTS]}: {result.key}: an output is gone")
    return Verification(checked=checked, size_bytes=size, damaged=tuple(damaged))


def _sound(store: Store, kind: str, name: str) -> int | None:
    """The size of an entry, None if it does not match its name; one that is gone meanwhile is sound."""
    path = store.place(kind, name)
    with Reported(path, "read"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            content, size = hash_rest(descriptor)
            if PREFIX + content.hex() == name:
                return size
            store.set_aside(kind, name, descriptor)
        except IsADirectoryError:
            store.set_aside(kind, name)
        finally:
            os.close(descriptor)
    return None


def _results(store: Store, damaged: list[str]) -> Iterator[_Result]:
    """All results with what they need; a damaged record is set aside and named."""
    for key in names(store, RESULTS):
        with Reported(store.place(RESULTS, key), "read"), suppress(FileNotFoundError):
            with open(store.place(RESULTS, key), "rb") as file:  # noqa: PTH123 - a path that is str
                used_at = os.fstat(file.fileno()).st_mtime
                try:
                    record = records.decode(file.read(), key)
                except ValueError:
                    store.set_aside(RESULTS, key, file.fileno())
                    damaged.append(f"{_LABELS[RESULTS]}: {key}")
                    continue
            yield _result(store, record, used_at)


def _result(store: Store, record: ResultRecord, used_at: float) -> _Result:
    blobs: set[str] = set()
    trees = {part.digest for part in record.parts if part.kind is PartKind.DIRECTORY}
    blobs.update(part.digest for part in record.parts if part.kind is not PartKind.DIRECTORY)
    whole = True
    for tree in trees:
        try:
            blobs.update(blobs_of(store.manifest(tree)))
        except (StoreError, ValueError):
            whole = False
    whole = whole and all(store.has(blob) for blob in blobs)
    return _Result(key=record.key, used_at=used_at, blobs=blobs, trees=trees, whole=whole)


def gc(
    store: Store, *, older_than_s: float | None, max_size_bytes: int | None, dry_run: bool = False
) -> Collection:
    """Remove results, the longest unused first, and everything that no remaining result needs.

    What a running Penstock uses stays, whatever its age. The clock decides only what is old.

    Args:
        older_than_s: Remove what was not used for longer.
        max_size_bytes: Remove until the outputs are no larger.

    Raises:
        StoreError: The store is in use without a pause, or cannot be written.
    """
    collection = Collection(dry_run=dry_run)
    if not (store.home / "version").exists():
        return collection
    with Reported(store.home, "tidied up"), _alone(store, GATE), _alone(store, USAGE):
        _collect(store, collection, older_than_s, max_size_bytes)
    return collection


def _alone(store: Store, name: str) -> locks.Lock:
    lock = locks.exclusive(store.home / "locks" / name, PATIENCE_S)
    if lock is None:
        raise StoreError(
            f"another process has not paused for {PATIENCE_S:.0f} s",
            where=os.fspath(store.home),
            notes=("wait until the run or gc that uses the store has ended, and try again",),
        )
    return lock


def _collect(
    store: Store, collection: Collection, older_than_s: float | None, max_size_bytes: int | None
) -> None:
    leased = _leased(store.home / "leases")
    sound = [result for result in _results(store, []) if result.whole]
    keep = _chosen(store, sound, leased, older_than_s, max_size_bytes)
    keys = {each.key for each in keep}
    blobs = {blob for each in keep for blob in each.blobs}
    trees = {tree for each in keep for tree in each.trees}
    collection.kept = len(keep)
    collection.kept_bytes = sum(_size(store, BLOBS, blob) for blob in blobs)
    collection.leased = len(keys & leased)
    _remove(store, collection, RESULTS, keys, 0.0)  # records first: a kill leaves none without its outputs
    _remove(store, collection, BLOBS, blobs, 0.0)
    _remove(store, collection, KEYS, keys, GRACE_S)
    _remove(store, collection, TREES, trees | _explained(store), GRACE_S)
    _remove(store, collection, OBSERVED, set(), max(GRACE_S, older_than_s or _KEPT_S))
    if not collection.dry_run:
        _tidy(store)


def _chosen(
    store: Store,
    results: list[_Result],
    leased: set[str],
    older_than_s: float | None,
    max_size_bytes: int | None,
) -> list[_Result]:
    """The results that stay, most recently used first."""
    now = time.time()
    results.sort(key=lambda each: (each.key in leased, each.used_at), reverse=True)
    keep: list[_Result] = []
    blobs: set[str] = set()
    total = 0
    for each in results:
        added = sum(_size(store, BLOBS, blob) for blob in each.blobs - blobs)
        if each.key not in leased:
            if older_than_s is not None and now - each.used_at > older_than_s:
                continue
            if max_size_bytes is not None and total + added > max_size_bytes:
                break
        keep.append(each)
        blobs |= each.blobs
        total += added
    return keep


def _leased(directory: Path) -> set[str]:
    """The keys that running processes hold; leases of processes that ended are removed."""
    keys: set[str] = set()
    for name in _listed(directory):
        path = directory / name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            keys.update(path.read_text().split())
        else:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    return keys


def _explained(store: Store) -> set[str]:
    """The manifests of inputs that the remaining key documents name."""
    trees: set[str] = set()
    for key in names(store, KEYS):
        inputs = (store.key_document(key) or {}).get("inputs")
        if isinstance(inputs, dict):
            trees.update(str(value[1]) for value in inputs.values() if isinstance(value, list))
    return trees


def _remove(store: Store, collection: Collection, kind: str, keep: set[str], grace_s: float) -> None:
    now = time.time()
    for name in names(store, kind):
        if name in keep:
            continue
        path = store.place(kind, name)
        about = os.stat(path)  # noqa: PTH116 - a path that is str
        if grace_s and now - about.st_mtime < grace_s:
            continue
        collection.removed[kind] += 1
        collection.removed_bytes += about.st_size
        if not collection.dry_run:
            os.unlink(path)  # noqa: PTH108 - a path that is str


def _tidy(store: Store) -> None:
    """Remove what kills left behind, and what was set aside."""
    for name in ("tmp", "quarantine"):
        for leftover in _listed(store.home / name):
            (store.home / name / leftover).unlink(missing_ok=True)
    for name in _listed(store.home / "locks"):
        if name.startswith("flight-"):
            lock = locks.try_exclusive(store.home / "locks" / name, remove=True)
            if lock is not None:
                lock.release()


def _size(store: Store, kind: str, name: str) -> int:
    try:
        return os.stat(store.place(kind, name)).st_size  # noqa: PTH116 - a path that is str
    except FileNotFoundError:
        return 0


def _listed(directory: Path) -> list[str]:
    with Reported(directory, "read"):
        try:
            return sorted(os.listdir(directory))  # noqa: PTH208 - names are wanted
        except FileNotFoundError:
            return []


def shown_bytes(size: int) -> str:
    """A number of bytes for people."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:  # noqa: PLR2004 - one unit's worth of the next smaller
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
