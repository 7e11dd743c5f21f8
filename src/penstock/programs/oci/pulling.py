"""Fetches an artifact: all of it, checked, or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ..common import digests
from ..common.program import RefusedError, UnusableError
from . import artifact, packing, references, referring
from .manifests import Descriptor, Manifest
from .repository import Repository, title
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
    to.parent.mkdir(parents=True, exist_ok=True)
    with _beside(to) as folder, _opened(folder) as root:
        target = Target(root, int(request.get("limit_bytes") or LIMIT_BYTES))
        for path, layer in wanted.items():
            _fetch(repository, target, layer, path, folder)
        for number, each in enumerate(evidence, 1):
            _fetch_evidence(repository, target, each, f"{OWN}/{number}")
        if to.exists():
            to.rmdir()  # rename() would do without, but then another one's link could be in its place
        folder.rename(to)
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
        "run": manifest.annotations.get(artifact.RUN),
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


def _fetch(repository: Repository, target: Target, layer: Descriptor, path: str, folder: Path) -> None:
    """A layer's file or files, which then have to be what the run called them."""
    form = layer.media_type.rpartition(".")[2]
    if form not in ("raw", "tar"):
        raise RefusedError(f"{path}: a layer of the kind {layer.media_type!r}, which Penstock never writes")
    with _held(repository, layer, path) as file:
        if form == "raw":
            target.file(os.fsencode(path), iter(partial(file.read, 1 << 16), b""))
        else:
            target.unpack(file, path, layer.size, path)
    said = layer.annotations.get(packing.CONTENT)
    if said is not None and digests.of_path(folder / path).digest != said:
        raise RefusedError(f"{path}: what was unpacked is not what was judged; nothing was kept")


def _fetch_evidence(repository: Repository, target: Target, manifest: Manifest, folder: str) -> None:
    for layer in manifest.layers:
        name = f"{folder}/{layer.annotations.get(packing.TITLE, '')}"
        with _held(repository, layer, name) as file:
            target.file(os.fsencode(name), iter(partial(file.read, 1 << 16), b""))


@contextmanager
def _held(repository: Repository, layer: Descriptor, name: str) -> Iterator[BinaryIO]:
    """A layer, all of it and checked before any of it is looked at."""
    with tempfile.TemporaryFile() as file:

        def write(chunks: Iterator[bytes]) -> None:
            file.seek(0)
            file.truncate()
            for chunk in chunks:
                file.write(chunk)

        repository.chunks(layer, title(layer) or name, write)
        file.seek(0)
        yield file


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
