"""The documents of a run: what its programs measured, kept beside `run.json` for whoever shows the run.

They come out of stages, so nothing in them is to be trusted: not their paths, their size nor their shape.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

FOLDER = "documents"
MAX_BYTES = 16 << 20
"""A document that is larger is neither kept nor read."""
MAX_FILES = 500


def kept(documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The documents as files of a report.

    Args:
        documents: By the path of the output that each is.
    """
    return {
        f"{FOLDER}/{path}": content
        for path, content in sorted(documents.items())
        if _below(path) and len(content) <= MAX_BYTES
    }


def _below(path: str) -> bool:
    """Whether a path stays below the directory that it is taken from."""
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and not {"..", "\0"} & {*pure.parts, *path}


def read(report_folder: Path) -> dict[str, bytes]:
    """The documents beside a `run.json`, by the paths of the outputs that they were.

    Links are not followed. A document that is too large or cannot be read is left out.
    """
    documents: dict[str, bytes] = {}
    for path in _files(report_folder / FOLDER):
        if len(documents) == MAX_FILES:
            break
        try:
            if path.stat().st_size <= MAX_BYTES:
                documents[path.relative_to(report_folder / FOLDER).as_posix()] = path.read_bytes()
        except OSError:
            continue
    return documents


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (
            path for name in sorted(names) if (path := Path(place) / name).is_file() and not path.is_symlink()
        )
