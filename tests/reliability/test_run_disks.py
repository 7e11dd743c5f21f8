"""Disks that are full while a pipeline runs: the store's, and the project's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from reliability.runs import CHAIN, Done, Project, made_of, small_disk, without_archive
from stage_samples import MODES, found

LARGE = """\
stages:
  one: {run: cat seed seed > one, inputs: [seed], outputs: [one]}
  two: {run: cat one one > two, inputs: [one], outputs: [two]}
  three: {run: mkdir three; cp one two three, inputs: [one, two], outputs: [three]}
"""


def _told_once(done: Done) -> None:
    assert "No space left on device" in done.said
    errors = sum(line.startswith("penstock: ") for line in done.err.splitlines())
    # an archive for which there is no room is told in the summary, as the stages' results are all there
    assert errors == (done.code == 5 and "archive" not in done.out), done.said


def _store_is_full(tmp_path: Path, mode: str, size_kib: int) -> None:
    found(mode)
    seed = bytes(range(256)) * (size_kib * 4 // 12)  # all outputs together do not fit
    with small_disk(tmp_path / "disk", size_kib) as disk:
        project = Project.at(tmp_path, LARGE, sandbox=mode, environ={"PENSTOCK_HOME": str(disk / "store")})
        project.write("seed", seed)
        for _ in range(2):
            done = project.run()
            assert done.code == 5, done.said
            _told_once(done)
            assert "penstock cache gc" in done.err
            assert project.leftovers() == []
        assert project.command("cache", "gc", "--max-size", "0").code == 0
        subprocess.run(["mount", "-o", f"remount,size={size_kib * 8}k", str(disk)], check=True)
        project.runs()
        assert project.contents()["three/two"] == seed * 4
        project.verify()


@pytest.mark.parametrize("mode", MODES)
def test_a_full_store_is_one_message_and_the_next_run_goes_through_once_there_is_room(
    tmp_path: Path, mode: str
) -> None:
    _store_is_full(tmp_path, mode, 2048)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size_kib", [3000, 4096, 5555, 8192])
def test_full_stores_of_many_sizes_are_one_message(tmp_path: Path, mode: str, size_kib: int) -> None:
    _store_is_full(tmp_path, mode, size_kib)


def _project_is_full(tmp_path: Path, mode: str, rooms_kib: list[int]) -> list[int]:
    """Run with so much room left, then with plenty; the exit codes of the former."""
    found(mode)
    codes = []
    with small_disk(tmp_path / "disk", 4096) as disk:
        for number, room_kib in enumerate(rooms_kib):
            project = Project.at(disk, CHAIN, sandbox=mode, name=f"p{number}")
            project.home = tmp_path / "home"
            project.write("a", b"%d\n" % number * 2000)
            filler = disk / "filler"
            free_kib = shutil.disk_usage(disk).free // 1024
            filler.write_bytes(bytes(max(0, free_kib - room_kib) * 1024))
            done = project.run()
            codes.append(done.code)
            assert done.code in (0, 1, 5), done.said
            if done.code:
                _told_once(done)
            filler.unlink()
            project.runs()
            assert without_archive(project.contents()) == made_of(b"%d\n" % number * 2000)
            assert project.leftovers() == []
            shutil.rmtree(project.root)
    return codes


@pytest.mark.parametrize("mode", MODES)
def test_a_full_disk_under_the_project_is_told_and_mended_by_room(tmp_path: Path, mode: str) -> None:
    assert set(_project_is_full(tmp_path, mode, [60])) & {1, 5}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_full_disks_under_the_project_are_told_however_much_room_is_left(tmp_path: Path, mode: str) -> None:
    codes = _project_is_full(tmp_path, mode, list(range(0, 400, 16)))
    print(f"\n{mode}: exit codes {sorted(set(codes))} of {len(codes)} runs")  # noqa: T201 - the figure
    assert {1, 5} <= set(codes)
