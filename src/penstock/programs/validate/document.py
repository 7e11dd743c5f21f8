"""From a request to the document that says what was found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..common.program import Progress
from .cells import Chunk
from .column_checks import ColumnChecks
from .findings import EXAMPLES, Finding, named, percent
from .inference import ROWS as INFERRED_ROWS
from .inference import inferred
from .kinds import iso
from .leakage import Splits, compare_splits
from .opening import open_beside, open_table
from .rule_checks import RuleCheck, rule_checks
from .schema_file import Balance, Column, Schema, read_schema
from .summaries import Summaries, Summary, value_text
from .table_checks import repeat_checks, shape_findings, show_values
from .tables import Table, read_through
from .telling import telling_features

MOST_PICTURES = 500


class _Observer(Protocol):
    def see(self, chunk: Chunk) -> None: ...


@dataclass(slots=True)
class _Job:
    """A data set, what is asked of it, and what was found."""

    table: Table
    schema: Schema
    progress: Progress
    declared: bool
    columns: dict[str, Column]
    rules: Sequence[RuleCheck]
    summaries: Summaries
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def document(request: Mapping[str, Any]) -> dict[str, Any]:
    """What is written: every check with the first rows that fail it, and what the columns hold.

    Raises:
        UnusableError: A file cannot be read.
    """
    job = _begun(request)
    _check(job)
    splits = compare_splits(request["splits"], job.schema, job.progress) if request.get("splits") else None
    telling, found, warnings = telling_features(job.summaries, job.schema)
    job.findings += [*(splits.findings if splits else ()), *found]
    job.warnings += [*(splits.warnings if splits else ()), *warnings, *_sampled(job.table, job.summaries)]
    drift = _drift(request["reference"], job) if request.get("reference") else None
    checks = [finding.described() for finding in job.findings]
    return {
        "version": 2,
        "kind": "validation",
        "data": {"path": job.table.path, "digest": digest(job.table.path)},
        "schema": {"path": request["schema"], "digest": digest(request["schema"])} if job.declared else None,
        "rows": job.summaries.rows,
        "passed": all(check["passed"] for check in checks),
        "summary": _summary(job, checks),
        "checks": checks,
        "columns": job.summaries.described(pictures=len(job.columns) <= MOST_PICTURES),
        "newest": _newest(job),
        "drift": drift,
        "leakage": _leakage(splits, telling, job),
        "warnings": job.warnings,
    }


def digest(path: str) -> str:
    """Of a file's bytes."""
    with Path(path).open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _begun(request: Mapping[str, Any]) -> _Job:
    path = request.get("schema")
    warnings: list[str] = []
    rules: Sequence[RuleCheck] = ()
    if path:
        schema, lines = read_schema(path, Path(path).read_bytes())
        table = open_table(request["data"], schema.delimiter)
        rules = rule_checks(path, schema, lines, table.names)
    else:
        table = open_table(request["data"], None)
        schema = inferred(table)
        warnings.append(f"no schema file: types of columns are those of the first {INFERRED_ROWS:,} rows")
    columns = {column.name: column for column in schema.columns if column.name in table.names}
    summaries = Summaries(columns, groups=schema.target is not None)
    job = _Job(table, schema, Progress(), bool(path), columns, rules, summaries)
    job.warnings += warnings
    return job


def _scan(
    table: Table, columns: Mapping[str, Column], observers: Sequence[_Observer], progress: Progress
) -> None:
    for batch in read_through(table, progress):
        chunk = Chunk(batch, table.names, columns)
        for observer in observers:
            observer.see(chunk)


def _check(job: _Job) -> None:
    checks = {name: ColumnChecks(column) for name, column in job.columns.items()} if job.declared else {}
    repeats = repeat_checks(job.table, job.schema)
    try:
        _scan(job.table, job.columns, [*checks.values(), *repeats, *job.rules, job.summaries], job.progress)
        for each in repeats:
            each.settle()
    finally:
        for each in repeats:
            each.close()
    unique = [each.finding for each in repeats if each.finding.column]
    show_values(job.table, unique)
    shape = shape_findings(job.table, job.schema, job.summaries.rows)
    job.findings += shape if job.declared else shape[:1]
    for name, column_checks in checks.items():
        job.findings += column_checks.findings()
        job.findings += [finding for finding in unique if finding.column == name]
        job.findings += _balance(job.summaries.by_name[name])
    job.findings += [each.finding for each in repeats if not each.finding.column]
    job.findings += [rule.finding for rule in job.rules]
    if not job.declared:
        job.warnings += [
            f"column {name!r}: {summary.wrong:,} values are no {summary.column.type}, as which it began"
            for name, summary in job.summaries.by_name.items()
            if summary.wrong
        ]


def _balance(summary: Summary) -> list[Finding]:
    bounds = summary.column.balance
    if bounds is None:
        return []
    finding = Finding("class balance", summary.column.name)
    if summary.counts is None:
        finding.note = "more classes than are counted; is it one?"
        return [finding]
    counts = dict(summary.counts)
    for value in map(summary.column.value, summary.column.allowed or ()):
        counts.setdefault(value_text(value), 0)
    if not summary.good:
        finding.note = "no value, so no class"
        return [finding]
    finding.note = _unbalanced(counts, bounds)
    return [finding]


def _unbalanced(counts: Mapping[str, int], bounds: Balance) -> str | None:
    smallest = min(counts, key=lambda value: (counts[value], value))
    largest = max(counts, key=lambda value: (counts[value], value))
    share = counts[smallest] / sum(counts.values())
    if bounds.min_share is not None and share < bounds.min_share:
        return f"{smallest!r} is {percent(share)} of the values, at least {percent(bounds.min_share)} wanted"
    if bounds.max_ratio is not None and counts[largest] > bounds.max_ratio * counts[smallest]:
        return (
            f"{counts[largest]:,} of {largest!r} to {counts[smallest]:,} of {smallest!r}, "
            f"at most {bounds.max_ratio:g} to 1 wanted"
        )
    return None


def _drift(path: str, job: _Job) -> dict[str, Any]:
    from .drift import drift  # scipy takes two seconds to load

    table = open_beside(path, job.schema.delimiter if job.declared else None)
    columns = {name: column for name, column in job.columns.items() if name in table.names}
    summaries = Summaries(columns, groups=False)
    _scan(table, columns, [summaries], job.progress)
    job.warnings += _sampled(table, summaries)
    return {
        "reference": {"path": path, "digest": digest(path), "rows": summaries.rows},
        "confidence": job.schema.drift.confidence,
        "correction": "holm",
        "columns": drift(job.summaries, summaries, job.schema),
    }


def _sampled(table: Table, summaries: Summaries) -> list[str]:
    if summaries.sampled is None:
        return []
    what = "histograms and comparisons of numbers and lengths"
    return [
        f"{table.path}: {what} rest on {summaries.sampled:,} rows, chosen at random, of {summaries.rows:,}"
    ]


def _newest(job: _Job) -> dict[str, Any] | None:
    name = job.schema.freshness
    if name is None:
        return None
    summary = job.summaries.by_name.get(name)
    if summary is None or summary.high is None:
        return {"column": name, "value": None, "problem": "no row holds a date there"}
    return {"column": name, "value": iso(summary.high)}


def _leakage(splits: Splits | None, telling: list[dict[str, Any]], job: _Job) -> dict[str, Any] | None:
    if splits is None and job.schema.target is None:
        return None
    return {
        "splits": splits.described if splits else [],
        "overlaps": splits.overlaps if splits else [],
        "telling": telling,
    }


def _summary(job: _Job, checks: Sequence[Mapping[str, Any]]) -> str:
    size = f"{job.summaries.rows:,} rows, {len(job.table.names)} columns"
    failed = [check for check in checks if not check["passed"]]
    if not failed:
        return f"{size}: all {len(checks)} checks passed"
    first = ", ".join(map(named, failed[:EXAMPLES]))
    return f"{size}: {len(failed)} of {len(checks)} checks failed: {first}"
