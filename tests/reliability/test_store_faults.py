"""A commit killed, or failed by the kernel, at each of its system calls."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock import digest
from penstock.cache import maintenance
from penstock.cache.store import Store
from penstock.cache.trees import restore_tree
from penstock.results import PartKind

CHILD = Path(__file__).with_name("store_child.py")
KEY, EARLIER_KEY = digest.of_bytes(b"key"), digest.of_bytes(b"earlier key")
QUICK_SHARE = 12

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


class Fault(NamedTuple):
    """What strace is told to do at one occurrence of a system call."""

    call: str
    number: int
    action: str


class Bench:
    """A store with one acknowledged result, and a workspace whose outputs are committed next."""

    def __init__(self, home: Path) -> None:
        self.home = home / "store"
        self.workspace = home / "workspace"
        self.acknowledged = home / "acknowledged"
        self.expected = {"model/a/weights": b"w" * 70_000, "model/b": b"b", "metrics.json": b'{"auc": 0.8}'}
        for name, content in self.expected.items():
            path = self.workspace / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.child(EARLIER_KEY)

    def child(self, key: str, *prefix: str) -> subprocess.CompletedProcess[str]:
        self.acknowledged.unlink(missing_ok=True)
        paths = map(str, (self.home, self.workspace, key, self.acknowledged))
        command = [*prefix, sys.executable, str(CHILD), *paths]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def calls(self) -> list[Fault]:
        """Each system call that a commit makes, by its number since the start of the process."""
        before: list[Fault] = []
        # the first time, Python may still have to compile a module
        while (found := list(self._calls())) != before:
            before = found
            self.forget()
        return found

    def _calls(self) -> Iterator[Fault]:
        log = self.home.parent / "calls"
        self.child(KEY, "strace", "-f", "-o", str(log))
        counts: Counter[str] = Counter()
        within = False
        for line in log.read_text(errors="replace").splitlines():
            matched = re.match(r"\d+ +(\w+)\(", line)
            if matched is None:
                continue
            counts[matched[1]] += 1
            if "/penstock-ends" in line:
                return
            if within:
                yield Fault(matched[1], counts[matched[1]], "")
            within = within or "/penstock-begins" in line

    def forget(self) -> None:
        """Back to a store that has only the earlier result."""
        shutil.rmtree(self.home)
        self.child(EARLIER_KEY)

    def strike(self, fault: Fault) -> subprocess.CompletedProcess[str]:
        inject = f"{fault.call}:{fault.action}:when={fault.number}"
        return self.child(
            KEY, "strace", "-f", "-o", "/dev/null", "-e", f"trace={fault.call}", "-e", f"inject={inject}"
        )

    def demand_whole(self, key: str) -> None:
        """The result is there with exactly the bytes that were committed."""
        store = Store(self.home)
        record = store.recall(key)
        assert record is not None
        out = self.home.parent / "out"
        for part in record.parts:
            if part.kind is PartKind.DIRECTORY:
                restore_tree(store, store.manifest(part.digest), out / part.path)
            else:
                store.get_file(part.digest, out / part.path)
        found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert found == self.expected
        shutil.rmtree(out)

    def demand_sound(self) -> None:
        """Nothing acknowledged is lost, nothing corrupt is served, and the next attempt succeeds."""
        (self.home.parent / "out").mkdir()
        self.demand_whole(EARLIER_KEY)
        (self.home.parent / "out").mkdir()
        if self.acknowledged.read_text() or Store(self.home).recall(KEY) is not None:
            self.demand_whole(KEY)
        else:
            shutil.rmtree(self.home.parent / "out")
        assert maintenance.verify(Store(self.home)).damaged == ()
        again = self.child(KEY)
        assert (again.returncode, again.stderr) == (0, "")
        (self.home.parent / "out").mkdir()
        self.demand_whole(KEY)
        maintenance.gc(Store(self.home), older_than_s=None, max_size_bytes=None)
        assert list((self.home / "tmp").iterdir()) == []
        assert list((self.home / "locks").glob("flight-*")) == []


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def _kill_at_each(bench: Bench, every: int) -> int:
    faults = [fault._replace(action="signal=KILL") for fault in bench.calls()]
    assert len(faults) > 60
    for fault in faults[::every]:
        bench.forget()
        struck = bench.strike(fault)
        assert struck.returncode in (-9, 137), (fault, struck)
        bench.demand_sound()
    return len(faults[::every])


def _fail_each(bench: Bench, every: int, errors: tuple[str, ...]) -> int:
    # a close or an unlink that fails has done its work all the same on Linux
    calls = {"openat", "write", "fsync", "rename", "mkdir", "flock", "read", "newfstatat", "fstat", "lseek"}
    faults = [
        fault._replace(action=f"error={error}")
        for fault in bench.calls()
        for error in errors
        if fault.call in calls
    ]
    for fault in faults[::every]:
        bench.forget()
        struck = bench.strike(fault)
        assert struck.returncode in (0, 3), (fault, struck)
        assert "Traceback" not in struck.stderr + struck.stdout
        assert struck.returncode == 0 or struck.stdout.strip()
        bench.demand_sound()
    return len(faults[::every])


def test_a_commit_killed_at_some_system_calls_loses_nothing_and_serves_nothing_corrupt(bench: Bench) -> None:
    assert _kill_at_each(bench, QUICK_SHARE) > 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_commit_killed_at_every_system_call_loses_nothing_and_serves_nothing_corrupt(bench: Bench) -> None:
    kills = _kill_at_each(bench, 1)
    print(f"\n{kills} kills")  # noqa: T201 - the figure of the report


def test_a_system_call_that_fails_is_told_in_a_sentence_and_leaves_the_store_sound(bench: Bench) -> None:
    assert _fail_each(bench, QUICK_SHARE * 2, ("ENOSPC", "EIO")) > 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_any_system_call_that_fails_is_told_in_a_sentence_and_leaves_the_store_sound(bench: Bench) -> None:
    faults = _fail_each(bench, 1, ("ENOSPC", "EIO", "EMFILE", "EACCES"))
    print(f"\n{faults} faults")  # noqa: T201 - the figure of the report
