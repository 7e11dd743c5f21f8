"""Speaks to an OCI registry: `push-artifact`, `push-image`, `pull` and `verify`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..common import program
from ..common.program import UnusableError
from . import artifact, image, pulling, repository
from .patience import PATIENCE_S, Patience, watched
from .repository import Repository

_ACTIONS: Mapping[str, Callable[[Repository, Mapping[str, Any]], dict[str, Any]]] = {
    "push-artifact": artifact.push,
    "push-image": image.push,
    "pull": pulling.pull,
    "verify": pulling.verify,
}


def main(arguments: Sequence[str]) -> int:
    """Do what the request says and leave a receipt; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    action = _ACTIONS.get(request["action"])
    if action is None:
        raise UnusableError(f"action: {request['action']!r} is none of {', '.join(_ACTIONS)}")
    patience = Patience(float(request.get("patience_s") or PATIENCE_S))
    receipt = watched(lambda: action(repository.opened(request, patience), request), patience)
    program.write_document(request["receipt"], {"version": 1, "kind": "receipt", **receipt})
    facts = receipt["facts"]
    return " · ".join(each["sentence"] for each in receipt["publications"]) or (
        f"{facts['repository']} {facts['manifest']}: read back, and right"
    )
