"""What stands below a directory that a stage wrote, and what of it can be an output.

It is carried into containers (`executors.in_container`), so it needs little.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.digest import CHUNK_BYTES, DIRECTORY, EXECUTABLE, FILE, LINK, Entry
from penstock.errors import InputError

if TYPE_CHECKING:
    from penstock.redact import Redactor

Inspect = Callable[[str, Iterable[bytes]], None]
"""Told a path and its content in chunks; raises to refuse it."""


def place_of(path: str, workspace: Path) -> Path:
    """Where a stage was to write an output in its workspace; nothing may be there.

    Raises:
        InputError: It lies behind a link, so the bytes would not be the stage's own.
    """
    at = workspace
    for name in path.split("/")[:-1]:
        at /= name
        if at.is_symlink():
            raise InputError(
                f"declared output {path!r} lies behind the link {str(at.readlink())!r}",
                path=path,
                notes=("write a directory there, not a link to one",),
            )
    return workspace / path


def refusing(redactor: Redactor) -> Inspect:
    """Refuses what holds a secret."""

    def inspect(path: str, chunks: Iterable[bytes]) -> None:
        name = redactor.found_in(chunks)
        if name is not None:
            raise InputError(
                f"output {path!r} holds the value of secret {name!r}, so it was not kept",
                notes=("write nothing that a reader of the model must not see",),
            )

    return inspect


def stays_inside(path: bytes, target: bytes) -> bool:
    """Whether a link at `path`, relative to a directory, leads to something in that directory.

    Only leading `..` are followed: after a name they could climb out of wherever another link leads to.
    """
    if target.startswith(b"/") or not target:
        return False
    depth = path.count(b"/")
    names = [name for name in target.split(b"/") if name not in (b"", b".")]
    climbs = 0
    while climbs < len(names) and names[climbs] == b"..":
        climbs += 1
    return climbs <= depth and b".." not in names[climbs:]


def walk(top: bytes, path: str) -> Iterator[Entry]:
    """What stands below a directory, without digests: a file's value is empty."""
    waiting = [b""]
    while waiting:
        prefix = waiting.pop()
        empty = True
        with os.scandir(top + b"/" + prefix) as found:
            for item in found:
                empty = False
                name = prefix + item.name
                if item.is_symlink():
                    target = os.readlink(item.path)  # noqa: PTH115 - the path is bytes
                    if not stays_inside(name, target):
                        raise leads_out(os.fsdecode(name), target, path, "output " + repr(path))
                    yield Entry(LINK, 0, name, target)
                elif item.is_dir():
                    waiting.append(name + b"/")
                else:
                    mode = item.stat(follow_symlinks=False).st_mode
                    demand_file(mode, Path(os.fsdecode(item.path)), f"{path}/{os.fsdecode(name)}")
                    yield Entry(EXECUTABLE if mode & stat.S_IXUSR else FILE, 0, name, b"")
        if empty and prefix:
            yield Entry(DIRECTORY, 0, prefix[:-1], b"")


def demand_file(mode: int, at: Path, path: str) -> None:
    """Raise `InputError` unless this is a regular file."""
    if stat.S_ISREG(mode):
        return
    if stat.S_ISLNK(mode):
        what, remedy = f"a link to {os.fspath(at.readlink())!r}", "write the file itself there"
    else:
        what, remedy = file_kind(mode), "an output is a file or a directory"
    raise InputError(f"output {path!r} is {what}", path=path, notes=(remedy,))


def file_kind(mode: int) -> str:
    """What a file of this mode is called."""
    tests = (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISREG, "a file"),
    )
    return next((name for test, name in tests if test(mode)), "of an unknown kind")


def leads_out(name: str, target: bytes, path: str, whole: str) -> InputError:
    """For a link in a directory to something outside of it."""
    return InputError(
        f"{whole}: the link {name!r} leads out of it, to {os.fsdecode(target)!r}",
        path=path,
        notes=("a link may only lead to something in the same directory, by a relative path",),
    )


def show(inspect: Inspect, at: Path, path: str, members: list[Entry] | None) -> None:
    """Let all names and contents of an output be seen; `members` are those of a directory."""
    if members is None:
        inspect(path, _chunks(at))
        return
    inspect(path, (name + b"\n" for member in members for name in (member.path, member.value)))
    for member in members:
        if member.kind in (FILE, EXECUTABLE):
            name = os.fsdecode(member.path)
            inspect(f"{path}/{name}", _chunks(at / name))


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise InputError(f"output {os.fspath(path)!r} cannot be read: {error.strerror}") from error
