"""A pipeline's plan from a source that only the engine has: the few files that it takes are brought over."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from pathlib import Path

import dagger

from penstock.errors import PenstockError, UsageError
from penstock.executors.dagger_images import asking
from penstock.executors.dagger_tree import literal
from penstock.plan.load import Loaded, load
from penstock.plan.model import Overlay, Plan
from penstock.plan.paths import matches
from penstock.plan.reads import ABSENT, Reads

_BESIDE_A_LOCK = ("*.txt", "*.in", "*.lock", "pyproject.toml", "uv.toml", "requirements/**")


async def read_plan(source: dagger.Directory, pipeline: str, overlay: Overlay, top: Path) -> Loaded:
    """The plan of a pipeline file in a source.

    Args:
        pipeline: The pipeline file, relative to the source.
        top: An empty directory on this disk; becomes the source, as far as it is looked at.

    Raises:
        UsageError: There is no such file.
        PipelineError: It is wrong, or one that it names.
        ExecutorError: The engine could not read the source.
    """
    with asking("the source cannot be read"):
        names = await source.glob("**/*")
    files = {name for name in names if not name.endswith("/")}
    if pipeline not in files:
        raise UsageError(
            f"there is no pipeline file {pipeline!r} in the source",
            notes=(
                "write one with `penstock init`, or name one: dagger call --pipeline FILE",
                *(f"there is {name!r}" for name in sorted(files) if name.startswith("pipelines/")),
            )[:6],
        )
    for name in names:
        if name.endswith("/"):
            (top / name).mkdir(parents=True, exist_ok=True)
    wanted = {pipeline}
    brought: set[str] = set()
    while True:
        await _bring(source, wanted, top)
        brought |= wanted
        reads = Reads(top)
        try:
            loaded = load(top / pipeline, overlay, reads)
        except PenstockError:
            wanted = _missed(reads, top, files) - brought
            if not wanted:
                raise
            continue
        wanted = (_missed(reads, top, files) | _beside_locks(loaded, top, files)) - brought
        if not wanted:
            return loaded


def _missed(reads: Reads, top: Path, files: set[str]) -> set[str]:
    """What was looked for and not found, although the source has it."""
    absent = (path for path, state in reads.seen.items() if state == ABSENT)
    return {os.path.relpath(path, top) for path in absent} & files


def _beside_locks(loaded: Loaded, top: Path, files: set[str]) -> set[str]:
    """What the lock files of environments are, and may include."""
    root = os.path.relpath(loaded.root, top)
    locks = {posixpath.normpath(posixpath.join(root, lock)) for lock in _locks(loaded.plan)}
    found = set(locks)
    for folder in {posixpath.dirname(lock) for lock in locks}:
        inside = f"{folder}/" if folder else ""
        found |= {name for name in files if name.startswith(inside) and _belongs(name.removeprefix(inside))}
    return found & files


def _locks(plan: Plan) -> Iterable[str]:
    return {each.environment.requirements for each in plan.stages if each.environment.requirements}


def _belongs(name: str) -> bool:
    return any(matches(pattern, name) for pattern in _BESIDE_A_LOCK)


async def _bring(source: dagger.Directory, names: set[str], top: Path) -> None:
    with asking("the source cannot be read"):
        await source.filter(include=literal(sorted(names))).export(str(top))
