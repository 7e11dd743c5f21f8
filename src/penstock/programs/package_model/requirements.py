"""What a package needs installed: the project's lock, and what serves it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_HASH = re.compile(r"\s*--hash[= ]\S+")


def text(asked: Mapping[str, Any]) -> str:
    """The text of `requirements.txt`.

    Args:
        asked: `lines` (of the lock, or null where there is none), `exact` (whether they are what must be
            installed; else what is installed is taken, with their hashes), `tools` (the lines that serve).
    """
    lines = asked["lines"]
    if lines is None:
        ours = [f"{name}=={version}" for name, version in _loaded()]
    elif asked["exact"]:
        ours = list(lines)
    else:
        known = {_release(line): line for line in lines}
        ours = [known.get(each, f"{each[0]}=={each[1]}") for each in _installed()]
    named = {_name(line) for line in ours}
    whole = [*ours, *(line for line in asked["tools"] if _name(line) not in named)]
    if any("--hash" not in line for line in whole if not line.startswith("-")):
        # pip wants all of them or none
        whole = [_HASH.sub("", line) for line in whole]
    return "".join(f"{line}\n" for line in whole)


def _name(line: str) -> str | None:
    found = _NAME.match(line)
    return _plain(found[0]) if found else None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _release(line: str) -> tuple[str | None, str]:
    version = re.search(r"==\s*([^\s;]+)", line)
    return _name(line), version[1] if version else ""


def _installed() -> Iterator[tuple[str, str]]:
    yield from _sorted(metadata.distributions())


def _loaded() -> Iterator[tuple[str, str]]:
    """Distributions whose modules are in memory, now that the model has predicted."""
    owners = metadata.packages_distributions()
    tops = {name.partition(".")[0] for name in sys.modules}
    yield from _sorted(metadata.distribution(owner) for top in tops for owner in owners.get(top, ()))


def _sorted(found: Iterable[metadata.Distribution]) -> list[tuple[str, str]]:
    tools = ("pip", "setuptools", "wheel", "penstock")
    pairs = {(_plain(each.metadata["Name"]), each.version) for each in found if each.metadata["Name"]}
    return sorted(pair for pair in pairs if pair[0] not in tools)
