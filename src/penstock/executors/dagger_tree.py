"""Trees under Dagger: what a path holds by digest, and how the engine can be asked for it.

The identity of an exec's output *directory* is how it was made, that of a *file* is its content. So what a
stage wrote is handed on as files, a directory as an archive of itself: when a stage ran anew and wrote what
it had written before, what reads it does not run again. Sources are content-addressed by the engine.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import dagger
from dagger import dag

from penstock.record import Record
from penstock.results import Part, PartKind

LIBRARY = "/penstock/lib"
INPUTS = "/penstock/inputs"

_SPECIAL = re.compile(r"([\\*?\[\]!#])")
_END = re.compile(r"\A\s|\s\Z")  # the engine takes white space off both ends


class Held(Record, kw_only=True):
    """A part, and how the engine can be asked for it.

    Attributes:
        manifest: Of a directory.
        real: Of a source: its path below the root, links resolved.
        members: Of a source that is a pattern: the files that it selects.
        masked: Of a source: what lies below it and no stage may see.
        made: Of an output: its directory or file.
        archive: Of an output that is a directory: the same as one file.
    """

    part: Part
    manifest: bytes | None = None
    real: str = ""
    members: tuple[str, ...] | None = None
    masked: tuple[str, ...] = ()
    made: dagger.Directory | dagger.File | None = None
    archive: dagger.File | None = None


DaggerTree = tuple[Held, ...]


class Courier(Record):
    """Hands files to the engine as files: their text as an argument would stand in every log.

    Args:
        place: A directory on this disk, for as long as the engine is asked.
        load: The engine's view of a directory in it.
    """

    place: Path
    load: Callable[[Path], dagger.Directory]

    def directory(self, files: Mapping[str, bytes], programs: Collection[str] = ()) -> dagger.Directory:
        """A directory with these files.

        Args:
            programs: Paths of those that are executable.
        """
        top = Path(tempfile.mkdtemp(prefix="handed-", dir=self.place))
        for path, data in files.items():
            target = top / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o755 if path in programs else 0o644)
        return self.load(top)

    def file(self, data: bytes) -> dagger.File:
        """A file with this content."""
        return self.directory({"file": data}).file("file")


def held_source(path: str, seen: Mapping[str, Any]) -> Held:
    """A source, as `survey` saw it."""
    members, manifest = seen["members"], seen["manifest"]
    return Held(
        part=part_of(path, seen),
        manifest=manifest.encode("latin-1") if manifest is not None else None,
        real=seen["real"],
        members=tuple(members) if members is not None else None,
        masked=tuple(seen["masked"]),
    )


def part_of(path: str, seen: Mapping[str, Any]) -> Part:
    """A part of JSON values."""
    return Part(path, PartKind(seen["kind"]), seen["digest"], seen["size_bytes"], seen["files"])


def sources(root: dagger.Directory, tree: Iterable[Held]) -> dagger.Directory:
    """A directory with the sources of a tree and nothing else, at their paths."""
    include: list[str] = []
    exclude: list[str] = []
    linked: list[Held] = []
    for held in tree:
        if held.made is not None:
            continue
        if held.members is not None:
            include += held.members
        elif held.real == held.part.path:
            include.append(held.part.path)
            exclude += held.masked
        else:
            linked.append(held)
    found = root.filter(include=literal(include), exclude=literal(exclude)) if include else dag.directory()
    for held in linked:
        path, real = held.part.path, held.real
        if held.part.kind is PartKind.DIRECTORY:
            hidden = [name.removeprefix(f"{path}/") for name in held.masked]
            found = found.with_directory(path, root.directory(real), exclude=literal(hidden))
        else:
            found = found.with_file(path, root.file(real))
    return found


def literal(paths: Iterable[str]) -> list[str]:
    """Patterns of the engine that select these paths, whatever characters they hold."""
    return [_END.sub(r"[\g<0>]", _SPECIAL.sub(r"\\\1", path)) for path in paths]
