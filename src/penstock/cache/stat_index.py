"""Digests of the source without reading it again: one `stat` per file instead.

A digest is remembered with size, mtime, ctime and inode of its file, and used as long as they are
unchanged. A file that changed within `SLACK_NS` before it was looked at could change again unseen, so it is
not remembered. The shortcut saves work; it proves nothing about what stands in the file.
"""

from __future__ import annotations

import os
import stat
from _thread import RLock  # as `threading` has it, whose import is slow
from collections.abc import Sequence
from pathlib import Path

from penstock import digest
from penstock.cache import rows
from penstock.cache.hashing import Progress, Reader
from penstock.cache.scan import MAGIC, Found, Ignore, Walk, pack_stat, pattern_matchers, refused, unreadable
from penstock.cache.state import State
from penstock.digest import EXECUTABLE, FILE, MANIFEST_HEADER, PREFIX
from penstock.errors import InputError
from penstock.record import Record
from penstock.results import Part, PartKind

SLACK_NS = 20_000_000  # more than the coarsest clock tick that Linux stamps files with
FOREIGN_SLACK_NS = 2_000_000_000  # on another file system than the state, whose clock may be another

_MOST_EXPECTED = 8
"""Kills in a row after which what the first of them left is no longer known."""


class Scan(Record):
    """What the source holds at a declared path.

    Attributes:
        manifest: Of a directory or a pattern, if it was worked out; absent if nothing had changed.
        masked: What a directory holds besides and no stage may see, relative to the root.
        members: For a pattern: the files that it selects, relative to the root.
    """

    part: Part
    manifest: bytes | None = None
    masked: tuple[str, ...] = ()
    members: tuple[str, ...] | None = None


class StatIndex:
    """Scans the source below a root; remembers what it saw once `commit` is called; for any thread.

    Args:
        root: Of the pipeline.
        database: Where digests are remembered; the index works without if it cannot be written.
        ignore: Patterns of files that are never inputs, besides the built-in ones.
        progress: Told of large files as they are read.

    Attributes:
        root: Absolute, without links.
        reader: Counts what was read.
        state: Where it is remembered.
    """

    def __init__(
        self, root: Path, database: Path, ignore: Sequence[str] = (), progress: Progress | None = None
    ) -> None:
        self.state = State(database)
        self.reader = Reader(progress)
        self.root = Path(os.path.realpath(root))
        self._root = os.fsencode(self.root)
        self._ignore = Ignore(ignore)
        self._clock: tuple[int, int] | None = None
        self._lock = RLock()

    def scan(
        self, path: str, *, excluding: frozenset[str] = frozenset(), output: bool = False
    ) -> Scan | None:
        """What the source holds at a path or pattern; None if nothing is there.

        A directory's manifest has paths relative to the directory, a pattern's relative to the root.

        Args:
            excluding: What stages write, relative to the root: left out of directories and patterns.
            output: Whether it is what a stage wrote: then nothing is ignored, empty directories count, and
                a link at the path itself is refused, just as when outputs are taken into the store.

        Raises:
            InputError: It cannot be an input, cannot be read, or changes meanwhile.
        """
        with self._lock:
            self._clock = None
            return self._scan(path, frozenset(map(os.fsencode, excluding)), output=output)

    def ignores(self, name: bytes, path: bytes) -> bool:
        """Whether something is never an input; `path` is its whole path below the root."""
        return self._ignore(name, path)

    def _scan(self, path: str, without: frozenset[bytes], *, output: bool) -> Scan | None:
        if MAGIC.search(path) and not output:
            return self._pattern(path, without)
        located = self._locate(path, follow=not output)
        if located is None:
            return None
        place, about = located
        if stat.S_ISREG(about.st_mode):
            return Scan(part=self._file(path, place, about))
        if not stat.S_ISDIR(about.st_mode):
            raise refused(path, about.st_mode, path)
        walk = Walk(
            declared=path,
            top=place,
            prefix=b"" if path in ("", ".") else os.fsencode(path) + b"/",
            ignore=None if output else self._ignore,
            excluding=without,
            keep_empty=output,
        )
        found = walk.run()
        part, manifest = self._tree(walk, found, strip=len(walk.prefix))
        return Scan(part=part, manifest=manifest, masked=tuple(map(os.fsdecode, found.masked)))

    def placed(self, path: str) -> str | None:
        """The digest of what Penstock last put at an output's path."""
        with self._lock:
            return self.state.placed(path)

    def set_placed(self, path: str, name: str | None) -> None:
        """Remember what was put at an output's path; None: nothing any more."""
        with self._lock:
            self.state.set_placed(path, name)

    def expect(self, path: str, name: str) -> None:
        """Remember, on disk, that this is about to be put at an output's path; whatever may stand there now.

        Until `set_placed` says that it was, either is what Penstock wrote: a kill may come in between.
        """
        with self._lock:
            known = (self.state.placed(path) or "").split()[-_MOST_EXPECTED:]
            if name not in known:
                self.state.set_placed(path, " ".join((*known, name)))
                self.state.commit()

    def wrote(self, path: str, name: str) -> bool:
        """Whether it was Penstock that put this at an output's path."""
        with self._lock:
            return name in (self.state.placed(path) or "").split()

    def last_key(self, stage: str) -> str | None:
        """The key that a stage's last result had."""
        with self._lock:
            last = self.state.last_key(stage)
        return last[0] if last else None

    def set_last_key(self, stage: str, key: str, run_id: str) -> None:
        """Remember the key of a stage's result, and the run that it was in."""
        with self._lock:
            self.state.set_last_key(stage, key, run_id)

    def commit(self) -> None:
        """Remember what was seen, all of it or nothing."""
        with self._lock:
            self.state.commit()

    def close(self) -> None:
        """Remember what was seen, and let go of the database."""
        with self._lock:
            self.state.commit()
            self.state.close()

    def _pattern(self, path: str, excluding: frozenset[bytes]) -> Scan | None:
        fixed, *chosen = pattern_matchers(path)
        located = self._locate(fixed)
        if located is None or not stat.S_ISDIR(located[1].st_mode):
            return None
        walk = Walk(
            declared=path,
            top=located[0],
            prefix=os.fsencode(fixed) + b"/" if fixed else b"",
            ignore=self._ignore,
            excluding=excluding,
            chosen=(chosen[0], chosen[1]),
        )
        found = walk.run()
        if not found.paths:
            return None
        part, manifest = self._tree(walk, found, strip=0)
        return Scan(part=part, manifest=manifest, members=tuple(sorted(map(os.fsdecode, found.paths))))

    def _locate(self, path: str, *, follow: bool = True) -> tuple[bytes, os.stat_result] | None:
        """Where a declared path really is, and what is there."""
        place = self._root if path in ("", ".") else self._root + b"/" + os.fsencode(path)
        real = os.path.realpath(place) if follow else place
        try:
            about = os.lstat(real)
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(place):  # noqa: PTH114 - the path is bytes
                raise (_dangling(path, place) if self._holds(real) else _leads_out(path, real)) from None
            return None
        except OSError as error:
            raise unreadable(error, path, path) from error
        if follow and stat.S_ISLNK(about.st_mode):
            raise _dangling(path, place)  # a link that leads to itself
        if real != place and not self._holds(real):
            raise _leads_out(path, real)
        return real, about

    def _holds(self, real: bytes) -> bool:
        return real == self._root or real.startswith(self._root + b"/")

    def _file(self, path: str, place: bytes, about: os.stat_result) -> Part:
        name = os.fsencode(path)
        packed = pack_stat(about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
        content = rows.file_digest(self.state.file(name), packed, name)
        if content is None:
            horizon_ns = self._horizon(place)
            content, packed = self.reader.digest(place, packed, path, path)
            if rows.changed_ns(packed) < horizon_ns:
                self.state.set_file(name, rows.file_row(packed, content, name))
        kind = PartKind.EXECUTABLE if about.st_mode & stat.S_IXUSR else PartKind.FILE
        return Part(
            path=path, kind=kind, digest=PREFIX + content.hex(), size_bytes=rows.size(packed), files=1
        )

    def _tree(self, walk: Walk, found: Found, strip: int) -> tuple[Part, bytes | None]:
        name = os.fsencode(walk.declared) + (b"\0output" if walk.keep_empty else b"")
        fingerprint = rows.fingerprint(found)
        known = rows.tree_part(self.state.tree(name), fingerprint, name, walk.declared)
        if known is not None:
            return known, None
        horizon_ns = self._horizon(walk.top)
        contents = self._contents(walk, found, horizon_ns)
        manifest = _manifest(found, contents, strip)
        sizes = [
            rows.size(packed)
            for kind, packed in zip(found.kinds, found.stats, strict=True)
            if kind in (FILE, EXECUTABLE)
        ]
        part = Part(
            path=walk.declared,
            kind=PartKind.DIRECTORY,
            digest=digest.of_bytes(manifest),
            size_bytes=sum(sizes),
            files=len(sizes),
        )
        # `_contents` may have found a file changed since the walk
        if found.newest_ns < horizon_ns:
            self.state.set_tree(name, rows.tree_row(part, rows.fingerprint(found), name))
        return part, manifest

    def _contents(self, walk: Walk, found: Found, horizon_ns: int) -> list[bytes]:
        """For each path the value that a manifest has for it."""
        known = self.state.files_below(walk.prefix)
        values: list[bytes] = []
        for at, (path, kind) in enumerate(zip(found.paths, found.kinds, strict=True)):
            if kind not in (FILE, EXECUTABLE):
                values.append(found.targets.get(path, b""))
                continue
            packed = found.stats[at]
            content = rows.file_digest(known.pop(path, None), packed, path)
            if content is None:
                shown = os.fsdecode(path)
                content, packed = self.reader.digest(walk.place(path), packed, shown, walk.declared)
                found.replace(at, packed, rows.changed_ns(packed))
                if rows.changed_ns(packed) < horizon_ns:
                    self.state.set_file(path, rows.file_row(packed, content, path))
            values.append(content.hex().encode())
        if walk.chosen is None:
            self.state.forget_files(known)
        return values

    def _horizon(self, place: bytes) -> int:
        """A file that changed after this time, by the file system's clock, is not remembered."""
        if self._clock is None:
            self._clock = self.state.clock()
        now_ns, device = self._clock
        same = os.stat(place).st_dev == device  # noqa: PTH116 - the path is bytes
        return now_ns - (SLACK_NS if same else FOREIGN_SLACK_NS)


def _manifest(found: Found, values: list[bytes], strip: int) -> bytes:
    paths, kinds, stats = found.paths, found.kinds, found.stats
    records = [MANIFEST_HEADER]
    for at in sorted(range(len(paths)), key=paths.__getitem__):
        kind = kinds[at]
        size = rows.size(stats[at]) if kind in (FILE, EXECUTABLE) else 0
        records.append(b"%b%d\0%b\0%b\0" % (kind.encode(), size, paths[at][strip:], values[at]))
    return b"".join(records)


def _dangling(path: str, place: bytes) -> InputError:
    target = os.fsdecode(os.readlink(place))  # noqa: PTH115 - the path is bytes
    return InputError(
        f"input {path!r} is a link to {target!r}, where nothing is",
        path=path,
        notes=("repair the link, or put the file itself there",),
    )


def _leads_out(path: str, real: bytes) -> InputError:
    return InputError(
        f"input {path!r} leads out of the root, to {os.fsdecode(real)!r}",
        path=path,
        notes=("copy it to a place below the root, or move the root ('root:') above it",),
    )
