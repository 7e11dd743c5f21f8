from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

import document_samples
import hostile_text
import report_samples as samples
from penstock.record import replace
from penstock.report.documents.read import headlines
from penstock.report.markdown import MAX_CHARACTERS, code, render
from penstock.results import Evidence, Publication, PublicationState, Reason, RunReport, StageState, Verdict

# GitHub's dialect as far as it matters: tables and raw HTML on
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OWN_HTML = re.compile(
    r"<details>\n<summary>(?:log of stage [\w ?-]*|[\d,]+ (?:groups?|stages?|warnings?)|use of the evaluation set)"
    r"</summary>\n?|</details>\n?"
)
BAITS = (
    "[a](http://evil.example)",
    "![a](http://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<!-- hidden",
    "</details>",
    "</summary><b>",
    "<http://evil.example>",
    "https://evil.example",
    "www.evil.example",
    "a@evil.example",
    "@octocat",
    "#1",
    "owner/repository#1",
    "`",
    "``",
    "```",
    "~~~",
    "|",
    "\\|",
    "\\",
    "\\`",
    "\n",
    "\n\n",
    "\n# heading\n",
    "\n```\n",
    "\n</details>\n",
    "\n| a |\n|---|\n",
    "\n[a]: http://evil.example\n",
    "[a]",
    "*",
    "__",
    "~~",
    "$a$",
    "&lt;b&gt;",
    "&#64;octocat",
    "\r",
    "\x1b[0m",
    "\u202e",
    " ",
    "    ",
    "x",
)


def _tokens(text: str) -> Iterator[Token]:
    for token in PARSER.parse(text):
        yield token
        yield from token.children or ()


def _active(text: str) -> list[str]:
    """What a renderer would make of foreign text, other than showing it."""
    found = []
    for token in _tokens(text):
        if token.type in ("link_open", "image", "html_inline") or token.tag in (
            "em",
            "strong",
            "s",
            "hr",
            "li",
        ):
            found.append(f"{token.type} {token.content}")
        if token.type == "html_block" and OWN_HTML.sub("", token.content).strip():
            found.append(f"html_block {token.content}")
        # what GitHub turns into links by itself, anywhere but in code
        if token.type == "text" and re.search(r"@\w|https?:|www\.|#\d|<|evil", token.content):
            found.append(f"text {token.content}")
    return found


def _infected(bait: str) -> RunReport:
    """A report that holds a text wherever a stage, a user or a file could have put it."""
    stage = replace(
        samples.stage("train", StageState.FAILED, samples.attempt(1, bait, problem=bait)),
        name=bait,
        reason=Reason(code="changed", sentence=bait),
    )
    gates = tuple(
        samples.gate(
            bait,
            verdict,
            sentence=bait,
            required=verdict is Verdict.PASS,
            evidence=(Evidence(path=bait, digest=samples.DIGEST),),
        )
        for verdict in Verdict
    )
    publications = tuple(
        Publication(kind=bait, state=state, sentence=bait, target=bait) for state in PublicationState
    )
    report = samples.report(
        stage, replace(stage, state=StageState.SKIPPED), gates=gates, publications=publications, exit_code=1
    )
    return replace(
        report,
        pipeline=bait,
        profile=bait,
        commit=bait,
        executor=bait,
        run_id=bait,
        plan=bait,
        warnings=(bait,),
    )


@cache
def _measures() -> dict[str, Any]:
    return document_samples.measures(names=("recall", "log_loss"))


def _infected_text(bait: str) -> str:
    """A summary of that, and of a document of which every text is the bait."""
    document = hostile_text.Poison([bait]).document(_measures())
    report = replace(_infected(bait), holdouts=document_samples.whole()[0].holdouts)
    return render(report, headlines({bait: document_samples.encoded(document)}))


def _rows(text: str) -> list[int]:
    """The number of cells of each row of each table."""
    rows: list[int] = []
    for token in PARSER.parse(text):
        if token.type == "tr_open":
            rows.append(0)
        elif token.type in ("td_open", "th_open"):
            rows[-1] += 1
    return rows


CLEAN_FEW_ROWS = _rows(render(_infected("x")))
CLEAN_ROWS = _rows(_infected_text("x"))


@pytest.mark.parametrize("bait", BAITS)
def test_foreign_text_is_shown_and_never_obeyed(bait: str) -> None:
    text = _infected_text(bait)
    assert _active(text) == []
    assert _rows(text) == CLEAN_ROWS


def test_no_mixture_of_500_baits_is_obeyed() -> None:
    rng = random.Random(5)
    for _ in range(500):
        bait = "".join(rng.choices(BAITS, k=rng.randint(2, 6)))
        text = render(_infected(bait))
        assert _active(text) == [], bait
        assert _rows(text) == CLEAN_FEW_ROWS, bait
        assert text.count("<details>\n<summary>") == 2
        assert len(text) < MAX_CHARACTERS


def test_the_test_would_notice() -> None:
    for bait in ("[a](b)", "<b>", "@octocat", "https://evil.example", "**a**"):
        assert _active(f"Gate {bait}")


@pytest.mark.parametrize("kind", samples.KINDS)
def test_a_summary_says_the_outcome_first(kind: str) -> None:
    first = render(samples.KINDS[kind]()).splitlines()[0]
    assert (
        first
        == {
            "passed": "## ✅ passed: `churn`",
            "unchanged": "## ✅ nothing had to run: `churn`",
            "failed": "## ❌ failed: `churn`",
            "refused": "## ❌ failed: `churn`",
            "undecided": "## ⚠️ inconclusive: `churn`",
            "interrupted": "## ⚠️ interrupted: `churn`",
        }[kind]
    )


def test_a_summary_holds_gates_stages_publications_and_the_logs_of_failures() -> None:
    text = render(samples.failed())
    assert "| `roc_auc` | ⏭️ skip | `stage 'evaluate' has no result in this run` |  |" in text
    assert "| `train` | ❌ failed | 12.3 s | `exit code 1, in attempt 2 of 2` |" in text
    assert "| `archive` | skipped | `not written: stage 'train' has no result in this run` |" in text
    assert "<summary>log of stage train</summary>" in text
    assert "ValueError: Input X contains NaN.\n```" in text
    assert "0.8412 ≥ 0.80" in render(samples.passed())
    assert "advisory" in render(samples.refused())


def test_a_long_log_keeps_its_end_and_says_so() -> None:
    log = "".join(f"line {number}\n" for number in range(100_000))
    stages = [
        replace(samples.stage("train", StageState.FAILED, samples.attempt(1, log)), name=f"train-{number}")
        for number in range(4)
    ]
    text = render(samples.report(*stages, exit_code=1))
    assert MAX_CHARACTERS - 4000 < len(text) < MAX_CHARACTERS
    assert text.count("line 99999\n```") == 4
    assert text.count("The beginning of the log is left out: see run.json.") == 4
    assert _active(text) == []


def test_a_log_of_fences_only_is_left_out() -> None:
    stage = samples.stage("train", StageState.FAILED, samples.attempt(1, "`" * 60_000))
    text = render(samples.report(stage, exit_code=1))
    assert len(text) < MAX_CHARACTERS
    assert "The log does not fit here: see run.json." in text


def test_of_very_many_stages_and_failures_some_are_left_out_by_number() -> None:
    failure = samples.stage("train", StageState.FAILED, samples.attempt(1, samples.TRACEBACK))
    stages = [replace(failure, name=f"stage-{number}") for number in range(2000)]
    gates = tuple(samples.gate(f"gate-{number}") for number in range(500))
    report = replace(samples.report(*stages, gates=gates, exit_code=1), warnings=("lost " * 60,) * 500)
    text = render(report)
    assert len(text) < MAX_CHARACTERS
    assert re.search(r"… and 1,\d{3} more rows: see run\.json", text)
    assert re.search(r"The logs of [\d,]+ more failed stages are in run\.json\.", text)


def test_a_code_span_holds_any_text() -> None:
    assert code("plain") == "`plain`"
    assert code("a`b``c") == "```a`b``c```"
    assert code("`") == "`` ` ``"
    assert code("a|b\nc") == "`a¦b c`"
    assert code("") == ""
    assert len(code("x" * 1000)) < 250


def test_metrics_stand_with_their_intervals_and_what_changed() -> None:
    report, documents = document_samples.whole()
    lines = render(report, headlines(documents)).splitlines()
    start = lines.index("### Metrics of `build/penstock/quality.measures.json`")
    assert lines[start + 2] == "| metric | value | change against `champion` |"
    assert lines[start + 4] == (
        "| `roc_auc` ↑ | `0.7455 [0.7108, 0.7803]` | `+0.012 [0.001, 0.023]` better, paired |"
    )
    assert "no difference shown, paired |" in lines[start + 8]


def test_details_are_folded_and_a_failure_is_not() -> None:
    report, documents = document_samples.whole()
    text = render(report, headlines(documents))
    folded = re.findall(r"<summary>(.*)</summary>", text)
    assert folded == ["7 groups", "8 stages", "use of the evaluation set", "1 warning"]
    assert "| `Contract = One year` | `0.7263 [" in text
    assert "| `sha256:1a2b3c4d` | 1,409 | 23 of 20 |" in text
    assert "### Stages\n" in render(samples.failed())


def test_what_a_comparison_could_not_say_is_said() -> None:
    document = document_samples.measures(names=("recall",))
    document["comparisons"][0] |= {
        "change": None,
        "interval": None,
        "problem": "other rows (0 in common of 9)",
    }
    text = render(samples.passed(), headlines({"m.json": document_samples.encoded(document)}))
    assert "| `recall` ↑ | `0.4585 [0.4095, 0.5084]` | `other rows (0 in common of 9)` |" in text


def test_very_many_metrics_and_groups_leave_room_for_the_rest() -> None:
    document = document_samples.measures(names=("recall",))
    one = document["measures"][0]
    document["measures"] = [one | {"metric": f"metric-{number}"} for number in range(3000)]
    document["measures"] += [one | {"column": "c" * 200, "group": f"g{number}"} for number in range(3000)]
    found = headlines({f"{number}.json": document_samples.encoded(document) for number in range(5)})
    failure = samples.stage("train", StageState.FAILED, samples.attempt(1, samples.TRACEBACK))
    stages = [replace(failure, name=f"stage-{number}") for number in range(2000)]
    gates = tuple(samples.gate(f"gate-{number}") for number in range(500))
    report = replace(samples.report(*stages, gates=gates, exit_code=1), warnings=("lost " * 60,) * 500)
    text = render(report, found)
    assert len(text) < MAX_CHARACTERS
    assert re.search(r"The metrics of \d more documents? are on the page\.", text)
    assert "… and " in text
    assert text.count("The logs of") + text.count("<summary>log of") > 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'"measures"',
        b'{"kind": "measures", "measures": 1}',
        b'{"kind": "measures", "measures": [{"metric": []}]}',
    ],
)
def test_a_document_that_cannot_be_read_is_left_to_the_page(content: bytes) -> None:
    assert render(samples.passed(), headlines({"m.json": content})) == render(samples.passed())
