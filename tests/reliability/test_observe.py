"""Stages that are observed: crowds of processes, kills at any moment, and nothing that outlives them."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from observing import observed
from penstock.errors import ExecutorError
from penstock.executors.observe import LAUNCH
from stage_samples import MODES, Bench, appears, daemon, found, gone, marker, survivors

FORK_BOMB = "f() { f | f & }; f; sleep 60"


@pytest.fixture(params=MODES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    found(request.param)
    (tmp_path / "a").write_text("1\n")
    return Bench(tmp_path, request.param, observes=True)


def _looks(bench: Bench) -> set[str]:
    assert bench.observation is not None
    assert bench.observation.why is None, bench.observation.why
    return {look.path for look in bench.observation.looks}


def _observer(word: str) -> int:
    """The process that observes whoever has this word on its command line."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for pid in survivors(word):
            with suppress(OSError):
                if LAUNCH in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:6]:
                    return pid
    raise AssertionError("nobody observes")


def test_what_a_stage_leaves_behind_is_ended(bench: Bench) -> None:
    word = marker()
    ended = bench.run(f"{daemon(word)} cat a; sleep 0.2; echo done")
    assert not survivors(word)
    assert (ended.exit_code, bench.text) == (0, "1\ndone\n")
    assert "a" in _looks(bench)


def test_nothing_outlives_a_timeout(bench: Bench) -> None:
    word = marker()
    ended = bench.run(f"{daemon(word)} cat a; sleep 600", timeout_s=1)
    assert not survivors(word)
    assert (ended.exit_code, ended.timed_out) == (124, True)


def _killed(bench: Bench, delay_s: float) -> int:
    word = marker()
    codes = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                script = f"{daemon(word)} while :; do cat a > /dev/null; done; : {word}"
                try:
                    codes.append((await bench.go(bench.stage(script))).exit_code)
                except ExecutorError as error:  # so early that there was no sandbox yet
                    codes.append(137 if "sandbox could not be set up" in error.what else -1)

            tasks.start_soon(run)
            assert await anyio.to_thread.run_sync(appears, word)
            await anyio.sleep(delay_s)
            os.kill(_observer(word), signal.SIGKILL)

    anyio.run(main)
    assert gone(word), "a process of a stage survived"
    return int(codes[0])


def test_a_stage_fails_when_its_observer_is_killed(bench: Bench) -> None:
    assert _killed(bench, 0.3) == 137


@pytest.mark.slow
def test_a_stage_fails_whenever_its_observer_is_killed(bench: Bench) -> None:
    chance = random.Random(7)
    for _ in range(40):
        assert _killed(bench, chance.random() / 2) == 137


def test_a_fork_bomb_ends_with_its_time(bench: Bench) -> None:
    word = marker()
    began = time.monotonic()
    ended = bench.run(f": {word}; ulimit -u 400 2>/dev/null || true; {FORK_BOMB}", timeout_s=2)
    assert ended.timed_out or ended.exit_code
    assert gone(word)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("processes", "width"), [(500, 50), pytest.param(10_000, 200, marks=pytest.mark.slow)]
)
def test_a_crowd_of_processes_is_all_seen(tmp_path: Path, processes: int, width: int) -> None:
    top = tmp_path / "top"
    top.mkdir()
    for number in range(processes):
        (top / f"f{number}").write_bytes(b"")
    loop = (
        "n=0; while [ $n -lt $0 ]; do m=0; while [ $m -lt $1 ] && [ $n -lt $0 ]; do"
        " (read -r x < f$n || true) & n=$((n+1)); m=$((m+1)); done; wait; done"
    )
    seen = observed(top, ["/bin/sh", "-c", loop, str(processes), str(width)], timeout_s=570)
    assert (seen.code, seen.why) == (0, None)
    assert {f"f{number}" for number in range(processes)} <= seen.read()
