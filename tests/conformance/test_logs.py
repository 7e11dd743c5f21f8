"""What is kept of what a stage prints."""

from __future__ import annotations

from conformance.conftest import Bench, pipeline, stage


def test_a_large_log_keeps_its_head_and_its_tail(isolated: Bench) -> None:
    report = isolated.run(pipeline({"s": "seq 1 300000"}))
    attempt = stage(report, "s").attempts[-1]
    assert attempt.log.startswith("1\n2\n3\n")
    assert attempt.log.endswith("299999\n300000\n")
    assert "bytes are not kept ...]" in attempt.log
    assert 200_000 < len(attempt.log) < 600_000


def test_bytes_that_are_no_text_are_replaced_in_the_log(isolated: Bench) -> None:
    report = isolated.run(pipeline({"s": "printf 'a\\377b\\303\\274\\000c\\303'"}))
    assert stage(report, "s").attempts[-1].log == "a\ufffdbü\0c\ufffd"


def test_both_streams_are_one_log_in_their_order(isolated: Bench) -> None:
    report = isolated.run(pipeline({"s": "echo 1; echo 2 >&2; echo 3; printf 4"}))
    assert stage(report, "s").attempts[-1].log == "1\n2\n3\n4"


def test_what_is_printed_arrives_at_the_observer(isolated: Bench) -> None:
    isolated.run(pipeline({"s": "echo one; echo two"}))
    assert isolated.observer.output["s"] == "one\ntwo\n"


def test_what_was_printed_before_the_streams_were_closed_is_kept(isolated: Bench) -> None:
    report = isolated.run(
        pipeline({"s": {"run": "echo x; exec >&- 2>&-; sleep 0.3; : > out", "outputs": ["out"]}})
    )
    assert stage(report, "s").attempts[-1].log == "x\n"
    assert stage(report, "s").state.value == "ran"
