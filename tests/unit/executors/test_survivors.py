"""Nothing that a stage starts outlives it, in a sandbox or without one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import anyio
import pytest

from stage_samples import MODES, Bench, appears, daemon, found, gone, marker, survivors


@pytest.fixture(params=MODES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    found(request.param)
    return Bench(tmp_path, request.param)


def test_a_daemon_does_not_outlive_a_stage_that_succeeds(bench: Bench) -> None:
    word = marker()
    ended = bench.run(f"{daemon(word)} sleep 0.2; echo done")
    # at once: what is left could still write into the outputs
    assert not survivors(word)
    assert (ended.exit_code, bench.text) == (0, "done\n")


def test_a_daemon_does_not_outlive_a_timeout(bench: Bench) -> None:
    word = marker()
    ended = bench.run(f"{daemon(word)} sleep 600", timeout_s=1)
    assert not survivors(word)
    assert (ended.exit_code, ended.timed_out) == (124, True)


def test_a_daemon_does_not_outlive_a_cancelled_stage(bench: Bench) -> None:
    word = marker()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.go, bench.stage(f"{daemon(word)} sleep 600"))
            assert await anyio.to_thread.run_sync(appears, word)
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert not survivors(word)


def test_a_daemon_does_not_outlive_a_stage_that_a_signal_ends(bench: Bench) -> None:
    word = marker()
    ended = bench.run(f"{daemon(word)} sleep 0.2; kill -9 $$")
    assert not survivors(word)
    assert (ended.exit_code, bench.text) == (137, "")


_RUNS = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from stage_samples import Bench
    Bench(Path({root!r}), {mode!r}).run({script!r}, timeout_s=None)
"""


def penstock(bench: Bench, script: str) -> subprocess.Popen[bytes]:
    tests = str(Path(__file__).parents[2])
    code = textwrap.dedent(_RUNS).format(tests=tests, root=str(bench.root), mode=bench.mode, script=script)
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL)


def test_a_daemon_does_not_outlive_the_sudden_death_of_penstock(bench: Bench) -> None:
    word = marker()
    with penstock(bench, f"{daemon(word)} sleep 600") as parent:
        assert appears(word)
        parent.send_signal(signal.SIGKILL)
    assert gone(word)


@pytest.mark.parametrize("delay_ms", [0, 2, 5, 10, 20, 50])
def test_nothing_starts_once_penstock_is_dead_whenever_it_dies(bench: Bench, delay_ms: int) -> None:
    word = marker()
    # the marker is on the command line of the sandbox and of the sweeper, too
    with penstock(bench, f": {word}; sleep 600; exit") as parent:
        assert appears(word)
        anyio.run(anyio.sleep, delay_ms / 1000)
        parent.send_signal(signal.SIGKILL)
    assert gone(word)


@pytest.mark.slow
def test_five_hundred_cancelled_stages_leave_nothing(bench: Bench) -> None:
    words = [marker() for _ in range(500)]

    async def one(word: str, delay_s: float) -> None:
        with anyio.move_on_after(delay_s):
            await bench.go(bench.stage(f"{daemon(word)} sleep 600"))

    async def main() -> None:
        for at in range(0, len(words), 5):
            async with anyio.create_task_group() as tasks:
                for number, word in enumerate(words[at : at + 5]):
                    tasks.start_soon(one, word, (at + number) % 50 / 200)

    anyio.run(main)
    assert [word for word in words if survivors(word)] == []


def test_a_storm_of_forks_is_ended(bench: Bench) -> None:
    word = marker()
    # 32 chains of processes that each live for a millisecond
    code = (
        "import os,time,resource;end=time.time()+60\n"
        "for _ in range(5):\n"
        " os.fork()\n"
        "while time.time()<end:\n"
        " if os.fork(): os._exit(0)\n"
        " os.setsid();time.sleep(0.001)\n"
    )
    ended = bench.run(f'python3 -c "{code}" {word} & sleep 1; exit 4')
    assert not survivors(word)
    assert ended.exit_code == 4
    assert ended.usage.wall_s < 20


def test_the_sweeper_kills_what_it_cannot_see_coming() -> None:
    """A descendant that is stopped, or that ignores every signal, is ended too."""
    from penstock.executors import stage_init

    word = marker()
    script = f"sh -c 'trap \"\" TERM INT HUP; kill -STOP $$; sleep 600' {word} & sleep 0.2; exit 9"
    argv = [sys.executable, "-I", "-S", stage_init.__file__, str(os.getpid()), "--", "/bin/sh", "-c", script]
    assert subprocess.run(argv, check=False).returncode == 9
    assert not survivors(word)


def test_the_sweeper_does_not_start_anything_for_a_parent_that_is_dead(tmp_path: Path) -> None:
    from penstock.executors import stage_init

    argv = [
        sys.executable,
        "-I",
        "-S",
        stage_init.__file__,
        "1",
        "--",
        "/bin/touch",
        str(tmp_path / "started"),
    ]
    assert subprocess.run(argv, check=False).returncode == 143
    assert not (tmp_path / "started").exists()


def test_the_sweeper_says_so_if_the_command_is_not_there() -> None:
    from penstock.executors import stage_init

    argv = [sys.executable, "-I", "-S", stage_init.__file__, str(os.getpid()), "--", "/no/such"]
    ended = subprocess.run(argv, check=False, capture_output=True)
    assert (ended.returncode, ended.stderr) == (127, b"penstock: /no/such: No such file or directory\n")


def test_the_sweeper_reports_the_memory_and_time_of_the_command(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "none")
    ended = bench.run("python3 -c 'x = bytearray(300 << 20); sum(range(3000000))'")
    assert ended.usage.peak_memory_bytes > 300 << 20
    assert ended.usage.cpu_s > 0.01


def test_the_sandbox_reports_the_memory_and_time_of_the_command(tmp_path: Path) -> None:
    found("bubblewrap")
    bench = Bench(tmp_path, "bubblewrap")
    ended = bench.run("python3 -c 'x = bytearray(300 << 20); sum(range(3000000))'")
    assert ended.usage.peak_memory_bytes > 300 << 20
    assert ended.usage.cpu_s > 0.01
