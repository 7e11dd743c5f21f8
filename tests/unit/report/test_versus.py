from __future__ import annotations

from typing import Any

import pytest

import document_samples as documents
import report_samples as samples
from penstock.record import replace
from penstock.report import versus_text
from penstock.report.html import versus as versus_page
from penstock.report.members import unknown
from penstock.report.style import Style
from penstock.report.versus import MetricChange, Told, Versus, versus
from penstock.results import RunReport, StageState, Verdict

PATH = "build/m.json"


def told(report: RunReport, *measures: dict[str, Any], place: str = "a/run.json") -> Told:
    found = {
        f"{number}{PATH}" if number else PATH: documents.encoded(each) for number, each in enumerate(measures)
    }
    return Told(report, found, place)


def measures(value: float = 0.8, **facts: Any) -> dict[str, Any]:
    document = documents.measures(names=("recall",))
    one = document["measures"][0] | {
        "value": value,
        "interval": [value - 0.02, value + 0.02],
        "standard_error": 0.01,
    }
    return document | {"measures": [one | facts], "comparisons": [], "baselines": []}


def against(document: dict[str, Any], baseline: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """The same document, measured against the predictions of another."""
    entry = {"name": "before", "digest": baseline["predictions"]["digest"]}
    change = {
        "baseline": "before",
        "metric": "recall",
        "confidence": 0.95,
        "paired": True,
        "interval": [0.01, 0.03],
    }
    return document | {"baselines": [entry], "comparisons": [change | facts]}


def only(found: Versus) -> MetricChange:
    (metric,) = found.metrics
    return metric


def test_a_change_is_the_second_value_less_the_first_with_an_interval_from_both() -> None:
    found = only(
        versus(told(samples.passed(), measures(0.8)), told(samples.passed(), measures(0.82)), unknown)
    )
    assert found.change == pytest.approx(0.02)
    # two standard errors of 0.01: 1.959964 * 0.01 * sqrt(2)
    assert found.interval == pytest.approx((0.02 - 0.0277180, 0.02 + 0.0277180), abs=1e-6)
    assert found.how == "unpaired"


def test_rows_of_another_evaluation_set_are_told() -> None:
    other = measures(0.82) | {"evaluation_set": "sha256:" + 64 * "0"}
    found = only(versus(told(samples.passed(), measures(0.8)), told(samples.passed(), other), unknown))
    assert found.how == "unpaired, other rows"


def test_a_change_that_was_measured_pairwise_is_taken_from_there() -> None:
    before = measures(0.8)
    after = against(measures(0.82), before)
    found = only(versus(told(samples.passed(), before), told(samples.passed(), after), unknown))
    assert (found.interval, found.how) == ((0.01, 0.03), "paired")
    stranger = before | {"predictions": before["predictions"] | {"digest": "sha256:" + 64 * "1"}}
    assert (
        only(versus(told(samples.passed(), stranger), told(samples.passed(), after), unknown)).how
        == "unpaired"
    )


@pytest.mark.parametrize("facts", [{"standard_error": None}, {"confidence": None}])
def test_without_standard_errors_there_is_no_interval(facts: dict[str, Any]) -> None:
    found = only(
        versus(told(samples.passed(), measures(**facts)), told(samples.passed(), measures(**facts)), unknown)
    )
    assert found.change == 0
    assert found.interval is None
    assert found.how == "no interval of the change"


def test_what_only_one_run_has_is_there() -> None:
    one, two = told(samples.passed(), measures()), told(samples.refused())
    found = versus(one, two, unknown)
    assert only(found).how == "only in one of the runs"
    assert {name for name, mine, _ in found.gates if mine is None} == {"recall", "log_loss"}
    text = versus_text.render(found, Style(width=100))
    assert "recall ↑ 0.80 → (none) only in one of the runs" in " ".join(text.split())


def test_verdicts_numbers_stages_and_differences_stand_beside_each_other() -> None:
    one = samples.passed()
    two = replace(
        samples.refused(),
        params={"train": {"max_iter": 100, "rate": 0.1}},
        stages=(*one.stages[:4], samples.stage("train", StageState.CACHED), one.stages[5]),
    )
    text = versus_text.render(versus(told(one), told(two, place="b/run.json"), unknown), Style(width=120))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0].startswith("A passed, 20261121T081500Z-1a2b3c")
    assert lines[2].startswith("B failed, ")
    assert "roc_auc pass → fail 0.8412 → 0.80" in lines
    assert "train ran 12.3 s → cached" in lines
    assert "parameter train.max_iter 200 | 100" in lines


def test_a_page_of_two_runs_has_both_intervals_and_loads_nothing() -> None:
    report, papers = documents.whole()
    gates = tuple(
        replace(gate, verdict=Verdict.PASS) if gate.name == "recall" else gate for gate in report.gates
    )
    one, two = Told(replace(report, gates=gates, exit_code=0), papers, "a"), Told(report, papers, "b")
    html = versus_page.render(versus(one, two, unknown)).decode()
    assert "From A, passed, to B, inconclusive." in html
    assert "<b>1</b> verdict differs" in html
    assert html.count('class="first"') == html.count('class="second"') == 5
    assert "pass → inconclusive" in html
    assert "http" not in html.replace("http-equiv", "")


def test_runs_without_documents_or_gates_are_compared_too() -> None:
    found = versus(told(samples.interrupted()), told(samples.interrupted()), unknown)
    assert versus_text.render(found, Style()).startswith("A  interrupted")
    assert b"Two runs" in versus_page.render(found)
