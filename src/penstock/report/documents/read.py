"""Documents as bytes → records. What cannot be read says why, and stands in nobody's way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from penstock import digest
from penstock.record import Record, replace
from penstock.report.documents.measures import Headline, Measures
from penstock.report.documents.model import Benchmark, Command, ModelTests, Reproducibility
from penstock.report.documents.security import Security
from penstock.report.documents.validation import Validation
from penstock.report.shapes import MismatchError, build
from penstock.results import RunReport

R = TypeVar("R", bound=Record)

KINDS: Mapping[str, tuple[type[Record], int]] = {
    "measures": (Measures, 1),
    "validation": (Validation, 2),
    "model-tests": (ModelTests, 1),
    "benchmark": (Benchmark, 1),
    "reproducibility": (Reproducibility, 1),
    "command": (Command, 1),
    "security": (Security, 1),
}
"""Kind of document → its record and the newest version that is known."""

SUMMARY_METRICS, SUMMARY_GROUPS = 4, 40
"""So many of the groups' metrics stand in a summary."""


class Paper(Record):
    """A document of a run.

    Attributes:
        stage: That wrote it, if the report says so.
        content: What it says, if it can be read and is of a known kind.
        problem: Why it cannot be read.
    """

    path: str
    stage: str | None
    digest: str
    size_bytes: int
    kind: str = ""
    content: Record | None = None
    problem: str | None = None


def papers(report: RunReport, documents: Mapping[str, bytes]) -> tuple[Paper, ...]:
    """The documents of a run, in the order of its stages.

    Args:
        documents: By the path of the output that each is.
    """
    written = [(stage.name, part) for stage in report.stages for part in stage.outputs]
    order = {part.path: number for number, (_, part) in enumerate(written)}
    makers = {part.path: (name, part.digest) for name, part in written}
    found = []
    for path in sorted(documents, key=lambda path: (order.get(path, len(order)), path)):
        stage, expected = makers.get(path, (None, None))
        found.append(_paper(path, documents[path], stage, expected))
    return tuple(found)


def _paper(path: str, content: bytes, stage: str | None, expected: str | None) -> Paper:
    paper = Paper(path=path, stage=stage, digest=digest.of_bytes(content), size_bytes=len(content))
    if expected not in (None, paper.digest):
        return replace(paper, problem="it is not what the run made: its digest differs")
    try:
        document = _parsed(content)
        return replace(paper, kind=str(document.get("kind", "")), content=_content(document))
    except (MismatchError, RecursionError) as error:
        return replace(paper, problem=str(error))


def _content(document: Mapping[str, Any]) -> Record | None:
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return None
    record, newest = KINDS[kind]
    version = document.get("version")
    if not isinstance(version, int) or not 1 <= version <= newest:
        raise MismatchError("version", version, f"one that this Penstock reads: 1 to {newest}")
    return build(record, document, foreign=True)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except RecursionError:
        raise MismatchError("", "nested too deeply", "a document") from None
    except ValueError as error:
        raise MismatchError("", str(error), "JSON") from None
    if not isinstance(document, dict):
        raise MismatchError("", type(document).__name__, "a JSON object")
    return document


def of_kind(found: tuple[Paper, ...], kind: type[R]) -> Iterator[tuple[Paper, R]]:
    """The documents of a kind that could be read."""
    for paper in found:
        if isinstance(paper.content, kind):
            yield paper, paper.content


def scanned(documents: Mapping[str, bytes]) -> tuple[Security, ...]:
    """The documents of scans that can be read, in the order of their paths."""
    found = []
    for _, content in sorted(documents.items()):
        try:
            document = _content(_parsed(content)) if b'"security"' in content else None
        except (MismatchError, RecursionError):
            continue  # the page of the report says why
        if isinstance(document, Security):
            found.append(document)
    return tuple(found)


def headlines(documents: Mapping[str, bytes]) -> dict[str, Headline]:
    """As much of each document of measures as stands in a summary, by path."""
    found: dict[str, Headline] = {}
    for path, content in sorted(documents.items()):
        if b'"measures"' not in content:
            continue
        try:
            document = _parsed(content)
            if document.get("kind") == "measures":
                found[path] = build(Headline, _summarised(document), foreign=True)
        except (MismatchError, RecursionError):
            continue  # the page of the report says why
    return found


def _summarised(document: Mapping[str, Any]) -> dict[str, Any]:
    measures, comparisons = (document.get(name, []) for name in ("measures", "comparisons"))
    if not (isinstance(measures, list) and isinstance(comparisons, list)):
        return {**document, "groups": []}  # to be refused for what it has instead
    sliced = [each for each in measures if _is_group(each)]
    metrics, groups = (dict.fromkeys(map(str, map(key, sliced))) for key in (_metric, _group))
    chosen = {*list(metrics)[:SUMMARY_METRICS]}, {*list(groups)[:SUMMARY_GROUPS]}
    return {
        **document,
        "measures": [each for each in measures if not _is_group(each)],
        "comparisons": [each for each in comparisons if not _is_group(each)],
        "groups": [
            each for each in sliced if str(_metric(each)) in chosen[0] and str(_group(each)) in chosen[1]
        ],
    }


def _is_group(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("column") is not None


def _metric(entry: Mapping[str, Any]) -> object:
    return entry.get("metric")


def _group(entry: Mapping[str, Any]) -> object:
    return entry.get("column"), entry.get("group")
