"""`files.json`: which files the directories of a run hold, beside its `run.json`.

`run.json` knows a directory by the digest of its manifest. With this file `penstock verify` can name the file
in which two runs part, also where neither run's store is at hand. Each list is a manifest, field by field,
so a reader makes the manifest of it again and finds out whether it has that digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock import digest
from penstock.cache.compare import Manifests
from penstock.results import PartKind, RunReport

NAME = "files.json"
VERSION = 1
MAX_FILES = 10_000
MAX_BYTES = 1 << 20
"""Of all manifests of a run together; what does not fit is known by its digest alone."""

_HEADER = digest.MANIFEST_HEADER.decode()


def unknown(_name: str) -> None:
    """Knows no manifest."""


def encode(report: RunReport, manifests: Manifests) -> bytes | None:
    """The file for a run, one line for each directory; None if nothing is known of any."""
    sizes = {
        part.digest: part.files
        for stage in report.stages
        for part in (*stage.inputs, *stage.outputs)
        if part.kind is PartKind.DIRECTORY
    }
    lines, files, size = [], 0, 0
    # the smallest first, so that as many as possible are there
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        files += sizes[name]
        manifest = manifests(name) if files <= MAX_FILES else None
        size += len(manifest or b"")
        if manifest is not None and size <= MAX_BYTES:
            lines.append(f"  {json.dumps(name)}: {json.dumps(_rows(manifest))}")
    if not lines:
        return None
    text = ",\n".join(lines)
    return f'{{\n "version": {VERSION},\n "directories": {{\n{text}\n }}\n}}\n'.encode("ascii")


def _rows(manifest: bytes) -> list[list[str]]:
    fields = manifest[len(_HEADER) : -1].decode("utf-8", "surrogateescape").split("\0")
    return [fields[at : at + 3] for at in range(0, len(fields) - 2, 3)]


def read(path: Path) -> Mapping[str, bytes]:
    """The manifests in a file, by digest; what is not there, or is not what its digest says, is left out."""
    try:
        document = json.loads(path.read_bytes()) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    directories = document.get("directories") if isinstance(document, dict) else None
    if not isinstance(directories, dict) or document.get("version") != VERSION:
        return {}
    return dict(_sound(directories))


def _sound(directories: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for name, rows in directories.items():
        try:
            text = "".join(f"{field}\0" for row in rows for field in row)
            manifest = f"{_HEADER}{text}".encode("utf-8", "surrogateescape")
            if digest.of_bytes(manifest) == name and all(digest.decode_manifest(manifest)):
                yield name, manifest
        except (TypeError, ValueError):  # no list of lists, or what no manifest holds
            continue


def well_formed(name: str) -> bool:
    """Whether this is a digest: one from a foreign document may be anything, a path too."""
    hexadecimal = name.removeprefix(digest.PREFIX)
    return name != hexadecimal and len(hexadecimal) == 64 and not {*hexadecimal} - {*"0123456789abcdef"}  # noqa: PLR2004
