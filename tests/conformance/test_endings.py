"""How commands end, and what is left of them."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from conformance.conftest import Bench, pipeline, stage, states

CODES = (1, 2, 100, 124, 125, 126, 127, 128, 129, 137, 143, 150, 191, 192, 193, 254, 255)
SURE_S = 8.0


def test_every_exit_code_arrives_as_it_was(isolated: Bench) -> None:
    report = isolated.run(pipeline({f"s{code}": f"exit {code}" for code in CODES}), keep_going=True)
    assert {each.name: each.attempts[-1].exit_code for each in report.stages} == {
        f"s{code}": code for code in CODES
    }
    assert {each.state.value for each in report.stages} == {"failed"}
    problems = {each.name: each.attempts[-1].problem for each in report.stages}
    assert problems["s1"] == "exit code 1"
    assert problems["s124"] == "exit code 124"
    assert problems["s150"] == "exit code 150 (killed by signal 22)"
    assert problems["s193"] == "exit code 193"
    assert problems["s255"] == "exit code 255"
    assert report.exit_code == 1


def test_a_stage_that_is_killed_for_want_of_memory_says_so(isolated: Bench) -> None:
    report = isolated.run(
        pipeline(
            {
                "shell": "echo before; kill -9 $$",
                "program": "sh -c 'kill -9 $$'",
                "terminated": "kill -TERM $$",
            }
        ),
        keep_going=True,
    )
    ends = {each.name: each.attempts[-1] for each in report.stages}
    killed = "exit code 137 (killed by signal 9, perhaps for want of memory)"
    assert ends["shell"].problem == killed
    assert ends["program"].problem == killed
    assert ends["shell"].log.startswith("before\n")
    assert (ends["terminated"].exit_code, ends["terminated"].problem) == (
        143,
        "exit code 143 (killed by signal 15)",
    )


def test_what_cannot_be_started_has_the_shells_exit_codes(isolated: Bench) -> None:
    report = isolated.run(
        pipeline({"absent": "no-such-program --flag", "plain": "echo > file; ./file"}), keep_going=True
    )
    absent, plain = (stage(report, name).attempts[-1] for name in ("absent", "plain"))
    assert absent.exit_code == 127
    assert "no-such-program" in absent.log
    assert "not found" in absent.log
    assert plain.exit_code == 126


def test_a_command_stops_at_the_first_failure_and_at_an_unset_variable(isolated: Bench) -> None:
    report = isolated.run(pipeline({"e": "false; echo on", "u": 'echo "$NOT_SET"; echo on'}), keep_going=True)
    assert states(report) == {"e": "failed", "u": "failed"}
    assert "on" not in stage(report, "e").attempts[-1].log
    assert "NOT_SET" in stage(report, "u").attempts[-1].log


def test_there_is_no_input_to_wait_for(isolated: Bench) -> None:
    report = isolated.run(pipeline({"read": {"run": "cat; echo done > out", "outputs": ["out"]}}))
    assert states(report) == {"read": "ran"}


def test_a_stuck_stage_keeps_its_log_up_to_the_end_of_its_time(isolated: Bench) -> None:
    began = time.monotonic()
    report = isolated.run(pipeline({"slow": {"run": "echo before; sleep 300", "timeout": 1}}))
    assert states(report) == {"slow": "timed-out"}
    attempt = stage(report, "slow").attempts[-1]
    assert (attempt.exit_code, attempt.log) == (124, "before\n")
    assert attempt.problem == "timed out after 1 s"
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("ending", ["true", "exit 3", "sleep 300"])
def test_nothing_that_a_stage_left_in_the_background_goes_on(isolated: Bench, ending: str) -> None:
    mark = f"300.{uuid.uuid4().int % 10**12}"
    left = f"sleep {mark} & setsid sleep {mark} & (setsid sh -c 'sleep {mark} & sleep {mark}' &) ; sleep 0.2"
    report = isolated.run(pipeline({"s": {"run": f"{left}; {ending}", "timeout": 3}}))
    assert states(report)["s"] == {"true": "ran", "exit 3": "failed"}.get(ending, "timed-out")
    assert survivors(mark) == []


def test_a_failed_stage_ends_those_that_run_beside_it(isolated: Bench) -> None:
    mark = f"300.{uuid.uuid4().int % 10**12}"
    began = time.monotonic()
    report = isolated.run(pipeline({"bad": "sleep 1; exit 9", "long": f"sleep {mark}"}), jobs=2)
    assert states(report) == {"bad": "failed", "long": "interrupted"}
    assert time.monotonic() - began < 60
    assert survivors(mark) == []


def test_stages_that_do_not_wait_for_each_other_run_at_the_same_time(isolated: Bench) -> None:
    isolated.run(pipeline({"warm": "true"}))
    report = isolated.run(pipeline({"a": "date +%s.%N; sleep 2", "b": "date +%s.%N; sleep 2"}), jobs=2)
    one, other = (float(stage(report, name).attempts[-1].log) for name in "ab")
    assert abs(one - other) < 1.9


def test_a_second_attempt_may_succeed(isolated: Bench) -> None:
    # nothing is kept from one attempt to the next, so chance decides: one in four attempts succeeds
    chance = "n=$(od -An -N1 -tu1 /dev/urandom); echo drew $n; test $n -lt 64; echo $n > out"
    stages = {
        f"s{n}": {"run": chance.replace("> out", f"> out{n}"), "outputs": [f"out{n}"], "retries": 10}
        for n in range(8)
    }
    report = isolated.run(pipeline(stages), keep_going=True)
    again = [each for each in report.stages if each.state.value == "ran" and len(each.attempts) > 1]
    assert again, states(report)
    for each in again:
        assert [attempt.exit_code for attempt in each.attempts] == [1] * (len(each.attempts) - 1) + [0]
        assert [attempt.number for attempt in each.attempts] == list(range(1, len(each.attempts) + 1))
        drawn = [int(attempt.log.split()[1]) for attempt in each.attempts]
        assert all(number >= 64 for number in drawn[:-1]), "no attempt but the last succeeded"
        assert isolated.read(f"out{each.name[1:]}") == f"{drawn[-1]}\n".encode()


def survivors(mark: str) -> list[str]:
    """Command lines on this machine that hold a mark, those of containers included, after a while."""
    until = time.monotonic() + SURE_S
    while found := _running(mark):
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    return found


def _running(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if mark in line and "pytest" not in line:
            found.append(line)
    return found
