"""What a project remembers between runs: digests of its files, what stands where outputs belong, last keys.

Losing any of it costs time, never correctness: a database that is damaged is set aside, and one that cannot
be written is done without.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

VERSION = 1
_BUSY_S = 5.0
_SCHEMA = """
BEGIN;
CREATE TABLE IF NOT EXISTS files (name BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trees (name BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS placed (path BLOB PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last (stage TEXT PRIMARY KEY, key TEXT NOT NULL, run TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;
"""
# a damaged database can make the module stumble over its own error message
_FAILURES = (sqlite3.Error, UnicodeDecodeError, OSError)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_UPSERTS = {
    "files": "INSERT OR REPLACE INTO files VALUES (?, ?)",
    "trees": "INSERT OR REPLACE INTO trees VALUES (?, ?)",
    "placed": "INSERT OR REPLACE INTO placed VALUES (?, ?)",
    "last": "INSERT OR REPLACE INTO last VALUES (?, ?, ?)",
}


class State:
    """The database; what is set is seen at once and on disk after `commit`.

    Attributes:
        warning: What is wrong with the database, in a sentence, if anything is.
    """

    def __init__(self, database: Path) -> None:
        self.warning: str | None = None
        self._path = database
        self._connection: sqlite3.Connection | None = None
        self._unusable = False
        self._files: dict[bytes, bytes] = {}
        self._trees: dict[bytes, bytes] = {}
        self._placed: dict[str, str | None] = {}
        self._last: dict[str, tuple[str, str]] = {}
        self._forgotten: list[tuple[bytes]] = []

    # -- digests

    def file(self, path: bytes) -> bytes | None:
        """A file's row."""
        if (row := self._files.get(path)) is not None:
            return row
        return _one_blob(self._query("SELECT row FROM files WHERE name = ?", path))

    def set_file(self, path: bytes, row: bytes) -> None:
        """Remember a file."""
        self._files[path] = row

    def files_below(self, prefix: bytes) -> dict[bytes, bytes]:
        """The rows of all files whose path starts so; `prefix` is empty or ends in a slash."""
        if prefix:
            end = prefix[:-1] + b"0"  # the byte after the slash
            found = self._query("SELECT name, row FROM files WHERE name >= ? AND name < ?", prefix, end)
        else:
            found = self._query("SELECT name, row FROM files")
        known = {name: row for name, row in found if isinstance(name, bytes) and isinstance(row, bytes)}
        known.update((name, row) for name, row in self._files.items() if name.startswith(prefix))
        return known

    def forget_files(self, paths: Iterable[bytes]) -> None:
        """Forget files that are gone."""
        for path in paths:
            self._files.pop(path, None)
            self._forgotten.append((path,))

    def tree(self, name: bytes) -> bytes | None:
        """A tree's row."""
        if (row := self._trees.get(name)) is not None:
            return row
        return _one_blob(self._query("SELECT row FROM trees WHERE name = ?", name))

    def set_tree(self, name: bytes, row: bytes) -> None:
        """Remember a tree."""
        self._trees[name] = row

    # -- outputs and keys

    def placed(self, path: str) -> str | None:
        """The digest of what Penstock last put at an output's path."""
        if path in self._placed:
            return self._placed[path]
        found = self._query("SELECT digest FROM placed WHERE path = ?", os.fsencode(path))
        return str(found[0][0]) if found else None

    def set_placed(self, path: str, digest: str | None) -> None:
        """Remember what was put at an output's path; None: nothing any more."""
        if self.placed(path) != digest:
            self._placed[path] = digest

    def last_key(self, stage: str) -> tuple[str, str] | None:
        """The key that a stage last had a result for, and the run that it was in."""
        if stage in self._last:
            return self._last[stage]
        found = self._query("SELECT key, run FROM last WHERE stage = ?", stage)
        return (str(found[0][0]), str(found[0][1])) if found else None

    def set_last_key(self, stage: str, key: str, run_id: str) -> None:
        """Remember a stage's key; nothing is written if it is the same as before."""
        last = self.last_key(stage)
        if last is None or last[0] != key:
            self._last[stage] = (key, run_id)

    # -- the database

    def clock(self) -> tuple[int, int]:
        """The time by the clock of the file system that the database is on, and its device.

        Without a place to write, it is the distant past: then nothing is remembered.
        """
        probe = self._path.with_name("clock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                os.utime(descriptor)
                about = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return -(1 << 62), -1
        return about.st_ctime_ns, about.st_dev

    def commit(self) -> None:
        """Write what was set, all of it or nothing."""
        if not (self._files or self._trees or self._placed or self._last or self._forgotten):
            return
        for _ in range(2):
            try:
                connection = self._open()
                if connection is None:
                    break
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    self._write(connection)
                break
            except _FAILURES as error:
                if not self._recover(error):
                    break
        for each in (self._files, self._trees, self._placed, self._last, self._forgotten):
            each.clear()

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _write(self, connection: sqlite3.Connection) -> None:
        connection.executemany("DELETE FROM files WHERE name = ?", self._forgotten)
        connection.executemany(_UPSERTS["files"], self._files.items())
        connection.executemany(_UPSERTS["trees"], self._trees.items())
        gone = [(os.fsencode(path),) for path, digest in self._placed.items() if digest is None]
        there = [(os.fsencode(path), digest) for path, digest in self._placed.items() if digest is not None]
        connection.executemany("DELETE FROM placed WHERE path = ?", gone)
        connection.executemany(_UPSERTS["placed"], there)
        connection.executemany(_UPSERTS["last"], [(stage, *last) for stage, last in self._last.items()])

    def _query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        for _ in range(2):
            try:
                connection = self._open()
                return [] if connection is None else connection.execute(sql, values).fetchall()
            except _FAILURES as error:
                if not self._recover(error):
                    return []
        return []

    def _open(self) -> sqlite3.Connection | None:
        if self._connection is not None or self._unusable:
            return self._connection
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            # `StatIndex` lets one thread in at a time
            self._path,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            # a power cut may cost what was remembered last, never the database
            connection.execute("PRAGMA synchronous = NORMAL")
            if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _recover(self, error: Exception) -> bool:
        """Whether to try again, with a fresh database."""
        self.close()
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if isinstance(error, OSError) or code not in _DAMAGED:
            return self._give_up(error)
        aside = self._path.with_name(f"{self._path.name}.damaged")
        try:
            self._path.rename(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        except OSError:
            self._unusable = True
            return False
        self.warning = (
            f"{self._path} was damaged ({error}); it is now {aside.name}, and all inputs are read again"
        )
        return True

    def _give_up(self, error: Exception) -> bool:
        self.warning = f"{self._path} cannot be used ({error}): inputs are read again in every run"
        self._unusable = True
        return False


def _one_blob(found: list[tuple[object, ...]]) -> bytes | None:
    if found and isinstance(found[0][0], bytes):
        return found[0][0]
    return None
