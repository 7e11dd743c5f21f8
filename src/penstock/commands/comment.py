"""`penstock comment`. It needs the standard library only, so it also runs from a mere checkout."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from penstock.ci import PullRequest, pull_request
from penstock.errors import UsageError
from penstock.publish.comment import PROVIDERS, marker_for, post

_TOKENS = {"github": ("PENSTOCK_COMMENT_TOKEN", "GITHUB_TOKEN"), "gitlab": ("PENSTOCK_COMMENT_TOKEN",)}
_WHERE = ("provider", "api", "repository", "number")


def add(parser: argparse.ArgumentParser) -> None:
    """Which report, and which request; the rest comes from the CI system's variables."""
    parser.add_argument(
        "report",
        nargs="?",
        metavar="DIR",
        type=Path,
        default=Path(".penstock/runs/latest"),
        help="the report of a run (default: .penstock/runs/latest)",
    )
    parser.add_argument("--name", help="tells comments apart (default: the pipeline's name)")
    group = parser.add_argument_group("where, if it is not the request that this CI job runs for")
    group.add_argument("--provider", choices=PROVIDERS, help="whose request it is")
    group.add_argument("--api", metavar="URL", help="such as https://api.github.com")
    group.add_argument("--repository", metavar="NAME", help="owner/name; on GitLab the path or number")
    group.add_argument("--number", metavar="N", type=int, help="of the pull or merge request")


def run(options: argparse.Namespace) -> int:
    """Put a run's summary on its pull or merge request, where it replaces the one before."""
    request = _request(options)
    report: Path = options.report
    body = _read(report / "summary.md")
    marker = marker_for(options.name or _pipeline(report / "run.json"))
    posted = post(
        request.provider,
        api=request.api,
        repository=request.repository,
        number=request.number,
        token=_token(request),
        body=body,
        marker=marker,
    )
    what = "wrote" if posted.created else "updated"
    sys.stdout.write(f"{what} the comment {posted.address}".rstrip() + "\n")
    return 0


def _request(options: argparse.Namespace) -> PullRequest:
    given = {name: value for name in _WHERE if (value := getattr(options, name)) is not None}
    found = pull_request(os.environ)
    facts = {name: getattr(found, name) for name in _WHERE} if found else {}
    if missing := [f"--{name}" for name in _WHERE if name not in facts | given]:
        raise UsageError(
            "this is no CI job of a pull or merge request",
            notes=(f"name the request: {', '.join(missing)}",),
        )
    return PullRequest(**facts | given)


def _token(request: PullRequest) -> str:
    names = _TOKENS[request.provider]
    for name in names:
        if token := os.environ.get(name):
            return token
    raise UsageError("there is no token to write a comment with", notes=(f"set {' or '.join(names)}",))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            where=str(path),
            notes=("name the report of a run: `penstock run --report DIR` writes it there",),
        ) from None


def _pipeline(path: Path) -> str:
    try:
        return str(json.loads(_read(path))["pipeline"])
    except (ValueError, RecursionError, KeyError, TypeError):
        raise UsageError("is no report of a run", where=str(path)) from None
