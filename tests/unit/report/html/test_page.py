from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

import document_samples as documents
import hostile_text
import report_samples as samples
from penstock.record import replace
from penstock.report.html import page
from penstock.results import RunReport, Verdict

VOID = {"meta", "link", "img", "br", "input", "base", "hr"}
ELEMENTS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "header",
        "div",
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "span",
        "ul",
        "ol",
        "li",
        "b",
        "dl",
        "dt",
        "dd",
        "code",
        "nav",
        "main",
        "section",
        "article",
        "svg",
        "g",
        "line",
        "rect",
        "circle",
        "path",
        "text",
        "figure",
        "figcaption",
        "details",
        "summary",
        "table",
        "caption",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "th",
        "td",
        "small",
        "strong",
        "pre",
        "footer",
    ]
)


class Tree(HTMLParser):
    """The elements of a page in their order, and the text of each."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html.decode())
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def of(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.elements]

    def said(self) -> str:
        return " ".join(text for _, text in self.texts)


def rendered(report: RunReport, papers: dict[str, bytes] | None = None) -> Tree:
    return Tree(page.render(report, papers or {}))


WHOLE = page.render(*documents.whole())
TREE = Tree(WHOLE)


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    assert {tag for tag, _ in TREE.elements} <= ELEMENTS
    names = {name for _, attributes in TREE.elements for name in attributes}
    assert not [
        name for name in names if name.startswith("on") or name in ("style", "src", "srcset", "action")
    ]
    assert all(attributes["href"].startswith("#") for attributes in TREE.of("a"))
    style = WHOLE.decode().partition("<style>")[2].partition("</style>")[0]
    assert not re.search(r"url\(|@import|@font-face|expression", style)


def test_the_policy_of_a_page_allows_its_own_style_and_nothing_else() -> None:
    policy = next(each["content"] for each in TREE.of("meta") if each.get("http-equiv"))
    style = WHOLE.decode().partition("<style>")[2].partition("</style>")[0]
    own = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{own}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_a_page_of_everything_is_a_few_hundred_kilobytes() -> None:
    assert 100_000 < len(WHOLE) < 400_000


def test_the_same_run_gives_the_same_page() -> None:
    assert page.render(*documents.whole()) == WHOLE


def test_identities_are_unique_and_every_reference_has_its_target() -> None:
    identities = [attributes["id"] for _, attributes in TREE.elements if "id" in attributes]
    assert len(identities) == len(set(identities))
    asked = [attributes["href"][1:] for attributes in TREE.of("a")]
    asked += [each["aria-labelledby"] for _, each in TREE.elements if "aria-labelledby" in each]
    assert asked
    assert set(asked) <= set(identities)


def test_headings_stand_in_order() -> None:
    levels = [int(tag[1]) for tag, _ in TREE.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_picture_is_described_or_left_to_the_text_beside_it() -> None:
    inner = 0
    depth = 0
    for tag, attributes in TREE.elements:
        if tag == "svg" and ("role" in attributes or "aria-hidden" in attributes):
            depth += 1
            assert (attributes.get("role") == "img") == bool(attributes.get("aria-label"))
        elif tag == "svg":
            inner += 1  # a mark within a picture
    assert depth > 50
    assert inner


def test_a_table_has_a_caption_and_its_cells_have_headings() -> None:
    assert len(TREE.of("table")) == len(TREE.of("caption")) + len(
        [t for t in TREE.of("table") if t.get("class") == "matrix"]
    )
    assert all(attributes.get("scope") in ("col", "row") for attributes in TREE.of("th"))


@pytest.mark.parametrize("kind", samples.KINDS)
def test_the_verdict_is_the_first_thing_a_page_says(kind: str) -> None:
    tree = rendered(samples.KINDS[kind]())
    expected = {
        "passed": "Passed",
        "unchanged": "Nothing had to run",
        "failed": "Failed",
        "refused": "Failed",
        "undecided": "Inconclusive",
        "interrupted": "Interrupted",
    }[kind]
    body = [text for tag, text in tree.texts if tag not in ("title", "style")]
    assert body[:3] == ["To the report", "churn", expected]


def test_every_section_of_a_whole_run_is_there() -> None:
    titles = [text for tag, text in TREE.texts if tag == "h2"]
    assert titles == [
        "Gates",
        "Warnings",
        "Model quality",
        "Model tests",
        "Speed",
        "Reproducibility",
        "Own gate, build/penstock/goldens.verdict.json",
        "Data",
        "Use of the evaluation set",
        "Stages",
        "Lineage",
        "Published",
        "Documents",
    ]


def test_an_undecided_gate_looks_other_than_a_passed_and_a_failed_one_without_colour() -> None:
    words, marks = set(), set()
    for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE):
        gate = samples.gate(verdict=verdict, interval=(0.79, 0.86), evidence=documents.gates()[1].evidence)
        tree = rendered(samples.report(gates=(replace(gate, value=0.82),)))
        words.add(
            next(text for tag, text in tree.texts if tag == "p" and text in ("pass", "fail", "inconclusive"))
        )
        marks.add(tuple(tag for tag, each in tree.elements if each.get("class") in ("value", "ring", "body")))
    assert len(words) == 3
    assert len(marks) == 3
    style = WHOLE.decode()
    assert re.search(r"\.strip\.inconclusive \.interval \{[^}]*stroke-dasharray", style)


def test_a_gate_shows_its_number_interval_bound_rows_and_evidence() -> None:
    tree = rendered(samples.report(gates=documents.gates()))
    said = tree.said()
    for text in (
        "recall 0.5524 [0.4985, 0.6051]: its interval contains the minimum 0.55",
        "[0.4985, 0.6051] 95 % wilson",
        "at least 0.55",
        "about 165,000",
        "353",
        "build/penstock/quality.measures.json sha256:1a2b3c4d",
        "fairness, advisory",
        "SeniorCitizen: 1 / 0",
    ):
        assert text in said
    labels = [each["aria-label"] for each in tree.of("svg") if "aria-label" in each]
    assert "value 0.5524, interval from 0.4985 to 0.6051, at least 0.55: inconclusive" in labels


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"nul", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"kind": "measures"}', "version is None, not one that this Penstock reads: 1 to 1"),
        (b'{"kind": "measures", "version": 99}', "version is 99"),
        (
            b'{"kind": "measures", "version": 1, "measures": [{"value": 1}]}',
            "measures[0].metric is None, not there",
        ),
        (b'{"kind": "measures", "version": 1, "measures": {}}', "measures is {}, not a list"),
        (
            b'{"kind": "measures", "version": 1, "measures": [{"metric": "x", "value": NaN}]}',
            "measures[0].value is nan",
        ),
        (
            b'{"kind": "measures", "version": 1, "measures": [{"metric": "x", "value": 1e999}]}',
            "value is inf",
        ),
        (
            b'{"kind": "measures", "version": 1, "measures": [{"metric": "x", "interval": [1]}]}',
            "not a list of 2",
        ),
        (b'{"kind": "benchmark", "version": 1, "latency": [{"batch": true}]}', "latency[0].batch is True"),
        (b'{"kind": "validation", "version": 2, "checks": "all"}', "checks is 'all', not a list"),
    ],
)
def test_a_document_that_cannot_be_read_says_why_and_the_rest_is_shown(content: bytes, why: str) -> None:
    papers = documents.documents() | {"build/broken.json": content}
    said = rendered(samples.refused(), papers).said()
    assert "build/broken.json cannot be read: " in said
    assert why in said
    assert "Model quality" in said
    assert "cannot be shown" not in said


def test_a_document_that_is_not_what_the_run_made_is_not_shown() -> None:
    report, papers = documents.whole()
    papers["build/penstock/quality.measures.json"] += b" "
    said = rendered(report, papers).said()
    assert "cannot be read: it is not what the run made: its digest differs" in said
    assert "Model quality" not in said


def test_a_document_of_an_unknown_kind_is_listed_and_not_shown() -> None:
    said = rendered(samples.passed(), {"build/metrics.json": b'{"auc": 0.9, "kind": "mine"}'}).said()
    assert "build/metrics.json mine" in said
    assert "not shown" in said


def test_fields_that_a_newer_program_adds_are_passed_over() -> None:
    document = documents.measures() | {"more": {"of": ["this"]}}
    assert "Model quality" in rendered(samples.passed(), {"m.json": documents.encoded(document)}).said()


@pytest.mark.parametrize(
    "make", [documents.regression, documents.multiclass], ids=lambda make: str(make.__name__)
)
def test_every_task_has_its_plots(make: Any) -> None:
    said = rendered(samples.passed(), {"m.json": documents.encoded(make())}).said()
    plots = {
        "regression": ("Residuals", "Residuals by prediction", "root_mean_squared_error ↓"),
        "multiclass": ("Confusion matrix", "ROC curve", "Precision and recall", "drugX"),
    }[make.__name__]
    for title in plots:
        assert title in said


@pytest.mark.parametrize("path", documents.DOCUMENTS)
def test_no_mutation_of_a_document_breaks_the_page(path: str) -> None:
    shown = 0
    for document in hostile_text.mutations(documents.DOCUMENTS[path](), 60):
        html = page.render(samples.interrupted(), {path: json.dumps(document).encode()})
        assert b"Interrupted" in html
        assert b"cannot be shown" not in html
        assert not re.search(rb'="[^"]*\b(nan|inf)\b', html)
        shown += b"cannot be read" not in html
    assert 5 < shown < 60


@pytest.mark.parametrize("half", [0, 1])
def test_500_hostile_texts_stay_text(half: int) -> None:
    texts = hostile_text.texts()[half::2]
    assert len(texts) >= 250
    poison = hostile_text.Poison(texts)
    hostile = _infected(poison)
    assert poison.used > len(texts)
    calm = _infected(hostile_text.Poison(["y"]))
    assert {tag for tag, _ in hostile.elements} <= ELEMENTS
    names = {(tag, name) for tag, attributes in hostile.elements for name in attributes}
    assert names <= {(tag, name) for tag, attributes in calm.elements for name in attributes}
    assert all(each["href"].startswith("#") for each in hostile.of("a"))
    assert all(re.fullmatch(r"[a-z0-9 -]*", each.get("class", "")) for _, each in hostile.elements)
    assert "alert(1)" in hostile.said()


@pytest.mark.parametrize("bait", hostile_text.BAITS)
def test_a_hostile_text_changes_no_element(bait: str) -> None:
    assert _infected(hostile_text.Poison([bait])).shape() == _calm()


@cache
def _few_measures() -> dict[str, Any]:
    return documents.measures(names=("recall", "log_loss"))


@cache
def _calm() -> list[tuple[str, tuple[str, ...]]]:
    return _infected(hostile_text.Poison(["yy"])).shape()


def _infected(poison: hostile_text.Poison) -> Tree:
    few = documents.DOCUMENTS | {"build/penstock/quality.measures.json": _few_measures}
    papers = {path: json.dumps(poison.document(make())).encode() for path, make in few.items()}
    report, _ = documents.whole(papers)
    stages = tuple(
        replace(poison.record(stage, ("outputs", "name", "needs")), needs=stage.needs)
        for stage in report.stages
    )
    return rendered(replace(poison.record(report, ("stages",)), stages=stages), papers)


def test_a_run_without_anything_has_a_page() -> None:
    tree = rendered(samples.report(gates=(), publications=()))
    assert [text for tag, text in tree.texts if tag == "h2"] == []
    assert "Nothing had to run" in tree.said()


def test_ten_metrics_of_twenty_slices_are_shown_in_time_and_in_half_a_megabyte() -> None:
    document = documents.measures(names=("recall",))
    one = document["measures"][0]
    document["measures"] = [
        one | {"metric": f"metric-{metric}", "column": column, "group": group, "rows": 24_321}
        for metric in range(10)
        for column, group in [
            (None, None),
            *((f"slice-{number}", group) for number in range(20) for group in "abcd"),
        ]
    ]
    content = documents.encoded(document)
    began = time.process_time()
    html = page.render(samples.refused(), {"m.json": content})
    assert time.process_time() - began < 3
    assert html.count(b"slice-19 = d") == 10
    assert len(html) < 500_000
