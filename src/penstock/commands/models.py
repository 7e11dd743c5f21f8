"""`penstock models list | show | compare | promote | rollback | load`."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.commands.errands import perform, project_root
from penstock.commands.project import DEFAULT_PIPELINE
from penstock.errors import EXIT_OK, PenstockError, UsageError
from penstock.plan.carrying import REQUEST
from penstock.plan.recipes_registry import MLFLOW_VARIABLES, TOOLS
from penstock.publish import audit
from penstock.report import models_text
from penstock.report.style import style_of

_REFERENCE = re.compile(r"(?:models:/)?(?P<model>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))?")
_EPILOG = """\
A model's version is named as MLflow does it: NAME@ALIAS or NAME/VERSION. The registry is that of the
pipeline's publish.mlflow.tracking_uri, else of MLFLOW_TRACKING_URI, else the project's own.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """What to do with which model."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="show the models, or the versions of one")
    listing.add_argument("reference", nargs="?", metavar="NAME", help="of a model")
    show = actions.add_parser("show", help="show a version: what it was made with, its numbers and verdicts")
    compare = actions.add_parser("compare", help="show versions of one model beside each other")
    compare.add_argument("reference", nargs="+", metavar="VERSION", help="NAME@ALIAS or NAME/VERSION")
    promote = actions.add_parser("promote", help="let an alias mean a version that passed its gates")
    promote.add_argument("--to", metavar="ALIAS", default="champion", help="the alias (default: champion)")
    promote.add_argument("--override", metavar="NAME", help="who answers for a version that did not pass")
    promote.add_argument("--reason", metavar="TEXT", help="why, with --override; both are recorded")
    rollback = actions.add_parser("rollback", help="go back to the champion before, and to those before it")
    rollback.add_argument("reference", metavar="NAME", help="of a model")
    rollback.add_argument("--steps", metavar="N", type=int, default=1, help="how many (default: 1)")
    rollback.add_argument(
        "--from", metavar="VERSION", dest="champion", help="only if this is the champion: safe to repeat"
    )
    load = actions.add_parser("load", help="write a version's files to a directory, verified")
    load.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="a directory that is not there yet"
    )
    for action in (show, promote, load):
        action.add_argument("reference", metavar="VERSION", help="NAME@ALIAS or NAME/VERSION")
    for action in (promote, rollback, load):
        action.add_argument(
            "--key",
            metavar="FILE",
            type=Path,
            help="PEM file with public keys, one of which must have signed",
        )
    for action in (promote, rollback):
        action.add_argument("--why", metavar="TEXT", default="", help="is recorded")
    for action in (listing, show, compare, promote, rollback, load):
        action.add_argument("--tracking-uri", metavar="URI", help="of another MLflow server")
        action.add_argument("--json", action="store_true", dest="as_json", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Ask the registry, or move an alias; moves are noted in the audit log."""
    request = _request(options)
    request["tracking_uri"] = options.tracking_uri or tracking_uri()
    move = options.action in ("promote", "rollback")
    receipt = _noted(options, request) if move else asked(request)
    facts = receipt["facts"]
    if options.as_json:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        style = style_of(sys.stdout, os.environ)
        sys.stdout.write(models_text.render(options.action, facts, receipt["publications"], style))
    return EXIT_OK


def asked(request: Mapping[str, object]) -> Mapping[str, Any]:
    """What the registry answers: the program's receipt."""
    return perform("registry", request, tools=TOOLS, passes=MLFLOW_VARIABLES)


def _request(options: argparse.Namespace) -> dict[str, Any]:
    """What the program is to do."""
    request: dict[str, Any] = {"action": options.action}
    if options.action == "compare":
        named = [_named(each) for each in options.reference]
        models = sorted({str(each["model"]) for each in named})
        if len(models) > 1:
            raise UsageError(
                f"versions of different models: {', '.join(models)}", where="penstock models compare"
            )
        return {
            **request,
            "model": models[0],
            "versions": [each["version"] or each["alias"] for each in named],
        }
    if options.action in ("list", "rollback"):
        request["model"] = options.reference
    else:
        request |= _named(options.reference)
    if options.action == "load":
        request["to"] = str(options.to.absolute())
    if options.action == "promote":
        request |= {"to": options.to, "override": _override(options)}
    if options.action == "rollback":
        request |= {"steps": options.steps, "from": options.champion}
    if options.action in ("promote", "rollback", "load"):
        if options.key is not None and not options.key.is_file():
            raise UsageError("there is no such file", where=str(options.key))
        request["public_key"] = None if options.key is None else str(options.key.absolute())
    return request


def _named(reference: str) -> dict[str, str | None]:
    found = _REFERENCE.fullmatch(reference)
    if found is None or not (found["alias"] or found["version"]):
        raise UsageError(
            f"{reference!r} names no version of a model", notes=("write NAME@ALIAS or NAME/VERSION",)
        )
    return found.groupdict()


def _override(options: argparse.Namespace) -> dict[str, str] | None:
    if (options.override is None) != (options.reason is None):
        raise UsageError(
            "an override needs the name of who answers for it and a reason",
            where="penstock models promote",
            notes=("give both --override NAME and --reason TEXT",),
        )
    return None if options.override is None else {"name": options.override, "reason": options.reason}


def _noted(options: argparse.Namespace, request: dict[str, Any]) -> Mapping[str, Any]:
    """Move an alias; the log has an entry before and one after, so no move is without one.

    The first one's hash is noted in the registry: whoever cuts the log off before it is found out.
    """
    path = audit.path_of(project_root(), os.environ)
    why = options.why
    if request.get("override"):
        why = f"override by {options.override}: {options.reason}" + (f"; {why}" if why else "")
    what, subject = options.action, options.reference.removeprefix("models:/")
    subject += f" to {options.to}" if what == "promote" else f" by {options.steps}"
    begun = audit.append(path, what=f"{what}-begun", subject=subject, why=why, environ=os.environ)
    try:
        receipt = asked({**request, "who": begun.who, "why": why, "audit_head": str(begun.head)})
    except PenstockError as error:
        audit.append(path, what=f"{what}-failed", subject=subject, why=str(error), environ=os.environ)
        raise
    facts = receipt["facts"]
    meant = f"models:/{facts['model']}/{facts['version']}"
    done = f"{facts['alias']}: {receipt['publications'][0]['state']}, version {facts['before']} before"
    audit.append(path, what=what, subject=meant, why=done, environ=os.environ, evidence=facts.get("run"))
    return receipt


def tracking_uri() -> str | None:
    """The registry that the project's pipeline publishes to, if it names one."""
    from penstock.plan.compiled import Overlay, load_plan

    pipeline = project_root() / DEFAULT_PIPELINE
    if not pipeline.is_file():
        return None
    _, plan = load_plan(pipeline, Overlay(environ=os.environ))
    for delivery in plan.deliveries:
        if delivery.kind == "mlflow":
            asked = json.loads(dict(delivery.stage.files)[REQUEST])
            return asked.get("tracking_uri")  # type: ignore[no-any-return]  # JSON
    return None
