from __future__ import annotations

import json

import pytest

from conformance.conftest import Bench, stage, states
from penstock.results import Verdict

CHAIN = """
    version: 1
    name: chain
    stages:
      upper:
        run: tr a-z A-Z < words.txt > build/upper.txt
        inputs: [words.txt]
        outputs: [build/upper.txt]
      count:
        run: |
          mkdir -p build/counts
          wc -c < build/upper.txt | tr -d ' ' > build/counts/bytes
          printf '{"bytes": %d}' "$(cat build/counts/bytes)" > build/metrics.json
        inputs: [build/upper.txt]
        outputs: {counts: build/counts, metrics: build/metrics.json}
    gates:
      - {gate: threshold, metric: bytes, min: 3}
"""


def test_a_chain_runs_once_and_then_not_at_all(bench: Bench) -> None:
    bench.write({"words.txt": "abc\n"})
    first = bench.run(CHAIN)
    assert states(first) == {"upper": "ran", "count": "ran"}
    assert bench.read("build/upper.txt") == b"ABC\n"
    assert bench.read("build/counts/bytes") == b"4\n"
    assert [gate.verdict for gate in first.gates] == [Verdict.PASS]
    assert first.exit_code == 0
    second = bench.run()
    assert states(second) == {"upper": "cached", "count": "cached"}
    assert [each.outputs for each in second.stages] == [each.outputs for each in first.stages]
    assert second.exit_code == 0


def test_every_executor_gives_the_same_digests(bench: Bench) -> None:
    bench.write({"words.txt": "abc\n"})
    report = bench.run(CHAIN)
    assert {part.path: part.digest for each in report.stages for part in each.outputs} == {
        "build/upper.txt": "sha256:8470d56547eea6236d7c81a644ce74670ca0bbda998e13c629ef6bb3f0d60b69",
        "build/counts": "sha256:83e252b1d7571d85f3c4c3599283a289ad61cec50a6ca2b4cc15fc2c83133680",
        "build/metrics.json": "sha256:3f025a6906c645b1023377d5212addcb8a983c71c94ee2c66e1b9f667c9a512f",
    }


def test_a_change_that_alters_no_output_stops_there(bench: Bench) -> None:
    bench.write({"words.txt": "abc\n"})
    bench.run(CHAIN)
    bench.write({"words.txt": "aBc\n"})
    report = bench.run()
    assert states(report) == {"upper": "ran", "count": "cached"}
    assert stage(report, "upper").reason.code == "changed"
    assert "words.txt changed" in stage(report, "upper").reason.sentence


def test_a_revert_runs_nothing(bench: Bench) -> None:
    bench.write({"words.txt": "abc\n"})
    bench.run(CHAIN)
    bench.write({"words.txt": "abcdef\n"})
    assert states(bench.run()) == {"upper": "ran", "count": "ran"}
    bench.write({"words.txt": "abc\n"})
    report = bench.run()
    assert states(report) == {"upper": "cached", "count": "cached"}
    assert bench.read("build/upper.txt") == b"ABC\n"


def test_an_undeclared_input_is_not_there(bench: Bench) -> None:
    bench.write({"words.txt": "abc\n", "secret.txt": "no\n"})
    report = bench.run(
        """
        version: 1
        name: undeclared
        stages:
          read: {run: cat secret.txt > out, inputs: [words.txt], outputs: [out]}
        """
    )
    assert states(report) == {"read": "failed"}
    assert stage(report, "read").attempts[-1].exit_code == 1
    assert report.exit_code == 1


def test_a_failure_skips_what_needs_it_and_keeps_its_exit_code_and_log(bench: Bench) -> None:
    report = bench.run(
        """
        version: 1
        name: failing
        stages:
          bad: {run: "echo before; exit 7", outputs: [a]}
          after: {run: cp a b, inputs: [a], outputs: [b]}
        """
    )
    assert states(report) == {"bad": "failed", "after": "skipped"}
    attempt = stage(report, "bad").attempts[-1]
    assert attempt.exit_code == 7
    assert attempt.log == "before\n"
    assert stage(report, "bad").outputs == ()
    assert report.exit_code == 1


def test_keep_going_runs_what_does_not_need_the_failure(bench: Bench) -> None:
    report = bench.run(
        """
        version: 1
        name: going
        stages:
          bad: {run: exit 1, outputs: [a]}
          after: {run: cp a b, inputs: [a], outputs: [b]}
          other: {run: "sleep 0.2; echo x > c", outputs: [c]}
        """,
        keep_going=True,
    )
    assert states(report) == {"bad": "failed", "after": "skipped", "other": "ran"}


def test_a_missing_output_fails_by_name(bench: Bench) -> None:
    report = bench.run(
        """
        version: 1
        name: missing
        stages:
          lazy: {run: "true", outputs: [model.bin]}
        """
    )
    assert states(report) == {"lazy": "failed"}
    assert "'model.bin' was not written" in (stage(report, "lazy").attempts[-1].problem or "")


def test_a_timeout_ends_the_stage_with_124(bench: Bench) -> None:
    report = bench.run(
        """
        version: 1
        name: slow
        stages:
          slow: {run: sleep 30, timeout: 0.3}
        """
    )
    assert states(report) == {"slow": "timed-out"}
    assert stage(report, "slow").attempts[-1].exit_code == 124
    assert report.exit_code == 124


def test_retries_keep_every_attempt(bench: Bench) -> None:
    report = bench.run(
        """
        version: 1
        name: flaky
        stages:
          flaky: {run: exit 3, retries: 2}
        """
    )
    assert [each.number for each in stage(report, "flaky").attempts] == [1, 2, 3]
    assert bench.observer.retried == [("flaky", 2), ("flaky", 1)]


def test_variables_arrive_and_the_callers_environment_does_not(bench: Bench, monkeypatch: object) -> None:
    report = bench.run(
        """
        version: 1
        name: variables
        variables: {GREETING: hello}
        stages:
          greet: {run: 'printf "%s %s" "$GREETING" "${USER_SECRET-none}" > out', outputs: [out]}
        """
    )
    assert states(report) == {"greet": "ran"}
    assert bench.read("out") == b"hello none"


def test_a_directory_output_keeps_names_and_executable_bits(bench: Bench) -> None:
    script = "mkdir -p 'tree/a b'; echo 1 > 'tree/a b/ü'; printf x > tree/run; chmod +x tree/run"
    report = bench.run(
        f"""
        version: 1
        name: tree
        stages:
          make: {{run: {json.dumps(script)}, outputs: [tree]}}
          use: {{run: "./tree/run || true; cat 'tree/a b/ü' > copy; test -x tree/run", inputs: [tree], outputs: [copy]}}
        """
    )
    assert states(report) == {"make": "ran", "use": "ran"}
    assert bench.read("copy") == b"1\n"


def test_part_of_a_directory_output_can_be_an_input(bench: Bench) -> None:
    pipeline = """
        version: 1
        name: part
        stages:
          make: {run: "mkdir tree; cp seed tree/a; date +%N > tree/b", inputs: [seed], outputs: [tree], cache: false}
          use: {run: "cp tree/a copy; test ! -e tree/b", inputs: [tree/a], outputs: [copy]}
        """
    bench.write({"seed": "1"})
    assert states(bench.run(pipeline)) == {"make": "ran", "use": "ran"}
    assert states(bench.run()) == {"make": "ran", "use": "cached"}


def test_only_needs_results_of_what_it_reads(bench: Bench) -> None:
    if bench.kind == "dagger":
        pytest.skip("an engine knows a result only by being asked to run for it, so what is read is run too")
    bench.write({"words.txt": "abc\n"})
    bench.run(CHAIN)
    report = bench.run(only=("count",))
    assert states(report) == {"upper": "skipped", "count": "cached"}
    report = bench.run(only=("count",), force=True)
    assert states(report) == {"upper": "skipped", "count": "ran"}
    assert stage(report, "count").reason.code == "forced"
