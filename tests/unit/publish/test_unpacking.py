"""Archives from anyone: what Penstock writes comes out, and nothing leads outside."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import RefusedError, UsageError
from penstock.publish import unpacking


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"") -> Any:
    """Something to be put into an archive."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, io.BytesIO(data)


@pytest.mark.parametrize(
    "members",
    [
        [member("../evil")],
        [member("/tmp/evil")],
        [member("top/../../evil")],
        [member("top/./evil")],
        [member("top//evil")],
        [member("")],
        [member("top/link", tarfile.SYMTYPE, "/etc/passwd")],
        [member("top/link", tarfile.SYMTYPE, ".."), member("top/link/evil")],
        [member("top/hard", tarfile.LNKTYPE, "/etc/passwd")],
        [member("top/pipe", tarfile.FIFOTYPE)],
        [member("top/device", tarfile.CHRTYPE)],
        [member("top/a"), member("top/a")],
        [member("top/a"), member("top/a/b")],
        [member("top/a", tarfile.DIRTYPE), member("top/a")],
        [member("one/a"), member("two/a")],
        [member("top/" + "x" * 300)],
        [],
    ],
    ids=lambda members: ",".join(repr(each[0].name[:20]) for each in members) or "nothing",
)
def test_a_hostile_archive_writes_nothing_outside(tmp_path: Path, members: list[Any]) -> None:
    place, inside = tmp_path / "hostile.tar", tmp_path / "a/b"
    inside.mkdir(parents=True)
    with tarfile.open(place, "w") as made:
        for info, data in members:
            made.addfile(info, data)
    with pytest.raises((RefusedError, UsageError)):
        unpacking.unpack(place, inside)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "hostile.tar"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b"]
    assert not any(path.is_symlink() for path in inside.rglob("*"))


@pytest.mark.parametrize("size", [0, 100, 512, 700, 1024, 2000])
def test_a_cut_archive_is_one_sentence(tmp_path: Path, size: int) -> None:
    place = tmp_path / "cut.tar"
    with tarfile.open(place, "w") as made:
        made.addfile(*member("top/run.json", data=b"x" * 2000))
    os.truncate(place, size)
    (tmp_path / "to").mkdir()
    with pytest.raises((RefusedError, UsageError), match=r"cut\.tar"):
        unpacking.unpack(place, tmp_path / "to")


def test_files_come_out_with_their_modes_and_empty_directories(tmp_path: Path) -> None:
    place = tmp_path / "whole.tar"
    program, _ = member("top/run.sh", data=b"#!/bin/sh\n")
    program.mode = 0o755
    with tarfile.open(place, "w") as made:
        made.addfile(*member("top/deep/weights", data=b"weights"))
        made.addfile(program, io.BytesIO(b"#!/bin/sh\n"))
        made.addfile(*member("top/empty", tarfile.DIRTYPE))
    (tmp_path / "to").mkdir()
    top = unpacking.unpack(place, tmp_path / "to")
    assert top == tmp_path / "to/top"
    assert (top / "deep/weights").read_bytes() == b"weights"
    assert [os.access(top / name, os.X_OK) for name in ("run.sh", "deep/weights")] == [True, False]
    assert (top / "empty").is_dir()
