"""What a version holds, brought here and verified: the model, the predictions of a baseline."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..common import digests
from ..common.program import RefusedError, UnusableError
from . import judged, names
from .artifacts import Artifacts
from .contents import EVIDENCE, MODEL, OUTPUTS, Contents, Part
from .service import AbsentError, tags_of
from .versions import RUN, Versions

_RECORD_BYTES = 256 << 20
Told = tuple[list[dict[str, Any]], dict[str, Any], str]

_PREDICTIONS = "predictions"


@dataclass(frozen=True, slots=True)
class Verified:
    """A version whose model is what its run judged.

    Attributes:
        model: Directory with the model's files.
        digest: Of what was judged.
        refusal: Why the run's verdicts do not let it through; None if they do.
        evidence: What the evidence says; None if there is none.
    """

    number: str
    run: str
    model: Path
    digest: str
    refusal: str | None
    evidence: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Records:
    artifacts: Artifacts
    contents: Contents
    run: Mapping[str, Any]
    report: bytes
    outputs: Mapping[str, str]


def verified(versions: Versions, version: Any, folder: Path, public_key: str | None) -> Verified:
    """Bring a version's model and demand that it is what its run judged.

    Args:
        folder: Empty, for what is brought.
        public_key: PEM file; then evidence is demanded that its key signed.

    Raises:
        RefusedError: Bytes, records or evidence do not fit.
    """
    records = _records(versions, version)
    parts = records.contents.model
    if not parts:
        raise RefusedError("the version holds no model")
    for part in parts:
        _take(records, part, folder)
    known = {tags_of(version).get("penstock.model")}
    if parts[0].digest not in known:
        raise RefusedError("the version's tag penstock.model is not the digest of its model: one was changed")
    evidence = _evidence(records, folder, public_key)
    return Verified(
        number=str(version.version),
        run=records.contents.run,
        model=folder / MODEL,
        digest=parts[0].digest,
        refusal=judged.passed(records.run) or _failed(evidence),
        evidence=evidence,
    )


def _records(versions: Versions, version: Any) -> _Records:
    """The version's run, as far as it fits together."""
    digest = tags_of(version).get(RUN)
    if not digest or not version.run_id:
        raise RefusedError(f"version {version.version} was not published by Penstock: it names no run")
    try:
        run_of = versions.service.call("looking for its run", versions.service.client.get_run, version.run_id)
    except AbsentError:
        raise RefusedError(f"the run of version {version.version} is gone from MLflow") from None
    artifacts = Artifacts(versions.service, run_of.info.artifact_uri)
    contents = artifacts.contents()
    if contents.run != digest:
        raise RefusedError(
            f"version {version.version} is of run {digest[:19]}…, its files of {contents.run[:19]}…"
        )
    text = _record(artifacts, contents, "run.json")
    run = _json(text)
    outputs = judged.outputs(run, _record(artifacts, contents, "stable.json"), digest)
    return _Records(artifacts, contents, run, text, outputs)


def _record(artifacts: Artifacts, contents: Contents, name: str) -> bytes:
    try:
        return artifacts.read(f"{contents.records}/{name}", _RECORD_BYTES)
    except AbsentError:
        raise RefusedError(f"{name} of the version is gone from the registry") from None


def _json(text: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("run.json of the version is damaged") from None
    if not isinstance(found, dict):
        raise RefusedError("run.json of the version is damaged")
    return found


def _take(records: _Records, part: Part, folder: Path) -> Path:
    """Bring an output; its digest is that of the run, whatever the list says."""
    want = records.outputs.get(part.path)
    if want is None:
        raise RefusedError(f"{part.path} of the version was made by no stage of its run")
    place = records.artifacts.take(records.contents, part.at, folder)
    made = digests.of_path(place).digest if place.exists() else "nothing"
    if made != want:
        raise RefusedError(
            f"{part.path}: the registry holds {made[:19]}…, but {want[:19]}… was judged;"
            " it was changed or damaged"
        )
    return place


def _evidence(records: _Records, folder: Path, public_key: str | None) -> Mapping[str, Any] | None:
    if not records.contents.below(EVIDENCE):
        if public_key:
            raise RefusedError("the version has no evidence, and a public key was given to verify it with")
        return None
    from ..evidence import verify

    place = records.artifacts.take(records.contents, EVIDENCE, folder)
    report = folder / "run.json"
    report.write_bytes(records.report)
    packed = [each for each in records.contents.model if each.at == MODEL]
    return verify.verify(
        place,
        None if packed else folder / records.contents.model[0].at,
        Path(public_key).read_bytes() if public_key else None,
        package=folder / MODEL if packed else None,
        run=records.contents.run,
        report=report,
        demand_pass=False,  # an override may answer for a verdict, and for nothing else
    )


def _failed(evidence: Mapping[str, Any] | None) -> str | None:
    return "its evidence says that its gates failed" if evidence and not evidence["passed"] else None


def load(versions: Versions, request: Mapping[str, Any]) -> Told:
    """Write a version's model to a directory that does not exist yet, whole or not at all.

    Raises:
        RefusedError: It is not what was judged.
        UnusableError: The directory exists.
    """
    to = Path(request["to"])
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UnusableError(f"{to} exists already: name a directory that does not")
    model = None if request.get("version") is not None else versions.model()
    version = versions.find(request, model)
    to.parent.mkdir(parents=True, exist_ok=True)
    with scratch(to.absolute().parent) as folder:
        found = verified(versions, version, folder, request.get("public_key"))
        if found.refusal is not None and not _moved_on_purpose(version):
            raise RefusedError(f"version {found.number} was not let through: {found.refusal}")
        if to.is_dir():
            to.rmdir()
        found.model.replace(to)
    facts = {
        "model": versions.name,
        "version": found.number,
        "run": found.run,
        "digest": found.digest,
        "evidence": found.evidence,
        "to": str(to),
    }
    signed = "" if found.evidence else ", without evidence"
    return (
        [],
        facts,
        f"version {found.number} of {versions.name!r} is in {to}: the bytes that were judged{signed}",
    )


def _moved_on_purpose(version: Any) -> bool:
    """Whether somebody has answered for a version whose run did not pass."""
    from .moving import moves

    return any(each.get("override") for each in moves(version))


@contextmanager
def scratch(beside: Path | None = None) -> Iterator[Path]:
    """A folder for what is not verified yet."""
    folder = Path(tempfile.mkdtemp(prefix=".penstock-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def baseline(versions: Versions, request: Mapping[str, Any]) -> Told:
    """Write what a baseline predicted, and its run; or that there is none yet.

    Raises:
        RefusedError: The predictions are not what was judged.
        UnusableError: The version holds no predictions.
    """
    result = Path(request["result"])
    result.mkdir(parents=True, exist_ok=True)
    alias = names.alias(request["alias"])
    try:
        version = versions.find({"alias": alias})
    except AbsentError:
        return _no_baseline(versions, alias, result)
    records = _records(versions, version)
    part, path = _predictions(records.contents, request.get("predictions"), str(version.version))
    with scratch() as folder:
        place = _take(records, part, folder)
        inside = PurePosixPath(path).relative_to(part.path)
        suffix = PurePosixPath(path).suffix or ".csv"
        found = place / inside
        if not found.is_file():
            raise UnusableError(f"version {version.version} holds {part.path}, but no {path} in it")
        shutil.copyfile(found, result / f"{_PREDICTIONS}{suffix}")
    (result / "run.json").write_bytes(json.dumps(records.run, indent=1, ensure_ascii=False).encode() + b"\n")
    facts = {
        "model": versions.name,
        "version": str(version.version),
        "run": records.contents.run,
        "predictions": path,
        "absent": False,
    }
    return [], facts, f"{alias} of {versions.name!r} is version {version.version}: {path}"


def _no_baseline(versions: Versions, alias: str, result: Path) -> Told:
    sentence = f"model {versions.name!r} has no {alias} yet, so there is nothing to compare with"
    text = json.dumps({"absent": True, "sentence": sentence}, indent=1, ensure_ascii=False)
    (result / "absent.json").write_text(text + "\n", encoding="utf-8")
    return [], {"model": versions.name, "absent": True, "sentence": sentence}, sentence


def _predictions(contents: Contents, asked: str | None, number: str) -> tuple[Part, str]:
    """The output that holds the predictions, and their path."""
    outputs = [each for each in contents.parts if each.at.startswith(f"{OUTPUTS}/")]
    if asked is not None:
        path = names.path(asked)
        for each in outputs:
            if path == each.path or path.startswith(f"{each.path}/"):
                return each, path
    else:
        named = [each for each in outputs if each.role == _PREDICTIONS] or [
            each for each in outputs if PurePosixPath(each.path).stem == _PREDICTIONS
        ]
        if len(named) == 1:
            return named[0], named[0].path
    known = ", ".join(each.path for each in outputs) or "none"
    raise UnusableError(
        f"version {number} holds no predictions {asked or ''}".rstrip() + f"; what it holds: {known}."
        " Add them to publish.archive.contents, and publish a version with them"
    )
