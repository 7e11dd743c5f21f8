"""Evidence of a run: `create` it, `verify` it against a model, `show` what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common import program
from ..common.program import UnusableError
from . import layout
from .verify import verify

_WORDS = {True: "signed", False: "not signed"}


def main(arguments: Sequence[str]) -> int:
    """Do what is asked for; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    match request["action"]:
        case "create":
            from .create import create

            facts = create(request)
            publications = [_publication(request["result"], facts)]
        case "verify":
            facts, publications = _verify(request), []
        case "show":
            facts, publications = verify(Path(request["evidence"]), demand_pass=False), []
        case other:
            raise UnusableError(f"evidence can be created, verified and shown, not {other!r}")
    receipt = {"version": 1, "kind": "receipt", "publications": publications, "facts": facts}
    program.write_document(request["receipt"], receipt)
    if not publications:
        return ""  # the receipt says it all
    return f"evidence of run {facts['run_id']}: {facts['result']}, {_WORDS[facts['signed']]}"


def _verify(request: Mapping[str, Any]) -> dict[str, Any]:
    names = ("model", "package", "root", "public_key", "report")
    model, package, root, public_key, report = (
        Path(request[name]) if request.get(name) else None for name in names
    )
    return verify(
        Path(request["evidence"]),
        model,
        public_key.read_bytes() if public_key else None,
        package=package,
        root=root,
        run=request.get("run"),
        report=report,
        demand_pass=request.get("demand_pass", True),
    )


def _publication(directory: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    index = (Path(directory) / layout.INDEX).read_bytes()
    by = f"signed by {facts['key'][:19]}…" if facts["signed"] else "not signed: no key was given"
    return {
        "kind": "evidence",
        "state": "written",
        "sentence": f"provenance ({facts['level']}), verdict {facts['result']}, {by}",
        "target": directory,
        "digest": layout.sha256(index),
        "size_bytes": sum(path.stat().st_size for path in Path(directory).iterdir()),
    }
