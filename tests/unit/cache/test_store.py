from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock import digest
from penstock.cache.entries import BLOBS, KEYS, RESULTS, TREES
from penstock.cache.store import Store, default_home
from penstock.cache.trees import ingest, restore_tree
from penstock.errors import CorruptError, InputError, StoreError
from store_samples import commit_tree, contents, key, result, write_tree


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])


def extend(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"\n")


def empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


DAMAGES = [flip, truncate, extend, empty]


def test_bytes_come_back_under_their_digest(store: Store) -> None:
    name = store.put_bytes(b"weights")
    assert name == digest.of_bytes(b"weights")
    assert store.has(name)
    assert store.read(name) == b"weights"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_a_file_of_any_size_comes_back_as_it_was(store: Store, tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    name, found = store.put_file(source)
    assert (name, found) == (digest.of_file(source), size)
    store.get_file(name, tmp_path / "copy", executable=True)
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert (tmp_path / "copy").stat().st_mode & stat.S_IXUSR


def test_nothing_is_written_until_something_is_put(store: Store) -> None:
    assert store.recall(key("stage")) is None
    assert not store.has(key("blob"))
    assert not store.home.exists()


def test_an_entry_shares_no_inode_with_what_was_put_or_handed_out(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    name, _ = store.put_file(source)
    store.get_file(name, tmp_path / "copy")
    assert Path(store.place(BLOBS, name)).stat().st_nlink == 1
    (tmp_path / "copy").write_bytes(b"changed")
    source.write_bytes(b"changed")
    assert store.read(name) == b"x"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_blob_is_never_served_and_heals_when_it_is_put_again(
    store: Store, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    name = store.put_bytes(b"weights")
    damage(Path(store.place(BLOBS, name)))
    with pytest.raises(CorruptError, match="is damaged; it was set aside"):
        store.read(name)
    assert not store.has(name)
    assert store.put_bytes(b"weights") == name
    assert store.read(name) == b"weights"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_blob_leaves_nothing_where_a_file_belongs(
    store: Store, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    name = store.put_bytes(b"weights")
    damage(Path(store.place(BLOBS, name)))
    out = tmp_path / "out"
    out.mkdir()
    (out / "model").write_bytes(b"the one before")
    with pytest.raises(CorruptError, match="damaged"):
        store.get_file(name, out / "model")
    assert contents(out) == {"model": b"the one before"}


def test_a_blob_that_is_damaged_in_place_heals_when_it_is_put_again(store: Store) -> None:
    name = store.put_bytes(b"weights")
    flip(Path(store.place(BLOBS, name)))
    store.put_bytes(b"weights")
    assert store.read(name) == b"weights"


def test_two_blobs_that_are_swapped_are_both_noticed(store: Store) -> None:
    one, two = store.put_bytes(b"one"), store.put_bytes(b"two")
    places = [Path(store.place(BLOBS, name)) for name in (one, two)]
    places[0].rename(store.home / "aside")
    places[1].rename(places[0])
    (store.home / "aside").rename(places[1])
    for name in (one, two):
        with pytest.raises(CorruptError, match="damaged"):
            store.read(name)


def test_a_blob_that_is_gone_is_told_apart_from_a_damaged_one(store: Store) -> None:
    with pytest.raises(CorruptError, match="is gone from the store"):
        store.read(key("nothing"))


def test_a_result_is_recalled_with_everything_that_was_committed(store: Store, tmp_path: Path) -> None:
    record, manifest = commit_tree(store, tmp_path, "stage", {"a/b": b"1", "c": b"2"})
    assert Store(store.home).recall(record.key) == record
    assert Store(store.home).manifest(record.parts[0].digest) == manifest


def test_a_result_without_outputs_is_recalled(store: Store) -> None:
    store.commit(result("lint"))
    assert store.recall(key("lint")) == result("lint")


def test_a_result_is_refused_while_an_output_is_not_in_the_store(store: Store, tmp_path: Path) -> None:
    part, _ = ingest(Store(tmp_path / "elsewhere"), write_tree(tmp_path / "w", {"a": b""}), "out")
    with pytest.raises(StoreError, match=r"output 'out' .* is not in the store"):
        store.commit(result("stage", part))
    assert store.recall(key("stage")) is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_a_miss_and_is_set_aside(
    store: Store, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    record, _ = commit_tree(store, tmp_path, "stage", {"a": b"1"})
    damage(Path(store.place(RESULTS, record.key)))
    assert store.recall(record.key) is None
    assert not Path(store.place(RESULTS, record.key)).exists()
    assert store.has_losses()
    store.commit(record)
    assert store.recall(record.key) == record


def test_the_record_of_another_key_is_a_miss(store: Store, tmp_path: Path) -> None:
    one, _ = commit_tree(store, tmp_path, "one", {"a": b"1"})
    two, _ = commit_tree(store, tmp_path, "two", {"a": b"2"})
    Path(store.place(RESULTS, one.key)).replace(store.place(RESULTS, two.key))
    assert store.recall(two.key) is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_manifest_is_never_served(
    store: Store, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    record, _ = commit_tree(store, tmp_path, "stage", {"a": b"1"})
    damage(Path(store.place(TREES, record.parts[0].digest)))
    with pytest.raises(CorruptError, match="damaged"):
        store.manifest(record.parts[0].digest)
    assert store.recall(record.key) is None


def test_a_result_is_a_miss_once_a_file_deep_in_its_directory_was_found_damaged(
    store: Store, tmp_path: Path
) -> None:
    record, _ = commit_tree(store, tmp_path, "stage", {"a/b": b"weights", "c": b"2"})
    flip(Path(store.place(BLOBS, digest.of_bytes(b"weights"))))
    assert store.recall(record.key) == record
    with pytest.raises(CorruptError, match="damaged"):
        store.read(digest.of_bytes(b"weights"))
    assert Store(store.home).recall(record.key) is None


def test_a_result_is_a_miss_once_a_file_deep_in_its_directory_was_missed(
    store: Store, tmp_path: Path
) -> None:
    record, manifest = commit_tree(store, tmp_path, "stage", {"a/b": b"weights", "c": b"2"})
    Path(store.place(BLOBS, digest.of_bytes(b"weights"))).unlink()
    with pytest.raises(CorruptError, match="gone"):
        restore_tree(store, manifest, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert store.recall(record.key) is None
    commit_tree(store, tmp_path, "stage", {"a/b": b"weights", "c": b"2"})
    assert store.recall(record.key) == record


def test_a_healed_entry_is_not_set_aside_for_the_damage_of_the_one_before(store: Store) -> None:
    name = store.put_bytes(b"weights")
    place = Path(store.place(BLOBS, name))
    with place.open("rb") as before:
        store.put_bytes(b"weights")
        store.set_aside(BLOBS, name, before.fileno())
    assert store.read(name) == b"weights"


def test_a_key_document_is_found_under_its_key_and_missed_when_damaged(store: Store) -> None:
    document = {"run": "python train.py", "inputs": {"src": ["directory", key("src")]}}
    name = store.put_key_document(document)
    assert name == digest.of_json(document)
    assert store.key_document(name) == document
    flip(Path(store.place(KEYS, name)))
    assert store.key_document(name) is None


def test_a_deposit_that_is_not_sealed_leaves_nothing(store: Store) -> None:
    with store.deposit() as deposit:
        name = deposit.add_bytes(b"secret")
    assert not store.has(name)
    assert list((store.home / "tmp").iterdir()) == []


def test_of_many_files_that_arrive_together_all_are_synced_before_any_is_in_its_place(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}" for number in range(40)]
    write_tree(tmp_path / "out", {name: name.encode() for name in names})
    fsync, rename = os.fsync, os.rename
    synced: set[int] = set()
    early: list[str] = []

    def note(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def watch(source: str, target: str) -> None:
        if Path(source).stat().st_ino not in synced:
            early.append(source)
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "rename", watch)
    part, _ = ingest(store, tmp_path / "out", "out")
    store.commit(result("stage", part))
    assert early == []
    places = [Path(store.place(BLOBS, digest.of_bytes(name.encode()))) for name in names]
    assert {place.parent.stat().st_ino for place in places} <= synced
    assert Path(store.place(RESULTS, key("stage"))).parent.stat().st_ino in synced


def test_one_of_many_files_that_cannot_be_synced_keeps_all_of_them_out(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_bytes(b"")
    write_tree(tmp_path / "out", {f"{number}": b"%d" % number for number in range(40)})
    fsync = os.fsync
    calls = iter(range(1000))

    def fail_once(descriptor: int) -> None:
        if next(calls) == 20:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_once)
    with pytest.raises(StoreError, match="Input/output error"):
        ingest(store, tmp_path / "out", "out")
    assert [number for number in range(40) if store.has(digest.of_bytes(b"%d" % number))] == []
    assert list((store.home / "tmp").iterdir()) == []


def test_a_fifo_is_refused_at_once(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        store.put_file(tmp_path / "pipe")


def test_only_one_process_has_the_right_to_run_a_key(store: Store) -> None:
    lock = store.try_lock(key("stage"))
    assert lock is not None
    assert Store(store.home).try_lock(key("stage")) is None
    assert Store(store.home).try_lock(key("other stage")) is not None
    lock.release()
    lock.release()
    again = Store(store.home).try_lock(key("stage"))
    assert again is not None


def test_a_store_of_another_format_is_refused(store: Store) -> None:
    store.put_bytes(b"")
    version = store.home / "version"
    version.chmod(0o644)
    version.write_text("penstock store 2\n")
    with pytest.raises(StoreError, match="it has format 'penstock store 2'; this Penstock reads"):
        Store(store.home).recall(key("stage"))
    with pytest.raises(StoreError, match="set PENSTOCK_HOME to another directory"):
        Store(store.home).put_bytes(b"")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "penstock cache gc"),
        (errno.EACCES, "make it writable"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "disk may be failing"),
        (errno.ENOLCK, "look at the disk"),
    ],
)
def test_an_error_of_the_kernel_names_the_path_and_the_remedy(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    store.put_bytes(b"")

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match=os.strerror(number)) as caught:
        store.put_bytes(b"1")
    assert str(store.home) in str(caught.value)
    assert remedy in str(caught.value)
    assert not store.has(digest.of_bytes(b"1"))


def test_the_home_is_taken_from_the_environment() -> None:
    assert default_home({"PENSTOCK_HOME": "/a/b", "HOME": "/h"}) == Path("/a/b")
    assert default_home({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/penstock")
    assert default_home({"XDG_CACHE_HOME": "relative", "HOME": "/h"}) == Path("/h/.cache/penstock")
    assert default_home({"HOME": "/h"}) == Path("/h/.cache/penstock")


def test_a_new_home_is_for_its_owner_alone(store: Store) -> None:
    store.put_bytes(b"")
    assert stat.S_IMODE(store.home.stat().st_mode) == 0o700
