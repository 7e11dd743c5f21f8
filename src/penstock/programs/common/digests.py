"""Digests of files and directories, equal to those that `run.json` names them by."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_HEADER = b"penstock tree 1\0"  # penstock.digest.MANIFEST_HEADER; a test holds the two together


@dataclass(frozen=True, slots=True)
class Content:
    """What lies at a path.

    Attributes:
        digest: `sha256:` and 64 hex digits.
        size_bytes: Of all files together.
        files: Their number.
    """

    digest: str
    size_bytes: int
    files: int


class Entry(NamedTuple):
    """A file, a link or an empty directory below a directory.

    Attributes:
        path: Below the directory, as bytes of the file system.
        kind: `f`, `x` for an executable, `l`, `d`.
        size: Bytes of a file; 0 otherwise.
        value: 64 hex digits of a file's SHA-256, a link's target, or nothing.
    """

    path: bytes
    kind: bytes
    size: int
    value: bytes


def of_path(path: Path) -> Content:
    """A file's content, or a directory's with everything below it.

    Raises:
        OSError: It cannot be read.
    """
    if not path.is_dir():
        return Content(f"sha256:{_hex(path)}", path.stat().st_size, 1)
    entries = list(_entries(path))
    files = [each.size for each in entries if each.kind in (b"f", b"x")]
    return Content(of_entries(entries), sum(files), len(files))


def of_entries(entries: Iterable[Entry]) -> str:
    """The digest of a directory."""
    records = [b"%b%d\0%b\0%b\0" % (kind, size, path, value) for path, kind, size, value in sorted(entries)]
    return "sha256:" + hashlib.sha256(_HEADER + b"".join(records)).hexdigest()


def _entries(root: Path) -> Iterator[Entry]:
    """Everything below `root`, in no particular order."""
    for directory, below, names in os.walk(root):
        place = Path(directory)
        links = [name for name in below if (place / name).is_symlink()]
        if not below and not names and place != root:
            yield Entry(os.fsencode(place.relative_to(root)), b"d", 0, b"")
        for name in (*names, *links):
            yield _entry(place / name, os.fsencode((place / name).relative_to(root)))


def _entry(place: Path, path: bytes) -> Entry:
    about = place.lstat()
    if stat.S_ISLNK(about.st_mode):
        return Entry(path, b"l", 0, os.fsencode(place.readlink()))
    kind = b"x" if about.st_mode & stat.S_IXUSR else b"f"
    return Entry(path, kind, about.st_size, _hex(place).encode())


def _hex(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
