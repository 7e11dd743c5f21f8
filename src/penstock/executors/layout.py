# Names are joined as text: one object per file of a large directory would be felt.
# ruff: noqa: PTH103, PTH114, PTH115, PTH116, PTH118, PTH120, PTH211
"""Inputs into a workspace: what is bound read-only, what is copied, and what a stage did to the copies.

In a sandbox a directory is one bind, however many files it holds. Only where something in it must not be
seen, or where the stage writes below it, is that level taken apart: its small files are copied, the large
ones and the directories bound. Without a sandbox everything is a copy: shared blocks where the file system
can do that, never hard links, which would let a stage write into the project.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from penstock.cache.whole_source import WholeSource
from penstock.digest import DIRECTORY
from penstock.executors.sandbox import WORK, Mount
from penstock.record import Record, field

_FICLONE = 0x40049409
_SHARE_FROM_BYTES = 1 << 16
_BIND_FROM_BYTES = 1 << 18
_BIND_AROUND_FROM_BYTES = 1 << 24
"""Of a file that is no input, which a stage may write to: a database of runs, a log."""
_COPY_CHUNK_BYTES = 1 << 20
_MOST_TAKEN_APART = 512
"""Entries of a directory; beyond, what must not be seen is covered, and only its name remains."""
_MOST_COPIED = 4096
"""Files of one directory that are copied because a stage may want to change them."""
_MOST_SMALL_MOUNTS = 32
"""Every mount makes the next one slower; beyond, small files are copied."""
_MOST_MOUNTS = 1500
"""Bubblewrap takes 9,000 arguments."""

_Seen = tuple[int, int, int, int, int]


class Binding(Record, kw_only=False):
    """An input and where its bytes are.

    Attributes:
        path: In the workspace: POSIX, relative; a pattern if `members` are given.
        origin: What stands at `path`; for a pattern, what stands at the workspace's own directory.
        masked: Paths in the workspace, below `path`, that the stage must not see.
        members: Paths in the workspace of the files that are all there is; everything at `origin` if absent.
    """

    path: str
    origin: Path
    masked: tuple[str, ...] = ()
    members: tuple[str, ...] | None = None

    def origin_of(self, member: str) -> str:
        """Where the bytes of a member are."""
        inside = f"{self.path}/"
        return os.path.join(self.origin, member.removeprefix(inside))


class Layout(Record, frozen=False):
    """Inputs as they are put into a workspace.

    Args:
        top: The workspace's directory.
        reserved: What the stage, or Penstock for it, writes: paths in the workspace that no input stands at.
        sandboxed: Whether binds can be had.

    Attributes:
        mounts: What the sandbox must show, in this order.
        placed: Paths in the workspace that are inputs, to what `stat` said of them; nothing for binds.
    """

    top: Path
    reserved: frozenset[str]
    sandboxed: bool
    mounts: list[Mount] = field(default_factory=list)
    placed: dict[str, _Seen | None] = field(default_factory=dict)
    around: dict[str, _Seen | None] = field(default_factory=dict)
    """As `placed`, for paths that are no inputs, but were there when the stage began (`surround`)."""
    _directories: list[str] = field(default_factory=list)
    _open: set[str] = field(default_factory=set)
    """Directories that hold something reserved: new files are expected in them."""

    def add(self, bindings: Sequence[Binding]) -> None:
        """Put inputs into the workspace.

        Raises:
            OSError: An input cannot be read, or the workspace not be written.
        """
        self._open.update(*(_above(path) for path in self.reserved))
        paths = frozenset(binding.path for binding in bindings if binding.members is None)
        whole: list[Binding] = []
        for binding in sorted(bindings, key=lambda each: (each.members is not None, each.path)):
            if binding.members is not None:
                for member in binding.members:
                    self._member(binding.origin_of(member), member)
            elif not any(_covers(each, binding.path) for each in whole):
                whole.append(binding)
                self._whole(binding, paths)
        for path in self._directories:
            if path not in self._open:
                self.placed[path] = _seen(os.lstat(self.top / path))

    def surround(self, whole: WholeSource) -> None:
        """Put the rest of the source beside the inputs: copies that may be changed, in directories that may.

        Only a large file, or a directory of very many, is bound.

        Raises:
            OSError: As `add`.
        """
        for folder, entries in whole.walk():
            if self._is_bound(folder):
                continue
            files = [name for name, entry in entries.items() if entry.kind != DIRECTORY]
            plain = len(files) == len(entries) > _MOST_COPIED and self.sandboxed
            os.makedirs(self.top / folder, exist_ok=True)
            if plain and folder not in self._open and not os.listdir(self.top / folder):  # noqa: PTH208 - names
                self._bind(whole.place(folder), folder)
                continue
            for name in files:
                path, about = f"{folder}/{name}" if folder else name, entries[name].about
                if about is not None and path not in self.reserved and not os.path.lexists(self.top / path):
                    self._file(whole.place(path), path, about, bind=False, bind_from=_BIND_AROUND_FROM_BYTES)
                    self.around[path] = self.placed[path]
                    if self.placed[path] is not None:
                        del self.placed[path]

    def _is_bound(self, path: str) -> bool:
        return any(each in self.placed and self.placed[each] is None for each in (path, *_above(path)))

    def changed(self) -> list[str]:
        """Inputs that are not as they were put there, sorted."""
        return self._changed(self.placed)

    def changed_around(self) -> list[str]:
        """The same of what is no input."""
        return self._changed(self.around)

    def _changed(self, known: Mapping[str, _Seen | None]) -> list[str]:
        return sorted(path for path, before in known.items() if before and self._differs(path, before))

    def _differs(self, path: str, before: _Seen) -> bool:
        try:
            return _seen(os.lstat(self.top / path)) != before
        except OSError:
            return True

    def _whole(self, binding: Binding, others: frozenset[str]) -> None:
        inside = f"{binding.path}/"
        elsewhere = {path for path in (*self.reserved, *others) if path.startswith(inside)}
        withheld = {*binding.masked, *(path for path in elsewhere if not _covers(binding, path))}
        origin = os.path.realpath(binding.origin)
        about = os.stat(origin)
        os.makedirs(os.path.dirname(self.top / binding.path), exist_ok=True)
        if not stat.S_ISDIR(about.st_mode):
            self._file(origin, binding.path, about, bind=len(self.mounts) < _MOST_SMALL_MOUNTS)
            return
        forced = set().union(*(_above(path) for path in elsewhere & withheld), self._open)
        self._directory(origin, binding.path, withheld, forced)

    def _directory(self, origin: str, path: str, withheld: set[str], forced: set[str]) -> None:
        apart = set().union(*(_above(each) for each in withheld))
        waiting = [(origin, path)]
        while waiting:
            source, here = waiting.pop()
            os.makedirs(self.top / here, exist_ok=True)
            bindable = self.sandboxed and here not in forced
            if bindable and here not in apart:
                self._bind(source, here)
                continue
            entries = list(os.scandir(source))
            if bindable and len(entries) > _MOST_TAKEN_APART:
                self._bind(source, here)
                self._cover(source, here, withheld)
                continue
            self._directories.append(here)
            for entry in entries:
                inner = f"{here}/{entry.name}"
                if inner in withheld or inner in self.reserved:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, inner))
                else:
                    self._file(entry.path, inner, entry.stat(follow_symlinks=False), bind=False)

    def _member(self, origin: str, path: str) -> None:
        if self._is_bound(path) or path in self.reserved or path in self.placed:
            return
        os.makedirs(os.path.dirname(self.top / path), exist_ok=True)
        self._file(origin, path, os.lstat(origin), bind=False)

    def _file(
        self,
        origin: str,
        path: str,
        about: os.stat_result,
        *,
        bind: bool,
        bind_from: int = _BIND_FROM_BYTES,
    ) -> None:
        target = os.path.join(self.top, path)
        if stat.S_ISLNK(about.st_mode):
            os.symlink(os.readlink(origin), target)
        elif (bind or about.st_size >= bind_from) and self.sandboxed and len(self.mounts) < _MOST_MOUNTS:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            self._bind(origin, path)
            return
        else:
            copy_file(origin, target, executable=bool(about.st_mode & stat.S_IXUSR))
        self.placed[path] = _seen(os.lstat(target))

    def _bind(self, origin: str, path: str) -> None:
        self.mounts.append(Mount("ro-bind", f"{WORK}/{path}", origin))
        self.placed[path] = None

    def _cover(self, origin: str, path: str, withheld: Iterable[str]) -> None:
        inside = f"{path}/"
        for each in sorted(withheld):
            if not each.startswith(inside):
                continue
            at, target = os.path.join(origin, each.removeprefix(inside)), f"{WORK}/{each}"
            with suppress(FileNotFoundError, NotADirectoryError):
                if stat.S_ISDIR(os.lstat(at).st_mode):
                    self.mounts += (Mount("tmpfs", target), Mount("remount-ro", target))
                elif not os.path.islink(at):
                    self.mounts.append(Mount("ro-bind", target, os.devnull))


def copy_file(origin: str, target: str, *, executable: bool) -> None:
    """Copy a file's bytes, sharing its blocks where the file system can; the target must not exist.

    Raises:
        OSError: It cannot be read, written, or is no regular file.
    """
    source = os.open(origin, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        copy = os.open(target, flags, 0o755 if executable else 0o644)
        try:
            _copy_bytes(source, copy, os.fstat(source).st_size)
        finally:
            os.close(copy)
    finally:
        os.close(source)


def _copy_bytes(source: int, copy: int, size: int) -> None:
    if size >= _SHARE_FROM_BYTES:
        with suppress(OSError):
            fcntl.ioctl(copy, _FICLONE, source)
            return
        with suppress(OSError):
            while os.copy_file_range(source, copy, 1 << 30):
                pass
    # also after a part was copied above: both descriptors stand behind it
    while data := os.read(source, _COPY_CHUNK_BYTES):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(copy, rest) :]


def _covers(binding: Binding, path: str) -> bool:
    """Whether a binding, shown whole, shows this path below it too."""
    if not path.startswith(f"{binding.path}/"):
        return False
    hidden = any(path == each or path.startswith(f"{each}/") for each in binding.masked)
    return not hidden and os.path.lexists(binding.origin_of(path))


def _above(path: str) -> Iterator[str]:
    """The directories that a path lies in, innermost first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _seen(about: os.stat_result) -> _Seen:
    return (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
