"""What is damaged in the store after a run is noticed by the next one, which needs no help."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.cache.entries import KINDS, OBSERVED
from reliability.runs import Project, chain, made_of, spread, without_archive

CONTENT = b"the input of all\n" * 40


def _flipped(data: bytes, _: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def _truncated(data: bytes, _: bytes) -> bytes:
    return data[: len(data) // 2]


def _emptied(_: bytes, __: bytes) -> bytes:
    return b""


def _swapped(_: bytes, other: bytes) -> bytes:
    return other


def _extended(data: bytes, _: bytes) -> bytes:
    return data + b"\0"


DAMAGES = (_flipped, _truncated, _emptied, _swapped, _extended)


def _ready(tmp_path: Path, kind: str = "") -> Project:
    project, _ = chain(tmp_path)
    if kind == OBSERVED:
        text = (project.root / "p.yaml").read_text()
        (project.root / "p.yaml").write_text(text.replace("{run:", "{observe: true, run:"))
    project.write("a", CONTENT)
    project.runs()
    return project


def _entries(project: Project, kind: str) -> list[Path]:
    return sorted(path for path in (project.store / kind).rglob("*") if path.is_file())


def _forget_outputs(project: Project) -> None:
    for path in project.root.iterdir():
        if path.name not in ("a", "p.yaml", ".penstock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _damage(project: Project, path: Path, how: Callable[[bytes, bytes], bytes]) -> None:
    data = path.read_bytes()
    other = next(
        each.read_bytes() for each in sorted(path.parent.parent.rglob("*")) if each.is_file() and each != path
    )
    path.unlink()
    path.write_bytes(how(data, other))
    _forget_outputs(project)
    project.runs()
    assert without_archive(project.contents()) == made_of(CONTENT), (path, how.__name__)
    assert project.leftovers() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_entry_is_made_again_and_never_served(tmp_path: Path, kind: str) -> None:
    project = _ready(tmp_path, kind)
    for number, how in enumerate((_flipped, _swapped)):
        entries = _entries(project, kind)
        _damage(project, entries[number % len(entries)], how)
    if kind != "keys":  # they explain, and nothing else: the damage may stay until somebody asks
        project.verify()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_entry_may_be_damaged_in_every_way(tmp_path: Path) -> None:
    project = _ready(tmp_path)
    damages = 0
    for kind in KINDS:
        for path in _entries(project, kind):
            for how in DAMAGES:
                if path.exists():
                    _damage(project, path, how)
                    damages += 1
    print(f"\n{damages} damages, none served")  # noqa: T201 - the figure
    assert damages > 100


def test_many_damages_at_once_need_no_repair(tmp_path: Path) -> None:
    project = _ready(tmp_path)
    for kind in KINDS:
        for path in _entries(project, kind)[::2]:
            path.chmod(0o644)
            path.write_bytes(os.urandom(50))
    _forget_outputs(project)
    project.runs()
    assert without_archive(project.contents()) == made_of(CONTENT)
    state = project.root / ".penstock" / "state.sqlite"
    state.write_bytes(os.urandom(9000))
    for path in (project.root / ".penstock" / "plans").iterdir():
        path.write_bytes(path.read_bytes()[:-20])
    assert set(project.runs().values()) == {"cached"}


@pytest.mark.parametrize("place", spread(["state.sqlite", "plans", "runs", "lock", "clock"], 1))
def test_a_project_whose_state_is_gone_is_as_good_as_before(tmp_path: Path, place: str) -> None:
    project = _ready(tmp_path)
    path = project.root / ".penstock" / place
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert set(project.runs().values()) == {"cached"}
