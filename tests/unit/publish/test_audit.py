"""The audit log: it grows, whole, and whatever is done to it is found."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from penstock import digest
from penstock.errors import CorruptError, StoreError, UsageError
from penstock.publish import audit

ENVIRON = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "lena"}

Lines = list[bytes]


def add(path: Path, subject: str = "models:/churn/7", why: str = "better recall") -> audit.Entry:
    return audit.append(path, what="promote", subject=subject, why=why, environ=ENVIRON)


@pytest.fixture(scope="module", params=[25, pytest.param(200, marks=pytest.mark.slow)])
def lines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lines:
    """A log of 25 or 200 entries, as its lines."""
    path = tmp_path_factory.mktemp("log") / audit.NAME
    for number in range(request.param):
        add(path, f"models:/churn/{number}")
    assert audit.verify(path) == audit.Audited(entries=request.param, head=audit.head(path), findings=())
    return path.read_bytes().splitlines(keepends=True)


def findings(path: Path, lines: Lines, anchor: audit.Head | None = None) -> tuple[audit.Finding, ...]:
    path.write_bytes(b"".join(lines))
    return audit.verify(path, anchor).findings


def head_of(lines: Lines) -> audit.Head:
    entry = audit.decode(lines[-1][:-1])
    assert entry is not None
    return entry.head


def forged(line: bytes, **changes: object) -> bytes:
    """The line of an entry that says something else, with the digest that it needs."""
    body = {**json.loads(line), **changes}
    del body["hash"]
    return digest.canonical_json({**body, "hash": digest.of_json(body)}) + b"\n"


def test_an_entry_says_who_did_what_from_where_and_why(tmp_path: Path) -> None:
    environ = {
        **ENVIRON,
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "team/churn",
        "GITHUB_RUN_ID": "42",
    }
    path = tmp_path / "state" / audit.NAME
    evidence = digest.of_bytes(b"evidence")
    made = audit.append(
        path, what="promote", subject="models:/churn/7", why="é ✓", environ=environ, evidence=evidence
    )
    ((_, read),) = audit.entries(path)
    assert read == made
    assert made.where == {"host": os.uname().nodename, "job": "https://github.com/team/churn/actions/runs/42"}
    assert (made.seq, made.who, made.evidence, made.previous) == (1, "lena", evidence, audit.GENESIS)


def test_without_a_ci_system_the_user_of_this_machine_is_named(tmp_path: Path) -> None:
    made = audit.append(tmp_path / "log", what="promote", subject="m", why="w", environ={})
    named = audit.append(tmp_path / "log", what="promote", subject="m", why="w", environ={}, who="lena")
    assert made.who
    assert named.who == "lena"
    assert "job" not in made.where


def test_the_log_is_where_its_variable_says(tmp_path: Path) -> None:
    assert audit.path_of(tmp_path, {}) == tmp_path / ".penstock/audit.jsonl"
    assert audit.path_of(tmp_path, {"PENSTOCK_AUDIT": "/srv/audit.jsonl"}) == Path("/srv/audit.jsonl")


def test_no_log_is_an_empty_log_and_has_no_head(tmp_path: Path) -> None:
    assert audit.head(tmp_path / "log") is None
    assert audit.verify(tmp_path / "log") == audit.Audited(entries=0, head=None, findings=())
    assert not (tmp_path / "log").exists()


def test_every_deleted_entry_is_found(tmp_path: Path, lines: Lines) -> None:
    anchor = head_of(lines)
    for at in range(len(lines)):
        assert findings(tmp_path / "log", lines[:at] + lines[at + 1 :], anchor), at
    for at in range(len(lines) - 1):  # all but the last, without an anchor too
        assert findings(tmp_path / "log", lines[:at] + lines[at + 1 :]), at


@pytest.mark.parametrize(
    "name", ["at", "who", "where", "what", "subject", "why", "evidence", "previous", "hash", "seq"]
)
def test_every_edited_entry_is_found(tmp_path: Path, lines: Lines, name: str) -> None:
    other: object = {"where": {"host": "elsewhere"}, "seq": 7_000}.get(name, digest.of_bytes(b"other"))
    anchor = head_of(lines)
    for at, line in enumerate(lines):
        plain = digest.canonical_json({**json.loads(line), name: other}) + b"\n"
        assert findings(tmp_path / "log", [*lines[:at], plain, *lines[at + 1 :]]), at
        if name != "hash":
            chained = forged(line, **{name: other})
            assert findings(tmp_path / "log", [*lines[:at], chained, *lines[at + 1 :]], anchor), at


def test_every_swap_of_two_entries_is_found(tmp_path: Path, lines: Lines) -> None:
    pairs = list(combinations(range(len(lines)), 2))
    for one, other in random.Random(7).sample(pairs, min(len(pairs), 2_000)):
        swapped = lines[:]
        swapped[one], swapped[other] = lines[other], lines[one]
        assert findings(tmp_path / "log", swapped), (one, other)


def test_every_truncation_is_found_with_an_anchor(tmp_path: Path, lines: Lines) -> None:
    anchor = head_of(lines)
    for kept in range(len(lines)):
        assert findings(tmp_path / "log", lines[:kept], anchor), kept
    whole = b"".join(lines)
    last = len(whole) - len(lines[-1])
    for size in range(last + 1, len(whole)):  # within a line, without an anchor too
        assert findings(tmp_path / "log", [whole[:size]]), size


def test_an_anchor_that_is_not_the_last_entry_still_holds(tmp_path: Path, lines: Lines) -> None:
    assert findings(tmp_path / "log", lines, head_of(lines[:20])) == ()
    assert findings(tmp_path / "log", lines[:19], head_of(lines[:20]))
    assert findings(tmp_path / "log", lines, audit.Head(20, digest.of_bytes(b"other")))


def test_a_log_that_was_written_anew_is_found_with_an_anchor(tmp_path: Path, lines: Lines) -> None:
    path = tmp_path / "anew"
    for number in range(len(lines)):
        add(path, f"models:/churn/{number}", why="something else")
    assert audit.verify(path).findings == ()
    (found,) = audit.verify(path, head_of(lines)).findings
    assert "written anew" in found.sentence


def test_every_flipped_byte_of_a_log_is_found(tmp_path: Path, lines: Lines) -> None:
    whole = b"".join(lines[:3])
    anchor = head_of(lines[:3])
    for at in range(len(whole)):
        flipped = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        assert findings(tmp_path / "log", [flipped], anchor), at


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b'{"seq": NaN}',
        b"\xff\xfe",
        b"{}",
        b'{"seq":1,"seq":2}',
        b"x" * (1 << 20),
    ],
    ids=lambda line: repr(line[:10]),
)
def test_a_line_that_is_no_entry_is_a_finding_and_no_traceback(
    tmp_path: Path, lines: Lines, line: bytes
) -> None:
    assert findings(tmp_path / "log", [*lines[:2], line + b"\n"])


@pytest.mark.parametrize(
    "changes", [{"who": ["x"]}, {"seq": True}, {"where": "here"}, {"where": {"host": 3}}]
)
def test_an_entry_of_other_types_is_none_though_its_digest_fits(
    tmp_path: Path, lines: Lines, changes: dict[str, object]
) -> None:
    assert findings(tmp_path / "log", [forged(lines[0], **changes)])


def test_a_torn_last_line_is_removed_and_that_is_said(tmp_path: Path, lines: Lines) -> None:
    path = tmp_path / "log"
    for size in (1, 100, len(lines[2]) - 2):
        path.write_bytes(b"".join(lines[:2]) + lines[2][:size])
        assert audit.verify(path).findings
        made = add(path)
        assert audit.verify(path).findings == ()
        *_, (_, repaired), (_, last) = audit.entries(path)
        assert repaired is not None
        assert last == made
        assert (repaired.seq, repaired.what, repaired.who) == (3, audit.REPAIRED, "penstock")
        assert f"{size} bytes" in repaired.why
        assert repaired.evidence == digest.of_bytes(lines[2][:size])


def test_an_entry_that_only_lacks_its_line_end_is_kept(tmp_path: Path, lines: Lines) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(lines[:3])[:-1])
    assert add(path).seq == 4
    assert audit.verify(path).findings == ()
    assert path.read_bytes().startswith(b"".join(lines[:3]))


def test_a_first_line_that_was_torn_is_replaced(tmp_path: Path, lines: Lines) -> None:
    path = tmp_path / "log"
    path.write_bytes(lines[0][:30])
    assert add(path).seq == 2
    assert audit.verify(path).findings == ()


def test_nothing_follows_an_entry_that_was_changed(tmp_path: Path, lines: Lines) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(lines[:2]) + lines[2].replace(b"better", b"worse!"))
    before = path.read_bytes()
    with pytest.raises(CorruptError, match="last entry is not what was written"):
        add(path)
    with pytest.raises(CorruptError, match="last entry is not what was written"):
        audit.head(path)
    assert path.read_bytes() == before


def test_an_entry_that_is_too_long_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    add(tmp_path / "log")
    before = (tmp_path / "log").read_bytes()
    with pytest.raises(UsageError, match="say in fewer words"):
        add(tmp_path / "log", why="é" * 20_000)
    assert (tmp_path / "log").read_bytes() == before


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(StoreError, match="the audit log cannot be written"):
        add(tmp_path / "log")
    with pytest.raises(StoreError, match="the audit log cannot be read"):
        audit.verify(tmp_path / "log")


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log"
    add(path)
    before = path.read_bytes()
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 40},) * 2); "
    limited += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    done = subprocess.run(
        [sys.executable, "-c", limited + APPEND, str(path), "full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the audit log cannot be written" in done.stderr.splitlines()[-2]
    assert path.read_bytes() == before
    add(path)
    assert audit.verify(path).findings == ()


@pytest.mark.parametrize("text", ["", "3", "x:sha256:" + 64 * "a", "3:sha256:" + 63 * "a", "-1:" + 64 * "a"])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no anchor"):
        audit.read_anchor(text)


def test_an_anchor_is_read_as_a_head_is_written() -> None:
    head = audit.Head(12, digest.of_bytes(b"x"))
    assert audit.read_anchor(f" {head}\n") == head
    assert audit.read_anchor(f"12:{head.hash.removeprefix('sha256:')}") == head


APPEND = """
import sys
from pathlib import Path
from penstock.publish import audit
for number in range(int(sys.argv[3]) if len(sys.argv) > 3 else 1):
    entry = audit.append(
        Path(sys.argv[1]), what="promote", subject=f"{sys.argv[2]}/{number}", why="w" * 200, environ={}
    )
    print(entry.subject, entry.hash, flush=True)
"""


def test_twenty_processes_append_while_half_of_them_are_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    path = tmp_path / "log"
    chance = random.Random(3)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", APPEND, str(path), f"p{number}", "40"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(20)
    ]
    while not path.exists() or path.stat().st_size < 10_000:
        time.sleep(0.01)
    for process in started[:10]:
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
    acknowledged = set()
    for process in started:
        said, complaints = process.communicate(timeout=120)
        acknowledged |= {tuple(line.split()) for line in said.splitlines() if len(line.split()) == 2}
        assert process.returncode in (0, -signal.SIGKILL), complaints
    add(path)  # what the last one that was killed left unfinished is repaired by the next entry
    found = audit.verify(path)
    assert found.findings == ()
    there = {(entry.subject, entry.hash) for _, entry in audit.entries(path) if entry is not None}
    assert acknowledged <= there
    assert len(acknowledged) >= 10 * 40
    record_property("acknowledged", len(acknowledged))


def test_a_process_killed_at_any_byte_of_an_entry_leaves_a_log_that_goes_on(
    tmp_path: Path, lines: Lines
) -> None:
    path = tmp_path / "log"
    for size in range(0, len(lines[1]), 7):
        path.write_bytes(lines[0] + lines[1][:size])
        add(path)
        assert audit.verify(path).findings == (), size
        kept = [entry.subject for _, entry in audit.entries(path) if entry is not None]
        assert kept[0] == "models:/churn/0"
        assert kept[-1] == "models:/churn/7"
