"""`penstock models list | show | compare | promote | rollback | load`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.commands.errands import perform, project_root
from penstock.commands.project import DEFAULT_PIPELINE
from penstock.errors import EXIT_OK, PenstockError, UsageError
from penstock.plan import exchange
from penstock.plan.recipes_registry import MLFLOW_VARIABLES, TOOLS
from penstock.publish import audit, moves
from penstock.publish.moves import Move
from penstock.record import Record
from penstock.report import models_text
from penstock.report.style import style_of

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
    known = Published.here()
    place = {
        "tracking_uri": options.tracking_uri or known.tracking_uri,
        "public_key": _key(options) or known.public_key,
    }
    move = _move(options)
    receipt = asked({**_request(options), **place}) if move is None else _noted(move, place)
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
        named = [moves.named(each) for each in options.reference]
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
    if options.action == "list":
        request["model"] = options.reference
    else:
        request |= moves.named(options.reference)
    if options.action == "load":
        request["to"] = str(options.to.absolute())
    return request


def _key(options: argparse.Namespace) -> str | None:
    key: Path | None = getattr(options, "key", None)
    if key is not None and not key.is_file():
        raise UsageError("there is no such file", where=str(key))
    return None if key is None else str(key.absolute())


def _move(options: argparse.Namespace) -> Move | None:
    """The move that is asked for, if it is one."""
    if options.action == "promote":
        return Move.promotion(options.reference, options.to, options.why, options.override, options.reason)
    if options.action == "rollback":
        return Move.rollback(options.reference, options.steps, options.why, options.champion)
    return None


def _noted(move: Move, place: Mapping[str, object]) -> Mapping[str, Any]:
    """Make a move, with its entries in the audit log."""
    log = audit.path_of(project_root(), os.environ)
    try:
        receipt = asked({**move.begin(log, os.environ), **place})
    except PenstockError as error:
        move.failed(log, os.environ, error)
        raise
    move.done(log, os.environ, receipt)
    return receipt


class Published(Record, kw_only=False):
    """What the project's pipeline says of where models are published, if there is one.

    Attributes:
        tracking_uri: The registry.
        public_key: The file with the keys that must have signed.
    """

    tracking_uri: str | None = None
    public_key: str | None = None

    @classmethod
    def here(cls) -> Published:
        """By the pipeline of the project that is found from here."""
        from penstock.plan.compiled import Overlay, load_plan

        pipeline = project_root() / DEFAULT_PIPELINE
        if not pipeline.is_file():
            return cls()
        root, plan = load_plan(pipeline, Overlay(environ=os.environ))
        key = exchange.public_key(plan)
        return cls(exchange.tracking_uri(plan), str(root / key) if key else None)
