"""Manifests and indexes: read from a service that may say anything, and written byte for byte the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..common.program import RefusedError
from . import references
from .blobs import Blob

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEXES = (INDEX, DOCKER_INDEX)
ACCEPTED = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX)

TITLE = "org.opencontainers.image.title"
"""The annotation by which other programs name a layer's file."""

MAX_MANIFEST_BYTES = 4 << 20  # what registries must accept at least, and hardly any accepts more
MAX_PARTS = 10_000
MAX_BLOB_BYTES = 1 << 44
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest refers to.

    Attributes:
        annotations: Text by name; none where there are none.
    """

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index, and its very bytes.

    Attributes:
        config: None of an index.
        layers: Of an index none.
        manifests: Of an index what it lists.
    """

    data: bytes
    digest: str
    media_type: str
    artifact_type: str | None
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Configuration and layers, each once."""
        found = ((self.config,) if self.config else ()) + self.layers
        return tuple({each.digest: each for each in found}.values())

    def descriptor(self, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
        """As another document refers to it."""
        found = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        return found | ({"annotations": dict(annotations)} if annotations else {})


def described(blob: Blob, media_type: str, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A blob as a manifest refers to it."""
    found: dict[str, Any] = {"mediaType": media_type, "digest": blob.digest, "size": blob.size}
    return found | ({"annotations": dict(annotations)} if annotations else {})


def written(document: Mapping[str, Any]) -> Manifest:
    """A manifest that we make; equal documents give equal bytes."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return parsed(text.encode(), "the manifest")


def parsed(data: bytes, where: str, media_type: str | None = None) -> Manifest:
    """What a manifest's bytes say.

    Args:
        where: Begins a complaint.
        media_type: That the registry says; a manifest without one of its own has this.

    Raises:
        RefusedError: They are none of the kinds that are known, or not to be trusted.
    """
    document = _json(data, where)
    said = document.get("mediaType") or media_type or (INDEX if "manifests" in document else MANIFEST)
    if said not in ACCEPTED:
        raise RefusedError(f"{where}: its media type {said!r} is none that Penstock reads")
    if media_type is not None and media_type != said:
        raise RefusedError(f"{where}: says that it is {said!r}, and is served as {media_type!r}")
    is_index = said in INDEXES
    if (
        document.get("schemaVersion") != _VERSION
        or ("manifests" in document) != is_index
        or ("layers" in document) == is_index
    ):
        raise RefusedError(f"{where}: is neither a manifest nor an index of version 2")
    artifact_type = document.get("artifactType")
    return Manifest(
        data=data,
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
        media_type=said,
        artifact_type=artifact_type if isinstance(artifact_type, str) else None,
        config=None if is_index else _descriptor(document.get("config"), f"{where}: config"),
        layers=() if is_index else _descriptors(document["layers"], f"{where}: layer"),
        manifests=_descriptors(document["manifests"], f"{where}: manifest") if is_index else (),
        annotations=_annotations(document.get("annotations"), where),
    )


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(data, object_pairs_hook=_without_repeats, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{where}: no JSON that can be trusted ({str(error)[:80]})") from None
    if not isinstance(document, dict):
        raise RefusedError(f"{where}: no JSON object")
    return document


def _without_repeats(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key[:40]!r} stands twice")
        found[key] = value
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _descriptors(found: object, where: str) -> tuple[Descriptor, ...]:
    if not isinstance(found, list) or len(found) > MAX_PARTS:
        raise RefusedError(f"{where}s: no list of at most {MAX_PARTS:,}")
    return tuple(_descriptor(each, f"{where} {at}") for at, each in enumerate(found, 1))


def _descriptor(found: object, where: str) -> Descriptor:
    if not isinstance(found, dict):
        raise RefusedError(f"{where}: is no description")
    media_type, digest, size = found.get("mediaType"), found.get("digest"), found.get("size")
    if not references.is_digest(digest) or not isinstance(media_type, str):
        raise RefusedError(f"{where}: has no SHA-256 digest or no media type")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_BLOB_BYTES:
        raise RefusedError(f"{where}: cannot have {str(size)[:40]} bytes")
    if found.get("urls"):
        raise RefusedError(f"{where}: lies outside of the registry")
    return Descriptor(media_type, str(digest), size, _annotations(found.get("annotations"), where))


def _annotations(found: object, where: str) -> Mapping[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise RefusedError(f"{where}: its annotations are not text")
    return found
