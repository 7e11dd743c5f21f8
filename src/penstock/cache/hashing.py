"""Reading source files for their digest."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable

from penstock.cache.scan import changed, pack_stat, refused, unreadable
from penstock.digest import CHUNK_BYTES

PROGRESS_BYTES = 64 << 20
ATTEMPTS = 3
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # never hangs on a FIFO

Progress = Callable[[str, int, int], None]
"""Told of a large file that is read: path, bytes done, bytes in all."""


class Reader:
    """Reads files whole and hands back what stood in them at one moment.

    Attributes:
        files: Read so far.
        bytes: Read so far.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.files = 0
        self.bytes = 0
        self._progress = progress

    def digest(self, place: bytes, packed: bytes, path: str, declared: str) -> tuple[bytes, bytes]:
        """A file's SHA-256 (32 bytes) and its packed stat, which is that of the content that was read.

        Args:
            place: Where it is, absolute.
            packed: Its stat as it was seen before.
            path: Relative to the root, for messages.
            declared: The input that it belongs to, for messages.

        Raises:
            InputError: It cannot be read, is no regular file any more, or does not stand still.
        """
        for _ in range(ATTEMPTS):
            try:
                descriptor = os.open(place, _FLAGS)
            except OSError as error:
                raise unreadable(error, path, declared) from error
            try:
                content = self._content(descriptor, packed, path)
                about = os.fstat(descriptor)
            except OSError as error:
                raise unreadable(error, path, declared) from error
            finally:
                os.close(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise refused(path, about.st_mode, declared)
            now = pack_stat(about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
            if now == packed:
                return content, packed
            packed = now
        raise changed(path, declared)

    def _content(self, descriptor: int, packed: bytes, path: str) -> bytes:
        expected = int.from_bytes(packed[:8], "little")
        self.files += 1
        if expected < CHUNK_BYTES:
            data = os.read(descriptor, expected + 1)
            if len(data) == expected:
                self.bytes += expected
                return hashlib.sha256(data).digest()
            os.lseek(descriptor, 0, os.SEEK_SET)
        return self._large(descriptor, path, expected)

    def _large(self, descriptor: int, path: str, expected: int) -> bytes:
        shown = 0

        def show(done: int) -> None:
            nonlocal shown
            if self._progress is not None and done - shown >= PROGRESS_BYTES:
                shown = done
                self._progress(path, done, max(expected, done))

        content, size = hash_rest(descriptor, show)
        self.bytes += size
        return content


def hash_rest(descriptor: int, show: Callable[[int], None] = lambda _done: None) -> tuple[bytes, int]:
    """The SHA-256 (32 bytes) and the size of what is left of an open file.

    Args:
        show: Told how many bytes are done, now and then.

    Raises:
        OSError: It cannot be read.
    """
    buffer = memoryview(bytearray(CHUNK_BYTES))
    hashing = hashlib.sha256()
    done = 0
    while count := os.readv(descriptor, [buffer]):
        hashing.update(buffer[:count])
        done += count
        show(done)
    return hashing.digest(), done
