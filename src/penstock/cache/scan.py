"""Walking a directory: which of its files are inputs, and what `stat` says of each."""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from collections.abc import Callable, Iterable
from fnmatch import translate as translate_name

from penstock.cache.members import file_kind, stays_inside
from penstock.digest import DIRECTORY, EXECUTABLE, FILE, LINK
from penstock.errors import InputError
from penstock.record import Record, field

BUILT_IN_IGNORE = (
    "__pycache__",
    "*.pyc",
    "*.pyo",
    ".git",
    ".hg",
    ".penstock",
    ".penstock-*",  # what a kill left of an output on its way to its place
    ".DS_Store",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    "*.egg-info",
    ".venv",
)
MAGIC = re.compile(r"[*?\[]")

pack_stat = struct.Struct("<QqqQ").pack
"""Size, mtime_ns, ctime_ns and inode: what must be unchanged for a digest to be known."""


class Ignore:
    """Files that are never inputs.

    Args:
        patterns: Matched as a whole, `*` and `?` as in a shell: against the name, or against the path
            below the root if there is a slash in the pattern.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.names: set[bytes] = set()
        suffixes: list[bytes] = []
        name_patterns: list[str] = []
        path_patterns: list[str] = []
        for pattern in dict.fromkeys((*BUILT_IN_IGNORE, *patterns)):
            if "/" in pattern:
                path_patterns.append(translate_name(pattern.strip("/")))
            elif not MAGIC.search(pattern):
                self.names.add(os.fsencode(pattern))
            elif pattern[0] == "*" and not MAGIC.search(pattern[1:]):
                suffixes.append(os.fsencode(pattern[1:]))
            else:
                name_patterns.append(translate_name(pattern))
        self.suffixes = tuple(suffixes)
        self._name = re.compile("|".join(name_patterns)).match if name_patterns else None
        self._path = re.compile("|".join(path_patterns)).match if path_patterns else None

    def __call__(self, name: bytes, path: bytes) -> bool:
        """Whether a file or directory is ignored; `path` is its whole path below the root."""
        return (
            name in self.names
            or name.endswith(self.suffixes)
            or (self._name is not None and self._name(os.fsdecode(name)) is not None)
            or (self._path is not None and self._path(os.fsdecode(path)) is not None)
        )


class Found(Record, frozen=False, kw_only=False):
    """What a walk came upon; the lists run in parallel, in the order of the file system.

    Attributes:
        paths: Relative to the root.
        kinds: As in a manifest.
        stats: Packed, see `pack_stat`; nothing for an empty directory.
        targets: Of the links, by path.
        masked: What was left out, relative to the root.
        newest_ns: The latest change time of all.
    """

    paths: list[bytes] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    stats: list[bytes] = field(default_factory=list)
    targets: dict[bytes, bytes] = field(default_factory=dict)
    masked: list[bytes] = field(default_factory=list)
    newest_ns: int = 0

    def add(self, path: bytes, kind: str, about: os.stat_result) -> None:
        """Note a file or a link."""
        changed = about.st_ctime_ns
        self.newest_ns = max(self.newest_ns, changed)
        self.paths.append(path)
        self.kinds.append(kind)
        self.stats.append(pack_stat(about.st_size, about.st_mtime_ns, changed, about.st_ino))

    def replace(self, at: int, packed: bytes, changed_ns: int) -> None:
        """Note that a file has changed since the walk came by."""
        if packed is not self.stats[at]:
            self.stats[at] = packed
            self.newest_ns = max(self.newest_ns, changed_ns)


class Walk(Record):
    """How to walk.

    Attributes:
        declared: What the user wrote, for messages.
        top: The directory to walk, absolute.
        prefix: Its path below the root with a slash at the end, or nothing for the root itself.
        excluding: What stages write, relative to the root.
        keep_empty: Whether an empty directory is an entry.
        chosen: Which paths below the root are wanted, and which directories can hold any of them.
    """

    declared: str
    top: bytes
    prefix: bytes
    ignore: Ignore | None = None
    excluding: frozenset[bytes] = frozenset()
    keep_empty: bool = False
    chosen: tuple[Callable[[str], object], Callable[[str], object]] | None = None

    def place(self, path: bytes) -> bytes:
        """The absolute path of something that the walk found."""
        return b"%b/%b" % (self.top, path[len(self.prefix) :])

    def run(self) -> Found:
        """Everything below the directory.

        Raises:
            InputError: Something cannot be an input, cannot be read, or changes meanwhile.
        """
        found = Found()
        waiting = [self.prefix]
        while waiting:
            here = waiting.pop()
            count = len(found.paths) + len(found.masked) + len(waiting)
            try:
                with os.scandir(self.place(here)) as items:
                    self._directory(items, here, found, waiting)
            except OSError as error:
                raise unreadable(error, os.fsdecode(here or b"."), self.declared) from error
            is_empty = count == len(found.paths) + len(found.masked) + len(waiting)
            if is_empty and self.keep_empty and here != self.prefix:
                found.paths.append(here[:-1])
                found.kinds.append(DIRECTORY)
                found.stats.append(b"")
        return found

    def _directory(
        self, items: Iterable[os.DirEntry[bytes]], here: bytes, found: Found, waiting: list[bytes]
    ) -> None:
        ignore, excluding, chosen = self.ignore, self.excluding, self.chosen
        add, regular, executable = found.add, stat.S_IFREG, stat.S_IXUSR
        for item in items:
            name = item.name
            path = here + name
            if (ignore is not None and ignore(name, path)) or path in excluding:
                found.masked.append(path)
            elif item.is_dir(follow_symlinks=False):
                if chosen is None or chosen[1](os.fsdecode(path) + "/"):
                    waiting.append(path + b"/")
            elif chosen is None or chosen[0](os.fsdecode(path)):
                about = item.stat(follow_symlinks=False)
                mode = about.st_mode
                if mode & 0o170000 == regular:
                    add(path, EXECUTABLE if mode & executable else FILE, about)
                else:
                    self._odd(item, path, about, found)

    def _odd(self, item: os.DirEntry[bytes], path: bytes, about: os.stat_result, found: Found) -> None:
        if not stat.S_ISLNK(about.st_mode):
            raise refused(os.fsdecode(path), about.st_mode, self.declared)
        target = os.readlink(item.path)  # noqa: PTH115 - the path is bytes
        if not stays_inside(path[len(self.prefix) :], target):
            raise leads_out(os.fsdecode(path), target, self.declared)
        found.targets[path] = target
        found.add(path, LINK, about)


def pattern_matchers(pattern: str) -> tuple[str, Callable[[str], object], Callable[[str], object]]:
    """A pattern's fixed leading directory, and what matches its files and the directories above them.

    `*` and `?` match within a name, `[...]` one character, `**` any number of directories. Directories
    are handed over with a slash at the end; everything is relative to the root.

    Raises:
        InputError: A character class is none.
    """
    names = pattern.split("/")
    fixed = next(at for at, name in enumerate(names) if MAGIC.search(name))
    above = [_directories(names[:end]) for end in range(1, len(names))]
    if "**" in names:
        above.append(_directories(names[: names.index("**")]) + ".*")
    files = _directories(names[:-1]) + (".+" if names[-1] == "**" else _name(names[-1]))
    try:
        return (
            "/".join(names[:fixed]),
            re.compile(files, re.DOTALL).fullmatch,
            re.compile("|".join(above) or "(?!)", re.DOTALL).fullmatch,
        )
    except re.error as error:
        raise InputError(
            f"input {pattern!r} is no pattern: {error.msg}",
            path=pattern,
            notes=("a character class is written [abc], [a-z] or [!a-z]",),
        ) from None


def _directories(names: list[str]) -> str:
    return "".join("(?:[^/]+/)*" if name == "**" else _name(name) + "/" for name in names)


def _name(name: str) -> str:
    pieces = re.split(r"(\*+|\?|\[!?\]?[^\]]*\])", name)
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: str) -> str:
    if piece.startswith("*"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if len(piece) > 1 and piece[0] == "[" and piece[-1] == "]":
        negated = piece[1] == "!"
        inside = re.sub(r"([\\^\[\]&~|]|-(?=-))", r"\\\1", piece[1 + negated : -1])
        return f"(?!/)[{'^' if negated else ''}{inside}]"
    return re.escape(piece)


def unreadable(error: OSError, path: str, declared: str) -> InputError:
    """What an operating system's error means for an input."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE):
        return changed(path, declared)
    return InputError(
        f"input {declared!r} cannot be read: {path}: {error.strerror}",
        path=declared,
        notes=("make it readable, or leave it out with 'ignore:'",),
    )


def changed(path: str, declared: str) -> InputError:
    """For an input that does not stand still."""
    return InputError(
        f"input {declared!r} changed while it was read: {path}",
        path=declared,
        notes=("run again when nothing writes it any more",),
    )


def refused(path: str, mode: int, declared: str) -> InputError:
    """For something that is neither a file, a directory nor a link."""
    return InputError(
        f"input {declared!r}: {path} is {file_kind(mode)}",
        path=declared,
        notes=("an input is a file or a directory of files; leave it out with 'ignore:'",),
    )


def leads_out(path: str, target: bytes, declared: str) -> InputError:
    """For a link to something outside of what was declared."""
    return InputError(
        f"input {declared!r}: the link {path} leads out of it, to {os.fsdecode(target)!r}",
        path=declared,
        notes=(
            "a link may only lead to something in the same directory, by a relative path",
            "put the file there, or declare what the link leads to and leave the link out with 'ignore:'",
        ),
    )
