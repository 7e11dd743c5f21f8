"""Tags: those that never move are refused before anything is pushed, and the moving one comes last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.program import RefusedError
from . import references
from .manifests import Manifest
from .repository import Repository


@dataclass(frozen=True, slots=True)
class Tags:
    """What a manifest is to be called.

    Attributes:
        fixed: Never moved to another manifest.
        moving: The alias, if there is one.
        there: Those of both that name the manifest already.
    """

    fixed: tuple[str, ...]
    moving: str | None
    there: frozenset[str]


def wanted(repository: Repository, request: Mapping[str, Any], digest: str) -> Tags:
    """The tags that a request asks for.

    Raises:
        RefusedError: One that never moves names another manifest.
    """
    fixed = references.tags(request.get("tags") or (), digest)
    moving = references.tag(request["alias"]) if request.get("alias") else None
    names = dict.fromkeys((*fixed, *((moving,) if moving else ())))
    there = {tag for tag in names if _is_there(repository, tag, digest, may_move=tag == moving)}
    return Tags(fixed, moving, frozenset(there))


def _is_there(repository: Repository, tag: str, digest: str, *, may_move: bool) -> bool:
    found = repository.manifest(tag)
    if found is None or found.digest == digest or may_move:
        return found is not None and found.digest == digest
    raise RefusedError(
        f"{repository.name}:{tag} is {found.digest[:19]}… already, and only an alias is moved, "
        f"here to {digest[:19]}…; choose another tag"
    )


def tag(repository: Repository, manifest: Manifest, tags: Tags) -> list[str]:
    """Give a manifest that was verified its tags, the moving one last; gives those that were new.

    Raises:
        RefusedError: Somebody else has taken one meanwhile.
    """
    missing = [each for each in tags.fixed if each not in tags.there and each != tags.moving]
    for each in missing:
        if not _is_there(repository, each, manifest.digest, may_move=False):
            repository.put(manifest, each)
    if tags.moving and tags.moving not in tags.there:
        repository.put(manifest, tags.moving)
        missing.append(tags.moving)
    return missing


def publication(
    kind: str, repository: Repository, manifest: Manifest, tags: Tags, *, new: Sequence[str], size: int
) -> dict[str, Any]:
    """What a receipt says of it.

    Args:
        new: What was not there before; empty if all was.
    """
    names = [*tags.fixed, *([tags.moving] if tags.moving and tags.moving not in tags.fixed else [])]
    shown = ", ".join(names) or "no tag"
    state = "written" if new else "unchanged"
    done = "pushed, read back and tagged" if new else "there already, and what it should be"
    return {
        "kind": kind,
        "state": state,
        "sentence": f"{repository.name} ({shown}): {done}",
        "target": f"{repository.name}{f':{names[0]}' if names else ''}@{manifest.digest}",
        "digest": manifest.digest,
        "size_bytes": size,
    }
