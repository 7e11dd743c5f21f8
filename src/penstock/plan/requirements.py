"""Lock files: which packages they name, and a recipe's tools less those."""

from __future__ import annotations

import os
import posixpath
import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from penstock.plan.reads import FILE, Reads
from penstock.plan.yaml_file import read_file

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_INCLUDE = re.compile(r"(?:-r|--requirement)(?:\s+|=)(\S+)")
_REFERENCE = re.compile(r"(-r|-c|--requirement|--constraint)(?:\s+|=)(\S+)")
_FIND_LINKS = re.compile(r"(?:-f|--find-links)(?:\s+|=)(\S+)")
_MAX_FILES = 20


def without(requirements: str, names: Collection[str]) -> str:
    """The requirements whose packages are not among these names, without comments."""
    kept = [each for each in logical_lines(requirements) if package_name(each) not in names]
    return "".join(f"{each}\n" for each in kept)


def logical_lines(text: str) -> Iterator[str]:
    """The lines of a requirements file: continued ones whole, no comments, none empty."""
    pending: list[str] = []
    for raw in text.splitlines():
        line = re.sub(r"(?:^|\s)#.*", "", raw).rstrip()
        pending.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            whole = " ".join(part for part in pending if part)
            pending = []
            if whole:
                yield whole
    if any(pending):
        yield " ".join(part for part in pending if part)


def package_name(requirement: str) -> str | None:
    """The normal form of the package's name; none for an option."""
    found = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else None


def locked_names(path: str, reads: Reads) -> frozenset[str]:
    """The packages that a lock file names, its includes too.

    Args:
        path: `uv.lock`, `pyproject.toml` or a requirements file, relative to the root of `reads`.
        reads: Reads it.

    Raises:
        PipelineError: The file or one that it includes cannot be read.
    """
    names: set[str] = set()
    waiting = [reads.root / path]
    done: set[Path] = set()
    while waiting and len(done) < _MAX_FILES:
        file = waiting.pop()
        if file in done:
            continue
        done.add(file)
        shown = os.path.relpath(file, reads.root)
        reads.presence(shown)
        data = read_file(file, shown, limit=64 << 20)
        reads.content(file, data)
        text = data.decode("utf-8", "replace")
        if file.suffix == ".toml" or file.name == "uv.lock":
            names |= _toml_names(text)
            continue
        for line in logical_lines(text):
            if included := _INCLUDE.match(line):
                waiting.append(file.parent / included[1])
            elif name := package_name(line):
                names.add(name)
    return frozenset(names)


def locked_lines(path: str, reads: Reads) -> list[str]:
    """What a lock file says is installed, a requirement a line.

    Of a requirements file the lines themselves, its includes in their places; constraints take the place of
    what they constrain. Of a `uv.lock` every release from an index, with its hashes; of a `pyproject.toml`
    none.

    Args:
        path: As for `locked_names`.
        reads: Reads it.

    Raises:
        PipelineError: The file or one that it includes cannot be read.
    """
    if path.endswith((".toml", "uv.lock")):
        lock = str(PurePosixPath(path).with_name("uv.lock"))
        return _releases(_read(lock, reads)) if reads.presence(lock) == FILE else []
    lines: list[str] = []
    limits: list[str] = []
    _collect(path, reads, lines, limits, depth=0)
    pinned = {package_name(line): line for line in limits}
    return [line if "==" in line else pinned.get(package_name(line) or "", line) for line in lines]


def _collect(path: str, reads: Reads, lines: list[str], limits: list[str], depth: int) -> None:
    folder = PurePosixPath(path).parent
    for line in logical_lines(_read(path, reads)):
        included, links = _REFERENCE.match(line), _FIND_LINKS.match(line)
        if included is not None and depth < _MAX_FILES:
            into = limits if included[1] in ("-c", "--constraint") else lines
            _collect(posixpath.normpath(folder / included[2]), reads, into, limits, depth + 1)
        elif links is not None and "://" not in links[1]:
            lines.append(f"--find-links {posixpath.normpath(folder / links[1])}")
        else:
            lines.append(line)


def _read(path: str, reads: Reads) -> str:
    reads.presence(path)
    data = read_file(reads.root / path, path, limit=64 << 20)
    reads.content(reads.root / path, data)
    return data.decode("utf-8", "replace")


def _releases(text: str) -> list[str]:
    try:
        packages = tomllib.loads(text).get("package", [])
    except tomllib.TOMLDecodeError:
        return []  # whoever installs from it says what is wrong
    lines = []
    for each in packages:
        if "registry" in each.get("source", {}) and "version" in each:
            files = [each.get("sdist") or {}, *each.get("wheels", [])]
            hashes = sorted({file["hash"] for file in files if "hash" in file})
            lines.append(
                " ".join((f"{each['name']}=={each['version']}", *(f"--hash={one}" for one in hashes)))
            )
    return lines


def _toml_names(text: str) -> set[str]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return set()  # whoever installs from it says what is wrong
    packages = document.get("package", [])
    project = document.get("project", {})
    named = [each.get("name", "") for each in packages] if isinstance(packages, list) else []
    named += project.get("dependencies", []) if isinstance(project, dict) else []
    return {name for each in named if (name := package_name(str(each)))}
