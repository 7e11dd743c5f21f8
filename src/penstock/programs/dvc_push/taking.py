"""Outputs as DVC keeps them: objects in a cache, and what a `.dvc` file says of them (DVC 3)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..common import dvc_objects
from ..common.dvc_objects import PLAIN, Known
from ..common.program import UnusableError

_PLAIN_NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9_./-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


@dataclass(frozen=True, slots=True)
class Taken:
    """An output in a cache.

    Attributes:
        known: Its object.
        objects: All of which it is made, its own one last.
        text: Of the `.dvc` file that stands beside it.
    """

    known: Known
    objects: tuple[Known, ...]
    text: str


def take(source: Path, cache: Path) -> Taken:
    """Copy a file or directory into a cache, object by object.

    Raises:
        UnusableError: It holds what DVC does not keep.
    """
    if not source.is_dir():
        _refuse(source, source)
        known = _store(source, cache)
        more = {"isexec": "true"} if os.access(source, os.X_OK) else {}
        return Taken(known, (known,), _text(known, source.stat().st_size, more, source.name))
    entries, size = {}, 0
    for path in sorted(_files(source)):
        entries[path.relative_to(source).as_posix()] = _store(path, cache)
        size += path.stat().st_size
    known = _store_listing(entries, cache)
    objects = (*dict.fromkeys(entries.values()), known)
    return Taken(known, objects, _text(known, size, {"nfiles": str(len(entries))}, source.name))


def _files(source: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(source):
        for name in (*below, *names):
            path = Path(folder, name)
            _refuse(path, source)
            if not path.is_dir():
                yield path
        if not below and not names:
            _refuse(Path(folder), source)


def _refuse(path: Path, source: Path) -> None:
    """Refuse what would not be the same when it is pulled."""
    empty = path.is_dir() and not any(path.iterdir())
    if path.is_symlink() or empty:
        what = "a link" if path.is_symlink() else "an empty directory"
        name = path.relative_to(source.parent)
        raise UnusableError(f"{source}: {name} is {what}, which DVC does not keep; write it otherwise")


def _store(source: Path, cache: Path) -> Known:
    waiting = cache / "waiting"
    known = Known(dvc_objects.copy(source, waiting, PLAIN), PLAIN)
    _move(waiting, known, cache)
    return known


def _store_listing(entries: dict[str, Known], cache: Path) -> Known:
    """Keep a directory's list of files, in the one spelling that DVC hashes."""
    listed = [{"md5": entries[path].md5, "relpath": path} for path in sorted(entries)]
    waiting = cache / "waiting"
    waiting.write_text(json.dumps(listed), encoding="utf-8")
    known = Known(f"{dvc_objects.copy(waiting, None, PLAIN)}.dir", PLAIN)
    _move(waiting, known, cache)
    return known


def _move(waiting: Path, known: Known, cache: Path) -> None:
    place = known.place(cache)
    place.parent.mkdir(parents=True, exist_ok=True)
    waiting.chmod(0o444)  # by which dvc knows what it need not hash again
    waiting.replace(place)


def _text(known: Known, size: int, more: dict[str, str], name: str) -> str:
    # digits alone, or around one e, would be read as a number
    md5 = known.md5 if re.search("[a-df]|dir", known.md5) else f"'{known.md5}'"
    told = _PLAIN_NAME.fullmatch(name) and name.lower() not in _WORDS
    fields = {
        "md5": md5,
        "size": str(size),
        **more,
        "hash": "md5",
        "path": name if told else json.dumps(name),
    }
    return "outs:\n- " + "\n  ".join(f"{key}: {value}" for key, value in fields.items()) + "\n"
