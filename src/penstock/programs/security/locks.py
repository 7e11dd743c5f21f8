"""Which packages, in which versions, a lock file names, and where."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..common.program import UnusableError

_NAME = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?P<rest>.*)")
_EXACT = re.compile(r"===?\s*(?P<version>[^\s;,*]+)\s*(?:;.*)?")
_INCLUDE = re.compile(r"(?:-r|--requirement)(?:\s+|=)(\S+)")
_COMMIT = re.compile(r"@[0-9a-f]{40}(?:[#\s]|$)")
_TOML = ("uv.lock", "poetry.lock")
MAX_FILES = 50


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package of a lock file.

    Attributes:
        name: In its normal form.
        version: If it is exactly one.
        hashed: Whether there is a digest of what is to be installed.
        text: As the file has it.
        problem: Why an advisory service cannot be asked about it.
    """

    path: str
    line: int
    name: str
    version: str | None
    hashed: bool
    text: str
    problem: str | None = None


def requirements(root: Path, path: str) -> list[Requirement]:
    """The packages that a lock file and those that it includes name.

    Args:
        root: The project.
        path: Of a requirements file, `uv.lock`, `poetry.lock` or `pylock.toml`, relative to the root.

    Raises:
        UnusableError: It cannot be read.
    """
    found: list[Requirement] = []
    waiting, seen = [path], set[str]()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        if len(seen) > MAX_FILES:
            raise UnusableError(f"{path}: more than {MAX_FILES} files include each other")
        try:
            text = (root / each).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UnusableError(f"{each}: {error.strerror}; name the lock file at `requirements`") from None
        if PurePosixPath(each).name in _TOML or each.endswith(".toml"):
            found += _locked(text, each)
            continue
        for line, whole in logical_lines(text):
            included = _INCLUDE.match(whole)
            if included:
                waiting.append((PurePosixPath(each).parent / included[1]).as_posix())
            else:
                found += _required(whole, each, line)
    return found


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a requirements file with their numbers: continued ones whole, no comments, none empty."""
    pending: list[str] = []
    first = 0
    for number, raw in enumerate(text.splitlines(), 1):
        first = first if pending else number
        line = re.sub(r"(?:^|\s)#.*", "", raw).rstrip()
        pending.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            whole = " ".join(filter(None, pending))
            pending = []
            if whole:
                yield first, whole
    if any(pending):
        yield first, " ".join(filter(None, pending))


def _required(whole: str, path: str, line: int) -> Iterator[Requirement]:
    hashed = "--hash" in whole or bool(re.search(r"#sha(?:256|384|512)=[0-9a-f]{64}", whole))
    text = whole.partition(" --")[0].strip()
    if whole.startswith("-") and not whole.startswith(("-e", "--editable")):
        return
    match = _NAME.match(text)
    editable = whole.startswith("-")
    if editable or match is None or match["rest"].startswith("@") or "://" in match["rest"]:
        pinned = hashed or bool(_COMMIT.search(text))
        name = canonicalize_name(match["name"]) if match and not editable else text
        wrong = "an address instead of a version"
        yield Requirement(path, line, name, "address" if pinned else None, hashed or pinned, text, wrong)
        return
    exact = _EXACT.fullmatch(match["rest"])
    locked, problem = _normal(exact["version"]) if exact else (None, "no exact version")
    yield Requirement(path, line, canonicalize_name(match["name"]), locked, hashed, text, problem)


def _normal(version: str) -> tuple[str | None, str | None]:
    try:
        return str(Version(version)), None
    except InvalidVersion:
        return version, "no version that Python packages have"


def _locked(text: str, path: str) -> Iterator[Requirement]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnusableError(f"{path}: {error}") from None
    packages = document.get("package") or document.get("packages")
    if not isinstance(packages, list):
        raise UnusableError(f"{path}: no lock file; name a requirements file, uv.lock or pylock.toml")
    lines = text.splitlines()
    at = 0
    for each in packages:
        name, version = str(each.get("name", "")), each.get("version")
        at = next((n for n in range(at, len(lines)) if lines[n].strip() == f'name = "{name}"'), at)
        source = each.get("source", {})
        if isinstance(source, dict) and {"virtual", "editable"} & {*source}:
            continue  # the project itself
        problem = "no version" if version is None else None
        if isinstance(source, dict) and {"git", "url", "path", "directory"} & {*source}:
            problem = "an address instead of a version"
        own, wrong = _normal(str(version)) if version is not None else (None, None)
        text_of = f"{name}=={version}" if version is not None else name
        hashed = problem is not None or _has_hash(each)
        yield Requirement(path, at + 1, canonicalize_name(name), own, hashed, text_of, problem or wrong)
        at += 1


def _has_hash(package: dict[str, Any]) -> bool:
    files = [package.get("sdist"), *(package.get("wheels") or ()), *(package.get("files") or ())]
    there = [each for each in files if isinstance(each, dict)]
    return bool(there) and all(each.get("hash") or each.get("hashes") for each in there)
