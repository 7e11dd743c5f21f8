"""Many processes on one store, some of them killed, while it is collected."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.cache import maintenance
from penstock.cache.store import Store

WORKER = Path(__file__).with_name("store_worker.py")


def _crowd(tmp_path: Path, processes: int, operations: int, kills: int) -> int:
    home = tmp_path / "store"
    workers = []
    for seed in range(processes):
        workspace = tmp_path / f"w{seed}"
        workspace.mkdir()
        command = [sys.executable, str(WORKER), str(home), str(workspace), str(seed), str(operations)]
        workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    chance = random.Random(1)
    killed: set[int] = set()
    collections = 0
    while any(worker.poll() is None for worker in workers):
        time.sleep(0.05)
        maintenance.gc(Store(home), older_than_s=None, max_size_bytes=chance.choice((0, 20_000, 1 << 30)))
        collections += 1
        alive = [seed for seed, worker in enumerate(workers) if worker.poll() is None]
        if alive and len(killed) < kills:
            victim = chance.choice(alive)
            workers[victim].send_signal(signal.SIGKILL)
            killed.add(victim)
    for seed, worker in enumerate(workers):
        output, _ = worker.communicate(timeout=60)
        if seed not in killed:
            assert (worker.returncode, output) == (0, ""), seed
    assert collections > 2
    assert maintenance.verify(Store(home)).damaged == ()
    maintenance.gc(Store(home), older_than_s=None, max_size_bytes=None)
    assert list((home / "locks").glob("flight-*")) == []
    assert list((home / "tmp").iterdir()) == []
    return collections


def test_a_few_processes_on_one_store_get_the_right_bytes_while_it_is_collected(tmp_path: Path) -> None:
    _crowd(tmp_path, processes=6, operations=40, kills=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_processes_on_one_store_get_the_right_bytes_while_it_is_collected(tmp_path: Path) -> None:
    collections = _crowd(tmp_path, processes=50, operations=200, kills=5)
    print(f"\n50 processes, 10,000 operations, 5 kills, {collections} collections")  # noqa: T201 - the figure
