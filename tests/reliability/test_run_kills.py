"""Runs that are killed at random moments, and at the system calls of what they write."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from reliability.runs import Done, Project, chain, ended, made_of, without_archive
from stage_samples import MODES, found, gone


def _killed(project: Project, delay_s: float) -> Done:
    """A run that is killed alone, not with its group, after some time."""
    process = project.start("run", "-f", "p.yaml")
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    return ended(process)


def _mended(project: Project, word: str, content: bytes, acknowledged: set[str]) -> dict[str, str]:
    """What must hold after any kill; the states of the next run's stages."""
    assert gone(word), "a process of a stage survived"
    states = project.runs()
    assert {states[name] for name in acknowledged} <= {"cached"}, (acknowledged, states)
    assert without_archive(project.contents()) == made_of(content)
    assert project.leftovers() == []
    return states


def _kill_at_random(tmp_path: Path, mode: str, kills: int, seed: int) -> Counter[str]:
    found(mode)
    chance = random.Random(seed)
    project, word = chain(tmp_path, sandbox=mode)
    whole_s = 0.0
    for content in (b"first\n", b"second\n"):  # the first one also compiles the plan
        project.write("a", content)
        began = time.monotonic()
        project.runs()
        whole_s = time.monotonic() - began
    figures: Counter[str] = Counter()
    while figures["kills"] < kills:
        content = b"%d\n" % figures["rounds"]
        project.write("a", content)
        acknowledged: set[str] = set()
        # sometimes one kill after the other, without a run that ends in between
        for _ in range(chance.choice((1, 2, 3))):
            done = _killed(project, chance.uniform(0.0, whole_s))
            acknowledged |= done.acknowledged
            figures["kills"] += 1
            figures["too late"] += done.code == 0
        states = _mended(project, word, content, acknowledged)
        figures["rounds"] += 1
        figures["acknowledged"] += len(acknowledged)
        figures["run again"] += sum(state == "ran" for state in states.values())
    project.verify()
    assert set(project.runs().values()) == {"cached"}
    return figures


@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path, mode: str) -> None:
    figures = _kill_at_random(tmp_path, mode, 13, seed=7)
    assert figures["acknowledged"] > 0
    assert figures["run again"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", MODES)
def test_hundreds_of_killed_runs_lose_nothing_that_they_acknowledged(tmp_path: Path, mode: str) -> None:
    figures = _kill_at_random(tmp_path, mode, 170, seed=11)
    print(f"\n{mode}: {dict(figures)}")  # noqa: T201 - the figures
    assert figures["too late"] < figures["kills"] / 2


# what changes files; `when` counts the calls of each thread
CALLS = (
    "openat",
    "write",
    "rename",
    "mkdir",
    "unlink",
    "rmdir",
    "fsync",
    "close",
    "flock",
    "copy_file_range",
)
TRACED = ("strace", "-f", "-qq", "-o")


def _counts(project: Project, trace: Path) -> Counter[str]:
    """How often the busiest thread of a run makes each call."""
    calls = ",".join(CALLS)
    process = project.start("run", "-f", "p.yaml", before=[*TRACED, str(trace), "-e", f"trace={calls}"])
    assert ended(process).code == 0
    each: Counter[tuple[str, str]] = Counter()
    for line in trace.read_text(errors="replace").splitlines():
        thread, _, rest = line.partition(" ")
        each[thread, rest.strip().partition("(")[0]] += 1
    most: Counter[str] = Counter()
    for (_, call), count in each.items():
        most[call] = max(most[call], count)
    return most


def _kill_at_calls(tmp_path: Path, mode: str, kills: int) -> Counter[str]:
    found(mode)
    project, word = chain(tmp_path, sandbox=mode)
    project.write("a", b"first\n")
    counts = _counts(project, tmp_path / "trace")
    chance = random.Random(13)
    figures: Counter[str] = Counter()
    for number in range(kills):
        call = CALLS[number % len(CALLS)]
        if not counts[call]:
            continue
        content = b"%d\n" % number
        project.write("a", content)
        fault = f"inject={call}:signal=KILL:when={chance.randint(1, counts[call])}"
        before = [*TRACED, os.devnull, "-e", f"trace={call}", "-e", fault]
        done = ended(project.start("run", "-f", "p.yaml", before=before))
        # strace ends as Penstock did; a stage that was hit itself has failed, which is as good a crash
        figures[f"exit {done.code}"] += 1
        _mended(project, word, content, done.acknowledged)
    project.verify()
    return figures


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_run_may_be_killed_at_a_system_call(tmp_path: Path) -> None:
    figures = _kill_at_calls(tmp_path, "none", 3)
    assert figures["exit -9"] + figures["exit 137"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("mode", MODES)
def test_a_run_may_be_killed_at_many_system_calls(tmp_path: Path, mode: str) -> None:
    figures = _kill_at_calls(tmp_path, mode, 120)
    print(f"\n{mode}: {dict(figures)}")  # noqa: T201 - the figures
