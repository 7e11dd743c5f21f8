"""Bytes that are pushed: where they lie, how many they are and their digest, without a copy of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..common.program import RefusedError

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes: these, or so many of a file from a position on."""

    source: bytes | Path
    length: int
    start: int = 0


def of_bytes(data: bytes) -> Piece:
    """All of these bytes."""
    return Piece(data, len(data))


def of_file(path: Path) -> Piece:
    """All of a file."""
    return Piece(path, path.stat().st_size)


@dataclass(frozen=True, slots=True)
class Blob:
    """What a registry keeps under its digest.

    Attributes:
        name: How a user is told of it.
        pieces: In order.
    """

    name: str
    pieces: tuple[Piece, ...]
    digest: str
    size: int

    def read(self) -> bytes:
        """All of it; for what is small."""
        return b"".join(_chunks(self.pieces))


def blob(name: str, pieces: Sequence[Piece]) -> Blob:
    """Hash pieces.

    Raises:
        RefusedError: A file has become shorter.
        OSError: A file cannot be read.
    """
    hashed, size = hashlib.sha256(), 0
    for chunk in _chunks(pieces):
        hashed.update(chunk)
        size += len(chunk)
    return Blob(name, tuple(pieces), f"sha256:{hashed.hexdigest()}", size)


class Body:
    """A blob as the body of a request: it is read once, from the start.

    Args:
        moved: Is told how many bytes were read so far.
    """

    def __init__(self, blob: Blob, moved: Callable[[int], None]) -> None:
        self.len = blob.size  # where requests looks for the length
        self._chunks = _chunks(blob.pieces)
        self._moved, self._position = moved, 0

    def __iter__(self) -> Iterator[bytes]:  # by which requests knows a body that is read bit by bit
        return iter(self.read, b"")

    def read(self, _size: int = -1) -> bytes:
        """The next chunk, whatever its size; the next one is asked for when it has been sent."""
        chunk = next(self._chunks, b"")
        self._moved(self._position)
        self._position += len(chunk)
        return chunk


def _chunks(pieces: Sequence[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece.source, bytes):
            yield piece.source[piece.start : piece.start + piece.length]
            continue
        with piece.source.open("rb") as file:
            file.seek(piece.start)
            yield from _of_file(file, piece)


def _of_file(file: BinaryIO, piece: Piece) -> Iterator[bytes]:
    left = piece.length
    while left:
        chunk = file.read(min(CHUNK_BYTES, left))
        if not chunk:
            raise RefusedError(f"{piece.source!s}: became shorter while it was read; nothing was published")
        left -= len(chunk)
        yield chunk
