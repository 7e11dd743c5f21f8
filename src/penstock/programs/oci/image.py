"""An image that was built and saved, as it is: the bytes of its layers are those that were tried out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import image_archive, tagging
from .repository import Repository


def push(repository: Repository, request: Mapping[str, Any]) -> dict[str, Any]:
    """Push, read back, and only then tag; gives the receipt.

    Raises:
        UnusableError: The archive holds no image.
        RefusedError: The archive contradicts itself, a tag is taken, or the registry has other bytes.
        UnavailableError: The registry failed.
    """
    image = image_archive.read(Path(request["archive"]))
    tags = tagging.wanted(repository, request, image.top.digest)
    new = repository.store(image.blobs, [*image.parts, image.top])
    new += tagging.tag(repository, image.top, tags)
    if request.get("digest_file"):
        Path(request["digest_file"]).parent.mkdir(parents=True, exist_ok=True)
        Path(request["digest_file"]).write_text(f"{image.top.digest}\n", encoding="utf-8")
    size = sum(each.size for each in image.blobs)
    return {
        "publications": [tagging.publication("image", repository, image.top, tags, new=new, size=size)],
        "facts": {
            "repository": repository.name,
            "manifest": image.top.digest,
            "tags": list(tags.fixed),
            "alias": tags.moving,
            "layers": len(image.blobs),
        },
    }
