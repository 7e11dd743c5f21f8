"""An earlier benchmark, compared only if it was made on the same machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.program import UnusableError

_QUANTILES = ("p50", "p95", "p99")
_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier benchmark's document."""

    path: str
    digest: str
    document: Mapping[str, Any]


def read(path: str) -> Earlier:
    """The document at a path.

    Raises:
        UnusableError: It is no benchmark's.
        OSError: It cannot be read.
    """
    content = Path(path).read_bytes()
    try:
        document = json.loads(content) if len(content) <= _LIMIT_BYTES else None
    except (ValueError, RecursionError):
        document = None
    if (
        not isinstance(document, dict)
        or document.get("kind") != "benchmark"
        or not isinstance(document.get("machine"), dict)
        or not isinstance(document.get("latency"), list)
        or not isinstance(document.get("data", {}), dict)
    ):
        raise UnusableError(f"{path}: no document of benchmark-model; name an earlier *.benchmark.json")
    return Earlier(path, f"sha256:{hashlib.sha256(content).hexdigest()}", document)


def compared(
    earlier: Earlier, machine: Mapping[str, Any], latency: Sequence[Mapping[str, Any]], data: str
) -> tuple[dict[str, Any], list[str]]:
    """What the document says of a baseline, and the warnings that go with it.

    Args:
        earlier: The baseline.
        machine: This one.
        latency: As in the document.
        data: Digest of the rows that were used now.
    """
    path, then = earlier.path, earlier.document
    other = then["machine"]
    same = other.get("identity") == machine["identity"]
    found = {
        "path": path,
        "digest": earlier.digest,
        "same_machine": same,
        "machine": other,
        "ratios": _ratios(then["latency"], latency) if same else None,
    }
    warnings = []
    if not same:
        differing = [key for key in machine if key != "identity" and machine[key] != other.get(key)]
        named = "; ".join(f"{key}: {other.get(key)} then, {machine[key]} now" for key in differing)
        warnings.append(f"{path} was measured on another machine and is not compared ({named or 'unknown'})")
    if then.get("data", {}).get("digest") != data:
        warnings.append(f"{path} was measured with other rows")
    return found, warnings


def _ratios(then: Sequence[Any], now: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Now to then, for the batch sizes that both have."""
    before = {entry.get("batch"): entry for entry in then if isinstance(entry, dict)}
    return [
        {"batch": entry["batch"]}
        | {name: _ratio(entry[f"{name}_ms"], before[entry["batch"]].get(f"{name}_ms")) for name in _QUANTILES}
        for entry in now
        if entry["batch"] in before
    ]


def _ratio(now: Mapping[str, Any], then: object) -> float | None:
    value = then.get("value") if isinstance(then, dict) else None
    known = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return float(now["value"]) / float(value) if known else None  # type: ignore[arg-type]  # it is a number
