from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import power as reference

from gate_samples import Document, by_groups, comparison, decide, measures, score, share
from penstock.gates.power import Power, hopeless, survey
from penstock.plan.model import GateSpec
from penstock.results import Verdict

Z, REACH = stats.norm.ppf(0.975), stats.norm.ppf(0.8)
EQUAL_MODELS = (
    "accuracy: 400 rows (taken as independent; in pairs they show smaller changes) show it to ±0.05, so a model "
    "that is just as good passes in fewer than half of all cases; a model that is just as good passes in 4 of 5 "
    "cases with a margin of 0.071, or with 0.001 and about 2,020,000 rows"
)
ACCURACY = measures(share("accuracy", 340, 400))


def gate(kind: str, **options: Any) -> GateSpec:
    return GateSpec(gate=kind, name=f"a {kind}", reads=(("measure", "m.json"),), options=options)


def power(
    kind: str, document: Document, *, rows: int | None = None, difference: float | None = None, **options: Any
) -> Power:
    documents = {"m.json": json.dumps(document).encode()}
    (found,) = survey([gate(kind, **options)], documents, rows=rows, difference=difference)
    return found


# Against statsmodels


@pytest.mark.parametrize(("bound", "truth"), [(0.8, 0.85), (0.5, 0.55), (0.9, 0.95), (0.2, 0.3), (0.8, 0.7)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_rows_for_a_share_are_those_of_the_score_test(
    bound: float, truth: float, confidence: float
) -> None:
    document = measures(share("accuracy", round(truth * 400), 400))
    found = power("threshold", document, metric="accuracy", min=bound, confidence=confidence)
    expected = reference.normal_sample_size_one_tail(
        abs(truth - bound),
        0.8,
        (1 - confidence) / 2,
        std_null=math.sqrt(bound * (1 - bound)),
        std_alternative=math.sqrt(truth * (1 - truth)),
    )
    assert found.rows_needed == math.ceil(expected)


@pytest.mark.parametrize(("bound", "sign"), [({"min": 0.8}, 1), ({"max": 0.9}, -1), ({"min": 0.3}, 1)])
@pytest.mark.parametrize("rows", [100, 400, 5000])
def test_what_a_share_must_truly_be_has_that_power(bound: dict[str, float], sign: int, rows: int) -> None:
    found = power("threshold", ACCURACY, rows=rows, metric="accuracy", **bound)
    (at,) = bound.values()
    assert found.detectable is not None
    truth = at + sign * found.detectable
    assert reference.normal_power_het(
        found.detectable,
        rows,
        0.025,
        std_null=math.sqrt(at * (1 - at)),
        std_alternative=math.sqrt(truth * (1 - truth)),
        alternative="larger",
    ) == pytest.approx(0.8)


def test_the_rows_for_other_numbers_are_those_of_a_mean() -> None:
    document = measures(score("rmse", 2.0, [1.8, 2.2], 400, better="lower", standard_error=0.1))
    found = power("threshold", document, metric="rmse", max=2.1)
    assert found.rows_needed == math.ceil(reference.normal_sample_size_one_tail(0.1, 0.8, 0.025, 2.0))
    assert found.half_width == pytest.approx(Z * 0.1)
    assert found.detectable == pytest.approx((Z + REACH) * 0.1)
    from_interval = measures(score("rmse", 2.0, [1.8, 2.2], 400, standard_error=None))
    found = power("threshold", from_interval, metric="rmse", max=2.1)
    assert found.half_width == pytest.approx(0.2)


@pytest.mark.parametrize("margin", [0.01, 0.03, 0.1])
def test_the_rows_for_a_margin_are_those_with_which_an_equal_model_keeps_it(margin: float) -> None:
    document = measures(comparisons=(comparison(0.02, [-0.02, 0.06], standard_error=0.02),))
    found = power("no-regression", document, metric="accuracy", margin=margin, baseline="champion")
    deviation = 0.02 * math.sqrt(400)
    assert found.rows_needed == math.ceil(
        reference.normal_sample_size_one_tail(margin, 0.8, 0.025, deviation)
    )
    assert found.detectable == pytest.approx((Z + REACH) * 0.02)
    assert found.hopeless == (margin < Z * 0.02)
    better = power(
        "no-regression", document, difference=0.02, metric="accuracy", margin=margin, baseline="champion"
    )
    assert better.rows_needed == math.ceil(
        reference.normal_sample_size_one_tail(margin + 0.02, 0.8, 0.025, deviation)
    )


def test_the_rows_for_an_improvement_are_those_of_what_it_is_beyond_its_least() -> None:
    document = measures(comparisons=(comparison(-0.05, [-0.09, -0.01], standard_error=0.02, better="lower"),))
    found = power("improvement", document, metric="accuracy", by=0.02, baseline="champion")
    assert found.rows_needed == math.ceil(reference.normal_sample_size_one_tail(0.03, 0.8, 0.025, 0.4))
    too_small = power(
        "improvement", document, difference=0.01, metric="accuracy", by=0.02, baseline="champion"
    )
    assert too_small.rows_needed is None
    assert "truly better by 0.076 passes in 4 of 5 cases" in too_small.sentence


def test_groups_that_are_alike_pass_with_that_power() -> None:
    document = measures(fairness=(by_groups({"a": (240, 300), "b": (240, 300)}),))
    error = math.sqrt(2 * 0.8 * 0.2 / 300)
    found = power("fairness", document, metrics=["recall"], by=["sex"], max_difference=0.12)
    assert found.rows == 600
    assert found.rows_needed is not None
    spread = error * math.sqrt(600 / found.rows_needed)
    assert 2 * stats.norm.cdf(0.12 / spread - Z) - 1 == pytest.approx(0.8, abs=0.001)
    assert found.detectable is not None
    assert 2 * stats.norm.cdf(found.detectable / error - Z) - 1 == pytest.approx(0.8)
    ratio = power("fairness", document, metrics=["recall"], by=["sex"], min_ratio=0.8)
    error = math.sqrt(2 * 0.2 / 240)
    assert ratio.rows_needed is not None
    spread = error * math.sqrt(600 / ratio.rows_needed)
    assert 2 * stats.norm.cdf(math.log(1.25) / spread - Z) - 1 == pytest.approx(0.8, abs=0.005)


# By simulation, through the gates themselves


@cache
def passes(hits: int, rows: int, bound: float) -> bool:
    document = measures(share("accuracy", hits, rows), rows=rows)
    return decide("threshold", document, metric="accuracy", min=bound).verdict is Verdict.PASS


@pytest.mark.parametrize(("rows", "bound"), [(150, 0.7), (400, 0.8), (2000, 0.5), (2000, 0.9)])
def test_a_threshold_passes_as_often_as_was_said(rows: int, bound: float) -> None:
    found = power("threshold", ACCURACY, rows=rows, metric="accuracy", min=bound)
    assert found.detectable is not None
    draws = np.random.default_rng(1).binomial(rows, bound + found.detectable, 4000)
    assert np.mean([passes(int(hits), rows, bound) for hits in draws]) == pytest.approx(0.8, abs=0.05)
    at_bound = np.random.default_rng(2).binomial(rows, bound, 4000)
    assert np.mean([passes(int(hits), rows, bound) for hits in at_bound]) <= 0.04


def test_an_equal_model_keeps_its_margin_as_often_as_was_said() -> None:
    rows, draws = 800, np.random.default_rng(3)

    def compared(only_this: int, only_baseline: int) -> Document:
        change = (only_this - only_baseline) / rows
        error = math.sqrt((only_this + only_baseline) / rows - change**2) / math.sqrt(rows)
        interval = [change - Z * error, change + Z * error]
        return measures(
            rows=rows,
            comparisons=(comparison(change, interval, rows=rows, standard_error=error, mcnemar=None),),
        )

    options: dict[str, Any] = {"metric": "accuracy", "baseline": "champion"}
    margin = power("no-regression", compared(40, 40), margin=0.05, **options).detectable
    assert margin is not None
    verdicts = [
        decide("no-regression", compared(int(this), int(other)), margin=margin, **options).verdict
        for this, other, _ in draws.multinomial(rows, [0.05, 0.05, 0.9], 1500)
    ]
    assert np.mean([each is Verdict.PASS for each in verdicts]) == pytest.approx(0.8, abs=0.04)


# What is out of reach


@pytest.mark.parametrize(("rows", "out_of_reach"), [(40, True), (72, True), (73, False), (400, False)])
def test_with_too_few_rows_not_even_a_perfect_result_passes(rows: int, out_of_reach: bool) -> None:  # noqa: FBT001
    found = power("threshold", ACCURACY, rows=rows, metric="accuracy", min=0.95)
    assert found.hopeless is out_of_reach
    assert passes(rows, rows, 0.95) is not out_of_reach
    if out_of_reach:
        assert found.rows_needed == 73
        assert found.sentence == (
            f"accuracy: with {rows} rows not even 1 passes: it takes 73 to show at least 0.95"
        )


def test_a_bound_at_the_end_of_the_scale_is_out_of_reach_with_any_rows() -> None:
    found = power("threshold", ACCURACY, metric="accuracy", min=1.0)
    assert (found.hopeless, found.rows_needed) == (True, None)
    assert power("threshold", ACCURACY, metric="accuracy", max=0.0).hopeless
    assert not power("threshold", ACCURACY, metric="accuracy", min=0.0).hopeless


@pytest.mark.parametrize("bound", [{"min": 1.2}, {"max": -0.1}])
def test_a_bound_beyond_the_scale_is_out_of_reach(bound: dict[str, Any]) -> None:
    found = power("threshold", ACCURACY, metric="accuracy", **bound)
    assert (found.hopeless, found.rows_needed) == (True, None)


def test_a_baseline_that_is_the_model_itself_says_nothing_of_another_one() -> None:
    document = measures(
        share("accuracy", 340, 400), comparisons=(comparison(0.0, [0.0, 0.0], standard_error=0.0),)
    )
    found = power("no-regression", document, metric="accuracy", margin=0.02, baseline="champion")
    assert found.hopeless
    assert "taken as independent" in found.sentence


def test_a_spread_that_is_not_known_is_said() -> None:
    entry = score("rmse", 2.0, [1.8, 2.2], 400, standard_error=None) | {
        "interval": None, "method": None, "problem": "too few rows",
    }  # fmt: skip
    found = power("threshold", measures(entry), metric="rmse", max=3)
    assert found.sentence == "unknown: nothing is known of how much rmse varies"


def test_small_groups_and_narrow_bounds_leave_fairness_out_of_reach() -> None:
    document = measures(fairness=(by_groups({"a": (80, 100), "b": (8, 10)}),))
    options: dict[str, Any] = {"metrics": ["recall"], "by": ["sex"], "max_difference": 0.9}
    assert power("fairness", document, **options).hopeless
    assert not power("fairness", document, rows=4000, **options).hopeless
    assert power("fairness", document, rows=4000, **options | {"max_difference": 0.01}).hopeless


def test_plan_has_a_note_for_each_gate_that_is_out_of_reach() -> None:
    gates = [
        gate("threshold", metric="accuracy", min=0.999),
        gate("threshold", metric="accuracy", min=0.8),
        gate("no-regression", metric="accuracy", margin=0.001, baseline="champion"),
        gate("schema", data="d"),
    ]
    notes = hopeless(gates, {"m.json": json.dumps(ACCURACY).encode()})
    assert [each.partition(" pass: ")[::2] for each in notes] == [
        (
            "gate 'a threshold' cannot",
            "accuracy: with 400 rows not even 1 passes: it takes 3,838 to show at least 0.999",
        ),
        ("gate 'a no-regression' can hardly", EQUAL_MODELS),
    ]
    assert hopeless(gates, {}) == ()


def test_of_two_bounds_the_harder_one_counts() -> None:
    found = power("threshold", ACCURACY, metric="accuracy", min=0.5, max=0.86)
    assert found.rows_needed == power("threshold", ACCURACY, metric="accuracy", max=0.86).rows_needed
    assert power("threshold", ACCURACY, metric="accuracy", min=0.999, max=0.9).hopeless


def test_calibration_is_a_threshold() -> None:
    document = measures(score("brier_score", 0.1, [0.08, 0.12], 400), share("accuracy", 1, 2))
    assert power("calibration", document, max_brier=0.13).rows_needed is not None


# What nothing can be said of


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (gate("schema", data="d"), "no power: it counts what is wrong"),
        (gate("latency", p50_ms=1), "no power: its calls are timed when the model is there"),
        (gate("threshold", metric="accuracy", min=0.5, confidence=None), "a bare number always decides"),
        (gate("threshold", metric="f1", min=0.5), "unknown: m.json has no measure of f1 (it has accuracy)"),
        (gate("fairness", metrics=["recall"], by=["sex"], min=0.5), "unknown: m.json has no recall by sex"),
    ],
)
def test_the_other_gates_have_a_reason_instead(spec: GateSpec, said: str) -> None:
    (found,) = survey([spec], {"m.json": json.dumps(ACCURACY).encode()})
    assert said in found.sentence
    assert (found.rows, found.hopeless) == (None, False)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"kind": "measures", "version": 1}', b"\xff"])
def test_measures_that_cannot_be_read_are_a_reason(content: bytes) -> None:
    (found,) = survey([gate("threshold", metric="accuracy", min=0.5)], {"m.json": content})
    assert found.sentence.startswith("unknown: m.json")
    (missing,) = survey([gate("threshold", metric="accuracy", min=0.5)], {})
    assert missing.sentence.startswith("unknown: there are no measures")
