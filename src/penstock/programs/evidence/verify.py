"""Hold evidence against a model: the same bytes, the same run, a known key, gates that let it through.

Whatever is read was written by someone: nothing is believed that is not signed, or follows from what is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common.program import RefusedError
from . import documents, dsse, keys, layout, model_signature, provenance, statements, trees, verdicts
from .statements import Subject

_DIGITS = 19
"""Of a digest in a message: `sha256:` and twelve."""


def verify(
    directory: Path,
    model: Path | None = None,
    public_key: bytes | None = None,
    *,
    package: Path | None = None,
    root: Path | None = None,
    run: str | None = None,
    report: Path | None = None,
    demand_pass: bool = True,
) -> dict[str, Any]:
    """Hold a directory of evidence against what it speaks about; gives what it says.

    Needs `cryptography`. Without `public_key` it shows only that everything fits together: whoever could
    write the directory could have signed it with a key of their own.

    Args:
        model: The file or directory that was judged as the model; nothing is said of it if absent.
        public_key: PEM text of one or more keys, by one of which everything must be signed.
        package: The directory that was made of the model, if it is to be verified.
        root: Where what was published lies at the paths that it had; what is not there is told as `absent`,
            but the model or its package must be.
        run: Digest of the run that it must be of, so that no older run's evidence stands in for it.
        report: The whole `run.json`, if it is to be verified.
        demand_pass: Whether the gates must have let the model through.

    Returns:
        Of the evidence: signed, trusted, key, level, level_reason, run, run_id, pipeline, commit, plan,
        executor, started_at, result, passed, gates, contents, environments, files; and of this verification:
        checked and absent (names of contents), by_library (whether `model-signing` was asked too).

    Raises:
        RefusedError: Something is not what was signed or judged; one line says what.
    """
    try:
        files = layout.read(directory)
        evidence = _Evidence(directory, files, _key(directory, files, public_key))
        facts = evidence.facts(trusted=public_key is not None)
        if run is not None and run != facts["run"]:
            raise RefusedError(
                f"{directory}: evidence of run {facts['run'][:_DIGITS]}…, not {run[:_DIGITS]}…"
            )
        if report is not None:
            evidence.demand_report(report)
        if demand_pass and facts["result"] == verdicts.FAILED:
            raise RefusedError(f"{directory}: its gates did not let this model through{_culprits(facts)}")
        places = {statements.MODEL: model, statements.PACKAGE: package}
        facts |= evidence.demand_contents({role: path for role, path in places.items() if path}, root)
    except OSError as error:
        raise RefusedError(f"{error.filename or directory}: cannot be read: {error.strerror}") from None
    return facts


def _key(directory: Path, files: Mapping[str, bytes], trusted: bytes | None) -> keys.PublicKey | None:
    """The key that everything is signed by; none if nothing is."""
    where = str(directory / layout.PUBLIC_KEY)
    if layout.PUBLIC_KEY not in files:
        if trusted is not None:
            raise RefusedError(f"{directory}: the evidence is not signed, and a signature is demanded")
        return None
    key, *further = keys.public(files[layout.PUBLIC_KEY], where)
    if further or keys.pem(key) != files[layout.PUBLIC_KEY]:
        raise RefusedError(f"{where}: not as Penstock writes it: it was changed or damaged")
    if trusted is not None:
        keys.demand_one_of(keys.public(trusted, "the key to verify with"), key, str(directory))
    return key


def _culprits(facts: Mapping[str, Any]) -> str:
    """The gates that kept a model from passing, as part of a sentence."""
    names = [each["name"] for each in facts["gates"] if each["required"] and each["verdict"] != "pass"]
    return f": {', '.join(names)}" if names else ""


class _Evidence:
    """What a directory of evidence says, in statements that fit together.

    Args:
        files: As `layout.read` gives them.
        key: That they are signed by; none if they are not.

    Raises:
        RefusedError: They do not fit together.
    """

    def __init__(self, directory: Path, files: Mapping[str, bytes], key: keys.PublicKey | None) -> None:
        self._directory = directory
        self._files = files
        self._key = key
        origin = self._statement(layout.PROVENANCE)
        verdict = self._statement(layout.VERDICT)
        if verdict.get("subject") != origin.get("subject"):
            raise RefusedError(f"{directory}: the verdict is about other files than the provenance")
        self._subjects = statements.subjects_of(origin, self._where(layout.PROVENANCE))
        self._origin = statements.predicate_of(origin, provenance.PREDICATE, self._where(layout.PROVENANCE))
        self._verdict = statements.predicate_of(verdict, verdicts.PREDICATE, self._where(layout.VERDICT))
        self._report = self._demand_whole()

    def _where(self, name: str) -> str:
        return str(self._directory / self._file(name))

    def _file(self, name: str) -> str:
        return name + (layout.UNSIGNED if self._key is None else layout.SIGNED)

    def _statement(self, name: str) -> dict[str, Any]:
        document = documents.decode(self._files[self._file(name)], self._where(name))
        if self._key is None:
            return document
        return documents.decode(dsse.unseal(document, self._key, self._where(name)), self._where(name))

    def _demand_whole(self) -> str:
        """Demand that the other files are those that the provenance names; gives the report's digest."""
        where = self._where(layout.PROVENANCE)
        details = documents.field(self._origin, "runDetails", dict, where)
        named = {
            documents.field(each, "name", str, where): each.get("digest")
            for each in documents.field(details, "byproducts", list, where)
        }
        report = documents.field(named.pop(provenance.REPORT, None), "sha256", str, where)
        there = {
            name: {"sha256": layout.sha256(data).removeprefix("sha256:")}
            for name, data in self._files.items()
            if name != self._file(layout.PROVENANCE)
        }
        if named != there:
            odd = sorted(name for name in named | there if named.get(name) != there.get(name))
            raise RefusedError(f"{self._directory / odd[0]}: not the file that the provenance names")
        return f"sha256:{report}"

    def facts(self, *, trusted: bool) -> dict[str, Any]:
        """What is said.

        Raises:
            RefusedError: The statements contradict each other.
        """
        run = layout.sha256(self._files[layout.RUN])
        where = self._where(layout.VERDICT)
        result, gates = verdicts.read(self._verdict, where)
        verdicts.demand_same_run(self._verdict, gates, run, self._files[layout.RUN], where)
        return {
            "signed": self._key is not None,
            "trusted": trusted,
            "key": None if self._key is None else keys.fingerprint(self._key),
            "run": run,
            **provenance.told(self._origin, self._where(layout.PROVENANCE)),
            "result": result,
            "passed": result != verdicts.FAILED,
            "gates": gates,
            "contents": [
                {"name": each.name, "role": each.role, "kind": each.kind, "digest": each.digest}
                for each in self._subjects
            ],
            "environments": [
                {"name": layout.environment(name), "packages": _count(data, str(self._directory / name))}
                for name, data in sorted(self._files.items())
                if layout.is_sbom(name)
            ],
            "files": {name: layout.sha256(data) for name, data in sorted(self._files.items())},
        }

    def demand_report(self, path: Path) -> None:
        """Demand that a whole run.json is the one that was reported.

        Raises:
            RefusedError: It is another.
        """
        if layout.sha256(trees.read(path)) != self._report:
            raise RefusedError(f"{path}: not the report of the run that the evidence is of")

    def demand_contents(self, places: Mapping[str, Path], root: Path | None) -> dict[str, Any]:
        """Demand that there lies what was judged; gives what was looked at.

        Args:
            places: By role.
            root: What else is there, at its own path.

        Raises:
            RefusedError: Something is not what was judged, or nothing of the model is there.
        """
        signature = self._demand_model_signature()
        by_library = False
        checked: list[Subject] = []
        for subject, path in self._places(places, root):
            _demand_same(path, subject)
            checked.append(subject)
            if signature is not None and subject is self._model:
                assert self._key is not None
                key_file = self._directory / layout.PUBLIC_KEY
                by_library = model_signature.ask_library(path, signature, self._key, key_file)
        if root is not None and not {statements.MODEL, statements.PACKAGE} & {each.role for each in checked}:
            raise RefusedError(f"{root}: holds nothing of the model that the evidence is about")
        absent = [each.name for each in self._subjects if each not in checked]
        return {"checked": [each.name for each in checked], "absent": absent, "by_library": by_library}

    def _places(self, places: Mapping[str, Path], root: Path | None) -> Iterator[tuple[Subject, Path]]:
        """What is to be looked at, and where; the first of a role where several have it."""
        for role in places:
            if self._first(role) is None:
                raise RefusedError(f"{self._directory}: the evidence speaks about no {role}")
        for subject in self._subjects:
            role = subject.role or ""
            if role in places and subject is self._first(role):
                yield subject, places[role]
            elif root is not None and os.path.lexists(root / subject.name):
                yield subject, root / subject.name

    def _first(self, role: str) -> Subject | None:
        return next((each for each in self._subjects if each.role == role), None)

    @property
    def _model(self) -> Subject | None:
        return self._first(statements.MODEL)

    def _demand_model_signature(self) -> Path | None:
        """Demand that the model's own signature is of the model that was judged; where it is."""
        if self._key is None or self._model is None:
            return None
        signature = self._directory / layout.MODEL_SIGNATURE
        if layout.MODEL_SIGNATURE not in self._files:
            raise RefusedError(f"{signature}: there is none, though everything else is signed")
        signed = model_signature.signed_files(self._files[layout.MODEL_SIGNATURE], self._key, str(signature))
        if signed != self._model.files:
            raise RefusedError(f"{signature}: signs another model than the one that was judged")
        return signature


def _count(data: bytes, where: str) -> int:
    """How many packages a bill of materials lists."""
    try:
        return len(json.loads(data).get("components", ()))
    except (AttributeError, RecursionError, TypeError, ValueError):
        raise RefusedError(f"{where}: no bill of materials") from None


def _demand_same(path: Path, subject: Subject) -> None:
    """Demand that the same files lie at a path as were judged, and no others."""
    found = trees.of_path(path)
    if found.kind != subject.kind:
        raise RefusedError(f"{path}: a {found.kind}, where the evidence speaks about a {subject.kind}")
    _demand_files(path, found.files, subject.files)


def _demand_files(path: Path, found: Mapping[str, str], judged: Mapping[str, str]) -> None:
    """Demand the same names with the same digests."""
    if found == judged:
        return
    changed = sorted(name for name in found.keys() & judged.keys() if found[name] != judged[name])
    further = sorted(found.keys() - judged.keys())
    missing = sorted(judged.keys() - found.keys())
    for names, words in (
        (changed, "holds other bytes than were judged"),
        (further, "is no part of what was judged"),
        (missing, "is missing"),
    ):
        if names:
            raise RefusedError(f"{path / names[0]}: {words}")
