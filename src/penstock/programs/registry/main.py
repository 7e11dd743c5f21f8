"""Models in an MLflow registry; `publish: mlflow` and `penstock models` run it in their own environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..common import packages, program
from ..common.program import Progress, UnusableError

Told = tuple[list[dict[str, Any]], dict[str, Any], str]


def main(arguments: Sequence[str]) -> int:
    """Do what the request's `action` says; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    packages.require("mlflow", "sqlalchemy", "alembic", purpose="the registry")
    from . import fetch, moving, publish, shown
    from .place import Place
    from .service import PATIENCE_S, Service
    from .versions import Versions

    def of_model(act: Callable[[Versions, Mapping[str, Any]], Told]) -> Callable[..., Told]:
        return lambda service, request: act(Versions(service, request["model"]), request)

    actions: Mapping[str, Callable[[Service, Mapping[str, Any]], Told]] = {
        "publish": publish.publish,
        "list": shown.listed,
        "show": of_model(shown.shown),
        "compare": of_model(shown.compared),
        "promote": of_model(moving.promote),
        "rollback": of_model(moving.rollback),
        "load": of_model(fetch.load),
        "baseline": of_model(fetch.baseline),
        "anchor": of_model(moving.anchor),
        "read-anchor": of_model(moving.read_anchor),
    }
    if request.get("action") not in actions:
        raise UnusableError(f"action {request.get('action')!r} is none of {', '.join(actions)}")
    place = Place.find(request.get("tracking_uri"))
    service = Service(place, Progress(), float(request.get("patience_s") or PATIENCE_S))
    publications, facts, line = actions[request["action"]](service, request)
    if request.get("receipt"):
        receipt = {"version": 1, "kind": "receipt", "publications": publications, "facts": facts}
        program.write_document(request["receipt"], receipt)
    return line
