"""Reads the tars that `packing` writes, and refuses every other one.

The format has many corners in which one program sees another content than the next: this one knows plain
files, directories, symbolic links and four keys of pax headers, and nothing of a file may be left over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..common.program import RefusedError

BLOCK_BYTES = 512
MAX_HEADER_BYTES = 1 << 16
MAX_PATH_BYTES = 4_096
MAX_NAME_BYTES = 255
MAX_DEPTH = 100
MAX_ENTRIES = 1_000_000

FILE, LINK, DIRECTORY = b"0", b"2", b"5"
_PAX = b"x"
_KINDS = {
    b"1": "a hard link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"7": "a contiguous file",
    b"S": "a sparse file",
    b"g": "a header for all that follows",
    b"L": "a long name of GNU tar",
    b"K": "a long link of GNU tar",
    b"V": "a volume's label",
    b"M": "a file that another volume begins",
}
_MODES = {FILE: (0o644, 0o755), LINK: (0o777,), DIRECTORY: (0o755,)}
_PAX_KEYS = (b"path", b"linkpath", b"size", b"hdrcharset")
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_RECORD = re.compile(rb"([1-9][0-9]{0,6}) ([^=\n]+)=")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tar; a file's content has to be read before the next entry."""

    kind: bytes
    path: bytes
    size: int
    executable: bool
    target: bytes


class Tar:
    """A tar whose entries are read in order.

    Args:
        name: Begins a complaint.
        size: Of the file.
    """

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        self._file, self._name, self._left = file, name, size
        self._unread = 0

    def entries(self) -> Iterator[Entry]:
        """All entries.

        Raises:
            RefusedError: It is not such a tar; says at which entry.
        """
        number, pax = 0, None
        while True:
            header = self._take(BLOCK_BYTES)
            if header == bytes(BLOCK_BYTES):
                return self._end(pax)
            number += 1
            if number > MAX_ENTRIES:
                raise self._refused(f"has more than {MAX_ENTRIES:,} entries")
            if header[156:157] == _PAX:
                if pax is not None:
                    raise self._refused(f"entry {number}: two extended headers")
                pax = self._pax(header, number)
                continue
            entry = self._entry(header, pax or {}, number)
            pax = None
            self._unread = entry.size
            yield entry
            if self._unread:
                raise AssertionError(entry.path)
            self._skip_padding(entry.size)

    def content(self) -> Iterator[bytes]:
        """The present entry's content."""
        while self._unread:
            chunk = self._take(min(self._unread, MAX_HEADER_BYTES))
            self._unread -= len(chunk)
            yield chunk

    def _entry(self, header: bytes, pax: dict[bytes, bytes], number: int) -> Entry:
        where = f"entry {number}"
        size, mode = self._checked(header, where)
        kind = FILE if header[156:157] == b"\0" else header[156:157]
        if kind not in _MODES:
            raise self._refused(f"{where}: is {_KINDS.get(kind, f'of the unknown kind {kind!r}')}")
        if b"size" in pax:
            size = self._number(pax[b"size"], where)
        if kind != FILE and size:
            raise self._refused(f"{where}: has a content that it cannot have")
        if size > self._left:
            raise self._refused(f"{where}: has {size:,} bytes, and only {self._left:,} follow")
        if mode not in _MODES[kind]:
            raise self._refused(f"{where}: has the mode {mode:o}")
        prefix, name = _text(header[345:500]), _text(header[:100])
        path = pax.get(b"path", prefix + b"/" + name if prefix else name)
        if kind == DIRECTORY:
            path = path.removesuffix(b"/")
        self._check_path(path, where)
        target = pax.get(b"linkpath", _text(header[157:257])) if kind == LINK else b""
        if kind == LINK and (not target or len(target) > MAX_PATH_BYTES or b"\0" in target):
            raise self._refused(f"{where}: leads nowhere")
        return Entry(kind, path, size, bool(mode & 0o100) and kind == FILE, target)

    def _checked(self, header: bytes, where: str) -> tuple[int, int]:
        """Size and mode, after the checksum."""
        if header[257:265] != b"ustar\x0000":
            raise self._refused(f"{where}: is of another format than POSIX")
        blank = header[:148] + b" " * 8 + header[156:]
        if self._octal(header[148:156], where) != sum(blank):
            raise self._refused(f"{where}: its checksum is wrong")
        return self._octal(header[124:136], where), self._octal(header[100:108], where)

    def _check_path(self, path: bytes, where: str) -> None:
        names = path.split(b"/")
        if b"" in names or b"." in names or b".." in names or b"\0" in path:
            raise self._refused(f"{where}: {path[:100]!r} is no path that stays below its directory")
        if len(path) > MAX_PATH_BYTES or len(names) > MAX_DEPTH or max(map(len, names)) > MAX_NAME_BYTES:
            raise self._refused(f"{where}: its path is too long")

    def _pax(self, header: bytes, number: int) -> dict[bytes, bytes]:
        """The records of an extended header (POSIX.1-2001, pax, "pax Extended Header")."""
        where = f"entry {number}"
        size, _ = self._checked(header, where)
        if size > MAX_HEADER_BYTES:
            raise self._refused(f"{where}: an extended header of {size:,} bytes")
        data = self._take(size)
        self._skip_padding(size)
        found: dict[bytes, bytes] = {}
        while data:
            match = _RECORD.match(data)
            length = int(match[1]) if match else 0
            if not match or length <= match.end() or length > len(data) or data[length - 1 : length] != b"\n":
                raise self._refused(f"{where}: a broken extended header")
            if match[2] not in _PAX_KEYS or match[2] in found:
                raise self._refused(f"{where}: an extended header with {match[2][:40]!r}")
            found[match[2]] = data[match.end() : length - 1]
            data = data[length:]
        return found

    def _end(self, pax: object) -> None:
        if pax is not None:
            raise self._refused("ends after an extended header")
        if self._take(BLOCK_BYTES) != bytes(BLOCK_BYTES) or self._left:
            raise self._refused("goes on after its end")

    def _skip_padding(self, size: int) -> None:
        if any(self._take(-size % BLOCK_BYTES)):
            raise self._refused("has something between its entries")

    def _take(self, size: int) -> bytes:
        data = self._file.read(size) if size <= self._left else b""
        if len(data) != size:
            raise self._refused("is cut off")
        self._left -= size
        return data

    def _octal(self, field: bytes, where: str) -> int:
        match = _OCTAL.fullmatch(field)
        if not match:
            raise self._refused(f"{where}: a number that is none")
        return int(match[1], 8)

    def _number(self, text: bytes, where: str) -> int:
        if not re.fullmatch(rb"[0-9]{1,15}", text):
            raise self._refused(f"{where}: a size that is none")
        return int(text)

    def _refused(self, what: str) -> RefusedError:
        return RefusedError(f"{self._name}: {what}; it was not unpacked")


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]
