"""Models and versions for people: lists, one version in full, two beside each other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..common.program import UnusableError
from . import moving
from .service import AbsentError, Service, pages, tags_of
from .versions import PASSED, RUN, Versions

_HEAD = ("version", "aliases", "passed", "commit", "digest")

Told = tuple[list[dict[str, Any]], dict[str, Any], str]


def listed(service: Service, request: Mapping[str, Any]) -> Told:
    """All models, or the versions of one."""
    if request.get("model"):
        return _versions(Versions(service, request["model"]))
    found = pages(
        service, "listing the models", service.client.search_registered_models, max_results=200,
        order_by=["name ASC"],
    )  # fmt: skip
    models = [
        {"name": each.name, "aliases": {key: str(value) for key, value in dict(each.aliases or {}).items()}}
        for each in found
    ]
    return [], {"registry": service.place.shown, "models": models}, f"{len(models)} models"


def _versions(versions: Versions) -> Told:
    model = versions.model()
    rows = [_brief(each, model.aliases) for each in reversed(versions.all())]
    facts = {
        "registry": versions.service.place.shown,
        "model": versions.name,
        "aliases": dict(model.aliases),
        "champions": list(model.record.champions(model.champion)),
        "versions": rows,
    }
    return [], facts, f"{len(rows)} versions of {versions.name!r}"


def _brief(version: Any, aliases: Mapping[str, str]) -> dict[str, Any]:
    tags, number = tags_of(version), str(version.version)
    passed = tags.get(PASSED)
    return {
        "version": number,
        "aliases": sorted(alias for alias, meant in aliases.items() if meant == number),
        "registered_at": _moment(version.creation_timestamp),
        "run": tags.get(RUN),
        "passed": None if passed is None else passed == "true",
        "commit": tags.get("penstock.commit") or None,
        "evidence": tags.get("penstock.evidence") == "yes",
        "digest": tags.get("penstock.model"),
    }


def shown(versions: Versions, request: Mapping[str, Any]) -> Told:
    """One version with its run's parameters, numbers, stages and verdicts."""
    model = versions.model()
    found = _full(versions, versions.find(request, model), model.aliases)
    return [], found, f"version {found['version']} of {versions.name!r}"


def _full(versions: Versions, version: Any, aliases: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model": versions.name,
        **_brief(version, aliases),
        "moves": moving.moves(version),
    }
    try:
        run = versions.service.call(
            f"looking for the run of version {version.version}",
            versions.service.client.get_run, version.run_id or "",
        )  # fmt: skip
    except (AbsentError, UnusableError):
        return {**found, "run_id": None, "params": {}, "metrics": {}, "stages": {}, "gates": {}}
    tags = tags_of(run)
    numbers = dict(run.data.metrics)
    return {
        **found,
        "run_id": run.info.run_id,
        "params": dict(sorted(run.data.params.items())),
        "metrics": {
            name: {"value": value, "low": numbers.get(f"{name}.low"), "high": numbers.get(f"{name}.high")}
            for name, value in sorted(numbers.items())
            if not _is_bound(name, numbers)
        },
        "stages": _prefixed(tags, "stage."),
        "gates": _prefixed(tags, "gate."),
    }


def _is_bound(name: str, numbers: Mapping[str, float]) -> bool:
    stem, _, last = name.rpartition(".")
    return last in ("low", "high") and stem in numbers


def _prefixed(tags: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in sorted(tags.items()) if key.startswith(prefix)}


def compared(versions: Versions, request: Mapping[str, Any]) -> Told:
    """Versions beside each other: parameters and verdicts that differ, and every number."""
    asked = request.get("versions") or ()
    if len(asked) < 2:  # noqa: PLR2004 - one is compared with nothing
        raise UnusableError("name at least two versions or aliases to compare")
    model = versions.model()
    found = [_full(versions, versions.find(_meant(each), model), model.aliases) for each in asked]
    facts = {
        "model": versions.name,
        "versions": [{key: each[key] for key in _HEAD} for each in found],
        "params": _beside(found, "params", only_different=True),
        "metrics": _beside(found, "metrics", only_different=False),
        "gates": _beside(found, "gates", only_different=True),
    }  # fmt: skip
    numbers = " and ".join(each["version"] for each in found)
    return [], facts, f"versions {numbers} of {versions.name!r}"


def _meant(text: Any) -> dict[str, Any]:
    return {"version": text} if str(text).isdigit() else {"alias": text}


def _beside(found: list[dict[str, Any]], part: str, *, only_different: bool) -> dict[str, list[Any]]:
    names = sorted({name for each in found for name in each[part]})
    rows = {name: [each[part].get(name) for each in found] for name in names}
    if only_different:
        rows = {name: row for name, row in rows.items() if any(each != row[0] for each in row)}
    return rows


def _moment(milliseconds: Any) -> str | None:
    if not milliseconds:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(milliseconds) / 1000))
