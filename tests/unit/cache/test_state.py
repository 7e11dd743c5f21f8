from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from penstock.cache.state import State


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / ".penstock" / "state.sqlite"


def test_what_was_placed_and_the_last_keys_are_remembered(database: Path) -> None:
    state = State(database)
    state.set_placed("build/a", "sha256:1")
    state.set_placed("build/b", "sha256:2")
    state.set_last_key("train", "sha256:k", "run-1")
    assert state.placed("build/a") == "sha256:1"
    state.commit()
    state.close()
    state = State(database)
    assert (state.placed("build/a"), state.placed("build/c")) == ("sha256:1", None)
    assert (state.last_key("train"), state.last_key("test")) == (("sha256:k", "run-1"), None)
    state.set_placed("build/a", None)
    assert state.placed("build/a") is None
    state.commit()
    state.close()
    assert (State(database).placed("build/a"), State(database).placed("build/b")) == (None, "sha256:2")


def test_what_is_not_committed_is_not_remembered(database: Path) -> None:
    state = State(database)
    state.set_placed("build/a", "sha256:1")
    state.close()
    assert State(database).placed("build/a") is None


def test_a_path_of_any_bytes_can_be_placed(database: Path) -> None:
    state = State(database)
    state.set_placed("build/\udcff\n", "sha256:1")
    state.commit()
    state.close()
    assert State(database).placed("build/\udcff\n") == "sha256:1"


def test_a_run_with_nothing_new_does_not_write(database: Path) -> None:
    state = State(database)
    state.set_placed("build/a", "sha256:1")
    state.set_last_key("train", "sha256:k", "run-1")
    state.commit()
    state.close()
    before = database.stat().st_mtime_ns
    state = State(database)
    state.set_placed("build/a", "sha256:1")
    state.set_last_key("train", "sha256:k", "run-2")
    state.commit()
    state.close()
    assert database.stat().st_mtime_ns == before


def test_rows_that_are_forgotten_are_gone(database: Path) -> None:
    state = State(database)
    for name in (b"src/a", b"src/b", b"srcs/c"):
        state.set_file(name, b"row " + name)
    assert state.files_below(b"src/") == {b"src/a": b"row src/a", b"src/b": b"row src/b"}
    state.commit()
    state.forget_files([b"src/a"])
    state.commit()
    state.close()
    state = State(database)
    assert state.files_below(b"src/") == {b"src/b": b"row src/b"}
    assert len(state.files_below(b"")) == 2
    assert (state.file(b"src/a"), state.file(b"srcs/c")) == (None, b"row srcs/c")


def test_two_processes_can_write_at_once(database: Path) -> None:
    one, two = State(database), State(database)
    for number in range(20):
        one.set_placed(f"one/{number}", "sha256:1")
        two.set_placed(f"two/{number}", "sha256:2")
        one.commit()
        two.commit()
    assert one.placed("two/19") == "sha256:2"
    assert (one.warning, two.warning) == (None, None)
    one.close()
    two.close()


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0 but no more", b"\0" * 8192])
def test_a_damaged_database_is_set_aside_and_made_anew(database: Path, content: bytes) -> None:
    database.parent.mkdir()
    database.write_bytes(content)
    state = State(database)
    assert state.placed("a") is None
    state.set_placed("a", "sha256:1")
    state.commit()
    state.close()
    assert State(database).placed("a") == "sha256:1"
    assert (state.warning is not None) == bool(content)


def test_a_database_with_other_tables_is_set_aside(database: Path) -> None:
    database.parent.mkdir()
    connection = sqlite3.connect(database)
    connection.executescript("CREATE TABLE files (x); PRAGMA user_version = 1;")
    connection.close()
    state = State(database)
    assert state.file(b"a") is None
    assert state.warning is not None
    state.set_file(b"a", b"row")
    state.commit()
    state.close()
    assert State(database).file(b"a") == b"row"


def test_the_clock_is_that_of_the_file_system(database: Path) -> None:
    state = State(database)
    first, device = state.clock()
    second, _ = state.clock()
    probe = (database.parent / "clock").stat()
    assert first <= second == probe.st_ctime_ns
    assert device == probe.st_dev
