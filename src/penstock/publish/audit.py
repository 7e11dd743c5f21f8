"""The audit log: who did what to which model, when, from where, why, and on what evidence.

A file of JSON lines that only grows. Every entry holds the digest of the one before it, so one that is
changed, removed, added or moved breaks the chain there. What was cut from the end leaves a shorter chain that
is whole: to notice that, note the log's head elsewhere (an *anchor*), and verify the log against it.

An entry is written in one piece while the file is locked, and synced before anyone hears of it. A process
that is killed leaves at most an unfinished last line; the next entry is preceded by one that says that it was
removed.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock import digest
from penstock.cache import locks
from penstock.ci import actor, job
from penstock.errors import CorruptError, StoreError, UsageError
from penstock.record import Record, asdict
from penstock.results import timestamp

NAME = "audit.jsonl"
VARIABLE = "PENSTOCK_AUDIT"
GENESIS = digest.PREFIX + 64 * "0"
"""What the first entry has instead of an entry before it."""
REPAIRED = "repaired"
"""What an entry says that was written because the last line was unfinished."""

_MAX_LINE = 64 << 10
_PATIENCE_S = 30.0


class Head(NamedTuple):
    """The last entry of a log, as an anchor names it: `12:sha256:…`."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


class Entry(Record):
    """One thing that was done.

    Attributes:
        seq: 1 for the first entry.
        at: ISO 8601, UTC; a clock may be wrong, the order of entries is that of `seq`.
        where: `host`, and `job` for the address of a job of a CI system.
        what: `promote`, `rollback`, `publish`, ...
        subject: What it was done to: `models:/churn/7`.
        why: In the words of who did it.
        evidence: Digest of what it rested on.
        previous: The `hash` of the entry before.
        hash: Digest of everything else.
    """

    seq: int
    at: str
    who: str
    where: Mapping[str, str]
    what: str
    subject: str
    why: str
    evidence: str | None
    previous: str
    hash: str

    @property
    def head(self) -> Head:
        """It as the last entry of a log."""
        return Head(self.seq, self.hash)


class Finding(Record, kw_only=False):
    """What is wrong with a log.

    Attributes:
        line: Where; 0 for what is wrong with the whole log.
    """

    line: int
    sentence: str


class Audited(Record):
    """A log that was verified.

    Attributes:
        entries: How many lines are entries.
        head: The last of them.
        findings: All that is wrong; nothing else is.
    """

    entries: int
    head: Head | None
    findings: tuple[Finding, ...]


def path_of(root: Path, environ: Mapping[str, str]) -> Path:
    """Where a project's log is: what PENSTOCK_AUDIT says, else a file in its state."""
    return Path(environ[VARIABLE]) if environ.get(VARIABLE) else root / ".penstock" / NAME


def append(
    path: Path,
    *,
    what: str,
    subject: str,
    why: str,
    environ: Mapping[str, str],
    who: str | None = None,
    evidence: str | None = None,
) -> Entry:
    """Add an entry; it is on the disk when this returns.

    Args:
        environ: Says who, if `who` does not, and from which job.

    Raises:
        UsageError: The entry would be too long.
        CorruptError: The last entry is not what was written, so none can follow it.
        StoreError: The log cannot be written.
    """
    said = {"who": who or _user(environ), "what": what, "subject": subject, "why": why}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = locks.exclusive(path, _PATIENCE_S)
        if lock is None:
            raise StoreError(
                "another process writes to it and does not end",
                where=str(path),
                notes=("nothing was recorded; look for a process that hangs",),
            )
        with lock:
            return _append(path, said, _place(environ), evidence)
    except OSError as error:
        raise _unwritten(error, path) from error


def _unwritten(error: OSError, path: Path) -> StoreError:
    return StoreError(
        f"the audit log cannot be written: {error.strerror or error}",
        where=str(path),
        notes=(f"make it writable, or choose another file with {VARIABLE}",),
    )


def _append(path: Path, said: Mapping[str, str], where: Mapping[str, str], evidence: str | None) -> Entry:
    # unbuffered: what could not be written must not be written after all when the file is closed
    with path.open("rb+", buffering=0) as file:
        last, torn = _end(file, path)
        whole = decode(torn)
        if whole is not None and _out_of_place(whole, last) is None:
            _write(file, b"\n")
            last, torn = whole.head, b""
        if torn:
            file.truncate(file.tell() - len(torn))
            repair = {
                "who": "penstock",
                "what": REPAIRED,
                "subject": path.name,
                "why": f"the last line was unfinished: {len(torn)} bytes were removed",
            }
            removed = _entry(last, repair, where, digest.of_bytes(torn))
            _write(file, encode(removed) + b"\n")
            last = removed.head
        entry = _entry(last, said, where, evidence)
        _write(file, encode(entry) + b"\n")
        os.fsync(file.fileno())
    if entry.seq == 1:
        _sync_directory(path.parent)
    return entry


def _entry(last: Head, said: Mapping[str, str], where: Mapping[str, str], evidence: str | None) -> Entry:
    """The entry that follows the last one."""
    body: dict[str, Any] = {
        "seq": last.seq + 1,
        "at": timestamp(),
        **said,
        "where": dict(where),
        "evidence": evidence,
        "previous": last.hash,
    }
    entry = Entry(**body, hash=digest.of_json(body))
    if (size := len(encode(entry))) > _MAX_LINE:
        raise UsageError(
            f"an entry of {size:,} bytes, more than {_MAX_LINE:,}", notes=("say in fewer words why",)
        )
    return entry


def _write(file: io.FileIO, data: bytes) -> None:
    """Write at the end, whole or not at all unless the process is killed."""
    begin = file.seek(0, os.SEEK_END)
    try:
        while data:
            data = data[file.write(data) :]
    except OSError:
        file.truncate(begin)
        raise


def _end(file: io.FileIO, path: Path) -> tuple[Head, bytes]:
    """The last entry, and what stands unfinished behind it; leaves the file at its end."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2 * _MAX_LINE))
    *lines, torn = file.readall().split(b"\n")
    if not lines:
        if size >= 2 * _MAX_LINE:
            raise _broken(path, "it holds no lines")
        return Head(0, GENESIS), torn
    entry = decode(lines[-1])
    if entry is None:
        raise _broken(path, "its last entry is not what was written")
    return entry.head, torn


def _broken(path: Path, sentence: str) -> CorruptError:
    return CorruptError(
        f"the audit log cannot be continued: {sentence}",
        where=str(path),
        notes=(
            "see `penstock audit verify`",
            f"keep it as it is, and begin another: move it away, or set {VARIABLE}",
        ),
    )


def encode(entry: Entry) -> bytes:
    """The one line of an entry, without its end."""
    return digest.canonical_json(asdict(entry))


def decode(line: bytes) -> Entry | None:
    """The entry of a line; none if it is not, byte for byte, the line of an entry with the digest it says."""
    if len(line) > _MAX_LINE:
        return None
    try:
        document = json.loads(line)
        entry = Entry(**document)
        body = {name: value for name, value in document.items() if name != "hash"}
        sound = encode(entry) == line and digest.of_json(body) == entry.hash and _is_typed(entry)
    except (TypeError, ValueError, RecursionError):
        return None
    return entry if sound else None


def _is_typed(entry: Entry) -> bool:
    texts = (entry.at, entry.who, entry.what, entry.subject, entry.why, entry.previous, entry.evidence or "")
    return (
        type(entry.seq) is int
        and isinstance(entry.where, dict)
        and all(type(each) is str for each in (*texts, *entry.where.values()))
    )


def head(path: Path) -> Head | None:
    """The last entry, to be noted elsewhere; none if there is none.

    Raises:
        CorruptError: It is not what was written.
        StoreError: The log cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            found, _ = _end(file, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unread(error, path) from error
    return found if found.seq else None


def _unread(error: OSError, path: Path) -> StoreError:
    return StoreError(f"the audit log cannot be read: {error.strerror or error}", where=str(path))


def read_anchor(text: str) -> Head:
    """An anchor as `Head` is written.

    Raises:
        UsageError: It is none.
    """
    seq, _, value = text.strip().partition(":")
    if re.fullmatch(r"[0-9]{1,12}:(sha256:)?[0-9a-f]{64}", text.strip()) is None:
        raise UsageError(
            f"{text!r} is no anchor", notes=("an anchor is what `penstock audit show` ends with: N:sha256:…",)
        )
    return Head(int(seq), digest.PREFIX + value.removeprefix(digest.PREFIX))


def entries(path: Path) -> Iterator[tuple[int, Entry | None]]:
    """Every line's number with its entry; none for a line that is no entry, or not finished.

    Raises:
        StoreError: The log cannot be read.
    """
    try:
        with path.open("rb") as file, locks.shared(path):
            number = 0
            while line := file.readline(_MAX_LINE + 2):
                number += 1
                yield number, decode(line[:-1]) if line.endswith(b"\n") else None
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unread(error, path) from error


def verify(path: Path, anchor: Head | None = None) -> Audited:
    """Find every entry that was changed, removed, added, moved or, with an anchor, cut from the end.

    Raises:
        StoreError: The log cannot be read.
    """
    findings: list[Finding] = []
    last = Head(0, GENESIS)
    count = 0
    anchored = anchor is None or anchor.seq == 0
    for line, entry in entries(path):
        if entry is None:
            findings.append(Finding(line, "not an entry as it was written: changed, damaged or unfinished"))
            # what follows is held against where it says that it belongs
            last = Head(last.seq + 1, "")
            continue
        count += 1
        if sentence := _out_of_place(entry, last):
            findings.append(Finding(line, sentence))
        if anchor is not None and entry.seq == anchor.seq:
            anchored = entry.hash == anchor.hash
        last = entry.head
    if not anchored:
        findings.append(Finding(0, _away(anchor, last)))
    return Audited(entries=count, head=last if count else None, findings=tuple(findings))


def _out_of_place(entry: Entry, last: Head) -> str | None:
    """What is wrong with where an entry stands, if anything is."""
    if entry.seq > last.seq + 1:
        return f"entry {entry.seq} follows entry {last.seq}: what was between them is missing"
    if entry.seq != last.seq + 1:
        return f"entry {entry.seq} follows entry {last.seq}: it was moved or repeated"
    if last.hash and entry.previous != last.hash:
        return f"entry {entry.seq} was not written behind the entry that stands before it"
    return None


def _away(anchor: Head | None, last: Head) -> str:
    assert anchor is not None  # noqa: S101 - only an anchor can be missing
    if last.seq < anchor.seq:
        return f"it ends with entry {last.seq}, but the anchor is entry {anchor.seq}: the end was cut off"
    return f"entry {anchor.seq} is not the one of the anchor: the log was written anew"


def _user(environ: Mapping[str, str]) -> str:
    import getpass

    if found := actor(environ):
        return found
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as containers have
        return f"uid {os.getuid()}"


def _place(environ: Mapping[str, str]) -> dict[str, str]:
    host = os.uname().nodename
    return {"host": host} | ({"job": address} if (address := job(environ)) else {})


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
