"""What an environment is made of, as a CycloneDX 1.6 document (https://cyclonedx.org)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from .requirements import Package, packages

_HASHES = {"sha256": HashAlgorithm.SHA_256, "sha384": HashAlgorithm.SHA_384, "sha512": HashAlgorithm.SHA_512}
_INDEX = "https://pypi.org/simple"
_NAMESPACE = uuid.UUID("5bd3ba4b-4d7e-5f30-a1ba-0d22b6e0f4b5")
"""Of serial numbers, so that the same environment of the same run has the same one."""


def document(name: str, texts: Sequence[str], run: Mapping[str, Any]) -> bytes:
    """The bill of materials of an environment; the same for the same.

    Args:
        name: Of the environment: `training`, `serving`.
        texts: Its locked requirements.
        run: The whole `run.json`.
    """
    pipeline = Component(
        name=run["pipeline"],
        type=ComponentType.APPLICATION,
        bom_ref="pipeline",
        version=run.get("commit"),
        description=f"environment: {name}",
        properties=[Property(name="penstock:run", value=run["run_id"])],
    )
    tool = Component(name="penstock", type=ComponentType.APPLICATION, version=run["penstock"])
    parts = [_component(each) for each in packages(texts)]
    seed = "\0".join((run["run_id"], name, hashlib.sha256("\0".join(texts).encode()).hexdigest()))
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, seed),
        metadata=BomMetaData(
            timestamp=datetime.fromisoformat(run["started_at"]),
            component=pipeline,
            tools=ToolRepository(components=[tool]),
        ),
        components=parts,
    )
    bom.register_dependency(pipeline, parts)
    return JsonV1Dot6(bom).output_as_string(indent=1).encode() + b"\n"


def _component(package: Package) -> Component:
    """A package; what is pinned by digests may be any of several files, so they stand at its source."""
    properties = []
    if package.marker:
        properties.append(Property(name="penstock:marker", value=package.marker))
    if package.version is None and package.url is None:
        properties.append(Property(name="penstock:unpinned", value="true"))
    address = package.url or f"{_INDEX}/{package.name}/"
    source = ExternalReference(
        type=ExternalReferenceType.VCS if address.startswith("git+") else ExternalReferenceType.DISTRIBUTION,
        url=XsUri(address),
        hashes=[HashType(alg=_HASHES[name], content=value) for name, value in package.hashes],
    )
    which = package.version or package.url
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{package.name}=={which}" if which else package.name,
        purl=PackageURL("pypi", name=package.name, version=package.version),
        external_references=[source],
        properties=properties,
    )
