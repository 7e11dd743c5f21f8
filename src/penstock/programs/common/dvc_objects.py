"""Objects of DVC: how they are hashed, where a store keeps them, and what a directory is made of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PLAIN, CONVERTED = "md5", "md5-dos2unix"
"""Of the bytes as they are (DVC 3), or of texts with their line ends made uniform (before)."""

_CHUNK = 1 << 20
_LOOKED_AT = 512
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
_MAX_STRANGE = 0.3
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Known:
    """An object: what it is known by.

    Attributes:
        md5: 32 hex digits; `.dir` after them says that it is the list of files of a directory.
        algorithm: `PLAIN` or `CONVERTED`.
    """

    md5: str
    algorithm: str

    @property
    def is_directory(self) -> bool:
        """Whether it is a list of files."""
        return self.md5.endswith(".dir")

    def place(self, store: Path) -> Path:
        """Where a cache or remote keeps it."""
        inner = Path(self.md5[:2], self.md5[2:])
        return store / "files" / "md5" / inner if self.algorithm == PLAIN else store / inner


def copy(source: Path, target: Path | None, algorithm: str) -> str:
    """The hash of a file's content, which is written to another file on the way if one is named.

    DVC decides anew for every MiB whether it is text, by its first 512 bytes: at most 30 % strange ones, and
    no zero among them. Only then line ends count for nothing (dvc-data, `hashfile.hash`).

    Raises:
        OSError: The one cannot be read or the other not be written.
    """
    made = hashlib.md5(usedforsecurity=False)
    with source.open("rb") as file, (Path("/dev/null") if target is None else target).open("wb") as copied:
        while chunk := file.read(_CHUNK):
            copied.write(chunk)
            converted = algorithm == CONVERTED and _is_text(chunk[:_LOOKED_AT])
            made.update(chunk.replace(b"\r\n", b"\n") if converted else chunk)
    return made.hexdigest()


def is_intact(place: Path, known: Known) -> bool:
    """Whether a file is the object that it should be.

    Raises:
        OSError: It cannot be read.
    """
    return copy(place, None, known.algorithm) == known.md5[:32]


def members(listing: Path, known: Known) -> Mapping[str, Known]:
    """The files of a directory by their paths below it, from its object.

    Raises:
        ValueError: It is no such list, or a path would lead out of the directory.
    """
    found: dict[str, Known] = {}
    entries = json.loads(listing.read_bytes())
    if not isinstance(entries, list):
        raise TypeError("it is no list")
    for entry in entries:
        match entry:
            case {"md5": str(md5), "relpath": str(path)} if _MD5.fullmatch(md5) and _stays(path):
                found[path] = Known(md5, known.algorithm)
            case _:
                raise ValueError(f"it holds {json.dumps(entry)[:100]}")
    return found


def _stays(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and "/".join(parts) == path and not path.startswith("/") and ".." not in parts


def _is_text(block: bytes) -> bool:
    strange = block.translate(None, _TEXT)
    return b"\0" not in block and len(strange) <= _MAX_STRANGE * len(block)
