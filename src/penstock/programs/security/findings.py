"""What is found, how bad it is, and by what a finding is known again."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

SEVERITIES = ("info", "low", "medium", "high", "critical")
_LENGTH = 24  # hexadecimal digits: 96 bits, so that no two findings meet by chance


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: `secrets`, `vulnerabilities`, `code`, `pickles` or `pins`.
        rule: Stable name of what was broken.
        severity: One of `SEVERITIES`.
        path: Relative to the project; of a commit's message, empty.
        line: Counted from 1, if it is at one.
        message: For people; holds nothing of a secret's value.
        remedy: What to do.
        subject: By what it is known again beside check and path: never a secret's value in the clear.
        commit: Where in the history it came in; none for the tree as it is.
        package: Name, version and where it is fixed, of a vulnerability.
        accepted: Reason and expiry date of the baseline's entry for it.
        fingerprint: Made by `fingerprinted`.
    """

    check: str
    rule: str
    severity: str
    path: str
    line: int | None
    message: str
    remedy: str
    subject: str
    commit: str | None = None
    package: dict[str, object] | None = None
    accepted: dict[str, str] | None = None
    fingerprint: str = ""


@dataclass(slots=True)
class Check:
    """How far one check came.

    Attributes:
        examined: How many things it looked at, in words.
        problems: What it could not look at: it has not passed then, whatever it found.
    """

    name: str
    tool: str
    examined: str = ""
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def fingerprinted(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, worst first, each with a fingerprint that does not change when lines move."""
    seen: Counter[str] = Counter()
    made = []
    for each in sorted(findings, key=_place):
        # where the vulnerable package is locked does not matter, only that it is
        path = "" if each.check == "vulnerabilities" else each.path
        whole = f"{each.check}\0{path}\0{each.subject}"
        number, seen[whole] = seen[whole], seen[whole] + 1
        if each.check == "vulnerabilities":
            number = 0
        made.append(replace(each, fingerprint=_digest(f"{whole}\0{number}")))
    return sorted(made, key=lambda each: (-SEVERITIES.index(each.severity), *_place(each)))


def sealed(value: str, key: str | None) -> str | None:
    """A value as part of a subject: nobody without the key can tell by trying which value it is.

    Args:
        value: A secret.
        key: Of the project, kept where the secret itself can be read; without one there is no seal.
    """
    if key is None:
        return None
    return hmac.new(key.encode(), value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def worst(severities: Sequence[str]) -> str:
    """The worst of some severities."""
    return max(severities, key=SEVERITIES.index)


def _place(finding: Finding) -> tuple[str, str, int, str, str]:
    return (finding.check, finding.path, finding.line or 0, finding.rule, finding.subject)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_LENGTH]
