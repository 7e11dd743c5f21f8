"""What is published, file by file: read without following a link, every file with its SHA-256."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..common import digests
from ..common.program import RefusedError

FILE, DIRECTORY = "file", "directory"
MAX_DOCUMENT_BYTES = 64 << 20
"""Of a file of evidence: the statement about a model of 300,000 files is as large."""

_LINK = "is a symbolic link, for which evidence cannot speak: publish the file that it leads to"


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies at a path.

    Attributes:
        kind: `file` or `directory`.
        digest: As `run.json` names it.
        size_bytes: Of all files together.
        files: Path below the directory → 64 hex digits of its SHA-256, sorted; of a file, under `""`.
    """

    kind: str
    digest: str
    size_bytes: int
    files: dict[str, str]


def of_path(path: Path) -> Tree:
    """Read a file, or a directory with everything below it.

    Raises:
        RefusedError: There is a link, a device, or a name that is not UTF-8.
        OSError: It cannot be read.
    """
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode):
            size, value = _hashed(str(path), path, None)
            return Tree(FILE, f"sha256:{value}", size, {"": value})
        entries = sorted(_entries(path))
    except RecursionError:
        raise RefusedError(f"{path}: nested too deeply") from None
    files = {os.fsdecode(each.path): each.value.decode() for each in entries if each.kind != b"d"}
    for name in files:
        _demand_text(name, path)
    return Tree(
        DIRECTORY,
        digests.of_entries(entries),
        sum(each.size for each in entries),
        files,
    )


def _entries(root: Path) -> Iterator[digests.Entry]:
    """Files and empty directories."""
    for place, below, names, handle in os.fwalk(root, onerror=_give_up):
        folder = Path(place)
        inside = folder.relative_to(root)
        if not below and not names and folder != root:
            yield digests.Entry(os.fsencode(inside), b"d", 0, b"")
        for name in below:
            if stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
                raise RefusedError(f"{folder / name}: {_LINK}")
        for name in names:
            size, value = _hashed(name, folder / name, handle)
            mode = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
            kind = b"x" if mode & stat.S_IXUSR else b"f"
            yield digests.Entry(os.fsencode(inside / name), kind, size, value.encode())


def _give_up(error: OSError) -> None:
    raise error


def _hashed(name: str, path: Path, handle: int | None) -> tuple[int, str]:
    """The size and the SHA-256 of a regular file."""
    with os.fdopen(_opened(name, path, handle), "rb") as file:
        value = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), value


def _opened(name: str, path: Path, handle: int | None) -> int:
    try:
        # a pipe would make `open` wait for a writer
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RefusedError(f"{path}: {_LINK}") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RefusedError(f"{path}: neither a file nor a directory")
    return descriptor


def _demand_text(name: str, path: Path) -> None:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise RefusedError(f"{path}: the name {name!r} is not UTF-8, which a statement cannot hold") from None


def read(path: Path) -> bytes:
    """A file of evidence.

    Raises:
        RefusedError: It is a link, no file, or too large.
        OSError: It cannot be read.
    """
    with os.fdopen(_opened(str(path), path, None), "rb") as file:
        data = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise RefusedError(f"{path}: larger than {MAX_DOCUMENT_BYTES >> 20} MiB, which no evidence is")
    return data
