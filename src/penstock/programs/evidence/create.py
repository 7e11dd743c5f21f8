"""Make the evidence of a run: statements, bills of materials and the model's signature, in one directory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common.program import Progress, RefusedError, UnusableError
from . import documents, dsse, keys, layout, model_signature, provenance, statements, trees, verdicts
from .statements import MODEL, PACKAGE, Subject
from .verify import verify

REPORTS = Path(".penstock-recipe/run")
_REPORT, _STABLE = REPORTS / "run.json", REPORTS / "stable.json"


def create(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write the evidence that a request asks for; gives the facts of what was written, verified.

    Raises:
        UnusableError: Nothing can be signed with the key, or the run cannot be read.
        RefusedError: Something is not what was judged.
    """
    progress = Progress()
    # the key first: all else may take minutes
    key = keys.private(request["key"]) if request.get("key") else None
    report, stable = _report(request["run"])
    subjects, places = _subjects(request, progress)
    result = Path(request["result"])
    partial = result.with_name(f".{result.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    progress.say("signing" if key else "writing statements")
    files = _files(request, report, stable, subjects, model=places.get(MODEL), key=key)
    for name, data in files.items():
        (partial / name).write_bytes(data)
    shutil.rmtree(result, ignore_errors=True)
    partial.rename(result)
    progress.say("verifying what was written")
    return verify(
        result,
        places.get(MODEL),
        keys.pem(key.public_key()) if key else None,
        run=request["run"]["digest"],
        report=_REPORT,
        demand_pass=False,
    )


def _report(run: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The whole run, and the text of its stable form."""
    stable = _STABLE.read_bytes()
    if layout.sha256(stable) != run["digest"]:
        raise RefusedError(f"{_STABLE}: not the run {run['digest'][:19]}… that was to be published")
    try:
        report = json.loads(_REPORT.read_bytes())
    except (ValueError, RecursionError):
        raise UnusableError(f"{_REPORT}: no JSON") from None
    if not isinstance(report, dict) or report.get("run_id") != run["id"]:
        raise RefusedError(f"{_REPORT}: not the report of run {run['id']}")
    return report, stable


def _subjects(request: Mapping[str, Any], progress: Progress) -> tuple[list[Subject], dict[str, Path]]:
    """All that is published, read again; and where the model and its package lie."""
    listed = [dict(each) for each in request["contents"]]
    if request.get("package") and all(each["path"] != request["package"] for each in listed):
        listed.append({"path": request["package"], "role": PACKAGE, "digest": None})
    _name_model(listed)
    subjects: list[Subject] = []
    places: dict[str, Path] = {}
    for each in sorted(listed, key=lambda each: str(each["path"])):
        progress.say(f"reading {each['path']}")
        tree = trees.of_path(Path(each["path"]))
        if each["digest"] not in (None, tree.digest):
            raise RefusedError(
                f"{each['path']}: holds {tree.digest[:19]}…, but {each['digest'][:19]}… was judged"
            )
        subjects.append(Subject.of(each["path"], each["role"], tree))
        places.setdefault(each["role"] or "", Path(each["path"]))
    return subjects, places


def _name_model(contents: Sequence[dict[str, Any]]) -> None:
    """Have a model: what the pipeline calls so, or else what has such a name."""
    if any(each["role"] == MODEL for each in contents):
        return
    for each in sorted(contents, key=lambda each: str(each["path"])):
        if each["role"] is None and Path(each["path"]).name.startswith(MODEL):
            each["role"] = MODEL
            return


def _files(
    request: Mapping[str, Any],
    report: Mapping[str, Any],
    stable: bytes,
    subjects: Sequence[Subject],
    *,
    model: Path | None,
    key: keys.PrivateKey | None,
) -> dict[str, bytes]:
    """Every file of the evidence."""
    environments = {name: texts for name, texts in request.get("environments", {}).items() if texts}
    files = {layout.RUN: stable, **_materials(environments, report)}
    if key is not None:
        files[layout.PUBLIC_KEY] = keys.pem(key.public_key())
        if model is not None:
            files[layout.MODEL_SIGNATURE] = model_signature.sign(model, key)
    run = request["run"]
    verdict = verdicts.predicate(report, run["digest"], passed=run["passed"])
    _add(files, layout.VERDICT, statements.statement(subjects, verdicts.PREDICATE, verdict), key)
    origin = provenance.predicate(
        report,
        environments=[
            (name, layout.sha256("\0".join(texts).encode())) for name, texts in sorted(environments.items())
        ],
        files={name: layout.sha256(data) for name, data in files.items()},
        report=layout.sha256(_REPORT.read_bytes()),
        signed=key is not None,
    )
    _add(files, layout.PROVENANCE, statements.statement(subjects, provenance.PREDICATE, origin), key)
    return {**files, layout.INDEX: documents.encode(layout.index(files, run["digest"]))}


def _materials(environments: Mapping[str, Sequence[str]], report: Mapping[str, Any]) -> dict[str, bytes]:
    """The bills of materials."""
    from . import sbom

    return {
        layout.sbom_name(name): sbom.document(name, texts, report) for name, texts in environments.items()
    }


def _add(
    files: dict[str, bytes], name: str, statement: Mapping[str, Any], key: keys.PrivateKey | None
) -> None:
    payload = documents.encode(statement)
    if key is None:
        files[f"{name}{layout.UNSIGNED}"] = payload
    else:
        files[f"{name}{layout.SIGNED}"] = documents.encode(dsse.seal(payload, key))
