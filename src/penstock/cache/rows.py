"""What the index remembers of a file or a tree, packed, each row with a checksum."""

from __future__ import annotations

import hashlib
import struct
import zlib

from penstock.cache.scan import Found
from penstock.digest import PREFIX
from penstock.results import Part, PartKind

_STAT_BYTES = 32
_FILE_BYTES = 64
_TREE = struct.Struct("<32s32sQQ")


def file_row(packed: bytes, content: bytes, path: bytes) -> bytes:
    """The row of a file.

    Args:
        packed: What `stat` said, see `scan.pack_stat`.
        content: Its SHA-256, 32 bytes.
    """
    body = packed + content
    return body + _check(body, path)


def file_digest(row: bytes | None, packed: bytes, path: bytes) -> bytes | None:
    """The content's SHA-256, if the row is sound and the file has not changed since."""
    if row is None or row[:_STAT_BYTES] != packed:
        return None
    body = row[:_FILE_BYTES]
    if row[_FILE_BYTES:] != _check(body, path):
        return None
    return body[_STAT_BYTES:]


def tree_row(part: Part, fingerprint: bytes, name: bytes) -> bytes:
    """The row of a directory or a pattern."""
    content = bytes.fromhex(part.digest[len(PREFIX) :])
    body = _TREE.pack(fingerprint, content, part.size_bytes, part.files)
    return body + _check(body, name)


def tree_part(row: bytes | None, fingerprint: bytes, name: bytes, path: str) -> Part | None:
    """What a directory or a pattern holds, if the row is sound and nothing has changed since."""
    if row is None or not row.startswith(fingerprint):
        return None
    body = row[: _TREE.size]
    if len(body) != _TREE.size or row[_TREE.size :] != _check(body, name):
        return None
    _, content, size_bytes, files = _TREE.unpack(body)
    return Part(
        path=path,
        kind=PartKind.DIRECTORY,
        digest=PREFIX + content.hex(),
        size_bytes=size_bytes,
        files=files,
    )


def fingerprint(found: Found) -> bytes:
    """32 bytes that differ for any two walks that met different names, kinds, stats or links."""
    hashing = hashlib.blake2b(digest_size=32)
    hashing.update(b"%d\0" % len(found.paths))
    # a path holds no NUL, kinds are one letter each, and stats come last
    hashing.update(b"\0".join(found.paths) + b"\0")
    hashing.update("".join(found.kinds).encode())
    for path, target in found.targets.items():
        hashing.update(b"%b\0%b\0" % (path, target))
    hashing.update(b"\0" + b"".join(found.stats))
    return hashing.digest()


def size(packed: bytes) -> int:
    """Bytes of a file, from its packed stat."""
    return int.from_bytes(packed[:8], "little")


def changed_ns(packed: bytes) -> int:
    """When a file last changed, from its packed stat."""
    return int.from_bytes(packed[16:24], "little", signed=True)


def _check(body: bytes, name: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(name)).to_bytes(4, "little")
