"""Where a model comes from: a statement of SLSA provenance (https://slsa.dev/spec/v1.0/provenance).

It also names every other file of the evidence by its digest, so that its signature holds them together.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..common.program import RefusedError
from . import documents, trees
from .statements import TREE_DIGEST

PREDICATE = "https://slsa.dev/provenance/v1"
REPORT = "run-report.json"
"""What the whole run.json is called among what a run left; it is no file of the evidence."""
LEVEL = "SLSA_BUILD_LEVEL_1"
_BUILD_TYPE = "urn:penstock:run:1"
_BUILDER = "urn:penstock:builder:not-hosted"
_SIGNED = "signed with a key that the build could read: whoever controls the machine could say anything"
_UNSIGNED = "not signed, so anyone could have written it"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_DIRTY = "-dirty"
_SOURCE = "source"


def predicate(
    run: Mapping[str, Any],
    *,
    environments: Sequence[tuple[str, str]],
    files: Mapping[str, str],
    report: str,
    signed: bool,
) -> dict[str, Any]:
    """What the statement says.

    Args:
        run: The whole `run.json`.
        environments: Name and digest of each environment's locked requirements.
        files: Of the evidence: name → digest.
        report: Digest of the whole `run.json`.
        signed: Whether the statement will be.
    """
    names = ("pipeline", "pipeline_file", "profile", "params")
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE,
            "externalParameters": {name: run.get(name) for name in names},
            "internalParameters": {
                "plan": run["plan"],
                "executor": run["executor"],
                "stages": [
                    {name: stage.get(name) for name in ("name", "uses", "key", "environment", "accelerator")}
                    for stage in run["stages"]
                ],
            },
            "resolvedDependencies": [
                *_source(run.get("commit")),
                *_data(run["stages"]),
                *(
                    {"name": f"environment: {name}", "digest": {"sha256": value.removeprefix("sha256:")}}
                    for name, value in environments
                ),
            ],
        },
        "runDetails": {
            "builder": {
                "id": _BUILDER,
                "version": {"penstock": run["penstock"]},
                "penstock_level": LEVEL,
                "penstock_level_reason": _SIGNED if signed else _UNSIGNED,
            },
            "metadata": {
                "invocationId": run["run_id"],
                "startedOn": run["started_at"],
                "finishedOn": _finished(run["started_at"], run["wall_s"]),
            },
            "byproducts": [
                {"name": name, "digest": {"sha256": value.removeprefix("sha256:")}}
                for name, value in sorted({**files, REPORT: report}.items())
            ],
        },
    }


def _source(commit: str | None) -> list[dict[str, Any]]:
    """The commit; of a work tree that differed from it, it is only where the work began."""
    if commit is None:
        return []
    source: dict[str, Any] = {"name": _SOURCE, "digest": {"gitCommit": commit.removesuffix(_DIRTY)}}
    if commit.endswith(_DIRTY):
        source["annotations"] = {"changed": True}
    return [source]


def _data(stages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What stages read that no stage wrote."""
    written = [part["path"] for stage in stages for part in stage.get("outputs", ())]
    found: dict[str, dict[str, Any]] = {}
    for part in (part for stage in stages for part in stage.get("inputs", ())):
        if any(_overlap(part["path"], each) for each in written):
            continue
        algorithm = TREE_DIGEST if part["kind"] == trees.DIRECTORY else "sha256"
        found[part["path"]] = {
            "name": part["path"],
            "digest": {algorithm: part["digest"].removeprefix("sha256:")},
        }
    return [found[name] for name in sorted(found)]


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _finished(started: str, wall_s: float) -> str:
    began = calendar.timegm(time.strptime(started, _TIME))
    return time.strftime(_TIME, time.gmtime(began + wall_s))


def told(predicate: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a statement says about a run, as flat facts.

    Raises:
        RefusedError: It says something else.
    """
    definition = documents.field(predicate, "buildDefinition", dict, where)
    details = documents.field(predicate, "runDetails", dict, where)
    asked = documents.field(definition, "externalParameters", dict, where)
    inside = documents.field(definition, "internalParameters", dict, where)
    builder = documents.field(details, "builder", dict, where)
    metadata = documents.field(details, "metadata", dict, where)
    if (definition.get("buildType"), builder.get("id")) != (_BUILD_TYPE, _BUILDER):
        raise RefusedError(f"{where}: not the provenance of a run of Penstock")
    return {
        "level": documents.field(builder, "penstock_level", str, where),
        "level_reason": documents.field(builder, "penstock_level_reason", str, where),
        "run_id": documents.field(metadata, "invocationId", str, where),
        "started_at": documents.field(metadata, "startedOn", str, where),
        "pipeline": documents.field(asked, "pipeline", str, where),
        "plan": documents.field(inside, "plan", str, where),
        "executor": documents.field(inside, "executor", str, where),
        "commit": _told_commit(documents.field(definition, "resolvedDependencies", list, where)),
    }


def _told_commit(dependencies: Sequence[Any]) -> str | None:
    """The commit as `run.json` writes it."""
    for each in dependencies:
        if isinstance(each, dict) and each.get("name") == _SOURCE:
            commit = documents.field(each.get("digest"), "gitCommit", str, _SOURCE)
            return commit + (_DIRTY if each.get("annotations") else "")
    return None
