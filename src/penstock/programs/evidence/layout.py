"""The files of evidence, and the index of them, which can always be made again from the others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common.program import RefusedError
from . import documents, trees

INDEX = "index.json"
RUN = "run.json"
"""The run without what differs between equal runs; its digest is what the run is known by."""
MODEL_SIGNATURE = "model.sig"
PUBLIC_KEY = "public-key.pem"
PROVENANCE, VERDICT = "provenance", "verdict"
SIGNED, UNSIGNED = ".dsse.json", ".intoto.json"

_SBOM = re.compile(r"sbom-[a-z][a-z0-9-]{0,63}\.cdx\.json")
_MEDIA_TYPES = {
    SIGNED: "application/vnd.dsse.envelope.v1+json",
    UNSIGNED: "application/vnd.in-toto+json",
    ".cdx.json": "application/vnd.cyclonedx+json",
    RUN: "application/json",
    MODEL_SIGNATURE: "application/vnd.dev.sigstore.bundle.v0.3+json",
    PUBLIC_KEY: "application/x-pem-file",
}
_MAX_FILES = 32
_VERSION = 1


def sbom_name(environment: str) -> str:
    """The file of an environment's bill of materials.

    Raises:
        ValueError: The environment's name cannot be part of a file's name.
    """
    name = f"sbom-{environment}.cdx.json"
    if _SBOM.fullmatch(name) is None:
        raise ValueError(environment)
    return name


def is_sbom(name: str) -> bool:
    """Whether a file is called as a bill of materials is."""
    return _SBOM.fullmatch(name) is not None


def environment(name: str) -> str:
    """The environment whose bill of materials a file is."""
    return name.removeprefix("sbom-").removesuffix(".cdx.json")


def index(files: Mapping[str, bytes], run: str) -> dict[str, Any]:
    """What there is.

    Args:
        files: All but the index itself.
        run: Digest of the run.
    """
    return {
        "version": _VERSION,
        "kind": "evidence",
        "signed": PUBLIC_KEY in files,
        "run": run,
        "files": {
            name: {
                "digest": sha256(data),
                "size_bytes": len(data),
                "media_type": next(kind for end, kind in _MEDIA_TYPES.items() if name.endswith(end)),
            }
            for name, data in sorted(files.items())
        },
    }


def sha256(data: bytes) -> str:
    """The digest of a file."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read(directory: Path) -> dict[str, bytes]:
    """All files of a directory of evidence, with the index that they come to; it is not among them.

    Raises:
        RefusedError: A file is missing, too many, or no file of evidence; or the index is another one.
    """
    try:
        names = sorted(each.name for each in directory.iterdir()) if not directory.is_symlink() else []
        _demand_names(names, directory)
        _demand_room(directory, names)
        files = {name: trees.read(directory / name) for name in names}
    except OSError as error:
        raise RefusedError(f"{directory}: the evidence cannot be read: {error.strerror}") from None
    said = files.pop(INDEX)
    if said != documents.encode(index(files, sha256(files[RUN]))):
        raise RefusedError(f"{directory / INDEX}: does not say what lies beside it: something was changed")
    return files


def _demand_room(directory: Path, names: list[str]) -> None:
    size = sum((directory / name).lstat().st_size for name in names)
    if size > 2 * trees.MAX_DOCUMENT_BYTES:
        raise RefusedError(f"{directory}: {size >> 20} MiB, more than any evidence is")


def _demand_names(names: list[str], directory: Path) -> None:
    if INDEX not in names:
        raise RefusedError(f"{directory}: holds no evidence: there is no {INDEX}")
    if len(names) > _MAX_FILES:
        raise RefusedError(f"{directory}: {len(names)} files, more than any evidence has")
    ending = SIGNED if PUBLIC_KEY in names else UNSIGNED
    needed = {INDEX, RUN, f"{PROVENANCE}{ending}", f"{VERDICT}{ending}"}
    known = needed | ({PUBLIC_KEY, MODEL_SIGNATURE} if ending == SIGNED else set())
    if missing := sorted(needed - {*names}):
        raise RefusedError(f"{directory}: the evidence is not whole: {missing[0]} is missing")
    if further := sorted(name for name in {*names} - known if not is_sbom(name)):
        raise RefusedError(f"{directory}: {further[0]!r} is no part of any evidence")
