"""What `uses: security` writes: what was scanned, what was found, and what of it is accepted."""

from __future__ import annotations

from penstock.record import Record

SEVERITIES = ("critical", "high", "medium", "low", "info")
"""The worst first."""


class Accepted(Record):
    """Why a finding may stay, and until when."""

    reason: str = ""
    expires: str = ""


class SecurityFinding(Record):
    """One thing that is wrong.

    Attributes:
        commit: Where in the history it came in; none for the tree.
        fingerprint: What the baseline knows it by.
    """

    check: str
    rule: str = ""
    severity: str = ""
    path: str = ""
    line: int | None = None
    commit: str | None = None
    message: str = ""
    remedy: str = ""
    accepted: Accepted | None = None
    fingerprint: str = ""

    @property
    def place(self) -> str:
        """Where it is, as an editor takes it."""
        where = self.path or "message of a commit"
        return f"{where}:{self.line}" if self.line is not None else where


class SecurityCheck(Record):
    """One kind of scan.

    Attributes:
        problems: What it could not look at.
    """

    name: str
    tool: str = ""
    examined: str = ""
    problems: tuple[str, ...] = ()


class Baseline(Record):
    """The file of what is accepted, and which of its entries do not count."""

    path: str = ""
    entries: int = 0
    used: int = 0
    problems: tuple[str, ...] = ()


class Security(Record):
    """The whole document.

    Attributes:
        left_out: Findings that are counted and not listed.
    """

    date: str = ""
    summary: str = ""
    checks: tuple[SecurityCheck, ...] = ()
    findings: tuple[SecurityFinding, ...] = ()
    left_out: int = 0
    baseline: Baseline | None = None
    warnings: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[SecurityFinding, ...]:
        """What is not accepted."""
        return tuple(each for each in self.findings if each.accepted is None)

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the scans from being whole."""
        found = [f"{check.name}: {text}" for check in self.checks for text in check.problems]
        return (*found, *(self.baseline.problems if self.baseline else ()))
