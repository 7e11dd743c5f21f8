"""Images in a tar: what `docker save` writes, and layouts of OCI.

Nothing is unpacked: a layer is pushed from where it lies in the tar.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.program import RefusedError, UnusableError
from . import manifests
from .blobs import Blob, Piece, blob
from .manifests import MANIFEST, Descriptor, Manifest, described

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MAX_DEPTH = 3
_MAX_JSON_BYTES = 4 << 20
_MAX_LINKS = 8


@dataclass(frozen=True, slots=True)
class Image:
    """An image, or several for different machines.

    Attributes:
        top: What a tag names.
        parts: The manifests that it lists, inner ones first; none of an image for one machine.
        blobs: Configurations and layers of all of them.
    """

    top: Manifest
    parts: tuple[Manifest, ...]
    blobs: tuple[Blob, ...]


def read(path: Path) -> Image:
    """The image that a tar holds.

    Raises:
        UnusableError: It is no such tar, or holds several images.
        RefusedError: A part of it is not what its digest says.
        OSError: It cannot be read.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            members = {posixpath.normpath(member.name): member for member in archive}
    except tarfile.TarError:
        raise UnusableError(
            f"{path}: no tar; write it with `docker save --output` or as an OCI layout, uncompressed"
        ) from None
    found = _Archive(path, members)
    if "index.json" in members:
        return found.layout()
    if "manifest.json" in members:
        return found.saved()
    raise UnusableError(f"{path}: holds no image: neither `docker save` nor an OCI layout wrote it")


class _Archive:
    def __init__(self, path: Path, members: dict[str, tarfile.TarInfo]) -> None:
        self._path, self._members = path, members
        self._blobs: dict[str, Blob] = {}
        self._parts: dict[str, Manifest] = {}

    def layout(self) -> Image:
        """An OCI layout; newer versions of Docker save images so."""
        index = manifests.parsed(self._read("index.json"), f"{self._path}: index.json")
        digests = {each.digest for each in index.manifests}
        if len(digests) != 1:
            raise UnusableError(f"{self._path}: holds {len(digests)} images; save only the one to be pushed")
        top = self._manifest(index.manifests[0], 0)
        del self._parts[top.digest]
        return Image(top, tuple(self._parts.values()), tuple(self._blobs.values()))

    def _manifest(self, wanted: Descriptor, depth: int) -> Manifest:
        if depth > MAX_DEPTH:
            raise RefusedError(f"{self._path}: indexes within indexes")
        name = self._blob_name(wanted.digest)
        data = self._read(name)
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != wanted.digest:
            raise RefusedError(
                f"{self._path}: {name} has another digest than its name says; nothing was pushed"
            )
        found = manifests.parsed(data, f"{self._path}: {name}")
        for each in found.manifests:
            self._manifest(each, depth + 1)
        for each in found.blobs:
            self._add(self._blob_name(each.digest), each.digest)
        self._parts[found.digest] = found
        return found

    def saved(self) -> Image:
        """What Docker saves before version 25: layers without compression, and no manifest."""
        entries = self._json("manifest.json")
        if not isinstance(entries, list) or len(entries) != 1 or not isinstance(entries[0], dict):
            raise UnusableError(
                f"{self._path}: holds more or less than one image; save only the one to be pushed"
            )
        config_name, names = entries[0].get("Config"), entries[0].get("Layers")
        if not isinstance(config_name, str) or not isinstance(names, list) or not names:
            raise UnusableError(f"{self._path}: manifest.json names no configuration or no layers")
        config = self._add(config_name)
        layers = [self._add(str(name)) for name in names]
        self._demand_layers(config_name, layers)
        top = manifests.written(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": described(config, CONFIG),
                "layers": [described(each, LAYER) for each in layers],
            }
        )
        return Image(top, (), tuple(self._blobs.values()))

    def _demand_layers(self, config_name: str, layers: list[Blob]) -> None:
        """The configuration names its layers by their digests: they have to be these."""
        config = self._json(config_name)
        files = config.get("rootfs") if isinstance(config, dict) else None
        wanted = files.get("diff_ids") if isinstance(files, dict) else None
        if wanted != [each.digest for each in layers]:
            raise RefusedError(
                f"{self._path}: its layers are not those of its configuration; nothing was pushed"
            )

    def _add(self, name: str, digest: str | None = None) -> Blob:
        member = self._member(name)
        found = self._blobs.get(digest or "") or blob(
            name, [Piece(self._path, member.size, member.offset_data)]
        )
        if digest is not None and found.digest != digest:
            raise RefusedError(
                f"{self._path}: {name} has another digest than its name says; nothing was pushed"
            )
        return self._blobs.setdefault(found.digest, found)

    def _member(self, name: str) -> tarfile.TarInfo:
        """A file in the tar; Docker writes a layer that two images share as a link."""
        name = posixpath.normpath(name)
        for _ in range(_MAX_LINKS):
            member = self._members.get(name)
            if member is not None and member.issym():
                name = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            elif member is not None and member.islnk():
                name = posixpath.normpath(member.linkname)
            else:
                break
        else:
            member = None
        if member is None or not member.isreg() or member.sparse is not None:
            raise UnusableError(f"{self._path}: {name} is not in it")
        return member

    def _read(self, name: str) -> bytes:
        member = self._member(name)
        if member.size > _MAX_JSON_BYTES:
            raise UnusableError(f"{self._path}: {name} is too large to be a manifest")
        return blob(name, [Piece(self._path, member.size, member.offset_data)]).read()

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self._read(name))
        except (ValueError, RecursionError):
            raise UnusableError(f"{self._path}: {name} is no JSON") from None

    @staticmethod
    def _blob_name(digest: str) -> str:
        return f"blobs/{digest.replace(':', '/')}"
