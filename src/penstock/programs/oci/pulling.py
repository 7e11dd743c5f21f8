"""Fetches an artifact: all of it, checked, or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..common import digests
from ..common.program import RefusedError, UnusableError
from . import artifact, manifests, packing, references, referring
from .blobs import CHUNK_BYTES
from .manifests import Descriptor, Manifest
from .repository import Repository
from .unpacking import Target, checked

LIMIT_BYTES = 1 << 40
OWN = "penstock"
"""The directory of what is not the user's: the stable run, and in `1`, `2`, … what refers to the artifact."""


def pull(repository: Repository, request: Mapping[str, Any]) -> dict[str, Any]:
    """Put an artifact's files into a new directory; gives the receipt.

    Raises:
        UnusableError: There is no such artifact, or the directory holds something.
        RefusedError: What the registry gives is not what its digest says, or not to be unpacked.
        UnavailableError: The registry failed.
    """
    to = Path(request["to"])
    if to.is_symlink() or (to.exists() and not (to.is_dir() and not any(to.iterdir()))):
        raise UnusableError(f"{to}: holds something already; name a directory that is empty or not there")
    manifest = named(repository, request)
    artifact.demand(manifest, f"{repository.name} {request['reference']}")
    wanted = _paths(manifest)
    evidence = referring.of(repository, manifest.digest) if request.get("evidence") else []
    limit = int(request.get("limit_bytes") or LIMIT_BYTES)
    size = sum(layer.size for each in (manifest, *evidence) for layer in each.layers)
    if size > limit:
        raise RefusedError(f"{repository.name}: has {size:,} bytes, and {limit:,} are allowed")
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=to.parent) as file:
        parts = [_fetched(repository, file, layer, path) for path, layer in wanted.items()]
        for number, each in enumerate(evidence, 1):
            for layer in each.layers:
                name = layer.annotations.get(manifests.TITLE, "")
                parts.append(_fetched(repository, file, layer, f"{OWN}/{number}/{name}"))
        # the network is done with: whatever ends this before leaves nothing
        _unpack(file, parts, to, limit)
    return {"publications": [], "facts": _facts(repository, manifest, evidence) | {"paths": sorted(wanted)}}


def verify(repository: Repository, request: Mapping[str, Any]) -> dict[str, Any]:
    """Read an artifact or an image back, with all that it refers to; gives the receipt.

    Raises:
        UnusableError: There is no such thing.
        RefusedError: Something is not what its digest says.
        UnavailableError: The registry failed.
    """
    manifest = named(repository, request)
    parts = repository.verify(manifest)
    evidence = referring.of(repository, manifest.digest)
    parts += sum(repository.verify(each) for each in evidence)
    return {"publications": [], "facts": _facts(repository, manifest, evidence) | {"parts": parts}}


def named(repository: Repository, request: Mapping[str, Any]) -> Manifest:
    """What a request's `reference` names.

    Raises:
        UnusableError: Nothing.
    """
    reference = references.reference(request["reference"])
    found = repository.manifest(reference)
    if found is None:
        raise UnusableError(f"{repository.name}: there is no {reference}; look for what was published there")
    return found


def _facts(repository: Repository, manifest: Manifest, evidence: list[Manifest]) -> dict[str, Any]:
    return {
        "repository": repository.name,
        "manifest": manifest.digest,
        "media_type": manifest.media_type,
        "artifact_type": manifest.artifact_type,
        "run": manifest.annotations.get(referring.RUN),
        "evidence": [
            {"manifest": each.digest, "signer": each.annotations.get(referring.SIGNER)} for each in evidence
        ],
    }


def _paths(manifest: Manifest) -> dict[str, Descriptor]:
    """Layers by the paths that they go to, none of which is below another one."""
    found: dict[str, Descriptor] = {}
    for layer in manifest.layers:
        path = layer.annotations.get(packing.FILEPATH, "")
        checked(os.fsencode(path))
        if path.split("/")[0] == OWN and path != artifact.STABLE_RUN:
            raise RefusedError(f"{path!r}: where Penstock's own files go; nothing was kept")
        if path in found or any(
            f"{path}/".startswith(f"{one}/") or one.startswith(f"{path}/") for one in found
        ):
            raise RefusedError(f"{path!r}: two layers have this path; nothing was kept")
        found[path] = layer
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """A layer that was fetched: where it goes, and where it starts in the file that holds them all."""

    path: str
    layer: Descriptor
    start: int


def _fetched(repository: Repository, file: BinaryIO, layer: Descriptor, path: str) -> _Part:
    """Fetch a layer, all of it and checked before any of it is looked at."""
    start = file.seek(0, os.SEEK_END)

    def write(chunks: Iterator[bytes]) -> None:
        file.seek(start)
        file.truncate()
        file.writelines(chunks)

    repository.chunks(layer, path, write)
    return _Part(path, layer, start)


def _unpack(file: BinaryIO, parts: list[_Part], to: Path, limit_bytes: int) -> None:
    """Put what was fetched in its place, all of it or nothing."""
    with _beside(to) as folder, _opened(folder) as root:
        target = Target(root, limit_bytes)
        for part in parts:
            file.seek(part.start)
            _put(file, part, target)
            said = part.layer.annotations.get(packing.CONTENT)
            if said is not None and digests.of_path(folder / part.path).digest != said:
                raise RefusedError(f"{part.path}: what was unpacked is not what was judged; nothing was kept")
        if to.exists():
            to.rmdir()  # rename() would do without, but then another one's link could be in its place
        folder.rename(to)


def _put(file: BinaryIO, part: _Part, target: Target) -> None:
    """A layer's file or files. Models' layers are raw or tars; what refers to them is files."""
    form = part.layer.media_type.rpartition(".")[2]
    if form == "tar":
        target.unpack(file, part.path, part.layer.size, part.path)
    elif form == "raw" or not part.layer.media_type.startswith(artifact.LAYER_TYPES):
        target.file(os.fsencode(part.path), _chunks(file, part.layer.size))
    else:
        raise RefusedError(
            f"{part.path}: a layer of the kind {part.layer.media_type!r}, which Penstock never writes"
        )


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        chunk = file.read(min(size, CHUNK_BYTES))
        size -= len(chunk)
        yield chunk


@contextmanager
def _beside(to: Path) -> Iterator[Path]:
    """A new directory beside another place, which is gone at the end unless it was renamed."""
    folder = Path(tempfile.mkdtemp(prefix=f".{to.name}.", suffix=".partial", dir=to.parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield handle
    finally:
        os.close(handle)
