"""Runs the checks that a request asks for and writes the documents."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..common import program
from . import gitlab, sarif
from .accepted import Baseline, read_baseline
from .audit import vulnerabilities
from .code import code
from .findings import SEVERITIES, Check, Finding, fingerprinted
from .hunting import secrets
from .pickles import pickles
from .pins import pins
from .repository import Repository, repository
from .tree import File, files

MOST_FINDINGS = 2_000
"""So many are listed, the worst first; all are counted."""
_LEAST_MASKED = 6
_ROOTS = ("PENSTOCK_ROOT", "PENSTOCK_SOURCE")
"""Where the project is: on this machine, or where an engine mounted it."""
_MOST_PROBLEMS = 50


class Mask:
    """Takes the secrets that were found out of text in which a path or a message might repeat one."""

    def __init__(self, values: Iterable[str]) -> None:
        long = sorted((each for each in values if len(each) >= _LEAST_MASKED), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, long))) if long else None

    def __call__(self, text: str) -> str:
        """The text without them, and such that it can be written as UTF-8."""
        text = self._pattern.sub("***", text) if self._pattern else text
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass(slots=True)
class Scan:
    """A project and what is asked about it.

    Attributes:
        today: ISO 8601.
        values: Every secret that was found.
    """

    request: Mapping[str, Any]
    root: Path
    repository: Repository | None
    files: Sequence[File]
    baseline: Baseline | None
    today: str
    values: frozenset[str] = field(default_factory=frozenset)

    def checks(self) -> list[Check]:
        """What the checks found that are asked for; secrets first, which no other may repeat."""
        ways: Mapping[str, Callable[[], Check]] = {
            "secrets": self._secrets,
            "vulnerabilities": lambda: vulnerabilities(self.root, self.request, self.today),
            "code": lambda: code(self.root, self.files),
            "pickles": lambda: pickles(self.files),
            "pins": lambda: pins(
                self.root, self.files, self.request.get("requirements") or (), self.request.get("pipeline")
            ),
        }
        return [way() for name, way in ways.items() if name in self.request["checks"]]

    def document(self, checks: Sequence[Check], findings: Sequence[Finding]) -> dict[str, Any]:
        """What is written."""
        mask = Mask(self.values)
        commit = self.repository.text("rev-parse", "--verify", "--quiet", "HEAD") if self.repository else ""
        return {
            "version": 1,
            "kind": "security",
            "date": self.today,
            "commit": commit or None,
            "summary": _summary(checks, findings, self.baseline),
            "checks": [_checked(each, findings, mask) for each in checks],
            "findings": [_described(each, mask) for each in findings[:MOST_FINDINGS]],
            "left_out": max(len(findings) - MOST_FINDINGS, 0),
            "baseline": _accepting(self.baseline) if self.baseline else None,
            "warnings": [mask(each) for each in self._warnings(checks)],
        }

    def _secrets(self) -> Check:
        key, skip = (self.baseline.key, self.baseline.path) if self.baseline else (None, None)
        history = bool(self.request["history"])
        found, self.values = secrets(self.files, self.repository, history=history, key=key, skip=skip)
        return found

    def _warnings(self, checks: Sequence[Check]) -> list[str]:
        warnings = [f"{check.name}: {note}" for check in checks for note in check.notes]
        if self.request.get("exclude"):
            warnings.append(f"not looked at: {', '.join(self.request['exclude'])}"[:300])
        return warnings + (self.baseline.unused if self.baseline else [])


def run(request: Mapping[str, Any]) -> str:
    """Scan as requested and write the documents; gives one line that says what came out."""
    root = Path(next(filter(None, map(os.environ.get, _ROOTS)), ".")).resolve()
    today = str(request.get("date") or datetime.now(UTC).date().isoformat())
    baseline = read_baseline(root, request["baseline"]) if request.get("baseline") else None
    found = repository(root, os.environ.get("PENSTOCK_GIT") or None)
    listed = files(root, found, request.get("paths") or (), request.get("exclude") or ())
    if not listed and (found is None or request.get("paths")):
        raise program.UnusableError(f"{root}: there is no file to look at; name what there is at `paths`")
    scan = Scan(request, root, found, listed, baseline, today)
    checks = scan.checks()
    findings = fingerprinted(finding for check in checks for finding in check.findings)
    if baseline is not None:
        findings = baseline.apply(findings, today)
    document = scan.document(checks, findings)
    program.write_document(request["result"], document)
    prefix = found.prefix if found else ""
    program.write_document(request["sarif"], sarif.log(document, prefix))
    program.write_document(request["code_quality"], gitlab.code_quality(document, prefix))
    program.write_document(request["secret_detection"], gitlab.secret_detection(document, prefix))
    return str(document["summary"])


def _checked(check: Check, findings: Sequence[Finding], mask: Mask) -> dict[str, Any]:
    problems = [mask(each) for each in check.problems[:_MOST_PROBLEMS]]
    if len(check.problems) > _MOST_PROBLEMS:
        problems.append(f"and {len(check.problems) - _MOST_PROBLEMS} more")
    return {
        "name": check.name,
        "tool": check.tool,
        "examined": check.examined,
        "problems": problems,
        "counts": _counts([each for each in findings if each.check == check.name]),
    }


def _counts(findings: Sequence[Finding]) -> dict[str, dict[str, int]]:
    opened = Counter(each.severity for each in findings if each.accepted is None)
    accepted = Counter(each.severity for each in findings if each.accepted is not None)
    return {
        "open": {each: opened[each] for each in SEVERITIES},
        "accepted": {each: accepted[each] for each in SEVERITIES},
    }


def _described(finding: Finding, mask: Mask) -> dict[str, Any]:
    return {
        "check": finding.check,
        "rule": finding.rule,
        "severity": finding.severity,
        "path": mask(finding.path),
        "line": finding.line,
        "commit": finding.commit,
        "message": mask(finding.message),
        "remedy": mask(finding.remedy),
        "package": finding.package,
        "accepted": finding.accepted,
        "fingerprint": finding.fingerprint,
    }


def _accepting(baseline: Baseline) -> dict[str, Any]:
    return {
        "path": baseline.path,
        "entries": len(baseline.entries),
        "used": baseline.used,
        "problems": baseline.problems,
    }


def _summary(checks: Sequence[Check], findings: Sequence[Finding], baseline: Baseline | None) -> str:
    opened = Counter(each.severity for each in findings if each.accepted is None)
    told = [f"{opened[each]} {each}" for each in reversed(SEVERITIES) if opened[each]]
    parts = [f"{len(checks)} checks: {', '.join(told) if told else 'nothing found'}"]
    accepted = sum(each.accepted is not None for each in findings)
    if accepted:
        parts.append(f"{accepted} accepted")
    undone = [check.name for check in checks if check.problems]
    if undone:
        parts.append(f"not whole: {', '.join(undone)}")
    if baseline is not None and baseline.problems:
        parts.append(f"{len(baseline.problems)} entries of the baseline do not count")
    return "; ".join(parts)
