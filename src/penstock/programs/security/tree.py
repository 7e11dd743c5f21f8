"""The files of the project that are looked at."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from .repository import GitError, Repository

_NEVER = frozenset({
    ".git", ".hg", ".penstock", ".penstock-recipe", ".venv", "__pycache__", "node_modules",
    ".mypy_cache", ".ruff_cache", ".pytest_cache", ".tox", ".nox",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """A regular file."""

    path: str
    """Relative to the project."""
    place: Path
    size: int

    def head(self, size: int) -> bytes:
        """Its first bytes."""
        with self.place.open("rb") as file:
            return file.read(size)

    def read(self) -> bytes:
        """All of it."""
        return self.place.read_bytes()


def files(
    root: Path, repository: Repository | None, paths: Sequence[str], exclude: Sequence[str]
) -> list[File]:
    """The files to look at, sorted: those that git has or would take, else all but caches.

    Links are not followed, and what is neither a file nor a directory is left out.

    Args:
        root: The project.
        repository: That holds it.
        paths: Files and directories to stay below; everything if empty.
        exclude: Patterns of paths that are left out.
    """
    found = []
    for path in sorted(set(_listed(root, repository))):
        names = path.split("/")
        if not _NEVER.isdisjoint(names) or not _below(path, paths) or _matches(path, exclude):
            continue
        place = root / path
        try:
            about = place.lstat()
        except OSError:  # deleted, but git still has it
            continue
        if stat.S_ISREG(about.st_mode):
            found.append(File(path, place, about.st_size))
    return found


def _listed(root: Path, repository: Repository | None) -> Iterator[str]:
    if repository is not None:
        try:
            listed = repository.run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        except GitError:
            pass  # a bare repository, say: then what lies there counts
        else:
            if listed:  # else the project itself is ignored by the repository around it
                yield from map(os.fsdecode, filter(None, listed.split(b"\0")))
                return
    for place, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - _NEVER)
        below = os.path.relpath(place, root)
        yield from (name if below == "." else f"{below}/{name}" for name in names)


def _below(path: str, paths: Sequence[str]) -> bool:
    return not paths or any(path == each or path.startswith(f"{each.rstrip('/')}/") for each in paths)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path, each) or path.startswith(f"{each.rstrip('/')}/") for each in patterns)
