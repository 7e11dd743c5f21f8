"""A model and what was judged with it, as one artifact in the layout of ModelPack.

Its bytes depend on nothing but the run's digest and what was judged, so that the same run is the same
artifact whoever pushes it. What differs from one time to the next (`run.json`, reports, signatures) is in an
artifact of its own that refers to it (`referring`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..common.program import RefusedError, UnusableError
from . import manifests, packing, referring, tagging
from .blobs import Blob, blob, of_bytes
from .manifests import Manifest, described
from .packing import Layer
from .repository import Repository

ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
LAYER_TYPES = "application/vnd.cncf.model."
PLAN = "penstock.plan"
STABLE_RUN = "penstock/stable.json"
"""What the run's digest is the digest of, in an artifact."""


def push(repository: Repository, request: Mapping[str, Any]) -> dict[str, Any]:
    """Push, read back, and only then tag; gives the receipt.

    Raises:
        RefusedError: A file is not what was judged, a tag is taken, or the registry has other bytes.
        UnusableError: Something that is to be published is not there.
        UnavailableError: The registry failed.
    """
    layers = _layers(request)
    config = _config(request, layers)
    manifest = _manifest(request["run"], config, layers)
    evidence = referring.prepared(request, manifest)
    tags = tagging.wanted(repository, request, manifest.digest)
    new = repository.store([config, *(each.blob for each in layers)], [manifest])
    refers, is_new = referring.push(repository, manifest, evidence)
    new += ["evidence"] if is_new else []
    new += tagging.tag(repository, manifest, tags)
    size = sum(each.size for each in manifest.blobs)
    return {
        "publications": [tagging.publication("artifact", repository, manifest, tags, new=new, size=size)],
        "facts": {
            "repository": repository.name,
            "manifest": manifest.digest,
            "run": request["run"]["digest"],
            "evidence": refers.digest,
            "tags": list(tags.fixed),
            "alias": tags.moving,
            "layers": [
                {"path": each.annotations[packing.FILEPATH], "digest": each.digest}
                for each in manifest.layers
            ],
        },
    }


def _layers(request: Mapping[str, Any]) -> list[Layer]:
    stable = (referring.RUN_FOLDER / "stable.json").as_posix()
    run = packing.layer(stable, "run", "file", request["run"]["digest"], STABLE_RUN)
    contents = sorted(request["contents"], key=lambda each: each["path"])
    found = [
        packing.layer(each["path"], each["role"] or "", each["kind"], each["digest"]) for each in contents
    ]
    if not found:
        raise UnusableError("publish.artifact: there is nothing to publish; name outputs in `contents`")
    if request.get("package") and request["package"] not in {each["path"] for each in contents}:
        found.append(packing.layer(request["package"], "package", "directory"))
    return [*found, run]


def _config(request: Mapping[str, Any], layers: list[Layer]) -> Blob:
    document = {
        "descriptor": {"name": request["run"]["pipeline"]},
        "config": {},
        "modelfs": {"type": "layers", "diffIds": [each.blob.digest for each in layers]},
    }
    data = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return blob("the configuration", [of_bytes(data)])


def _manifest(run: Mapping[str, Any], config: Blob, layers: list[Layer]) -> Manifest:
    return manifests.written(
        {
            "schemaVersion": 2,
            "mediaType": manifests.MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": described(config, CONFIG_TYPE),
            "layers": [each.descriptor for each in layers],
            "annotations": {
                manifests.TITLE: run["pipeline"],
                referring.RUN: run["digest"],
                PLAN: run["plan"],
            },
        }
    )


def demand(manifest: Manifest, where: str) -> None:
    """See that a manifest is such an artifact.

    Raises:
        RefusedError: It is not.
    """
    config = manifest.config
    if manifest.artifact_type != ARTIFACT_TYPE or config is None or config.media_type != CONFIG_TYPE:
        raise RefusedError(f"{where}: no model that Penstock pushed (an image is pulled with docker)")
