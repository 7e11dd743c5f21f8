"""What is in a repository: its files as git knows them, and small ones' text. Nothing in it is executed."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from pathlib import Path

MARKS = ("pyproject.toml", "setup.py", "setup.cfg", "dvc.yaml", "params.yaml", "requirements.txt", "uv.lock")
MAX_FILES = 50_000
MAX_TEXT_BYTES = 1 << 20
_GIT_TIMEOUT_S = 30
_NEVER = frozenset({"__pycache__", "node_modules", "venv", "build", "dist"})


@dataclass(frozen=True, slots=True)
class Repository:
    """Files by their path relative to `root`, with `/`.

    Attributes:
        files: All that are there and not ignored.
        tracked: Those that git keeps; all, if it keeps none yet or there is no git.
        directories: Those that hold a tracked file, however deep.
        note: Why git was not asked, if it should have been.
    """

    root: Path
    files: frozenset[str]
    tracked: frozenset[str]
    git: bool
    directories: frozenset[str] = field(default_factory=frozenset)
    note: str = ""

    def text(self, path: str) -> str | None:
        """A small file as text; none if it is absent, large, no regular file or not UTF-8."""
        data = self.data(path)
        try:
            return None if data is None else data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None

    def data(self, path: str) -> bytes | None:
        """A small file's bytes; none if it is absent, large, or no regular file."""
        place = self.root / path
        try:
            if not place.is_file() or place.stat().st_size > MAX_TEXT_BYTES:
                return None
            return place.read_bytes()
        except (OSError, ValueError):
            return None

    def exists(self, path: str) -> bool:
        """Whether anything stands at a path, ignored or not."""
        try:
            return os.path.lexists(self.root / path)
        except ValueError:
            return False

    def holds(self, path: str) -> bool:
        """Whether a path is a tracked file, or a directory with one in it."""
        return path in self.tracked or path in self.directories

    def below(self, directory: str) -> list[str]:
        """The files below a directory, sorted."""
        prefix = f"{directory}/" if directory else ""
        return sorted(path for path in self.files if path.startswith(prefix))


def project_directory(here: Path) -> Path:
    """The directory that a pipeline for `here` is about.

    It is the nearest one, from `here` up to the root of the git repository, that looks like a project;
    `here` itself if none does.
    """
    for folder in (here, *here.parents):
        if any((folder / mark).is_file() for mark in MARKS) or (folder / ".git").exists():
            return folder
        if not _inside_git(folder):
            break
    return here


def look(root: Path) -> Repository:
    """List what is in a repository."""
    note = ""
    if _inside_git(root):
        listed, note = _ask_git(root)
        if listed is not None:
            tracked, others = listed
            return _made(root, tracked | others, tracked or others, git=True, note=note)
    files = _walk(root)
    return _made(root, files, files, git=False, note=note)


def _made(root: Path, files: frozenset[str], tracked: frozenset[str], *, git: bool, note: str) -> Repository:
    directories: set[str] = set()
    for path in tracked:
        folder = posixpath.dirname(path)
        while folder and folder not in directories:
            directories.add(folder)
            folder = posixpath.dirname(folder)
    return Repository(root, files, tracked, git, frozenset(directories), note)


def _inside_git(folder: Path) -> bool:
    return any((each / ".git").exists() for each in (folder, *folder.parents))


def _ask_git(root: Path) -> tuple[tuple[frozenset[str], frozenset[str]] | None, str]:
    try:
        tracked = _git_files(root, "--cached")
        return (tracked, _git_files(root, "--others", "--exclude-standard") - tracked), ""
    except (OSError, RuntimeError) as error:
        return None, f"git could not be asked what belongs to the repository: {error}"


def _git_files(root: Path, *options: str) -> frozenset[str]:
    import subprocess

    # a repository's own configuration can name a program for git to start: not here
    command = ["git", "-c", "core.fsmonitor=false", "-C", os.fspath(root), "ls-files", "-z", *options]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, fixed words
            command, capture_output=True, check=False, timeout=_GIT_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError("it takes too long") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(lines[0] if lines else f"exit code {done.returncode}")
    names = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    return frozenset(name for name in names[:MAX_FILES] if (root / name).is_file())


def _walk(root: Path) -> frozenset[str]:
    found: set[str] = set()
    for folder, folders, names in os.walk(root):
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name not in _NEVER and not name.startswith("."))
        for name in names:
            path = Path(folder, name)
            if path.is_file():
                found.add(path.relative_to(root).as_posix())
        if len(found) >= MAX_FILES:
            break
    return frozenset(found)
