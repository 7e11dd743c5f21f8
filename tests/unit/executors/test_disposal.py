from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from penstock.executors import disposal
from penstock.executors.environments import RECORD

OLD, NEW = "0" * 64, "1" * 64


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, age_s in ((OLD, 1000.0), (NEW, 10.0)):
        place = tmp_path / "envs" / name
        (place / "venv" / "lib").mkdir(parents=True)
        (place / "venv" / "lib" / "x.py").write_text("x" * 100)
        (place / RECORD).write_text("{}")
        used = time.time() - age_s
        os.utime(place / RECORD, (used, used))
        (place / "venv" / "lib").chmod(0o555)
        place.chmod(0o555)
    (tmp_path / "envs" / "resolved").mkdir()
    return tmp_path


def names(home: Path) -> set[str]:
    return {path.name for path in (home / "envs").iterdir()}


def test_what_was_not_used_for_long_is_removed(home: Path) -> None:
    found = disposal.collect(home, 500.0)
    assert (found.removed, found.removed_bytes, found.kept, found.in_use) == (1, 102, 1, 0)
    assert names(home) == {NEW, "resolved"}


def test_a_dry_run_removes_nothing(home: Path) -> None:
    assert disposal.collect(home, 500.0, dry_run=True).removed == 1
    assert names(home) == {OLD, NEW, "resolved"}


def test_an_environment_in_use_stays_however_old(home: Path) -> None:
    descriptor = os.open(home / "envs" / OLD, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    found = disposal.collect(home, 500.0)
    os.close(descriptor)
    assert (found.removed, found.kept, found.in_use) == (0, 2, 1)
    assert disposal.collect(home, 500.0).removed == 1


def test_one_that_is_being_built_stays(home: Path) -> None:
    lock = (home / "envs" / OLD).with_suffix(".lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert disposal.collect(home, 500.0).removed == 0
    os.close(descriptor)


def test_what_a_killed_gc_left_is_removed(home: Path) -> None:
    (home / "envs" / OLD).rename(home / "envs" / ".trash-abc")
    disposal.collect(home, 500.0)
    assert names(home) == {NEW, "resolved"}


def test_a_store_without_environments_has_none(tmp_path: Path) -> None:
    assert disposal.collect(tmp_path, 0.0).kept == 0
    assert disposal.count(tmp_path).kept_bytes == 0
