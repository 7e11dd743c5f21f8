from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.cache import holdouts
from penstock.digest import of_bytes

SET = of_bytes(b"rows")


def table(number: int) -> str:
    return of_bytes(b"%d" % number)


def test_each_table_counts_once(tmp_path: Path) -> None:
    assert [holdouts.decided(tmp_path, SET, table(number)) for number in (1, 1, 2, 1, 3)] == [1, 1, 2, 2, 3]


def test_sets_are_counted_apart(tmp_path: Path) -> None:
    holdouts.decided(tmp_path, SET, table(1))
    assert holdouts.decided(tmp_path, of_bytes(b"other"), table(2)) == 1


def test_runs_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: holdouts.decided(tmp_path, SET, table(number)), range(200)))
    assert holdouts.decided(tmp_path, SET, table(0)) == 200


def test_a_line_that_was_cut_short_counts_for_nothing(tmp_path: Path) -> None:
    holdouts.decided(tmp_path, SET, table(1))
    (place,) = (tmp_path / holdouts.FOLDER).iterdir()
    place.write_bytes(place.read_bytes() + b"abc\n\xff\xfe\n")
    assert holdouts.decided(tmp_path, SET, table(2)) == 2


@pytest.mark.parametrize(
    "name", ["", "sha256:", "../../etc/passwd", "sha256:" + "G" * 64, "sha256:../" + "a" * 61]
)
def test_what_is_no_digest_is_not_counted_and_names_no_file(tmp_path: Path, name: str) -> None:
    assert holdouts.decided(tmp_path, name, table(1)) is None
    assert holdouts.decided(tmp_path, SET, name) is None
    assert not (tmp_path / ".penstock").exists()


def test_where_nothing_can_be_kept_nothing_is_counted(tmp_path: Path) -> None:
    (tmp_path / ".penstock").write_text("")
    assert holdouts.decided(tmp_path, SET, table(1)) is None
