"""Looks at a source inside a container: what declared paths hold, as the embedded executor sees it.

It is carried into a container (`carried`), so that a large source is read where it lies.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from penstock import digest
from penstock.cache.stat_index import StatIndex
from penstock.errors import InputError


def main(arguments: list[str]) -> int:
    """`REQUEST ROOT RESULT`: the request is JSON, with `paths`, `outputs` and `ignore`; so is the result."""
    request, root, result = json.loads(Path(arguments[0]).read_bytes()), Path(arguments[1]), arguments[2]
    index = StatIndex(root, Path("/dev/null/none"), request["ignore"])  # nothing is remembered
    outputs = frozenset(request["outputs"])
    found = {path: look(index, root, path, outputs) for path in request["paths"]}
    Path(result).write_bytes(digest.canonical_json(found))
    return 0


def look(index: StatIndex, root: Path, path: str, outputs: frozenset[str]) -> dict[str, Any] | None:
    """What the source holds at a path, as JSON values; None if nothing is there."""
    try:
        scan = index.scan(path, excluding=outputs)
    except InputError as error:
        return {"error": [error.what, error.path, list(error.notes)]}
    if scan is None:
        return None
    part = scan.part
    real = path
    if scan.members is None:
        real = os.path.relpath(os.path.realpath(root / path), os.path.realpath(root))
    return {
        "kind": part.kind.value,
        "digest": part.digest,
        "size_bytes": part.size_bytes,
        "files": part.files,
        "manifest": scan.manifest.decode("latin-1") if scan.manifest is not None else None,
        "masked": list(scan.masked),
        "members": list(scan.members) if scan.members is not None else None,
        "real": real,
    }
