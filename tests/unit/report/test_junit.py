from __future__ import annotations

import random
from xml.etree import ElementTree as ET

import pytest

import document_samples
import report_samples as samples
from penstock.record import replace
from penstock.report.junit import render
from penstock.results import RunReport, StageState, Verdict


def _cases(report: RunReport, suite: str) -> dict[str, ET.Element]:
    root = ET.fromstring(render(report))
    return {case.attrib["name"]: case for case in root.findall(f"testsuite[@name='{suite}']/testcase")}


def _outcome(case: ET.Element) -> tuple[str, str]:
    for element in case:
        if element.tag != "system-out":
            return element.tag, element.attrib["message"]
    return "passed", ""


def test_stages_are_the_cases_of_one_suite() -> None:
    cases = _cases(samples.failed(), "stages")
    assert {name: _outcome(case) for name, case in cases.items()} == {
        "prepare": ("passed", ""),
        "train": ("failure", "exit code 1, in attempt 2 of 2"),
        "test": ("failure", "timed out after 300 s"),
        "evaluate": ("skipped", "it needs stage 'train'"),
        "lint": ("error", "ended because the run was stopped"),
    }
    assert cases["train"].attrib["classname"] == "churn.stages"
    assert cases["train"].attrib["time"] == "12.346"
    assert "Input X contains NaN" in (cases["train"].findtext("system-out") or "")


def test_gates_are_the_cases_of_the_other() -> None:
    cases = _cases(samples.refused(), "gates")
    assert {name: _outcome(case)[0] for name, case in cases.items()} == {
        "schema": "passed",
        "recall": "failure",
        "roc_auc": "failure",
        "log_loss": "skipped",
    }
    assert _outcome(cases["recall"])[1].startswith("advisory: ")
    assert "evidence: 1,409 rows, build/metrics.json sha256:1a2b3c4d" in (
        cases["roc_auc"].findtext("system-out") or ""
    )


@pytest.mark.parametrize(
    ("required", "exit_code", "outcome"), [(True, 4, "failure"), (True, 0, "skipped"), (False, 4, "skipped")]
)
def test_a_gate_that_cannot_decide_fails_if_that_ended_the_run(
    *, required: bool, exit_code: int, outcome: str
) -> None:
    gate = samples.gate(verdict=Verdict.INCONCLUSIVE, required=required)
    case = _cases(samples.report(gates=(gate,), exit_code=exit_code), "gates")["roc_auc"]
    assert _outcome(case)[0] == outcome
    assert "roc_auc is not in build/metrics.json" in _outcome(case)[1]


@pytest.mark.parametrize("kind", samples.KINDS)
def test_the_counts_are_those_of_the_cases(kind: str) -> None:
    root = ET.fromstring(render(samples.KINDS[kind]()))
    for holder in (root, *root.findall("testsuite")):
        cases = list(holder.iter("testcase"))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(holder.attrib[attribute]) == sum(case.find(tag) is not None for case in cases)
        assert int(holder.attrib["tests"]) == len(cases)


def test_anything_that_a_stage_prints_or_is_called_stays_text() -> None:
    rng = random.Random(9)
    hostile = [
        "]]>",
        "<x>",
        "&amp;",
        "&",
        '"',
        "'",
        "\0",
        "\x1b[1m",
        "\ud800",
        "\ufffe",
        "\x0b",
        "\n",
        "\t",
        "\r",
        "é漢",
    ]
    for _ in range(500):
        text = "".join(rng.choices(hostile, k=8))
        attempt = samples.attempt(1, text, problem=text)
        stage = replace(samples.stage("train", StageState.FAILED, attempt), name=f"n{text}")
        gate = samples.gate(verdict=Verdict.FAIL, name=f"g{text}", sentence=text, details=(text,))
        report = replace(samples.report(stage, gates=(gate,), exit_code=1), pipeline=text)
        root = ET.fromstring(render(report).encode())
        assert {element.tag for element in root.iter()} <= {
            "testsuites",
            "testsuite",
            "testcase",
            "failure",
            "system-out",
        }


def test_text_comes_back_as_it_was() -> None:
    log = "a < b && \"c\" > 'd' ]]>\n\tindented é\n"
    report = samples.report(samples.stage("train", StageState.RAN, samples.attempt(log=log)))
    case = ET.fromstring(render(report)).find("testsuite/testcase")
    assert case is not None
    assert case.findtext("system-out") == log


def test_the_numbers_of_a_gate_stand_in_its_text() -> None:
    report = samples.report(gates=document_samples.gates(), exit_code=4)
    cases = _cases(report, "gates")
    assert _outcome(cases["recall"])[0] == "failure"
    text = cases["recall"].find("failure")
    assert text is not None
    assert text.text is not None
    assert (
        "0.5524 [0.4985, 0.6051], at least 0.55, 95 %, wilson, 353 rows, about 165,000 rows would decide"
        in text.text
    )
    said = cases["fair-recall"].findtext("system-out") or ""
    assert "gender: Female / Male: pass, 0.96 [0.84, 1.09], at least 0.80" in said
    assert "SeniorCitizen: 1 / 0: fail, 0.62 [0.49, 0.78], at least 0.80" in said
