from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from penstock.executors.bench import Bench, remove_tree


def test_what_a_dead_run_has_left_is_cleared_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from penstock.executors.bench import Bench\n"
        f"bench = Bench.of(Path({str(tmp_path)!r})); bench.new('x').mkdir(); print(bench.path, flush=True)\n"
        "sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code]
    living, dead = (
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in "12"
    )
    assert living.stdout is not None
    assert dead.stdout is not None
    used, left = Path(living.stdout.readline().strip()), Path(dead.stdout.readline().strip())
    dead.kill()
    dead.communicate()
    assert left.is_dir()
    mine = Bench.of(tmp_path)
    Bench.close(tmp_path)
    assert not left.exists()
    assert not mine.path.exists()
    assert (used / "x-1").is_dir()
    living.communicate()


def test_every_thread_has_the_same_one(tmp_path: Path) -> None:
    got: list[Bench] = []
    threads = [threading.Thread(target=lambda: got.append(Bench.of(tmp_path))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(bench) for bench in got}) == 1
    assert len({got[0].new("a") for _ in range(100)}) == 100
    Bench.close(tmp_path)


def test_it_is_made_anew_if_somebody_cleans_up(tmp_path: Path) -> None:
    first = Bench.of(tmp_path)
    remove_tree(first.path)
    second = Bench.of(tmp_path)
    assert second.path != first.path
    assert second.path.is_dir()
    Bench.close(tmp_path)


@pytest.mark.parametrize("left", ["file", "home/file", None])
def test_only_an_untouched_directory_for_temporary_files_is_used_again(
    tmp_path: Path, left: str | None
) -> None:
    bench = Bench.of(tmp_path)
    temporary = bench.temporary()
    temporary.chmod(0o700)
    if left:
        (temporary / left).write_text("x")
    bench.give_back(temporary)
    again = bench.temporary()
    assert (again == temporary) is (left is None)
    assert again.stat().st_mode & 0o7777 == 0o1777
    assert [path.name for path in again.rglob("*")] == ["home"]
    Bench.close(tmp_path)


def test_a_link_in_place_of_the_home_is_not_used_again(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    bench = Bench.of(tmp_path / "work")
    temporary = bench.temporary()
    (temporary / "home").rmdir()
    (temporary / "home").symlink_to(tmp_path / "outside")
    bench.give_back(temporary)
    assert bench.temporary() != temporary
    Bench.close(tmp_path / "work")
    assert (tmp_path / "outside").is_dir()


def test_closing_what_was_never_opened_is_nothing(tmp_path: Path) -> None:
    Bench.close(tmp_path)
    assert list(tmp_path.iterdir()) == []
