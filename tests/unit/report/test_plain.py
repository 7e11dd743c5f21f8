from __future__ import annotations

import io
import threading
import time

import report_samples as samples
from penstock.report.plain import HEARTBEAT_S, PlainObserver
from penstock.results import StageState

GITHUB = {"CI": "true", "GITHUB_ACTIONS": "true"}
GITLAB = {"CI": "true", "GITLAB_CI": "true"}
FAILED = samples.stage("train", StageState.FAILED, samples.attempt(1, "::error::forged\nlost\n"))


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _observe(
    environ: dict[str, str] | None = None, *, verbose: bool = False, quiet: bool = False
) -> tuple[PlainObserver, io.StringIO, _Clock]:
    stream, clock = io.StringIO(), _Clock()
    observer = PlainObserver(stream, environ=environ or {}, verbose=verbose, quiet=quiet, clock=clock)
    observer.run_started(("lint", "train"), 2)
    return observer, stream, clock


def test_a_run_of_cached_stages_says_nothing_to_a_pipe() -> None:
    observer, stream, _ = _observe()
    observer.stage_finished(samples.stage("lint", StageState.CACHED))
    observer.run_finished(samples.unchanged())
    assert stream.getvalue() == ""


def test_a_pipe_gets_a_line_for_each_thing_that_happens() -> None:
    observer, stream, _ = _observe()
    observer.stage_waiting("train", "installing its environment, requirements.lock")
    observer.stage_started("train", "src/churn/train.py changed")
    observer.stage_output("train", "epoch 1\n")
    observer.attempt_failed("train", samples.attempt(1), 2)
    observer.attempt_failed("train", samples.attempt(1, problem="no output build/train", number=2), 1)
    observer.stage_finished(samples.stage("train"))
    observer.stage_finished(samples.stage("evaluate", StageState.SKIPPED))
    observer.stage_finished(samples.stage("lint", StageState.INTERRUPTED))
    observer.stage_finished(samples.failed().stages[2])
    observer.note("hashing data/telco-churn.csv")
    observer.gate_decided(samples.gate())
    observer.published(samples.ARCHIVE)
    observer.run_finished(samples.passed())
    assert stream.getvalue() == (
        "2 stages, 2 at a time\n"
        "train: installing its environment, requirements.lock\n"
        "train: started (src/churn/train.py changed)\n"
        "train: attempt 1 failed: exit code 1; 2 more attempts\n"
        "train: attempt 2 failed: no output build/train; 1 more attempt\n"
        "train: ran in 12.3 s\n"
        "evaluate: not run: it needs stage 'train'\n"
        "lint: interrupted after 12.3 s\n"
        "test: failed after 12.3 s: timed out after 300 s\n"
        "hashing data/telco-churn.csv\n"
    )


def test_verbose_gives_output_as_it_comes_and_every_line_is_named() -> None:
    observer, stream, _ = _observe(verbose=True)
    observer.stage_output("a", "one\ntw")
    observer.stage_output("b", "uno\n")
    observer.stage_output("a", "o\n\x1b[3")
    observer.stage_output("a", "1mred\n::error::x")
    observer.stage_finished(samples.stage("a"))
    assert stream.getvalue() == (
        "a | one\nb | uno\na | two\na | red\na | : :error::x\n2 stages, 2 at a time\na: ran in 12.3 s\n"
    )


def test_a_line_without_end_is_given_before_it_fills_the_memory() -> None:
    observer, stream, _ = _observe(verbose=True)
    for _ in range(20):
        observer.stage_output("a", "x" * 1000)
    assert len(stream.getvalue()) > 9000


def test_quiet_says_nothing_at_all() -> None:
    observer, stream, clock = _observe(GITHUB, quiet=True, verbose=True)
    observer.stage_started("train", "changed")
    observer.stage_output("train", "epoch 1\n")
    clock.now += 100
    observer.tick()
    observer.stage_finished(FAILED)
    observer.note("hashing")
    assert stream.getvalue() == ""


def test_on_github_the_output_of_a_stage_is_one_group_and_a_failure_is_marked() -> None:
    observer, stream, _ = _observe(GITHUB)
    observer.stage_output("train", "not given twice\n")
    observer.stage_finished(FAILED)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "::group::train: failed after 12.3 s: exit code 1"
    assert lines[2:4] == [": :error::forged", "lost"]
    assert lines[5:] == ["::endgroup::", "::error title=stage train::exit code 1"]


def test_on_gitlab_the_output_of_a_failed_stage_is_open_and_of_others_folded() -> None:
    observer, stream, _ = _observe(GITLAB)
    observer.stage_finished(FAILED)
    assert "collapsed" not in stream.getvalue()
    observer.stage_finished(samples.stage("lint"))
    assert "collapsed=true" in stream.getvalue()


def test_under_ci_the_output_of_a_cached_stage_is_shown_again() -> None:
    observer, stream, _ = _observe({"CI": "true"})
    observer.stage_finished(samples.stage("lint", StageState.CACHED))
    assert (
        "lint: cached (unchanged since 2026-11-20 17:03Z, saved 12.3 s)\n  epoch  1 loss" in stream.getvalue()
    )


def test_silence_is_broken_every_30_seconds() -> None:
    observer, stream, clock = _observe()
    observer.stage_started("train", "changed")
    observer.stage_started("lint", "changed")
    before = stream.getvalue()
    clock.now += HEARTBEAT_S - 1
    observer.tick()
    assert stream.getvalue() == before
    clock.now += 62
    observer.tick()
    observer.tick()
    assert stream.getvalue() == before + "still running: train (1 min 31 s), lint (1 min 31 s)\n"
    observer.stage_finished(samples.stage("train"))
    observer.stage_finished(samples.stage("lint"))
    clock.now += 99
    observer.tick()
    assert stream.getvalue().count("still running") == 1
    observer.close()


def test_the_heartbeat_ends_with_the_run() -> None:
    observer, _, _ = _observe()
    observer.stage_started("train", "changed")
    assert "penstock-heartbeat" in {thread.name for thread in threading.enumerate()}
    observer.run_finished(samples.passed())
    observer.close()
    until = time.monotonic() + 5
    while "penstock-heartbeat" in {thread.name for thread in threading.enumerate()}:
        assert time.monotonic() < until
        time.sleep(0.01)


class _Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_reader_that_is_gone_does_not_stop_the_run() -> None:
    observer = PlainObserver(_Gone(), environ={})
    observer.note("hashing")
    observer.note("hashing")


def test_text_that_the_stream_cannot_encode_is_escaped() -> None:
    raw = io.BytesIO()
    observer = PlainObserver(io.TextIOWrapper(raw, encoding="ascii"), environ={})
    observer.note("données ≥ 1")
    assert raw.getvalue() == b"donn\\xe9es >= 1\n"
