"""Runs that are killed at random moments, and at the system calls of what they write."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
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
    project.write("a", b"first\n")
    began = time.monotonic()
    project.runs()
    whole_s = time.monotonic() - began
    figures: Counter[str] = Counter()
    while figures["kills"] < kills:
        content = b"%d\n" % figures["rounds"]
        project.write("a", content)
        acknowledged: set[str] = set()
        # sometimes one kill after the other, without a run that ends in between
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
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
    assert figures["too late"] < figures["kills"] / 3
