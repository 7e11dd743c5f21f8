"""Paths of a pipeline file: POSIX, relative to the root, in one spelling; and patterns over them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

MAX_PATH_BYTES = 3000  # with the root before it, it must still fit into what Linux takes (4096)
MAX_NAME_BYTES = 255
MAX_PATTERN_NAMES = 32
_WILDCARDS = frozenset("*?[")
_RESERVED = (".git", ".penstock", ".penstock-recipe")


def is_pattern(path: str) -> bool:
    """Whether a path selects files by wildcards."""
    return not _WILDCARDS.isdisjoint(path)


def path_problem(path: str, *, pattern: bool) -> tuple[str, ...] | None:
    """What is wrong with the spelling of a path, then what to do; nothing if it is right.

    Args:
        path: As the pipeline file has it.
        pattern: Whether wildcards are allowed.
    """
    return _whole(path) or _names(path) or (_wildcards(path, allowed=pattern) if is_pattern(path) else None)


def inside(path: str, directory: str) -> bool:
    """Whether a path is a directory or lies below it."""
    return path == directory or path.startswith(directory + "/")


def overlap(one: str, other: str) -> bool:
    """Whether one of two paths holds the other."""
    return inside(one, other) or inside(other, one)


def selects(path: str, output: str) -> bool:
    """Whether an input, a path or a pattern, takes in an output: then outputs alone may be what it means."""
    return matches(path, output) if is_pattern(path) else inside(output, path)


def literal_prefix(pattern: str) -> str:
    """The directories of a pattern before its first wildcard; empty if there are none."""
    names = pattern.split("/")
    fixed = next(at for at, name in enumerate(names) if is_pattern(name))
    return "/".join(names[:fixed])


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern selects a path; `**` stands for any number of directories, none included."""
    names = pattern.split("/")
    if names[-1] != "**" and not _name(names[-1]).fullmatch(path.rpartition("/")[2]):
        return False  # most do not, and this finds out soonest
    states = _skipping(names, {0})
    for name in path.split("/"):
        following = set()
        for state in states:
            if state == len(names):
                continue
            if names[state] == "**":
                following.add(state)
            elif _name(names[state]).fullmatch(name):
                following.add(state + 1)
        states = _skipping(names, following)
    # a trailing `**` selects what is below, and so every path that got as far as it
    return len(names) in states


def _skipping(names: Sequence[str], states: set[int]) -> set[int]:
    reached = set(states)
    for state in states:
        at = state
        while at < len(names) and names[at] == "**":
            at += 1
            reached.add(at)
    return reached


@lru_cache(maxsize=4096)
def _name(pattern: str) -> re.Pattern[str]:
    """One name of a pattern; a star never gives back what it took, so no name takes exponential time."""
    from fnmatch import translate

    return re.compile(translate(pattern))


def _whole(path: str) -> tuple[str, ...] | None:
    if not path:
        return ("which is no path",)
    if path.startswith("/"):
        return ("which is absolute: it is not there on another machine", "write it relative to the root")
    if path == "~" or path.startswith("~/"):
        return ("which leads out of the root", "`~` is not expanded; write it relative to the root")
    if len(path.encode()) > MAX_PATH_BYTES:
        return (f"which is longer than {MAX_PATH_BYTES} bytes",)
    return None


def _names(path: str) -> tuple[str, ...] | None:
    names = path.split("/")
    if ".." in names:
        return ("which may lead out of the root", "write it without `..`; `root` moves the root itself")
    if path in (".", "./"):
        return ("the whole root", "name the files and directories, or select them: '**/*.py'")
    if "" in names or "." in names:
        clean = "/".join(name for name in names if name not in ("", "."))
        return ("which has more than one spelling", f"write {clean!r}")
    for name in names:
        if name in _RESERVED:
            return (f"but {name!r} belongs to {'Git' if name == '.git' else 'Penstock'}",)
        if len(name.encode()) > MAX_NAME_BYTES:
            return (f"in which a name is longer than {MAX_NAME_BYTES} bytes",)
    return None


def _wildcards(path: str, *, allowed: bool) -> tuple[str, ...] | None:
    if not allowed:
        return ("but wildcards cannot be used here", "name the file or directory itself")
    names = path.split("/")
    if any("**" in name and name != "**" for name in names):
        return ("in which `**` is not a whole name", "write '**/*.py', not '**.py'")
    if len(names) > MAX_PATTERN_NAMES:
        return (f"a pattern of more than {MAX_PATTERN_NAMES} names",)
    return None
