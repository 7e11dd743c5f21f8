"""The whole source below a root: what a stage that is observed is shown, and what stands at single paths.

A file that is ignored, that stages write, or that cannot be an input is not there. Neither is a directory
without any file, nor an environment (`pyvenv.cfg`, `conda-meta`). Directories are read when first asked
about, and stay as they were then: what is said later is what a workspace made from this one held.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from penstock import digest
from penstock.cache.members import stays_inside
from penstock.cache.observations import ABSENT, EVERYTHING, KEPT_OUT, READ, WHOLE, Look
from penstock.cache.scan import changed
from penstock.digest import DIRECTORY, EXECUTABLE, FILE, LINK

if TYPE_CHECKING:
    from penstock.cache.stat_index import StatIndex

Facts = dict[str, str]
"""Path → what stands there, in words and digests; under `**` the digest of everything."""

_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")
_MOST_LINKS = 40
_NAMES_SHOWN = 40


class Entry:
    """Something in a directory.

    Attributes:
        kind: As in a manifest; `d` for a directory.
        target: Of a link.
        about: What `stat` said; nothing for what is not on a disk.
    """

    __slots__ = ("about", "kind", "size", "target")

    def __init__(
        self, kind: str, size: int = 0, target: str = "", about: os.stat_result | None = None
    ) -> None:
        self.kind, self.size, self.target, self.about = kind, size, target, about


class WholeSource:
    """The source below a root.

    Args:
        outputs: What stages write, relative to the root.
    """

    def __init__(self, index: StatIndex, outputs: Collection[str]) -> None:
        self.index = index
        self.outputs = frozenset(outputs)
        self._directories: dict[str, dict[str, Entry]] = {}
        self._visible: dict[str, bool] = {}

    # -- what is there

    def entries(self, folder: str) -> Mapping[str, Entry]:
        """What a directory of the source holds, by name; directories that hold nothing included.

        Raises:
            OSError: It cannot be read.
        """
        found = self._directories.get(folder)
        if found is None:
            found = self._directories[folder] = dict(self._scanned(folder))
        return found

    def visible(self, folder: str) -> bool:
        """Whether a directory holds any file, however deep."""
        known = self._visible.get(folder)
        if known is None:
            try:
                entries = self.entries(folder)
            except OSError:
                entries = {}
            known = any(
                entry.kind != DIRECTORY or self.visible(_join(folder, name))
                for name, entry in entries.items()
            )
            self._visible[folder] = known
        return known

    def walk(self) -> Iterator[tuple[str, Mapping[str, Entry]]]:
        """Every directory that holds any file, before those in it, and what it holds; the root first."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            entries = self.entries(folder)
            yield folder, entries
            inner = (
                _join(folder, name) for name, entry in sorted(entries.items()) if entry.kind == DIRECTORY
            )
            waiting += [path for path in inner if self.visible(path)]

    def place(self, path: str) -> str:
        """Where something of the source is on the disk."""
        return os.path.join(self.index.root, path)  # noqa: PTH118 - a path that is str

    def _scanned(self, folder: str) -> Iterator[tuple[str, Entry]]:
        with os.scandir(self.place(folder)) as items:
            names = {item.name: item for item in items}
        if folder and any(name in names for name in _ENVIRONMENTS):
            return
        for name, item in names.items():
            path = _join(folder, name)
            if self._withheld(name, path):
                continue
            about = item.stat(follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode):
                yield name, Entry(DIRECTORY, about=about)
            elif stat.S_ISREG(about.st_mode) and _readable(item.path, about):
                kind = EXECUTABLE if about.st_mode & stat.S_IXUSR else FILE
                yield name, Entry(kind, about.st_size, about=about)
            elif stat.S_ISLNK(about.st_mode):
                target = os.readlink(item.path)  # noqa: PTH115 - a path that is str
                if stays_inside(os.fsencode(path), os.fsencode(target)):
                    yield name, Entry(LINK, target=target, about=about)

    def _withheld(self, name: str, path: str) -> bool:
        known = path in self.outputs or path in KEPT_OUT or name in KEPT_OUT
        return known or self.index.ignores(os.fsencode(name), os.fsencode(path))

    # -- what stands at a path

    def facts(self, looks: Iterable[Look]) -> Facts:
        """What stands at each path that was looked at; nothing for one that nobody is ever shown.

        Raises:
            InputError: A file has changed since its directory was read.
        """
        found: Facts = {}
        for look in looks:
            if look.how == WHOLE:
                found[EVERYTHING] = self._everything()
            elif not self._hidden(look.path):
                found[look.path or "."] = self._fact(look)
        return dict(sorted(found.items()))

    def _hidden(self, path: str) -> bool:
        names = path.split("/")
        return any(self._withheld(name, "/".join(names[: at + 1])) for at, name in enumerate(names) if path)

    def _fact(self, look: Look) -> str:
        path, entry = self._found(look.path)
        if entry is None:
            return ABSENT
        behind = f" at {path}" if path != look.path else ""
        if entry.kind == DIRECTORY:
            return (f"directory of {self._names(path)}" if look.how == READ else "directory") + behind
        kind = "executable" if entry.kind == EXECUTABLE else "file"
        what = self.content(path, entry) if look.how == READ else f"{entry.size} bytes"
        return f"{kind} {what}{behind}"

    def _found(self, path: str) -> tuple[str, Entry | None]:
        """What stands at a path, and where, links followed."""
        here, entry = "", Entry(DIRECTORY)
        waiting = [name for name in path.split("/") if name]
        for _ in range(_MOST_LINKS * 50):
            if not waiting:
                break
            name = waiting.pop(0)
            if name == "..":
                here, entry = here.rpartition("/")[0], Entry(DIRECTORY)
                continue
            inner = self._inner(here, name) if entry.kind == DIRECTORY else None
            if inner is None:
                return path, None
            if inner.kind == LINK:
                waiting = [each for each in inner.target.split("/") if each not in ("", ".")] + waiting
            else:
                here, entry = _join(here, name), inner
        else:
            return path, None  # links that lead to each other
        return here, entry

    def _inner(self, folder: str, name: str) -> Entry | None:
        try:
            entry = self.entries(folder).get(name)
        except OSError:
            return None
        if entry is not None and entry.kind == DIRECTORY and not self.visible(_join(folder, name)):
            return None
        return entry

    def _names(self, folder: str) -> str:
        names = [
            name + ("/" if entry.kind == DIRECTORY else "")
            for name, entry in sorted(self.entries(folder).items())
            if entry.kind != DIRECTORY or self.visible(_join(folder, name))
        ]
        return (
            ", ".join(names) if len(names) <= _NAMES_SHOWN else f"{len(names)} names {digest.of_json(names)}"
        )

    def content(self, path: str, entry: Entry) -> str:
        """Digest of a file.

        Raises:
            InputError: It is no longer what it was when its directory was read.
        """
        scan = self.index.scan(path)
        about = os.lstat(self.place(path)) if scan is not None else None
        if scan is None or about is None or entry.about is None or _seen(about) != _seen(entry.about):
            raise changed(path, path)
        return scan.part.digest

    def _everything(self) -> str:
        found = []
        for folder, entries in self.walk():
            for name, entry in sorted(entries.items()):
                path = _join(folder, name)
                if entry.kind == LINK:
                    found.append([path, entry.kind, entry.target])
                elif entry.kind != DIRECTORY:
                    found.append([path, entry.kind, self.content(path, entry)])
        return digest.of_json(sorted(found))


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _readable(path: str, about: os.stat_result) -> bool:
    own = about.st_uid == os.geteuid() and about.st_mode & stat.S_IRUSR
    return bool(own) or os.access(path, os.R_OK)


def _seen(about: os.stat_result) -> tuple[int, int, int, int, int]:
    return about.st_mode, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino
