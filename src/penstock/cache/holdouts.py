"""How often an evaluation set has decided about models, kept beside a project's runs.

One file for each set, one line for each predictions table that was judged on it. Looking at the same rows
again and again wears them out: a model that is chosen by them is judged too kindly by them.
"""

from __future__ import annotations

import os
from pathlib import Path

from penstock.digest import PREFIX

FOLDER = Path(".penstock/holdouts")
MAX_BYTES = 16 << 20
_HEXADECIMAL = frozenset("0123456789abcdef")
_DIGITS = 64


def decided(root: Path, evaluation_set: str, predictions: str) -> int | None:
    """How many different tables were judged on a set, with this one; it is remembered.

    None if a digest is none, or where nothing can be kept.
    """
    name, line = (_hexadecimal(each) for each in (evaluation_set, predictions))
    if name is None or line is None:
        return None
    place = root / FOLDER / name
    try:
        known = _lines(place)
        if line not in known:
            place.parent.mkdir(parents=True, exist_ok=True)
            # whole lines, each in one write, so that runs at the same time lose nothing
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                os.write(descriptor, f"{line}\n".encode())
            finally:
                os.close(descriptor)
    except OSError:
        return None
    return len({*known, line})


def _lines(place: Path) -> set[str]:
    """The whole lines of a file; one that a crash cut short counts for nothing."""
    if not place.exists():
        return set()
    with place.open("rb") as file:
        found = file.read(MAX_BYTES).decode("ascii", "replace").splitlines()
    return {line for line in found if _hexadecimal(PREFIX + line) is not None}


def _hexadecimal(digest: str) -> str | None:
    text = digest.removeprefix(PREFIX)
    fits = text != digest and len(text) == _DIGITS and not set(text) - _HEXADECIMAL
    return text if fits else None
