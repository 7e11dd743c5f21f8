"""Bytes, JSON values, files and directories to SHA-256, always written `sha256:<64 hex digits>`.

A directory's digest is that of its *manifest*: one record per file, sorted by path. Paths are bytes, so
that any name a file system allows has a digest, and every field ends in NUL, the one byte that no path
can hold: two different directories never have the same manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

PREFIX = "sha256:"
MANIFEST_HEADER = b"penstock tree 1\0"
EMPTY_DIGEST = PREFIX + hashlib.sha256(b"").hexdigest()
CHUNK_BYTES = 1 << 20

FILE, EXECUTABLE, LINK, DIRECTORY = "f", "x", "l", "d"


class Entry(NamedTuple):
    """One record of a manifest.

    Attributes:
        kind: `FILE`, `EXECUTABLE`, `LINK`, or `DIRECTORY` for a directory that holds nothing.
        size: Bytes of a file; 0 otherwise.
        path: Relative to the directory, `/` between names, as bytes of the file system.
        value: 64 hex digits of a file's content, a link's target, or nothing.
    """

    kind: str
    size: int
    path: bytes
    value: bytes


def of_bytes(data: bytes) -> str:
    """The digest of these bytes."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def canonical_json(value: object) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, ASCII only.

    Raises:
        ValueError: The value holds NaN or an infinity, which JSON cannot write.
        TypeError: The value holds something that is no JSON type.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def of_json(value: object) -> str:
    """The digest of a value's canonical JSON."""
    return of_bytes(canonical_json(value))


def of_file(path: str | bytes | os.PathLike[str]) -> str:
    """The digest of a file's content, read in one pass.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - `path` may be bytes
        return PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


def encode_manifest(entries: Iterable[Entry]) -> bytes:
    """The manifest of a directory; `entries` in any order."""
    parts = [MANIFEST_HEADER]
    for kind, size, path, value in sorted(entries, key=lambda entry: entry.path):
        parts.append(b"%b%d\0%b\0%b\0" % (kind.encode(), size, path, value))
    return b"".join(parts)


def decode_manifest(manifest: bytes) -> Iterator[Entry]:
    """The records of a manifest, sorted by path.

    Raises:
        ValueError: These bytes are no manifest.
    """
    if not manifest.startswith(MANIFEST_HEADER) or not manifest.endswith(b"\0"):
        msg = "not a manifest"
        raise ValueError(msg)
    fields = manifest[len(MANIFEST_HEADER) :].split(b"\0")[:-1]
    if len(fields) % 3:
        msg = "not a manifest: a record is cut off"
        raise ValueError(msg)
    for at in range(0, len(fields), 3):
        head, path, value = fields[at : at + 3]
        yield Entry(head[:1].decode(), int(head[1:]), path, value)
