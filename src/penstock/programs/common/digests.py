"""Digests of files and directories, equal to those that `run.json` names them by."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def of_path(path: Path) -> Content:
    """A file's content, or a directory's with everything below it.

    Raises:
        OSError: It cannot be read.
    """
    if not path.is_dir():
        return Content(f"sha256:{_hex(path)}", path.stat().st_size, 1)
    records, size, files = [], 0, 0
    for name, entry in sorted(_entries(path)):
        about = entry.lstat()
        kind, length, value = b"d", 0, b""
        if stat.S_ISLNK(about.st_mode):
            kind, value = b"l", os.fsencode(entry.readlink())
        elif not entry.is_dir():
            kind = b"x" if about.st_mode & stat.S_IXUSR else b"f"
            length, value = about.st_size, _hex(entry).encode()
            size, files = size + length, files + 1
        records.append(b"%b%d\0%b\0%b\0" % (kind, length, name, value))
    return Content("sha256:" + hashlib.sha256(_HEADER + b"".join(records)).hexdigest(), size, files)


def _entries(root: Path) -> Iterator[tuple[bytes, Path]]:
    """Files, links and empty directories, with their paths below `root`."""
    for directory, below, names in os.walk(root):
        place = Path(directory)
        links = [name for name in below if (place / name).is_symlink()]
        if not below and not names and place != root:
            yield os.fsencode(place.relative_to(root)), place
        for name in (*names, *links):
            yield os.fsencode((place / name).relative_to(root)), place / name


def _hex(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
