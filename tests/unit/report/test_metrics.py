from __future__ import annotations

import math
import re

import document_samples
import report_samples as samples
from penstock.record import replace
from penstock.report.documents.read import headlines
from penstock.report.metrics import render
from penstock.results import StageState

LABEL = r'\w+="(?:[^"\\]|\\["\\])*"'
SAMPLE = re.compile(rf"penstock_\w+(?:\{{{LABEL}(?:,{LABEL})*\}})? (?:NaN|[+-]Inf|-?\d\S*)")


def values(text: str) -> dict[str, str]:
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_gates_and_stages_have_their_numbers_by_name() -> None:
    report = samples.passed()
    found = values(render(report))
    for gate in report.gates:
        if gate.value is not None:
            assert float(found[f'penstock_gate_value{{gate="{gate.name}"}}']) == gate.value
    assert found['penstock_stage_seconds{stage="train"}'] == "12.345678"
    assert float(found["penstock_run_seconds"]) == round(report.wall_s, 6)
    assert sum("gate_value" in name for name in found) == sum(each.value is not None for each in report.gates)


def test_every_line_is_openmetrics_and_the_last_one_says_so() -> None:
    for report in (samples.passed(), samples.failed(), samples.refused(), samples.interrupted()):
        text = render(report)
        assert text.endswith("\n# EOF\n")
        for line in text.splitlines():
            assert line.startswith("# ") or SAMPLE.fullmatch(line), line


def test_a_stage_that_was_not_started_has_no_seconds() -> None:
    report = samples.report(samples.stage("train", StageState.SKIPPED))
    assert "stage=" not in render(report)


def test_a_name_cannot_end_its_label() -> None:
    gate = replace(samples.gate(), name='a"} 1\npenstock_run_seconds 0\\')
    text = render(samples.report(gates=(gate,)))
    assert text.count("\npenstock_run_seconds ") == 1
    assert r'{gate="a\"} 1 penstock_run_seconds 0\\"}' in text


def test_numbers_that_are_none_are_written_as_openmetrics_does() -> None:
    for value, written in ((math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf")):
        gate = replace(samples.gate(), name="g", value=value)
        assert values(render(samples.report(gates=(gate,))))['penstock_gate_value{gate="g"}'] == written


def test_every_metric_of_all_rows_has_its_number_once() -> None:
    document = document_samples.measures(names=("recall", "log_loss"))
    document["measures"] += [document["measures"][0] | {"confidence": 0.9}]
    document["measures"] += [document["measures"][0] | {"metric": 'a"} 1\n', "value": 0.5}]
    document["measures"] += [
        document["measures"][0] | {"metric": "none", "value": None, "problem": "no rows"}
    ]
    text = render(samples.passed(), headlines({"build/m.json": document_samples.encoded(document)}))
    assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in text.splitlines())
    found = {name: value for name, value in values(text).items() if "measure" in name}
    assert list(found) == [
        'penstock_measure{metric="recall",document="build/m.json"}',
        'penstock_measure{metric="log_loss",document="build/m.json"}',
        'penstock_measure{metric="a\\"} 1",document="build/m.json"}',
    ]
    assert (
        float(found['penstock_measure{metric="recall",document="build/m.json"}'])
        == document["measures"][0]["value"]
    )
