"""Many runs at once: in clones that share a store, and in one working tree."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from reliability.runs import STALL_S, Done, Project, ended

KEYS = 6
STAGES = "".join(
    f"  s{n}: {{run: 'cat a{n} a{n} > b{n}; echo {n} >> SIDE', inputs: [a{n}], outputs: [b{n}]}}\n"
    for n in range(KEYS)
)


def _clones(tmp_path: Path, count: int) -> list[Project]:
    """Projects of the same content that share a store; their stages count themselves in a file outside."""
    pipeline = "stages:\n" + STAGES.replace("SIDE", str(tmp_path / "side"))
    clones = []
    for number in range(count):
        clone = Project.at(tmp_path, pipeline, name=f"clone{number}", sandbox="none")
        for key in range(KEYS):
            clone.write(f"a{key}", b"%d\n" % key * 500)
        clones.append(clone)
    return clones


def _right(clone: Project) -> bool:
    contents = clone.contents()
    return all(contents.get(f"b{key}") == b"%d\n" % key * 1000 for key in range(KEYS))


def _start(clones: list[Project], processes: int) -> list[subprocess.Popen[bytes]]:
    return [clones[number % len(clones)].start("run", "-f", "p.yaml") for number in range(processes)]


def _run_counts(tmp_path: Path) -> Counter[str]:
    return Counter((tmp_path / "side").read_text().split())


def _once_each(tmp_path: Path, clones: int, processes: int) -> None:
    projects = _clones(tmp_path, clones)
    for process in _start(projects, processes):
        done = ended(process, 2 * STALL_S)
        assert done.code == 0, done.said
    assert _run_counts(tmp_path) == {str(key): 1 for key in range(KEYS)}
    assert all(_right(project) for project in projects)
    projects[0].verify()


def test_clones_that_run_at_once_run_each_command_once(tmp_path: Path) -> None:
    _once_each(tmp_path, 3, 6)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_runs_in_ten_clones_run_each_command_once(tmp_path: Path) -> None:
    _once_each(tmp_path, 10, 50)


def _with_kills_and_gc(tmp_path: Path, clones: int, processes: int, kills: int) -> tuple[int, list[Done]]:
    projects = _clones(tmp_path, clones)
    chance = random.Random(3)
    running = _start(projects, processes)
    victims = chance.sample(running, kills)
    collections = 0
    until = time.monotonic() + 3 * STALL_S
    while any(process.poll() is None for process in running):
        assert time.monotonic() < until, "a stall"
        size = chance.choice(("0", "2k", "1G"))
        collected = projects[0].command("cache", "gc", "--max-size", size)
        assert collected.code == 0, collected.said
        collections += 1
        for victim in [each for each in victims if each.poll() is None][:2]:
            victim.send_signal(signal.SIGKILL)
    everyone = [(process in victims, ended(process)) for process in running]
    done = [each for killed, each in everyone if not killed]
    assert [each.said for each in done if each.code != 0] == []
    for project in projects:
        project.runs()
        assert _right(project)
        assert project.leftovers() == []
    projects[0].verify()
    return collections, done


def test_clones_get_the_right_bytes_while_the_store_is_collected(tmp_path: Path) -> None:
    collections, _ = _with_kills_and_gc(tmp_path, 3, 6, 1)
    assert collections > 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_runs_get_the_right_bytes_while_some_are_killed_and_the_store_is_collected(
    tmp_path: Path,
) -> None:
    collections, _done = _with_kills_and_gc(tmp_path, 10, 50, 5)
    assert collections > 2


def test_of_two_runs_in_one_working_tree_one_waits_and_both_end_well(tmp_path: Path) -> None:
    side = tmp_path / "side"
    pipeline = f"stages:\n  s: {{run: 'echo s >> {side}; sleep 0.5; cat a > b', inputs: [a], outputs: [b]}}\n"
    project = Project.at(tmp_path, pipeline, sandbox="none")
    project.write("a", b"a")
    first = project.start("run", "-f", "p.yaml")
    while not side.exists():
        time.sleep(0.01)
    second = project.run()
    assert (ended(first).code, second.code) == (0, 0), second.said
    assert "waiting for another penstock" in second.err
    assert side.read_text() == "s\n"
    assert project.contents()["b"] == b"a"


def _one_tree(tmp_path: Path, rounds: int) -> None:
    (project,) = _clones(tmp_path, 1)
    project.runs()
    for number in range(rounds):
        for key in range(0, KEYS, 1 + number % 2):
            (project.root / f"b{key}").unlink(missing_ok=True)
        project.write("a0", b"%d\n" % (number % 2) * 500)  # one stage has to run, the others are put back
        running = _start([project], 4)
        assert [done.said for done in map(ended, running) if done.code != 0] == []
        assert project.contents()["b0"] == b"%d\n" % (number % 2) * 1000
        assert project.leftovers() == []
        shutil.rmtree(project.store / "results")


def test_runs_that_put_outputs_back_in_one_working_tree_do_not_disturb_each_other(tmp_path: Path) -> None:
    _one_tree(tmp_path, 2)


@pytest.mark.slow
def test_many_runs_that_put_outputs_back_in_one_working_tree_do_not_disturb_each_other(
    tmp_path: Path,
) -> None:
    _one_tree(tmp_path, 25)


def test_outputs_of_a_killed_run_are_known_as_such_even_when_the_store_was_emptied(tmp_path: Path) -> None:
    pipeline = "stages:\n  one: {run: 'cat a > b', inputs: [a], outputs: [b]}\n  two: {run: 'sleep 60', inputs: [b]}\n"
    project = Project.at(tmp_path, pipeline)
    project.write("a", b"1")
    process = project.start("run", "-f", "p.yaml")
    while not (project.root / "b").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    ended(process)
    assert project.command("cache", "gc", "--max-size", "0").code == 0
    project.write("a", b"2")
    done = project.run("--until", "one")
    assert done.code == 0, done.said
    assert project.contents()["b"] == b"2"
