"""Publishing a run: one run of MLflow and one version for each run digest, however often it is tried.

Each step is either harmless to repeat or looks first whether it was done. Aliases move last, so what an alias
names is whole.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common.program import RefusedError, UnusableError
from . import names, numbers
from .artifacts import Artifacts
from .contents import MODEL, RECORDS, RUN_FILES, Contents, gather
from .judged import passed
from .service import ExistsError, Service
from .versions import MODEL_DIGEST, PASSED, RUN, Versions

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BATCH_TAGS, _BATCH_PARAMS, _BATCH_METRICS = 100, 100, 800
_LONGEST_EXPERIMENT = 200
_WHOLE = "FINISHED"


def publish(service: Service, request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Record the run, register its model, let the alias mean it; gives publications, facts and a sentence.

    Raises:
        RefusedError: An output is not what was judged.
        UnusableError, UnavailableError: MLflow does not take it, or cannot be reached.
    """
    if not _DIGEST.fullmatch(request["run"]["digest"]):
        raise UnusableError("run.digest is no sha256 digest")
    alias = names.alias(request["alias"]) if request.get("alias") else None
    versions = Versions(service, request["model"])
    contents, sources = gather(request)
    run = _run_document(contents)
    with service.place.locked(versions.name):
        recorded = _record(service, request, run)
        contents = Artifacts(service, recorded.info.artifact_uri).send(contents, sources)
        _finish(service, recorded)
        versions.have_model()
        version, made = versions.have_version(
            contents.run,
            f"{recorded.info.artifact_uri}/{MODEL}",
            recorded.info.run_id,
            _version_tags(request, run, contents),
        )
        _take_away_twins(service, recorded, str(version.run_id))
        number = str(version.version)
        moved = _point(versions, alias, number, request)
    return _told(request, contents, recorded, number, made=made, moved=moved, place=service.place.shown)


def _run_document(contents: Contents) -> Mapping[str, Any]:
    """The run's report, provided that its stable form has the digest that it is published by."""
    made = next((each.digest for each in contents.files if each.at == f"{RECORDS}/stable.json"), None)
    if made != contents.run:
        raise RefusedError(f"stable.json is {str(made)[:19]}…, not the run's {contents.run[:19]}…")
    run: dict[str, Any] = json.loads((RUN_FILES / "run.json").read_bytes())
    return run


def _record(service: Service, request: Mapping[str, Any], run: Mapping[str, Any]) -> Any:
    """The run of MLflow, with parameters, metrics and tags."""
    experiment = _experiment(service, str(request.get("experiment") or run["pipeline"]))
    digest = request["run"]["digest"]
    client = service.client

    def find() -> Any | None:
        found = client.search_runs([experiment], f"tags.`{RUN}` = '{digest}'")
        # one that is whole, if there is one; else the same for all who look
        return min(found, key=lambda each: (each.info.status != _WHOLE, each.info.run_id), default=None)

    def make() -> Any:
        name = f"{run['pipeline']} {digest.removeprefix('sha256:')[:12]}"
        began = _milliseconds(run["started_at"])
        return client.create_run(experiment, start_time=began, tags={RUN: digest}, run_name=name)

    # somebody else may make one at the same time: the version is of one of them, see `_take_away_twins`
    recorded = service.ensure("recording the run", find, make)
    if recorded.info.status == _WHOLE:
        return recorded
    for batch in _batches(run, request):
        service.call("recording what the run measured", client.log_batch, recorded.info.run_id, *batch)
    return recorded


def _take_away_twins(service: Service, recorded: Any, kept: str) -> None:
    """Leave one run of those that several have made at once: the one that the version is of.

    One that somebody still writes to is left: who does comes here too.
    """
    digest = recorded.data.tags[RUN]
    twins = service.call(
        "looking for the run",
        service.client.search_runs,
        [recorded.info.experiment_id],
        f"tags.`{RUN}` = '{digest}'",
    )
    if kept not in {each.info.run_id for each in twins}:
        return  # the version is of a run in another experiment
    for each in twins:
        if each.info.run_id != kept and each.info.status == _WHOLE:
            service.call("taking away a run that was made twice", service.client.delete_run, each.info.run_id)


def _experiment(service: Service, name: str) -> str:
    if not name.strip() or len(name) > _LONGEST_EXPERIMENT or not name.isprintable():
        raise UnusableError(f"experiment {name!r} is no name of an experiment")
    client, where = service.client, service.place.artifacts
    found = service.call("looking for the experiment", client.get_experiment_by_name, name)
    if found is None:
        try:
            # a name may hold what an address may not, so the folder is called by the time
            place = f"{where}/{time.time_ns()}" if where else None
            made = service.ensure(
                "making the experiment",
                lambda: getattr(client.get_experiment_by_name(name), "experiment_id", None),
                lambda: client.create_experiment(name, artifact_location=place),
            )
        except ExistsError:  # somebody else made it
            made = service.call(
                "looking for the experiment", client.get_experiment_by_name, name
            ).experiment_id
        return str(made)
    if found.lifecycle_stage != "active":
        raise UnusableError(
            f"experiment {name!r} was deleted in MLflow: restore it (`mlflow experiments restore"
            f" --experiment-id {found.experiment_id}`) or name another in publish.mlflow.experiment"
        )
    return str(found.experiment_id)


def _batches(
    run: Mapping[str, Any], request: Mapping[str, Any]
) -> Iterator[tuple[list[Any], list[Any], list[Any]]]:
    from mlflow.entities import Metric, Param, RunTag

    summary = RUN_FILES / "summary.md"
    text = summary.read_text(encoding="utf-8", errors="replace") if summary.is_file() else ""
    documents = [Path(each["path"]) for each in request["contents"] if Path(each["path"]).is_file()]
    at = _milliseconds(run["started_at"])
    tags = [RunTag(key, value) for key, value in numbers.tags(run, text).items()]
    params = [Param(key, value) for key, value in numbers.params(run).items()]
    metrics = [Metric(key, value, at, 0) for key, value in numbers.metrics(run, documents).items()]
    while tags or params or metrics:
        # in the order that log_batch takes them
        yield metrics[:_BATCH_METRICS], params[:_BATCH_PARAMS], tags[:_BATCH_TAGS]
        tags, params, metrics = tags[_BATCH_TAGS:], params[_BATCH_PARAMS:], metrics[_BATCH_METRICS:]


def _finish(service: Service, recorded: Any) -> None:
    if recorded.info.status != _WHOLE:
        service.call("ending the record", service.client.set_terminated, recorded.info.run_id, _WHOLE)


def _version_tags(
    request: Mapping[str, Any], run: Mapping[str, Any], contents: Contents
) -> Mapping[str, str]:
    return {
        RUN: contents.run,
        MODEL_DIGEST: contents.model[0].digest,
        PASSED: "true" if passed(run) is None else "false",
        "penstock.pipeline": run["pipeline"],
        "penstock.commit": run["commit"] or "",
        "penstock.plan": run["plan"],
        "penstock.evidence": "yes" if request.get("evidence") else "no",
    }


def _point(versions: Versions, alias: str | None, number: str, request: Mapping[str, Any]) -> bool:
    """Let the alias mean the version, if the run passed; whether it moved."""
    if alias is None or not request["run"]["passed"]:
        return False
    if versions.model().aliases.get(alias) == number:
        return False
    versions.set_alias(alias, number)
    return True


def _told(
    request: Mapping[str, Any], contents: Contents, recorded: Any, number: str,
    *, made: bool, moved: bool, place: str,
) -> tuple[list[dict[str, Any]], dict[str, Any], str]:  # fmt: skip
    model, alias = request["model"], request.get("alias")
    named = f", {alias}" if alias and request["run"]["passed"] else ""
    what = "registered" if made else "was registered before"
    sentence = f"version {number} of {model!r}{named}: {what} in {place}"
    if not request["run"]["passed"]:
        sentence += "; a required gate did not pass, so no alias was moved"
    publication = {
        "kind": "mlflow",
        "state": "written" if made or moved else "unchanged",
        "sentence": sentence,
        "target": f"models:/{model}/{number}",
        "digest": contents.model[0].digest,
        "size_bytes": sum(each.size_bytes for each in contents.below(MODEL)),
    }
    facts = {
        "model": model,
        "version": number,
        "alias": alias if named else None,
        "run_id": recorded.info.run_id,
        "experiment_id": recorded.info.experiment_id,
        "run": contents.run,
        "registry": place,
        "files": len(contents.files),
    }
    return [publication], facts, sentence


def _milliseconds(moment: str) -> int:
    return calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")) * 1000
