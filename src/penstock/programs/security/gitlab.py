"""The findings as GitLab's reports: code quality, and secret detection (schema 15.2.0).

Source: GitLab's documentation of `artifacts:reports:codequality`, and its security report schemas.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from .sarif import place

REPORT_VERSION = "15.2.0"
_QUALITY = {"critical": "blocker", "high": "critical", "medium": "major", "low": "minor", "info": "info"}
_NO_COMMIT = "0" * 40
_NAME, _DESCRIPTION, _SOLUTION = 255, 10_000, 7_000
"""Characters that GitLab takes at most, or fewer."""


def code_quality(document: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """What is not accepted, of every check.

    Args:
        document: What `work` makes.
        prefix: The project's directory in its repository.
    """
    return [
        {
            "description": f"{each['message']}. {each['remedy']}"[:_DESCRIPTION],
            "check_name": f"{each['check']}/{each['rule']}",
            "fingerprint": own,
            "severity": _QUALITY[each["severity"]],
            "location": {
                "path": place(each["path"], prefix, each["commit"]),
                "lines": {"begin": each["line"] or 1},
            },
        }
        for own, each in _open(document)
    ]


def secret_detection(document: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The secrets that are not accepted; where they are, and nothing of what they are."""
    whole = [each for each in document["checks"] if each["name"] == "secrets"]
    problems = [text for each in whole for text in each["problems"]]
    moment = f"{document['date']}T00:00:00"
    return {
        "version": REPORT_VERSION,
        "scan": {
            "analyzer": _program("penstock", "Penstock", "1.0.0", "Penstock"),
            "scanner": _program("detect-secrets", "detect-secrets", version("detect-secrets"), "Yelp"),
            "type": "secret_detection",
            "start_time": moment,
            "end_time": moment,
            "status": "success" if whole and not problems else "failure",
            "messages": [{"level": "warn", "value": text} for text in problems],
        },
        "vulnerabilities": [
            _secret(own, each, prefix, document["commit"])
            for own, each in _open(document)
            if each["check"] == "secrets"
        ],
    }


def _program(identity: str, name: str, number: str, vendor: str) -> dict[str, Any]:
    return {"id": identity, "name": name, "version": number, "vendor": {"name": vendor}}


def _secret(own: str, finding: Mapping[str, Any], prefix: str, head: str | None) -> dict[str, Any]:
    commit = finding["commit"]
    rule = finding["rule"]
    return {
        "id": own,
        "name": f"Secret: {rule}"[:_NAME],
        "description": finding["message"][:_DESCRIPTION],
        "severity": finding["severity"].capitalize(),
        "solution": finding["remedy"][:_SOLUTION],
        "identifiers": [{"type": "penstock", "name": f"Penstock rule {rule}", "value": rule}],
        "location": {
            "file": place(finding["path"], prefix, commit),
            "start_line": finding["line"] or 1,
            "commit": {"sha": commit or head or _NO_COMMIT},
        },
    }


def _open(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What is not accepted, each with a name that no other has: one may stand in several files."""
    for each in document["findings"]:
        if each["accepted"] is None:
            text = f"{each['fingerprint']} {each['path']}"
            yield hashlib.sha256(text.encode()).hexdigest()[:32], each
