from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from penstock.cache import locks

HOLDER = """
import sys, time
from pathlib import Path
from penstock.cache import locks
lock = locks.try_exclusive(Path(sys.argv[1]), remove=True)
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_is_had_once_until_it_is_released(tmp_path: Path) -> None:
    first = locks.try_exclusive(tmp_path / "lock")
    assert first is not None
    assert locks.try_exclusive(tmp_path / "lock") is None
    with first:
        pass
    assert locks.try_exclusive(tmp_path / "lock") is not None


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert locks.try_exclusive(path) is None
        holder.kill()
        holder.wait()
        assert locks.exclusive(path, 10.0) is not None


def test_a_lock_that_removes_its_file_is_never_held_twice(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    inside = 0
    worst = 0
    rounds = 0

    def work() -> None:
        nonlocal inside, worst, rounds
        done = 0
        while done < 50:
            lock = locks.try_exclusive(path, remove=True)
            if lock is not None:
                inside += 1
                worst = max(worst, inside)
                done += 1
                rounds += 1
                inside -= 1
                lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (worst, rounds) == (1, 200)
    assert not path.exists()


def test_waiting_for_a_lock_ends_when_patience_does(tmp_path: Path) -> None:
    with locks.shared(tmp_path / "lock"):
        assert locks.exclusive(tmp_path / "lock", 0.05) is None
    assert locks.exclusive(tmp_path / "lock", 0.05) is not None


def test_usage_is_shared_and_counted(tmp_path: Path) -> None:
    usage = locks.Usage(tmp_path / "usage", tmp_path / "gate")
    first, second = usage.share(), usage.share()
    first.release()
    first.release()
    assert locks.try_exclusive(tmp_path / "usage") is None
    second.release()
    assert locks.try_exclusive(tmp_path / "usage") is not None


@pytest.mark.timeout(20)
def test_who_uses_it_already_may_come_in_again_while_newcomers_wait_at_the_gate(tmp_path: Path) -> None:
    usage = locks.Usage(tmp_path / "usage", tmp_path / "gate")
    newcomer = locks.Usage(tmp_path / "usage", tmp_path / "gate")
    came_in = threading.Event()

    def come() -> None:
        with newcomer.share():
            came_in.set()

    with usage.share():
        gate = locks.try_exclusive(tmp_path / "gate")
        assert gate is not None
        thread = threading.Thread(target=come)
        thread.start()
        with usage.share():
            assert not came_in.wait(0.1)
    alone = locks.try_exclusive(tmp_path / "usage")
    assert alone is not None
    alone.release()
    gate.release()
    thread.join()
    assert came_in.is_set()
