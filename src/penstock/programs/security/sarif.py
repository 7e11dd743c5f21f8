"""The findings as SARIF 2.1.0, as code scanning of GitHub and others read it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from .findings import SEVERITIES

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0", "info": "0.0"}
"""What GitHub sorts by, on the scale of CVSS."""


def log(document: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """One run with every finding; those that are accepted are suppressed, with their reason.

    Args:
        document: What `work` makes.
        prefix: The project's directory in its repository: places are relative to the repository.
    """
    findings: Sequence[Mapping[str, Any]] = document["findings"]
    worst: dict[tuple[str, str], str] = {}
    for each in findings:
        known = worst.setdefault((each["check"], each["rule"]), each["severity"])
        worst[each["check"], each["rule"]] = max(known, each["severity"], key=SEVERITIES.index)
    rules = list(worst)
    places = {rule: number for number, rule in enumerate(rules)}
    problems = [f"{each['name']}: {text}" for each in document["checks"] for text in each["problems"]]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Penstock",
                        "informationUri": "https://github.com/penstock-ml/penstock",
                        "rules": [_rule(check, rule, worst[check, rule]) for check, rule in rules],
                    }
                },
                "automationDetails": {"id": "penstock/security/"},
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": not problems,
                        "toolExecutionNotifications": [
                            {"level": "error", "message": {"text": text}} for text in problems
                        ],
                    }
                ],
                "results": [_result(each, places[each["check"], each["rule"]], prefix) for each in findings],
            }
        ],
    }


def place(path: str, prefix: str, commit: str | None) -> str:
    """A path relative to the repository; of a commit's message, a name that tells which."""
    return posixpath.normpath(f"{prefix}{path}") if path else f".git/{commit or 'HEAD'}"


def _rule(check: str, rule: str, severity: str) -> dict[str, Any]:
    return {
        "id": f"{check}/{rule}",
        "shortDescription": {"text": f"{check}: {rule}"},
        "properties": {"tags": ["security", check], "security-severity": _SCORES[severity]},
    }


def _result(finding: Mapping[str, Any], number: int, prefix: str) -> dict[str, Any]:
    commit = finding["commit"]
    where: dict[str, Any] = {
        "artifactLocation": {"uri": quote(place(finding["path"], prefix, commit)), "uriBaseId": "%SRCROOT%"}
    }
    if finding["line"]:
        where["region"] = {"startLine": finding["line"]}
    accepted = finding["accepted"]
    reason = f"{accepted['reason']} (until {accepted['expires']})" if accepted else ""
    return {
        "ruleId": f"{finding['check']}/{finding['rule']}",
        "ruleIndex": number,
        "level": _LEVELS[finding["severity"]],
        "message": {"text": f"{finding['message']}. {finding['remedy']}"},
        "locations": [{"physicalLocation": where}],
        "partialFingerprints": {"penstock/v1": finding["fingerprint"]},
        "properties": {"commit": commit} if commit else {},
        "suppressions": [{"kind": "external", "status": "accepted", "justification": reason}]
        if accepted
        else [],
    }
