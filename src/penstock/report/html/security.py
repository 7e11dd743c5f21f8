"""What scans of the project found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from penstock.report import wording
from penstock.report.documents.read import Paper
from penstock.report.documents.security import SEVERITIES, Security, SecurityFinding
from penstock.report.html.blocks import Block, Column, Fold, Heading, Note, Section, Table, table

_MOST = 200


def section(paper: Paper, document: Security, number: int) -> Section:
    """The section of a document of `uses: security`."""
    blocks: list[Block] = [Note("problem", text) for text in document.problems]
    blocks += [Note("warning", text) for text in document.warnings]
    blocks.append(_checks(document))
    blocks += _findings(document)
    return Section(
        id=f"security-{number}",
        title="Security" if number == 1 else f"Security, {paper.stage or paper.path}",
        lead=document.summary,
        blocks=tuple(blocks),
    )


def _checks(document: Security) -> Table:
    found = Counter((each.check, each.severity) for each in document.open)
    rows = [
        (
            check.name,
            check.examined,
            "not whole" if check.problems else "whole",
            *(f"{found[check.name, each]:,}" if found[check.name, each] else "" for each in SEVERITIES),
            check.tool,
        )
        for check in document.checks
    ]
    columns = (
        Column("check", "name"),
        Column("looked at"),
        Column("was"),
        *(Column(each, "number") for each in SEVERITIES),
        Column("with"),
    )
    return table("Scans and what is open", columns, rows)


def _findings(document: Security) -> Iterator[Block]:
    opened = document.open
    accepted = [each for each in document.findings if each.accepted is not None]
    if opened:
        yield Heading("What is open")
        yield _open(opened, document.left_out)
    if accepted:
        path = f" in {document.baseline.path}" if document.baseline else ""
        title = f"{wording.count(len(accepted), 'finding')} accepted{path}"
        yield Fold(title, (_accepted(accepted),))


def _open(findings: Sequence[SecurityFinding], left_out: int) -> Table:
    rows = [
        (each.place, each.severity, each.check, each.message, each.remedy, each.fingerprint)
        for each in findings
    ]
    columns = (
        Column("where", "name"),
        Column("severity"),
        Column("check"),
        Column("what"),
        Column("what to do"),
        Column("fingerprint", "code"),
    )
    shown = table("Findings that are open", columns, rows, most=_MOST)
    return Table(shown.caption, shown.columns, shown.rows, shown.titled, shown.hidden + left_out)


def _accepted(findings: Sequence[SecurityFinding]) -> Table:
    rows = [
        (each.place, each.severity, each.message, each.accepted.reason, each.accepted.expires)
        for each in findings
        if each.accepted is not None
    ]
    columns = (
        Column("where", "name"),
        Column("severity"),
        Column("what"),
        Column("why it may stay"),
        Column("until"),
    )
    return table("Findings that are accepted", columns, rows, most=_MOST)
