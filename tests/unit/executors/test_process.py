from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from penstock.errors import ExecutorError
from penstock.executors import process
from penstock.executors.process import Ended, Leash, run_process
from stage_samples import gone, marker, survivors


def run(
    script: str,
    on_output: Callable[[bytes], None] = lambda _data: None,
    *,
    timeout_s: float | None = 30.0,
    leash: Leash = process.GROUP,
) -> Ended:
    return anyio.run(
        partial(
            run_process,
            ["/bin/sh", "-c", script],
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            timeout_s=timeout_s,
            on_output=on_output,
            leash=leash,
        )
    )


def test_output_and_errors_come_in_the_order_in_which_they_were_written() -> None:
    said = bytearray()
    ended = run("for i in 1 2 3; do echo out$i; echo err$i >&2; done", said.extend)
    assert said == b"out1\nerr1\nout2\nerr2\nout3\nerr3\n"
    assert (ended.exit_code, ended.timed_out) == (0, False)


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("kill -SEGV $$", 139)],
)
def test_the_exit_code_is_the_commands_or_tells_the_signal(script: str, code: int) -> None:
    assert run(script).exit_code == code


def test_a_timeout_ends_the_process_group_with_124() -> None:
    word = marker()
    began = time.monotonic()
    ended = run(f"sh -c 'sleep 600; exit' {word} & sleep 600; exit", timeout_s=0.3)
    assert (ended.exit_code, ended.timed_out) == (124, True)
    assert time.monotonic() - began < 5
    assert gone(word)


def test_a_process_that_ends_in_time_is_not_timed_out_by_its_survivors() -> None:
    ended = run("exit 0", timeout_s=5)
    assert (ended.exit_code, ended.timed_out) == (0, False)


def test_cancelling_ends_the_process_before_it_is_over() -> None:
    word = marker()

    async def main() -> None:
        with anyio.move_on_after(0.3):
            await run_process(
                ["/bin/sh", "-c", f"sh -c 'sleep 600; exit' {word}; exit"],
                cwd="/",
                env={},
                timeout_s=None,
                on_output=lambda _data: None,
            )
        assert not survivors(word)

    anyio.run(main)


def test_a_large_output_arrives_whole_and_in_pieces_that_a_reader_can_mask() -> None:
    sizes: list[int] = []
    run("head -c 30000000 /dev/zero", lambda data: sizes.append(len(data)))
    assert sum(sizes) == 30_000_000
    assert max(sizes) <= 1 << 16


def test_a_process_may_close_its_output_and_go_on() -> None:
    said = bytearray()
    ended = run("echo before; exec >&- 2>&-; sleep 0.2; exit 3", said.extend)
    assert said == b"before\n"
    assert ended.exit_code == 3


def test_a_survivor_that_holds_the_pipe_open_is_not_waited_for(tmp_path: Path) -> None:
    word = marker()
    up = tmp_path / "up"
    code = f"import os,time;os.setsid();print('daemon',flush=True);open('{up}','w');time.sleep(600)"
    said = bytearray()
    began = time.monotonic()
    try:
        ended = run(f'python3 -c "{code}" {word} & until [ -e {up} ]; do sleep 0.01; done', said.extend)
        assert ended.exit_code == 0
        assert time.monotonic() - began < 20
        assert said == b"daemon\n"
    finally:
        for pid in survivors(word):
            os.kill(pid, 9)


def test_standard_input_is_empty() -> None:
    said = bytearray()
    run("cat; echo end", said.extend)
    assert said == b"end\n"


def test_time_and_memory_are_those_of_all_that_the_process_waited_for() -> None:
    ended = run("python3 -c 'x = bytearray(300 << 20); sum(range(3000000))'; :")
    assert ended.usage.peak_memory_bytes > 300 << 20
    assert 0.01 < ended.usage.cpu_s < 20
    assert ended.usage.wall_s > 0


def test_a_program_that_is_not_there_is_the_executors_failure() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ExecutorError, match=r"/no/such: the process could not be started: No such file"):
        anyio.run(
            partial(run_process, ["/no/such"], cwd="/", env={}, timeout_s=None, on_output=lambda _data: None)
        )
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_descriptor_is_left_open() -> None:
    run("true")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for leash in (process.GROUP, Leash(greets=True)):
        run("echo >&0; read -r _; exit 0", leash=leash)
    run("sleep 100", timeout_s=0.05)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_it_works_where_the_kernel_has_no_descriptors_for_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", missing)
    assert run("exit 5").exit_code == 5
    assert run("sleep 100", timeout_s=0.1).exit_code == 124
    assert run("echo >&0; read -r _; exit 6", leash=Leash(greets=True)).exit_code == 6


def test_a_sandbox_that_never_greets_is_an_executor_failure_in_its_own_words() -> None:
    with pytest.raises(
        ExecutorError, match=r"sandbox could not be set up\n  no namespace for you\n  .*PENSTOCK_SANDBOX=none"
    ):
        run("echo no namespace for you; exit 1", leash=Leash(greets=True))


def test_a_sandbox_that_hangs_before_it_greets_is_ended() -> None:
    word = marker()
    ended = run(f"sh -c 'sleep 600; exit' {word}; exit", timeout_s=0.3, leash=Leash(greets=True))
    assert ended.exit_code == 124
    assert gone(word)


def test_many_processes_at_a_time_do_not_disturb_each_other() -> None:
    codes: dict[int, int] = {}

    async def one(number: int) -> None:
        ended = await run_process(
            ["/bin/sh", "-c", f"echo {number}; exit {number}"],
            cwd="/",
            env={},
            timeout_s=20,
            on_output=lambda _data: None,
        )
        codes[number] = ended.exit_code

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(one, number)

    anyio.run(main)
    assert codes == {number: number for number in range(40)}


def test_the_directory_and_the_whole_environment_are_the_given_ones(tmp_path: Path) -> None:
    said = bytearray()
    anyio.run(
        partial(
            run_process,
            ["/usr/bin/env", "sh", "-c", "pwd; env | sort"],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "ONLY": "this"},
            timeout_s=20,
            on_output=said.extend,
        )
    )
    assert said.decode().splitlines() == [str(tmp_path), "ONLY=this", "PATH=/usr/bin:/bin", f"PWD={tmp_path}"]
