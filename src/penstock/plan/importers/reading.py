"""Reading the files of other tools so that a kept plan, and one made from afar, knows what it rests on."""

from __future__ import annotations

import os
from pathlib import Path

from penstock.plan.reads import Reads
from penstock.plan.yaml_file import read_file


def content(path: str, reads: Reads) -> bytes:
    """A small file below the root of `reads`, which is told of it, also if it is not there.

    Raises:
        PipelineError: It is missing, unreadable, no regular file, or too large.
    """
    reads.presence(path)
    place = Path(os.path.normpath(reads.root / path))
    data = read_file(place, path)
    reads.content(place, data)
    return data
