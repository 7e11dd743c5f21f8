from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

import report_samples as samples
from penstock.record import replace
from penstock.report.markdown import MAX_CHARACTERS, code, render
from penstock.results import Evidence, Publication, PublicationState, Reason, RunReport, StageState, Verdict

# GitHub's dialect as far as it matters: tables and raw HTML on
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OWN_HTML = re.compile(r"<details>\n<summary>log of stage [\w ?-]*</summary>\n?|</details>\n?")
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


def _rows(text: str) -> list[int]:
    """The number of cells of each row of each table."""
    rows: list[int] = []
    for token in PARSER.parse(text):
        if token.type == "tr_open":
            rows.append(0)
        elif token.type in ("td_open", "th_open"):
            rows[-1] += 1
    return rows


CLEAN_ROWS = _rows(render(_infected("x")))


@pytest.mark.parametrize("bait", BAITS)
def test_foreign_text_is_shown_and_never_obeyed(bait: str) -> None:
    text = render(_infected(bait))
    assert _active(text) == []
    assert _rows(text) == CLEAN_ROWS


def test_no_mixture_of_500_baits_is_obeyed() -> None:
    rng = random.Random(5)
    for _ in range(500):
        bait = "".join(rng.choices(BAITS, k=rng.randint(2, 6)))
        text = render(_infected(bait))
        assert _active(text) == [], bait
        assert _rows(text) == CLEAN_ROWS, bait
        assert text.count("<details>\n<summary>") == 1
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
