"""What a stage `uses: security` may be asked, and what its gate may let through."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, Tag

from penstock.plan.fields import FilePath, Text
from penstock.plan.schema_parts import Record, by_type

SecurityCheck = Literal["secrets", "vulnerabilities", "code", "pickles", "pins"]
Severity = Literal["none", "info", "low", "medium", "high", "critical"]


class SecurityOptions(Record):
    """What is scanned, and with what."""

    checks: Annotated[list[SecurityCheck], Field(min_length=1)] | None = None
    """All if absent."""
    history: StrictBool = True
    """Whether secrets are looked for in all that the repository remembers too."""
    paths: list[FilePath] | None = None
    """Files and directories that are looked at; everything that git has or would take if absent."""
    exclude: list[Text] = Field(default_factory=list)
    """Patterns of paths that are not looked at; the report names them."""
    requirements: list[FilePath] | None = None
    """Lock files that are audited; those of the environments if absent."""
    database: FilePath | None = None
    """Known vulnerabilities as records of the OSV format, instead of asking a service."""
    service: Literal["pypi", "osv"] = "pypi"
    """Who is asked about known vulnerabilities."""
    service_url: Text | None = None
    """Address of a service like that of osv.dev."""
    baseline: FilePath | None = None
    """Findings that are accepted, each with a reason and a date until which."""


class MaxSeverities(Record):
    """The worst that each check may leave; `medium` if it does not say."""

    secrets: Severity | None = None
    vulnerabilities: Severity | None = None
    code: Severity | None = None
    pickles: Severity | None = None
    pins: Severity | None = None


MaxSeverity = Annotated[
    Annotated[Severity, Tag("word")] | Annotated[MaxSeverities, Tag("checks")],
    by_type(
        {str: "word", dict: "checks", MaxSeverities: "checks"},
        "is neither a severity nor a mapping of checks to severities",
    ),
]
