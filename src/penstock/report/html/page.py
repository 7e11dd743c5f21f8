"""The page of a run as bytes: everything in one file, which loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from penstock.inert import printable
from penstock.record import Record
from penstock.report.documents.measures import Measures
from penstock.report.documents.model import Benchmark, Command, ModelTests, Reproducibility
from penstock.report.documents.read import Paper, of_kind, papers
from penstock.report.documents.security import Security
from penstock.report.documents.validation import Validation
from penstock.report.html import course, data, front, gates, model, quality, security
from penstock.report.html.blocks import Note, Page, Section
from penstock.report.scans import is_attachment
from penstock.results import RunReport

NAME = "report.html"
_POLICY = "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'"
View = Callable[[Paper, Any, int], Section]
_VIEWS: tuple[tuple[type[Record], View], ...] = (
    (Measures, quality.section),
    (ModelTests, model.tests),
    (Benchmark, model.benchmark),
    (Reproducibility, model.reproducibility),
    (Command, model.command),
    (Validation, data.section),
    (Security, security.section),
)
"""Kinds of documents in the order of the page, and what makes a section of each."""
_HERE = Path(__file__).parent


def render(report: RunReport, documents: Mapping[str, bytes]) -> bytes:
    """The page of a run.

    Args:
        documents: What programs wrote, by the path of the output that each is; nothing of it is trusted.
    """
    found = papers(report, {path: each for path, each in documents.items() if not is_attachment(path)})
    sections: list[Section | None] = [gates.section(report), front.warnings(report)]
    for kind, section in _VIEWS:
        shown = enumerate(of_kind(found, kind), 1)
        sections += [_shown(section, paper, content, number) for number, (paper, content) in shown]
    sections += [front.holdouts(report), course.section(report), course.lineage(report)]
    sections += [front.published(report), front.documents(found)]
    return write(front.page(report, tuple(each for each in sections if each)))


def _shown(section: View, paper: Paper, content: Any, number: int) -> Section:
    """The section of a document; no verdict is lost because foreign numbers cannot be drawn."""
    try:
        return section(paper, content, number)
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        note = Note("problem", f"{paper.path} cannot be shown: {error}")
        return Section(
            id=f"{paper.kind}-{number}", title=f"Document of {paper.stage or paper.path}", blocks=(note,)
        )


def write(page: Page) -> bytes:
    """A page as HTML."""
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    text = (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            style=Markup(style),  # noqa: S704 - our own file
            policy=_POLICY.format(digest),
        )
    )
    return text.encode("utf-8", "replace")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _inert(value: Any) -> Any:
    """Foreign text without what could do anything but be read."""
    return value if isinstance(value, Markup) else printable(value) if isinstance(value, str) else value
