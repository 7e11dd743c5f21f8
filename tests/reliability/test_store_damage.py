"""Full disks, stores that can only be read, and every byte of every kind of entry damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.cache import maintenance
from penstock.cache.entries import KINDS
from penstock.cache.store import Store
from penstock.cache.trees import restore_tree
from penstock.errors import StoreError
from store_samples import commit_tree, contents, key

FILES = {"a/weights": b"weights" * 40, "b": b"b", "c/d": b""}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs takes root")
    mounted: list[Path] = []

    def mount(size_kib: int) -> Path:
        place = tmp_path / f"disk-{size_kib}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "penstock-test", str(place)]
        if subprocess.run(command, check=False, capture_output=True).returncode != 0:
            pytest.skip("a tmpfs cannot be mounted here")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("size_kib", [1024, 1500, 2048, 4096])
def test_a_full_disk_is_told_and_the_store_works_again_once_there_is_room(
    small_disk: Callable[[int], Path], tmp_path: Path, size_kib: int
) -> None:
    store = Store(small_disk(size_kib) / "home")
    acknowledged: list[tuple[str, dict[str, bytes]]] = []

    def fill() -> None:
        for number in range(1000):
            files = {"a": os.urandom(60_000 + 977 * number), "b/c": b"%d" % number}
            commit_tree(store, tmp_path / "w", f"s{number}", files)
            acknowledged.append((f"s{number}", files))

    with pytest.raises(StoreError, match="No space left on device") as caught:
        fill()
    assert "penstock cache gc" in str(caught.value)
    assert acknowledged
    assert maintenance.verify(store).damaged == ()
    for name, files in acknowledged:
        record = store.recall(key(name))
        assert record is not None
        restore_tree(store, store.manifest(record.parts[0].digest), tmp_path / "back")
        assert contents(tmp_path / "back") == files
    maintenance.gc(store, older_than_s=None, max_size_bytes=200_000)
    commit_tree(store, tmp_path / "w", "after", {"a": os.urandom(300_000)})
    assert store.recall(key("after")) is not None


def test_a_disk_that_is_full_from_the_start_is_told(
    small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    disk = small_disk(64)
    (disk / "filler").write_bytes(b"x" * 60_000)
    for _ in range(2):
        with pytest.raises(StoreError, match="No space left on device"):
            commit_tree(Store(disk / "home"), tmp_path / "w", "stage", FILES)
        assert Store(disk / "home").recall(key("stage")) is None
    (disk / "filler").unlink()
    with pytest.raises(StoreError, match="No space left on device"):
        commit_tree(Store(disk / "home"), tmp_path / "v", "stage", {"a": os.urandom(100_000)})
    commit_tree(Store(disk / "home"), tmp_path / "u", "stage", {"b": b"b"})


READ_ONLY = """
import sys
from pathlib import Path
from penstock.cache.store import Store
from penstock.errors import StoreError
store = Store(Path(sys.argv[1]))
record = store.recall(sys.argv[2])
print(record.parts[0].files)
store.get_file(sys.argv[3], Path(sys.argv[4]))
try:
    store.put_bytes(b"new")
except StoreError as error:
    print(error)
"""


def test_a_store_that_can_only_be_read_serves_hits_and_says_why_it_takes_nothing(
    small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    disk = small_disk(4096)
    record, _ = commit_tree(Store(disk / "home"), tmp_path, "stage", FILES)
    blob = Store(disk / "home").put_bytes(b"b")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    command = [sys.executable, "-c", READ_ONLY, str(disk / "home"), record.key, blob, str(tmp_path / "copy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    files, *told = done.stdout.splitlines()
    assert files == "3"
    assert (tmp_path / "copy").read_bytes() == b"b"
    assert "Read-only file system" in told[0]
    assert "PENSTOCK_HOME" in told[-1]
    assert done.stderr == ""


def _mutations(data: bytes, step: int) -> Iterator[bytes]:
    for at in range(0, len(data), step):
        yield data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        yield data[:at]
        yield data[:at] + b"\0" + data[at:]
    yield data + b"\0"


def _damage_everything(tmp_path: Path, step: int) -> tuple[int, int]:
    """Damage each entry in many ways; count the damages and those that were served nevertheless."""
    home = tmp_path / "home"
    record, _ = commit_tree(Store(home), tmp_path, "stage", FILES)
    places = [path for kind in KINDS for path in (home / kind).rglob("*") if path.is_file()]
    assert len(places) == 5
    damages = served = 0
    for place in places:
        data = place.read_bytes()
        others = [other.read_bytes() for other in places if other != place]
        for damaged in (*_mutations(data, step), *others):
            place.unlink(missing_ok=True)
            place.write_bytes(damaged)
            damages += 1
            served += _is_served(home, record.key, tmp_path / "out")
            shutil.rmtree(home / "quarantine")
            (home / "quarantine").mkdir()
            place.unlink(missing_ok=True)
            place.write_bytes(data)
            restore = (
                next(path for path in places if not path.exists())
                if not all(map(Path.exists, places))
                else None
            )
            if restore is not None:
                commit_tree(Store(home), tmp_path, "stage", FILES)
    return damages, served


def _is_served(home: Path, name: str, out: Path) -> bool:
    """Whether anything else than what was committed comes out of the store."""
    store = Store(home)
    shutil.rmtree(out, ignore_errors=True)
    record = store.recall(name)
    if record is None:
        return False
    try:
        restore_tree(store, store.manifest(record.parts[0].digest), out)
    except StoreError:
        assert not out.exists()
        return False
    return contents(out) != FILES


def test_damage_to_any_entry_is_noticed_before_it_is_used(tmp_path: Path) -> None:
    damages, served = _damage_everything(tmp_path, 40)
    assert damages > 100
    assert served == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_damage_to_any_byte_of_any_entry_is_noticed_before_it_is_used(tmp_path: Path) -> None:
    damages, served = _damage_everything(tmp_path, 1)
    print(f"\n{damages} damages, {served} served")  # noqa: T201 - the figure of the report
    assert damages > 2000
    assert served == 0
