from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from penstock import digest
from penstock.cache import locks, maintenance
from penstock.cache.entries import BLOBS, RESULTS, TREES
from penstock.cache.store import Store
from penstock.errors import StoreError
from store_samples import commit_tree, key, result

DAY_S = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def age(store: Store, name: str, days: float) -> None:
    then = time.time() - days * DAY_S
    os.utime(store.place(RESULTS, key(name)), (then, then))


def damage(place: str) -> None:
    Path(place).chmod(0o644)
    Path(place).write_bytes(b"other")


def test_results_that_were_not_used_for_longer_are_removed_with_what_only_they_needed(
    store: Store, tmp_path: Path
) -> None:
    old, _ = commit_tree(store, tmp_path, "old", {"a": b"only old", "b": b"both"})
    new, _ = commit_tree(store, tmp_path, "new", {"a": b"only new", "b": b"both"})
    age(store, "old", 31)
    age(store, "new", 29)
    collection = maintenance.gc(store, older_than_s=30 * DAY_S, max_size_bytes=None)
    assert (store.recall(old.key), store.recall(new.key)) == (None, new)
    assert not store.has(digest.of_bytes(b"only old"))
    assert store.read(digest.of_bytes(b"both")) == b"both"
    assert (collection.removed[RESULTS], collection.removed[BLOBS], collection.kept) == (1, 1, 1)
    assert collection.text().startswith("removed ")


def test_the_longest_unused_results_go_first_until_the_rest_fits(store: Store, tmp_path: Path) -> None:
    for number in range(5):
        commit_tree(store, tmp_path, f"s{number}", {"a": b"%d" % number * 1000})
        age(store, f"s{number}", 10 - number)
    collection = maintenance.gc(store, older_than_s=None, max_size_bytes=2500)
    there = [store.recall(key(f"s{number}")) is not None for number in range(5)]
    assert there == [False, False, False, True, True]
    assert collection.kept_bytes == 2000


def test_recalling_a_result_makes_it_recently_used(store: Store, tmp_path: Path) -> None:
    commit_tree(store, tmp_path, "old", {"a": b"1"})
    age(store, "old", 31)
    assert store.recall(key("old")) is not None
    maintenance.gc(store, older_than_s=DAY_S, max_size_bytes=None)
    assert store.recall(key("old")) is not None


def test_what_a_dry_run_names_is_what_is_removed(store: Store, tmp_path: Path) -> None:
    commit_tree(store, tmp_path, "old", {"a": b"1", "b": b"2"})
    age(store, "old", 31)
    planned = maintenance.gc(store, older_than_s=DAY_S, max_size_bytes=None, dry_run=True)
    assert planned.text().startswith("would remove ")
    assert store.recall(key("old")) is not None
    age(store, "old", 31)
    done = maintenance.gc(store, older_than_s=DAY_S, max_size_bytes=None)
    assert (done.removed[RESULTS], done.removed[BLOBS]) == (1, 2)
    assert (planned.removed[RESULTS], planned.removed[BLOBS]) == (1, 2)


def test_a_result_that_a_run_holds_stays_whatever_its_age(store: Store, tmp_path: Path) -> None:
    for name in ("recalled", "committed", "free"):
        commit_tree(store, tmp_path, name, {"a": name.encode()})
    holder = Store(store.home)
    with holder.lease():
        assert holder.recall(key("recalled")) is not None
        record, _ = commit_tree(holder, tmp_path, "committed", {"a": b"committed"})
        for name in ("recalled", "committed", "free"):
            age(store, name, 31)
        collection = maintenance.gc(store, older_than_s=DAY_S, max_size_bytes=0)
        assert collection.leased == 2
        assert store.recall(record.key) == record
        assert store.recall(key("recalled")) is not None
        assert store.recall(key("free")) is None
    for name in ("recalled", "committed"):
        age(store, name, 31)
    maintenance.gc(store, older_than_s=DAY_S, max_size_bytes=None)
    assert store.recall(key("recalled")) is None
    assert list((store.home / "leases").iterdir()) == []


def test_the_lease_of_a_process_that_ended_holds_nothing(store: Store, tmp_path: Path) -> None:
    commit_tree(store, tmp_path, "old", {"a": b"1"})
    (store.home / "leases" / "1-dead").write_text(key("old") + "\n")
    age(store, "old", 31)
    maintenance.gc(store, older_than_s=DAY_S, max_size_bytes=None)
    assert store.recall(key("old")) is None
    assert list((store.home / "leases").iterdir()) == []


def test_what_kills_left_behind_and_what_was_set_aside_is_removed(store: Store, tmp_path: Path) -> None:
    record, _ = commit_tree(store, tmp_path, "stage", {"a": b"1"})
    lost, _ = commit_tree(store, tmp_path, "lost", {"a": b"2"})
    (store.home / "tmp" / "1-left").write_bytes(b"half a bl")
    (store.home / "locks" / f"flight-{'0' * 64}").touch()
    Path(store.place(BLOBS, digest.of_bytes(b"2"))).unlink()
    store.put_bytes(b"named by no result")
    with pytest.raises(StoreError, match="gone"):
        store.read(digest.of_bytes(b"2"))
    maintenance.gc(store, older_than_s=None, max_size_bytes=None)
    assert list((store.home / "tmp").iterdir()) == []
    assert list((store.home / "quarantine").iterdir()) == []
    assert list((store.home / "locks").glob("flight-*")) == []
    assert not store.has(digest.of_bytes(b"named by no result"))
    assert (store.recall(record.key), store.recall(lost.key)) == (record, None)


def test_a_lock_that_is_held_stays(store: Store, tmp_path: Path) -> None:
    commit_tree(store, tmp_path, "stage", {"a": b"1"})
    lock = store.try_lock(key("running"))
    assert lock is not None
    maintenance.gc(store, older_than_s=0.0, max_size_bytes=None)
    assert Store(store.home).try_lock(key("running")) is None


def test_gc_waits_for_writers_and_says_so_when_they_never_pause(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_tree(store, tmp_path, "stage", {"a": b"1"})
    monkeypatch.setattr(maintenance, "PATIENCE_S", 0.05)
    with store.usage(), pytest.raises(StoreError, match="another process has not paused"):
        maintenance.gc(store, older_than_s=0.0, max_size_bytes=None)
    assert maintenance.gc(store, older_than_s=0.0, max_size_bytes=None).removed[RESULTS] == 1


def test_outputs_on_their_way_in_are_not_removed(store: Store, tmp_path: Path) -> None:
    store.put_bytes(b"")
    with store.deposit() as deposit:
        name = deposit.add_bytes(b"new")
        assert locks.try_exclusive(store.home / "locks" / "usage") is None
        deposit.seal()
    assert store.read(name) == b"new"


def test_explanations_outlive_their_result_by_a_day(store: Store) -> None:
    tree = store.put_manifest(digest.encode_manifest([]), durable=False)
    document = store.put_key_document({"inputs": {"src": ["directory", tree]}})
    maintenance.gc(store, older_than_s=0.0, max_size_bytes=None)
    assert store.key_document(document) is not None
    then = time.time() - 2 * DAY_S
    for place in (store.place("keys", document), store.place(TREES, tree)):
        os.utime(place, (then, then))
    maintenance.gc(store, older_than_s=0.0, max_size_bytes=None)
    assert store.key_document(document) is None
    with pytest.raises(StoreError, match="gone"):
        store.manifest(tree)


def test_verify_finds_every_kind_of_damage_and_sets_it_aside(store: Store, tmp_path: Path) -> None:
    sound, _ = commit_tree(store, tmp_path, "sound", {"a": b"1"})
    one, _ = commit_tree(store, tmp_path, "blob", {"a": b"2"})
    two, _ = commit_tree(store, tmp_path, "tree", {"a": b"3"})
    three, _ = commit_tree(store, tmp_path, "record", {"a": b"4"})
    document = store.put_key_document({"a": 1})
    assert maintenance.verify(store).damaged == ()
    assert maintenance.verify(store).text().endswith("all sound\n")
    damage(store.place(BLOBS, digest.of_bytes(b"2")))
    damage(store.place(TREES, two.parts[0].digest))
    damage(store.place(RESULTS, three.key))
    damage(store.place("keys", document))
    found = maintenance.verify(store)
    named = "\n".join(found.damaged)
    for name in (digest.of_bytes(b"2"), two.parts[0].digest, three.key, document):
        assert name in named
    assert "4 damaged" not in found.text()  # the results that lost an output are named too
    assert [store.recall(each.key) for each in (sound, one, two, three)] == [sound, None, None, None]


def test_stats_count_what_is_there(store: Store, tmp_path: Path) -> None:
    assert maintenance.stats(store).entries[BLOBS] == (0, 0)
    commit_tree(store, tmp_path, "stage", {"a": b"12345", "b": b"678"})
    counted = maintenance.stats(store)
    assert counted.entries[BLOBS] == (2, 8)
    assert counted.entries[RESULTS][0] == 1
    assert "files" in counted.text()
    assert str(store.home) in counted.text()


def test_a_store_that_is_not_there_is_empty_and_stays_so(store: Store) -> None:
    assert maintenance.gc(store, older_than_s=0.0, max_size_bytes=0).kept == 0
    assert maintenance.verify(store).checked == 0
    assert not store.home.exists()


def test_a_result_without_outputs_stays(store: Store) -> None:
    store.commit(result("lint"))
    maintenance.gc(store, older_than_s=DAY_S, max_size_bytes=0)
    assert store.recall(key("lint")) is not None


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_are_shown_for_people(size: int, text: str) -> None:
    assert maintenance.shown_bytes(size) == text
