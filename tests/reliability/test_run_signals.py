"""Ctrl-C, SIGTERM and timeouts in the middle of a run: what is told, and that nothing survives."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from reliability.runs import Project, ended, stop_group
from stage_samples import MODES, appears, daemon, found, gone, marker, survivors

# what comes before this is Python's own start, in which Ctrl-C is a traceback of Python's
READY = (
    sys.executable,
    "-c",
    "import os, sys, penstock.cli; os.write(1, b'ready\\n'); sys.exit(penstock.cli.main())",
)
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def _project(tmp_path: Path, mode: str, word: str, *, timeout: str = "1h") -> Project:
    """Quick stages, then one that leaves a daemon behind and would take a minute, and one beside it."""
    found(mode)
    script = f": {word}\n{daemon(word)}sleep 60\n".replace("\n", "\n      ")
    pipeline = (
        "stages:\n"
        "  one: {run: 'cat a > b', inputs: [a], outputs: [b]}\n"
        "  two: {run: 'cat b > c', inputs: [b], outputs: [c]}\n"
        f"  long:\n    timeout: {timeout}\n    inputs: [c]\n    run: |\n      {script}\n"
        f"  beside: {{run: ': {word}; sleep 60', inputs: [b]}}\n"
    )
    return Project.at(tmp_path, pipeline, sandbox=mode)


def _interrupted(project: Project, word: str, number: signal.Signals, delay_s: float) -> dict[str, str]:
    """The states after a signal that came so long after the long stage had begun."""
    process = project.start("run", "-f", "p.yaml", "-j", "2", start_new_session=True)
    assert appears(word)
    time.sleep(delay_s)
    stop_group(process, number)
    done = ended(process)
    assert not survivors(word), "a process of a stage survived"
    assert done.code == CODES[number], done.said
    assert project.report()["exit_code"] == done.code
    assert project.leftovers() == []
    return project.states()


def _interrupt(tmp_path: Path, mode: str, times: int) -> Counter[str]:
    word = marker()
    project = _project(tmp_path, mode, word)
    chance = random.Random(5)
    figures: Counter[str] = Counter()
    for count in range(times):
        project.write("a", b"%d" % count)
        number = (signal.SIGINT, signal.SIGTERM)[count % 2]
        states = _interrupted(project, word, number, chance.choice((0.0, 0.05, 0.2)) * chance.random())
        assert "interrupted" in states.values(), states
        kept = {name for name, state in states.items() if state == "ran"}
        again = project.start("run", "-f", "p.yaml", "--until", "two")
        assert ended(again).code == 0
        assert {project.states()[name] for name in kept & {"one", "two"}} <= {"cached"}
        assert project.contents()["c"] == b"%d" % count
        figures.update(kept=len(kept), interrupts=1)
    return figures


@pytest.mark.parametrize("mode", MODES)
def test_an_interrupted_run_says_so_and_leaves_nothing_and_is_taken_up_again(
    tmp_path: Path, mode: str
) -> None:
    assert _interrupt(tmp_path, mode, 4)["kept"] > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
def test_many_interrupted_runs_leave_nothing(tmp_path: Path, mode: str) -> None:
    print(f"\n{mode}: {dict(_interrupt(tmp_path, mode, 50))}")  # noqa: T201 - the figures


def _at_any_time(tmp_path: Path, mode: str, times: int) -> Counter[int]:
    """Exit codes of runs that are interrupted at any time from the start of the process."""
    word = marker()
    project = _project(tmp_path, mode, word)
    chance = random.Random(9)
    codes: Counter[int] = Counter()
    for count in range(times):
        project.write("a", b"%d" % count)
        process = project.start("run", "-f", "p.yaml", "-j", "2", program=READY, start_new_session=True)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.005 + chance.uniform(0.0, 0.4))
        number = (signal.SIGINT, signal.SIGTERM)[count % 2]
        stop_group(process, number)
        done = ended(process)
        assert gone(word)
        # before the run begins SIGTERM ends the process as it ends any other, which a shell shows as 143
        assert done.code in (CODES[number], -number), done.said
        codes[done.code] += 1
    assert ended(project.start("run", "-f", "p.yaml", "--until", "two")).code == 0
    assert project.leftovers() == []
    return codes


def test_a_run_may_be_interrupted_at_any_time(tmp_path: Path) -> None:
    codes = _at_any_time(tmp_path, "none", 8)
    assert codes[130] > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
def test_a_hundred_runs_may_be_interrupted_at_any_time(tmp_path: Path, mode: str) -> None:
    print(f"\n{mode}: exit codes {dict(_at_any_time(tmp_path, mode, 100))}")  # noqa: T201 - the figures


def _times_out(tmp_path: Path, mode: str, times: int) -> None:
    word = marker()
    project = _project(tmp_path, mode, word, timeout="0.3")
    for count in range(times):
        project.write("a", b"%d" % count)
        done = project.run("-j", "2")
        assert not survivors(word), "a process of a stage survived"
        assert done.code == 124, done.said
        states = project.states()
        assert states == {"one": "ran", "two": "ran", "long": "timed-out", "beside": "interrupted"}
        assert project.leftovers() == []


@pytest.mark.parametrize("mode", MODES)
def test_a_timeout_ends_daemons_too(tmp_path: Path, mode: str) -> None:
    _times_out(tmp_path, mode, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
def test_fifty_timeouts_leave_nothing(tmp_path: Path, mode: str) -> None:
    _times_out(tmp_path, mode, 50)
