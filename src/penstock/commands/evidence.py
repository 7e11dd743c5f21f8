"""`penstock evidence show | verify`."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock import digest
from penstock.commands import models
from penstock.commands.errands import perform, project_root
from penstock.errors import EXIT_OK, RefusedError, UsageError
from penstock.plan.publishing import EVIDENCE
from penstock.publish.unpacking import unpack
from penstock.report import evidence_text
from penstock.report.style import style_of

_MODEL = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")
_ARTIFACT = re.compile(
    r"(?P<repository>[^/\s@]+(?:/[^/\s@:]+)+)(?::(?P<tag>[\w.-]+)|@(?P<digest>sha256:[0-9a-f]{64}))"
)
_INDEX = "index.json"
_OWN = "penstock"
"""The directory of an artifact that was pulled in which `1`, `2`, ... hold what refers to it."""


def add(parser: argparse.ArgumentParser) -> None:
    """Which evidence, and against what."""
    parser.epilog = "It ends with 3 if something is not what was signed or judged."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="say what a model was made of, and what was judged")
    verify = actions.add_parser("verify", help="hold a model and its evidence against each other and a key")
    for action in (show, verify):
        action.add_argument(
            "reference",
            metavar="REFERENCE",
            nargs="?",
            help="a directory of evidence, an archive, models:/NAME@ALIAS, models:/NAME/VERSION, or "
            f"HOST/REPOSITORY:TAG in a registry of images (default: {EVIDENCE} of the project)",
        )
        action.add_argument(
            "--evidence", metavar="DIR", type=Path, help="an archive's (default: that of the project)"
        )
        action.add_argument("--username", metavar="VARIABLE", help="with the registry's user")
        action.add_argument("--password", metavar="VARIABLE", help="with the registry's password or token")
        action.add_argument("--insecure", action="store_true", help="the registry speaks plain HTTP")
        action.add_argument("--json", action="store_true", dest="as_json", help="print it as JSON")
    verify.add_argument(
        "--key", metavar="FILE", type=Path, help="PEM file with public keys, one of which must have signed"
    )
    verify.add_argument("--model", metavar="PATH", type=Path, help="the model, where it lies elsewhere")
    verify.add_argument("--run", metavar="DIGEST", help="of the run that the evidence must be of")
    show.set_defaults(key=None, model=None, run=None)


def run(options: argparse.Namespace) -> int:
    """Say what evidence says; it is verified in any case."""
    for given in (options.key, options.model, options.evidence):
        if given is not None and not given.exists():
            raise UsageError("there is no such file", where=str(given))
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        facts = _facts(options, Path(folder).resolve())
    if options.as_json:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        sys.stdout.write(evidence_text.render(facts, style_of(sys.stdout, os.environ)))
    return EXIT_OK


def _facts(options: argparse.Namespace, scratch: Path) -> Mapping[str, Any]:
    """What the evidence that is meant says, verified."""
    name = options.reference
    if name is None:
        root = project_root()
        return _verified(options, root / EVIDENCE, root)
    path = Path(name)
    if path.is_dir():
        return _of_directory(options, path.resolve())
    if path.exists():
        return _of_archive(options, path, scratch)
    if found := _MODEL.fullmatch(name):
        return _of_model(options, found, scratch)
    if found := _ARTIFACT.fullmatch(name):
        return _of_artifact(options, found, scratch)
    raise UsageError(
        f"{name!r} is no file, and no reference to a model or an artifact",
        notes=("name a directory, an archive, models:/NAME@ALIAS or HOST/REPOSITORY:TAG",),
    )


def _verified(
    options: argparse.Namespace, directory: Path, root: Path | None, run: str | None = None
) -> Mapping[str, Any]:
    """What a directory of evidence says.

    Args:
        root: Where what was published may lie at its own path.
        run: Digest of the run that it must be of.
    """
    if not (directory / _INDEX).is_file():
        raise UsageError(
            "holds no evidence", where=str(directory), notes=("a pipeline writes it with `publish.evidence`",)
        )
    shown = options.action == "show"
    request = {
        "action": options.action,
        "evidence": str(directory.resolve()),
        "root": None if root is None or shown or options.model else str(root),
        "model": _absolute(options.model),
        "public_key": _key(options),
        "run": options.run or run,
    }
    receipt = perform("evidence", request, tools="evidence")
    facts: Mapping[str, Any] = receipt["facts"]
    return facts


def _absolute(path: Path | None) -> str | None:
    # not `resolve`: a link is not what was signed
    return None if path is None else str(path.absolute())


def _key(options: argparse.Namespace) -> str | None:
    """Who must have signed what is verified: whom the command line names, else whom the project does."""
    if options.key is None and options.action == "verify":
        return models.Published.here().public_key
    return _absolute(options.key)


def _of_directory(options: argparse.Namespace, directory: Path) -> Mapping[str, Any]:
    """A directory of evidence, or one in which everything lies at its own path."""
    if (directory / EVIDENCE / _INDEX).is_file():
        return _verified(options, directory / EVIDENCE, directory)
    depth = len(Path(EVIDENCE).parts)
    at_home = directory.parts[-depth:] == Path(EVIDENCE).parts
    return _verified(options, directory, directory.parents[depth - 1] if at_home else None)


def _of_archive(options: argparse.Namespace, archive: Path, scratch: Path) -> Mapping[str, Any]:
    top = unpack(archive, scratch)
    judged = top / "run.json"
    if not judged.is_file():
        raise UsageError("is no archive of Penstock", where=str(archive))
    directory = options.evidence or project_root() / EVIDENCE
    return _verified(options, directory, top, digest.of_file(judged))


def _of_model(options: argparse.Namespace, named: re.Match[str], scratch: Path) -> Mapping[str, Any]:
    """A version in MLflow, which is verified when it is loaded."""
    request = {
        "action": "load",
        "tracking_uri": models.Published.here().tracking_uri,
        "model": named["name"],
        "alias": named["alias"],
        "version": named["version"],
        "to": str(scratch / "model"),
        "public_key": _key(options),
    }
    facts: Mapping[str, Any] | None = models.asked(request)["facts"]["evidence"]
    if facts is None:
        raise RefusedError("was published without evidence", where=named[0])
    if options.run not in (None, facts["run"]):
        raise RefusedError(f"is of run {facts['run']}, not {options.run}", where=named[0])
    return facts


def _of_artifact(options: argparse.Namespace, named: re.Match[str], scratch: Path) -> Mapping[str, Any]:
    """An artifact in a registry of images: the first evidence that fits of all that refers to it."""
    request = {
        "action": "pull",
        "repository": named["repository"],
        "reference": named["tag"] or named["digest"],
        "to": str(scratch / "artifact"),
        "evidence": True,
        "username": options.username,
        "password": options.password,
        "insecure": options.insecure,
    }
    passes = [each for each in (options.username, options.password) if each]
    perform("oci", request, tools="oci", passes=passes)
    refused = RefusedError("was published without evidence", where=named[0])
    for index in sorted((scratch / "artifact" / _OWN).glob(f"*/evidence/{_INDEX}")):
        try:
            return _verified(options, index.parent, scratch / "artifact")
        except RefusedError as error:
            refused = error
    raise refused
