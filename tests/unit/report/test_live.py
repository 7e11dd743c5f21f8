from __future__ import annotations

import io
import re
import subprocess
import sys
import time

import pytest

import report_samples as samples
from penstock.observer import Observer
from penstock.report.live import LiveObserver
from penstock.results import StageState

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def _observe(environ: dict[str, str] | None = None) -> tuple[LiveObserver, _Terminal]:
    stream = _Terminal()
    variables = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    observer = LiveObserver(stream, environ=variables | (environ or {}))
    observer.run_started(("lint", "train", "evaluate"), 2)
    return observer, stream


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def _until(stream: io.StringIO, words: str) -> str:
    until = time.monotonic() + 10
    while words not in _plain(stream.getvalue()):
        assert time.monotonic() < until, _plain(stream.getvalue())[-500:]
        time.sleep(0.02)
    return stream.getvalue()


def test_running_stages_are_shown_with_their_last_line_and_ended_ones_above() -> None:
    observer, stream = _observe()
    observer.stage_waiting("train", "installing its environment, requirements.lock")
    _until(stream, "installing its environment, requirements.lock")
    observer.stage_started("train", "src/churn/train.py changed")
    observer.stage_output("train", "epoch 1\nepo")
    observer.stage_output("train", "ch 2 \x1b[31mred\x1b[0m ::error::x\n")
    _until(stream, "epoch 2 red ::error::x")
    observer.attempt_failed("train", samples.attempt(1), 1)
    observer.note("hashing data/telco-churn.csv")
    observer.stage_finished(samples.stage("train"))
    observer.run_finished(samples.passed())
    text = _plain(stream.getvalue())
    assert "  ! train     attempt 1 failed: exit code 1; 1 more attempt" in text
    assert "  · hashing data/telco-churn.csv" in text
    assert "  ✓ train     ran           12.3 s  src/churn/train.py changed" in text
    assert "0 of 3 stages done, 1 running" in text


def test_the_cursor_is_given_back_also_when_the_run_ends_early() -> None:
    observer, stream = _observe()
    observer.stage_started("train", "changed")
    observer.close()
    observer.close()
    assert stream.getvalue().rindex(SHOW) > stream.getvalue().rindex(HIDE)


def test_the_cursor_is_given_back_when_penstock_ends_by_an_error() -> None:
    code = (
        "import sys; sys.stderr.isatty = lambda: True\n"
        "from penstock.report.live import LiveObserver\n"
        "observer = LiveObserver(environ={'TERM': 'xterm', 'COLUMNS': '80'})\n"
        "observer.run_started(('train',), 1); observer.stage_started('train', 'changed')\n"
        "raise SystemExit('wrong')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "wrong" in ended.stderr
    assert ended.stderr.rindex(SHOW) > ended.stderr.rindex(HIDE)


def test_a_run_of_cached_stages_shows_nothing() -> None:
    observer, stream = _observe()
    observer.stage_finished(samples.stage("train", StageState.CACHED))
    observer.run_finished(samples.unchanged())
    assert stream.getvalue() == ""


def test_a_run_of_cached_stages_does_not_load_the_display() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "import report_samples as samples\n"
        "from penstock.report.live import LiveObserver\n"
        "observer = LiveObserver(); observer.run_started(('train',), 1)\n"
        "observer.stage_finished(samples.unchanged().stages[0]); observer.run_finished(samples.unchanged())\n"
        "print('rich' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout == "False\n"


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": "unknown"}])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(environ: dict[str, str]) -> None:
    observer, stream = _observe(environ)
    observer.stage_started("train", "changed")
    observer.stage_output("train", "epoch 1\n")
    observer.stage_finished(samples.failed().stages[1])
    observer.run_finished(samples.failed())
    lines = [line.rstrip() for line in _plain(stream.getvalue()).splitlines()]
    assert lines == ["  ✗ train     failed        12.3 s  exit code 1, in attempt 2 of 2"]


def test_no_color_means_no_colour() -> None:
    observer, stream = _observe({"NO_COLOR": "1"})
    observer.stage_started("train", "changed")
    observer.stage_finished(samples.stage("train"))
    observer.run_finished(samples.passed())
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", stream.getvalue())


class _Gone(_Terminal):
    def write(self, _text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_gone_does_not_stop_the_run() -> None:
    observer: Observer = LiveObserver(_Gone(), environ={"TERM": "xterm", "COLUMNS": "80"})
    observer.run_started(("train",), 1)
    observer.stage_started("train", "changed")
    observer.stage_output("train", "epoch 1\n")
    observer.note("hashing")
    observer.stage_finished(samples.stage("train"))
    observer.run_finished(samples.passed())
