"""Layers of images: compressed archives of files, the same bytes for the same files.

Nothing of the machine or of the day gets into a layer: files are sorted and root's, their times are one given
moment, also within compiled Python.

It is standard library only, for under Dagger it runs within the engine (`carried`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

_LEVEL = 5  # nearly as small as 9, in a third of the time
_PYC_HEADER_BYTES = 16
_MTIME = slice(8, 12)
_UVS_OWN = re.compile(
    r"(^|/)(bin/(de)?activate[._a-z0-9]*|bin/pydoc\.bat|_virtualenv\.(py|pth|cpython-\d+\.pyc))$"
)
"""What uv puts into an environment for shells and old tools; each version of it other things."""


class _Member(NamedTuple):
    """A file, directory or link of a layer; only a file has content."""

    path: str
    mode: int
    link: str = ""
    size: int = 0
    content: Callable[[], IO[bytes]] | None = None


class AssembleError(Exception):
    """The base or another part is of no kind that an image can be made of; the message is one line."""


class Sink(Protocol):
    """What a layer is written to."""

    def write(self, data: bytes, /) -> int: ...  # noqa: D102 - as of files

    def flush(self) -> None: ...  # noqa: D102 - as above


class _Hashed:
    """Hashes what is written, and passes it on."""

    def __init__(self, to: Sink) -> None:
        self.to, self.hash, self.size = to, hashlib.sha256(), 0

    def write(self, data: bytes, /) -> int:
        self.hash.update(data)
        self.size += len(data)
        return self.to.write(data)

    def flush(self) -> None:
        self.to.flush()

    def digest(self) -> str:
        return f"sha256:{self.hash.hexdigest()}"


def layer(place: Path, write: Callable[[Sink], None]) -> dict[str, Any]:
    """A compressed layer: its file, digests of what it is with and without compression, and its size."""
    with place.open("wb") as file:
        packed = _Hashed(file)
        with gzip.GzipFile("", "wb", _LEVEL, packed, mtime=0) as compressed:
            plain = _Hashed(compressed)
            write(plain)
    return {
        "file": place.name,
        "digest": packed.digest(),
        "diff_id": plain.digest(),
        "size_bytes": packed.size,
    }


def added(source: Path, at: str, epoch: int, place: Path, *, as_environment: bool = False) -> dict[str, Any]:
    """A layer of a directory's or an archive's files, sorted, the directories above them included.

    Args:
        as_environment: Whether it is one that uv made: then what only shells need is left out.
    """
    above = at.strip("/").split("/")
    parents = [_Member("/".join(above[: depth + 1]), stat.S_IFDIR) for depth in range(len(above))]
    with ExitStack() as files:
        found = (
            _of_directory(source)
            if source.is_dir()
            else _of_archive(files.enter_context(tarfile.open(source)))
        )
        placed = (
            each._replace(
                path=f"{parents[-1].path}/{each.path}",
                link=_interpreter(each) if as_environment else each.link,
            )
            for each in found
            if not (as_environment and _UVS_OWN.search(each.path))
        )
        members = parents + sorted(placed, key=lambda each: each.path)
        return layer(place, partial(_pack, members, epoch=epoch))


def _interpreter(member: _Member) -> str:
    """A link's target; of an environment's Python always the same of its two names."""
    is_python = member.path == "bin/python" and member.link.endswith("/python")
    return f"{member.link}3" if is_python else member.link


def _of_directory(top: Path) -> Iterator[_Member]:
    for folder, folders, names in os.walk(top):
        for name in (*folders, *names):
            place = Path(folder, name)
            path, about = place.relative_to(top).as_posix(), place.lstat()
            if stat.S_ISLNK(about.st_mode):
                yield _Member(path, about.st_mode, link=str(place.readlink()))
            elif stat.S_ISDIR(about.st_mode):
                yield _Member(path, about.st_mode)
            elif stat.S_ISREG(about.st_mode):
                yield _Member(path, about.st_mode, size=about.st_size, content=partial(_file, place))


def _file(place: Path) -> IO[bytes]:
    return place.open("rb")


def _of_archive(archive: tarfile.TarFile) -> Iterator[_Member]:
    for member in archive:
        path = member.name.partition("/")[2]
        if not path:
            continue
        if member.issym():
            yield _Member(path, stat.S_IFLNK, link=member.linkname)
        elif member.isdir():
            yield _Member(path, stat.S_IFDIR)
        elif member.isreg() or member.islnk():  # another name of a file becomes a file
            named = archive.getmember(member.linkname) if member.islnk() else member
            mode = stat.S_IFREG | named.mode
            yield _Member(path, mode, size=named.size, content=partial(_opened, archive, named))


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise AssembleError(f"{member.name}: no file")
    return file


def _pack(members: list[_Member], to: Sink, epoch: int) -> None:
    with tarfile.open(  # type: ignore[call-overload] # it only writes
        fileobj=to, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8"
    ) as archive:
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.mtime = epoch
            info.mode = 0o755 if member.mode & 0o100 or stat.S_ISDIR(member.mode) else 0o644
            if stat.S_ISLNK(member.mode):
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, member.link, 0o777
                archive.addfile(info)
            elif member.content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                with member.content() as file:
                    content = _timeless(member.path, file, epoch)
                    info.size = member.size if content is file else content.seek(0, os.SEEK_END)
                    content.seek(0)
                    archive.addfile(info, content)


def _timeless(path: str, file: IO[bytes], epoch: int) -> IO[bytes]:
    """A file without the day on which it was installed, or by which version of uv."""
    if path.endswith("/pyvenv.cfg"):
        return io.BytesIO(b"".join(line for line in file if not line.startswith(b"uv =")))
    if path.endswith(".pyc"):
        data = file.read()
        if len(data) >= _PYC_HEADER_BYTES and not any(data[4:8]):
            # flags of 0: it says the time of its source, which is now another one
            data = data[: _MTIME.start] + (epoch & 0xFFFFFFFF).to_bytes(4, "little") + data[_MTIME.stop :]
        return io.BytesIO(data)
    return file
