from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import document_samples
import report_samples as samples
from penstock.record import replace
from penstock.report.console import MAX_ROWS, render, summary
from penstock.report.style import Style, columns_of, style_of
from penstock.results import Publication, PublicationState, RunReport, StageState, Verdict

GOLDEN = Path(__file__).parents[2] / "golden"
FOLDER = ".penstock/runs/20261121T081500Z-1a2b3c"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def _shown(report: RunReport, style: Style | None = None) -> str:
    return render(report, place=f"{FOLDER}/run.json", style=style or Style())


@pytest.mark.parametrize("kind", samples.KINDS)
def test_the_end_of_a_run_is_as_agreed(kind: str) -> None:
    golden = GOLDEN / f"report-console-{kind}.txt"
    assert _shown(samples.KINDS[kind]()) == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", samples.KINDS)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(kind: str, width: int) -> None:
    text = _shown(samples.KINDS[kind](), Style(width=width))
    # a path is not cut: it is there to be copied
    lines = [line for line in text.splitlines() if FOLDER not in line]
    assert max(map(columns_of, lines)) <= width


@pytest.mark.parametrize("kind", samples.KINDS)
def test_colour_adds_nothing_but_colour(kind: str) -> None:
    report = samples.KINDS[kind]()
    coloured = _shown(report, Style(colour=True))
    assert ANSI.sub("", coloured) == _shown(report)
    assert ANSI.search(coloured)


@pytest.mark.parametrize("kind", samples.KINDS)
def test_without_unicode_only_ascii_is_written(kind: str) -> None:
    text = _shown(samples.KINDS[kind](), Style(unicode=False))
    assert text.isascii()
    assert "\\u" not in text


def test_a_gate_shows_number_bound_and_evidence() -> None:
    text = _shown(samples.report(samples.stage("train"), gates=(samples.gate(),)))
    assert "  [pass] roc_auc  0.8412 ≥ 0.80 (1,409 rows, build/metrics.json sha256:1a2b3c4d)\n" in text


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"value": 0.84123, "minimum": 0.8}, "0.8412 ≥ 0.80"),
        ({"value": 0.3, "minimum": None, "maximum": 0.5}, "0.30 ≤ 0.50"),
        ({"value": 0.3, "minimum": 0.1, "maximum": 0.5}, "0.10 ≤ 0.30 ≤ 0.50"),
        ({"value": 0.7, "minimum": 0.8, "verdict": Verdict.FAIL}, "0.70 < 0.80"),
        ({"value": 0.7, "minimum": None, "maximum": 0.5, "verdict": Verdict.FAIL}, "0.70 > 0.50"),
        ({"value": 0.79996, "minimum": 0.8, "verdict": Verdict.FAIL}, "0.79996 < 0.8"),
        ({"value": 0.8, "minimum": 0.8}, "0.80 ≥ 0.80"),
        ({"value": 1234567.0, "minimum": 1000.0}, "1,234,567 ≥ 1,000"),
        ({"value": 1.5e-07, "minimum": 0.0}, "1.5e-07 ≥ 0.00"),
        ({"value": 0.9, "minimum": 0.8, "interval": (0.88123, 0.92)}, "0.90 [0.8812, 0.9200] ≥ 0.80"),
        ({"value": 0.9, "minimum": 0.8, "required": False}, "0.90 ≥ 0.80 (advisory)"),
        ({"value": None, "sentence": "the schema fits"}, "the schema fits"),
        ({"verdict": Verdict.INCONCLUSIVE, "sentence": "too few rows"}, "too few rows"),
        ({"verdict": Verdict.FAIL, "value": None, "sentence": "NaN; only a number"}, "NaN; only a number"),
        (
            {"verdict": Verdict.FAIL, "value": 0.9, "sentence": "0.9, of too few groups"},
            "0.9, of too few groups",
        ),
    ],
)
def test_a_gate_is_judged_in_the_fewest_words(facts: Mapping[str, object], words: str) -> None:
    text = _shown(samples.report(samples.stage("train"), gates=(samples.gate(**facts),)))  # type: ignore[arg-type] # fields of the caller's choice
    assert re.search(rf"roc_auc  {re.escape(words)}\s", text)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "0.81 [0.78, 0.84] reaches across 0.80; about 4,300 rows would decide"),
        ({"rows_to_decide": None}, "0.81 [0.78, 0.84] reaches across 0.80"),
        ({"maximum": 0.83}, "0.81 [0.78, 0.84] reaches across 0.80 and 0.83; about 4,300 rows would decide"),
        ({"interval": (0.805, 0.84)}, "too small a group"),
        ({"interval": None}, "too small a group"),
    ],
)
def test_an_undecided_gate_says_where_its_interval_reaches(facts: Mapping[str, object], words: str) -> None:
    plain = samples.gate(verdict=Verdict.INCONCLUSIVE, sentence="too small a group", rows_to_decide=4300)
    gate = replace(plain, **({"value": 0.81, "interval": (0.78, 0.84)} | dict(facts)))
    text = " ".join(_shown(samples.report(samples.stage("train"), gates=(gate,))).split())
    assert f"[inconclusive] roc_auc {words} " in text


def test_of_a_gate_with_parts_those_that_did_not_pass_are_named() -> None:
    text = " ".join(_shown(samples.report(samples.stage("train"), gates=document_samples.gates())).split())
    assert "0.62 [0.49, 0.78] < 0.80 (worst of 2) (advisory)" in text
    assert "SeniorCitizen: 1 / 0: fail, 0.62 [0.49, 0.78], at least 0.80" in text
    assert "gender: Female" not in text
    assert "p50, batches of 1" not in text


def _last_line(report: RunReport) -> str:
    return " ".join(_shown(report).rpartition("\n\n")[2].split())


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("passed", "passed: 4 stages ran, 2 cached, 2 gates passed · 41.2 s"),
        ("unchanged", "nothing had to run: 6 stages unchanged, 2 gates passed · 0.04 s"),
        (
            "failed",
            "failed: stage train: exit code 1, in attempt 2 of 2; stage test: timed out after 300 s · 41.2 s",
        ),
        ("refused", "failed: gate roc_auc: 0.79996 < 0.8 · 41.2 s"),
        ("undecided", "inconclusive: gate roc_auc: roc_auc is not in build/metrics.json · 41.2 s"),
        ("interrupted", "interrupted: what had finished is kept; run again to go on · 41.2 s"),
    ],
)
def test_the_last_line_says_how_it_ended(kind: str, line: str) -> None:
    assert _last_line(samples.KINDS[kind]()) == line


def test_an_archive_that_failed_is_the_reason_of_the_failure() -> None:
    lost = Publication(kind="archive", state=PublicationState.FAILED, sentence="dist: no room")
    report = samples.report(samples.stage("train"), publications=(lost,), exit_code=5)
    assert _last_line(report) == "failed: archive: dist: no room · 41.2 s"
    assert "  ✗ archive  not written: dist: no room\n" in _shown(report)


def test_stages_that_were_not_selected_are_counted() -> None:
    report = samples.report(samples.stage("lint"), samples.stage("train", StageState.SKIPPED), gates=())
    assert _last_line(report) == "passed: 1 stage ran, 1 not run · 41.2 s"


def test_of_many_stages_the_cached_ones_are_counted_only() -> None:
    cached = [samples.stage(f"stage-{number}", StageState.CACHED) for number in range(MAX_ROWS + 160)]
    text = _shown(samples.report(*cached, samples.stage("join")))
    assert "  ✓ join  ran  12.3 s  src/churn/join.py changed\n  = and 200 cached stages\n" in text
    assert "stage-7" not in text
    all_cached = samples.report(*cached)
    assert "\n  = and 200 cached stages\n\n" in _shown(all_cached)
    assert _last_line(all_cached).startswith("nothing had to run: 200 stages unchanged")


def test_what_a_stage_printed_is_inert() -> None:
    log = "\x1b[2J\x1b]0;title\x07::error::forged\n\x1b[31mred\n" + "wide 漢字 " * 30
    stage = samples.stage(
        "train", StageState.FAILED, samples.attempt(1, log, problem="\x1b[31mbad\n::error::x")
    )
    text = _shown(samples.report(stage, exit_code=1))
    assert "\x1b" not in text
    assert "::error" not in text
    assert max(map(columns_of, text.splitlines())) <= 80


def test_warnings_are_shown() -> None:
    report = replace(samples.passed(), warnings=("the stat index was damaged and has been made anew " * 2,))
    assert "\n  warning  the stat index was damaged" in _shown(report)


class _Terminal(io.StringIO):
    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override] # a plain attribute there
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("terminal", "environ", "colour", "width"),
    [
        (False, {}, False, 80),
        (False, {"COLUMNS": "100"}, False, 100),
        (False, {"FORCE_COLOR": "1"}, True, 80),
        (False, {"FORCE_COLOR": "0"}, False, 80),
        (True, {}, True, 80),
        (True, {"NO_COLOR": "1"}, False, 80),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, 80),
        (True, {"TERM": "dumb"}, False, 80),
        (True, {"COLUMNS": "20"}, True, 60),
        (True, {"COLUMNS": "500"}, True, 120),
    ],
)
def test_a_stream_and_the_environment_decide_the_style(
    *, terminal: bool, environ: dict[str, str], colour: bool, width: int
) -> None:
    style = style_of(_Terminal(terminal=terminal), environ)
    assert (style.colour, style.width, style.unicode) == (colour, width, True)


def test_an_encoding_without_symbols_gets_ascii(tmp_path: Path) -> None:
    stream = _Terminal(terminal=False, encoding="latin-1")
    text = summary(samples.passed(), folder=tmp_path, stream=stream, environ={})
    assert text.isascii()
    assert f"{tmp_path}/run.json" in text


def test_the_folder_is_shown_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = summary(
        samples.passed(), folder=tmp_path / ".penstock/runs/x", stream=_Terminal(terminal=False), environ={}
    )
    assert "  ✓ report   .penstock/runs/x/run.json\n" in text


def test_what_a_run_without_work_imports_is_light() -> None:
    code = (
        "import sys; before = {*sys.modules}\n"
        "import penstock.report.console, penstock.report.document, penstock.report.junit, penstock.report.markdown\n"
        "print({'rich', 'pydantic', 'yaml', 'anyio', 'asyncio', 'subprocess', 'tempfile', 'logging', 'base64',"
        " 'html', 'xml', 'secrets', 'importlib.metadata'} & ({*sys.modules} - before))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "set()"


def test_what_is_left_to_do_for_a_commit_is_said() -> None:
    told = Publication(
        kind="dvc",
        state=PublicationState.WRITTEN,
        sentence="m is on remote 'store'; commit what says so: git add m.dvc",
        target="m.dvc",
    )
    text = _shown(samples.report(samples.stage("train"), publications=(told,)))
    assert (
        "m.dvc  (written)\n            m is on remote 'store'; commit what says so: git add m.dvc\n" in text
    )
    again = replace(told, state=PublicationState.UNCHANGED)
    assert "git add" not in _shown(samples.report(samples.stage("train"), publications=(again,)))
