"""Reads a git repository: which files it holds, and every object of its history; changes nothing in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from ..common.program import UnusableError

_SETTINGS = ("safe.directory=*", "core.fsmonitor=false", "core.quotePath=false", "log.showSignature=false")
_ALWAYS = (
    "--no-replace-objects",
    "--no-optional-locks",
    *(part for setting in _SETTINGS for part in ("-c", setting)),
)


class GitError(Exception):
    """Git could not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Object:
    """A commit, a tag or a blob."""

    name: str
    kind: str
    size: int
    path: str
    """Of a blob: where it lies in one of the trees that hold it, below the top of the repository."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository.

    Attributes:
        git: The command, so far as every call has it in common.
        prefix: The project's directory below the top of the repository, with a slash at its end, or nothing.
    """

    git: tuple[str, ...]
    prefix: str = ""

    def run(self, *arguments: str) -> bytes:
        """What git prints.

        Raises:
            GitError: It failed.
        """
        done = subprocess.run(  # noqa: S603 - no shell
            [*self.git, *arguments], capture_output=True, env=environment(), check=False
        )
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise GitError(said[0] if said else f"git {arguments[0]} ended with {done.returncode}")
        return done.stdout

    def start(self, *arguments: str, source: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Git, with what it prints to be read."""
        return subprocess.Popen(  # noqa: S603 - no shell
            [*self.git, *arguments],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )

    def text(self, *arguments: str) -> str:
        """What git prints, less white space around it; nothing if it fails."""
        try:
            return self.run(*arguments).decode("utf-8", "surrogateescape").strip()
        except GitError:
            return ""

    def lacking(self) -> list[str]:
        """Why its history is not whole."""
        found = []
        if self.text("rev-parse", "--is-shallow-repository") == "true":
            found.append(
                "the history is cut off (a shallow clone): fetch all of it (`fetch-depth: 0` of"
                " actions/checkout, `GIT_DEPTH: 0` in GitLab, `git fetch --unshallow`)"
            )
        if self.text("config", "--get-regexp", r"^(remote\..*\.promisor|extensions\.partialclone)$"):
            found.append("objects of the history are left out (a partial clone): clone without `--filter`")
        return found

    def objects(self) -> list[Object]:
        """The commits, tags and blobs that any branch, tag, stash or other reference reaches, each once.

        Raises:
            GitError: The repository is damaged.
        """
        listing = self.start("rev-list", "--objects", "--all", "HEAD") if self._born() else None
        listing = listing or self.start("rev-list", "--objects", "--all")
        form = "--batch-check=%(objectname) %(objecttype) %(objectsize) %(rest)"
        checking = self.start("cat-file", form, source=listing.stdout or subprocess.DEVNULL)
        if listing.stdout:
            listing.stdout.close()
        found = []
        for raw in _lines(checking):
            name, kind, size, *rest = raw.rstrip(b"\n").split(b" ", 3)
            if kind in (b"commit", b"tag", b"blob"):
                path = os.fsdecode(rest[0]) if rest and kind == b"blob" else ""
                found.append(Object(name.decode(), kind.decode(), int(size), path))
            elif kind != b"tree":
                raise GitError(f"object {name.decode('ascii', 'replace')} is missing")
        if checking.wait() or listing.wait():
            raise GitError("the history cannot be walked: `git fsck` says what is damaged")
        return found

    def contents(self, objects: Iterable[Object]) -> Iterator[tuple[Object, bytes]]:
        """What is in these objects, in their order.

        Raises:
            GitError: One cannot be read.
        """
        asked = list(objects)
        reading = self.start("cat-file", "--batch", source=subprocess.PIPE)
        pipe, answers = reading.stdin, reading.stdout
        if pipe is None or answers is None:  # pragma: no cover - both are pipes
            raise GitError("git cannot be asked")
        Thread(target=_ask, args=(pipe, asked), daemon=True).start()
        try:
            for each in asked:
                header = answers.readline().split()
                if len(header) != 3 or header[1].decode() != each.kind:  # noqa: PLR2004 - name, kind, size
                    raise GitError(f"object {each.name} cannot be read")
                content = answers.read(int(header[2]) + 1)
                if len(content) != int(header[2]) + 1:
                    raise GitError(f"object {each.name} cannot be read whole")
                yield each, content[:-1]
        finally:
            reading.kill()
            answers.close()
            reading.wait()

    def introductions(self, blobs: Iterable[str]) -> dict[str, str]:
        """Of some blobs, the commit that is the oldest of those that brought each in."""
        wanted = set(blobs)
        found: dict[str, str] = {}
        if not wanted:
            return found
        walk = self.start(
            "log", "--all", "-c", "--raw", "--no-abbrev", "--no-renames", "--no-textconv", "--no-ext-diff",
            "--root", "--format=commit %H",
        )  # fmt: skip
        commit = ""
        for raw in _lines(walk):
            if raw.startswith(b"commit "):
                commit = raw[7:].strip().decode()
            elif raw.startswith(b":"):
                # ::modes... objects... status, of which the last object is what the commit holds
                fields = raw.split(b"\t", 1)[0].split(b" ")
                name = fields[-2].decode()
                if name in wanted:
                    found[name] = commit
        walk.wait()
        return found

    def _born(self) -> bool:
        return bool(self.text("rev-parse", "--verify", "--quiet", "HEAD"))


def environment() -> dict[str, str]:
    """For git: what it does depends on no variable of its own, and it asks and fetches nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}


def repository(root: Path, git_directory: str | None) -> Repository | None:
    """The repository that holds the project; none if no one does.

    Args:
        root: The project.
        git_directory: A `.git` that lies elsewhere.

    Raises:
        UnusableError: There is a repository, and git is not installed.
    """
    git = shutil.which("git")
    if git is None:
        if git_directory or (root / ".git").exists():
            raise UnusableError("git is not here, so the history cannot be read; install it")
        return None
    place = (f"--git-dir={git_directory}", f"--work-tree={root}") if git_directory else ("-C", str(root))
    found = Repository((git, *_ALWAYS, *place))
    if not found.text("rev-parse", "--git-dir"):
        return None
    prefix = "" if git_directory else found.text("rev-parse", "--show-prefix")
    return Repository(found.git, prefix)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    if process.stdout is not None:
        yield from process.stdout
        process.stdout.close()


def _ask(pipe: IO[bytes], objects: Iterable[Object]) -> None:
    try:
        with pipe:
            for each in objects:
                pipe.write(f"{each.name}\n".encode())
    except OSError:
        return  # whoever reads the answers notices
