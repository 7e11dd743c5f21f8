from __future__ import annotations

from conformance.conftest import Bench, stage, states

PIPELINE = """
    version: 1
    name: reasons
    stages:
      first: {run: cp a b, inputs: [a], outputs: [b]}
      second: {run: cat b c > d, inputs: [b, c], outputs: [d]}
"""


def test_a_stage_that_runs_after_another_still_knows_why(bench: Bench) -> None:
    bench.write({"a": "1", "c": "2"})
    bench.run(PIPELINE)
    bench.write({"a": "3", "c": "4"})
    report = bench.run()
    assert states(report) == {"first": "ran", "second": "ran"}
    assert stage(report, "second").reason.sentence == "b changed, and 1 more"
