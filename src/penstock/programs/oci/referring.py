"""What is known about an artifact and differs from one time to the next: an artifact that refers to it.

It holds `run.json`, the reports and the evidence. What was made for a run with one signer's key, unsigned or
without evidence, is kept for good: publishing again makes no second one. Registries that keep no list of what
refers to a manifest get one under the tag `sha256-<digest>`.

Source: OCI distribution specification 1.1, "Referrers Tag Schema".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.program import RefusedError
from . import manifests
from .blobs import Blob, blob, of_bytes, of_file
from .manifests import Descriptor, Manifest, described
from .repository import Repository

ARTIFACT_TYPE = "application/vnd.penstock.run.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
RUN, SIGNER = "penstock.run", "penstock.signer"
NO_EVIDENCE, NOBODY = "none", "unsigned"
RUN_FOLDER = Path(".penstock-recipe/run")
RUN_FILES = ("run.json", "summary.md", "report.html")
PUBLIC_KEY = "public-key.pem"
ATTEMPTS = 3

_TYPES = {
    ".dsse.json": "application/vnd.dsse.envelope.v1+json",
    ".intoto.json": "application/vnd.in-toto+json",
    ".cdx.json": "application/vnd.cyclonedx+json",
    ".sig": "application/vnd.dev.sigstore.bundle.v0.3+json",
    ".json": "application/json",
    ".md": "text/markdown",
    ".html": "text/html",
    ".pem": "application/x-pem-file",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """An artifact that refers to another one, not yet pushed."""

    manifest: Manifest
    blobs: tuple[Blob, ...]


def prepared(request: Mapping[str, Any], subject: Manifest) -> Evidence:
    """What there is to be said about an artifact.

    Raises:
        OSError: A file cannot be read.
    """
    files = [(f"run/{name}", RUN_FOLDER / name) for name in RUN_FILES if (RUN_FOLDER / name).is_file()]
    folder = Path(request["evidence"]) if request.get("evidence") else None
    if folder is not None:
        entries = sorted(folder.iterdir())
        if not all(entry.is_file() and not entry.is_symlink() for entry in entries):
            raise RefusedError(
                f"{folder}: holds something else than files; that is no evidence of Penstock's"
            )
        files += [(f"evidence/{entry.name}", entry) for entry in entries]
    blobs = [blob(name, [of_file(path)]) for name, path in files]
    layers = [described(each, _media_type(each.name), {manifests.TITLE: each.name}) for each in blobs]
    empty = blob("an empty configuration", [of_bytes(b"{}")])
    manifest = manifests.written(
        {
            "schemaVersion": 2,
            "mediaType": manifests.MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": described(empty, EMPTY_TYPE),
            "layers": layers,
            "subject": {key: subject.descriptor()[key] for key in ("mediaType", "digest", "size")},
            "annotations": {RUN: request["run"]["digest"], SIGNER: _signer(folder)},
        }
    )
    return Evidence(manifest, (empty, *blobs))


def _signer(folder: Path | None) -> str:
    """The key that evidence is signed by, as its digest."""
    if folder is None:
        return NO_EVIDENCE
    key = folder / PUBLIC_KEY
    return f"sha256:{hashlib.sha256(key.read_bytes()).hexdigest()}" if key.is_file() else NOBODY


def _media_type(name: str) -> str:
    return next(
        (kind for ending, kind in _TYPES.items() if name.endswith(ending)), "application/octet-stream"
    )


def push(repository: Repository, subject: Manifest, evidence: Evidence) -> tuple[Manifest, bool]:
    """Have the registry keep evidence; gives what it keeps, and whether that is new."""
    wanted = evidence.manifest.annotations
    for found in of(repository, subject.digest):
        if found.annotations.get(RUN) == wanted[RUN] and found.annotations.get(SIGNER) == wanted[SIGNER]:
            repository.verify(found)
            return found, False
    for each in evidence.blobs:
        repository.upload(each)
    repository.put(evidence.manifest)
    repository.verify(evidence.manifest)
    if repository.referrers(subject.digest) is None:
        _list(repository, subject, evidence.manifest)
    return evidence.manifest, True


def of(repository: Repository, digest: str) -> list[Manifest]:
    """What Penstock knows about an artifact, as far as the registry has it."""
    listed = _listed(repository, digest)
    found = [repository.manifest(each.digest) for each in listed]
    return [each for each in found if each is not None and each.artifact_type == ARTIFACT_TYPE]


def _listed(repository: Repository, digest: str) -> tuple[Descriptor, ...]:
    index = repository.referrers(digest) or repository.manifest(_tag(digest))
    return index.manifests if index is not None else ()


def _list(repository: Repository, subject: Manifest, one: Manifest) -> None:
    """Add to the list under the subject's tag; again if someone else was writing it too."""
    for _ in range(ATTEMPTS):
        before = repository.manifest(_tag(subject.digest))
        known = [] if before is None else json.loads(before.data)["manifests"]  # whatever else they say
        listed = {each["digest"]: each for each in [*known, one.descriptor(one.annotations)]}
        index = {
            "schemaVersion": 2,
            "mediaType": manifests.INDEX,
            "manifests": sorted(listed.values(), key=lambda each: str(each["digest"])),
        }
        repository.put(manifests.written(index), _tag(subject.digest))
        after = repository.manifest(_tag(subject.digest))
        if after is not None and one.digest in {each.digest for each in after.manifests}:
            return
    raise RefusedError(
        f"{repository.name}:{_tag(subject.digest)}: others keep writing this list; publish again"
    )


def _tag(digest: str) -> str:
    return digest.replace(":", "-")
