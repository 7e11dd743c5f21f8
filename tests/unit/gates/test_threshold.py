from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gate_samples import decide, measures, score, share, validation, wilson
from penstock.results import GateResult, Verdict


def bare(content: bytes | str, bounds: Mapping[str, float] | None = None, metric: str = "auc") -> GateResult:
    data = content.encode() if isinstance(content, str) else content
    return decide("threshold", data, metric=metric, **(bounds or {"min": 0.8}))


def test_a_bare_number_at_its_bound_passes_and_says_that_it_has_no_interval() -> None:
    result = bare('{"auc": 0.8, "rows": 100}')
    assert result.verdict is Verdict.PASS
    assert result.value == 0.8
    assert result.interval is None
    assert result.confidence is None
    assert result.sample_size == 100
    assert result.evidence[0].path == "d.json"
    assert result.sentence == "auc 0.8 is at least 0.8 (100 rows)"
    assert result.details == ("point estimate, no interval",)


@pytest.mark.parametrize(
    ("value", "bounds", "verdict"),
    [
        (0.79999999, {"min": 0.8}, Verdict.FAIL),
        (0.2, {"max": 0.2}, Verdict.PASS),
        (0.21, {"max": 0.2}, Verdict.FAIL),
        (5, {"min": 1, "max": 9}, Verdict.PASS),
        (-1, {"min": 0}, Verdict.FAIL),
        (0, {"min": 0}, Verdict.PASS),
        (-0.0, {"min": 0.0}, Verdict.PASS),
        (0.0, {"max": -0.0}, Verdict.PASS),
        (1e300, {"max": 1.0}, Verdict.FAIL),
    ],
)
def test_bounds_are_inclusive_and_have_both_directions(
    value: float, bounds: dict[str, float], verdict: Verdict
) -> None:
    assert bare(json.dumps({"auc": value}), bounds).verdict is verdict


def test_numbers_that_differ_look_different() -> None:
    assert bare('{"auc": 0.79999999}').sentence == "auc 0.79999999 is below the minimum 0.8"


def test_a_nested_metric_has_a_dotted_name_and_a_literal_dot_comes_first() -> None:
    assert bare('{"holdout": {"auc": 0.9}}', metric="holdout.auc").value == 0.9
    assert bare('{"holdout.auc": 0.7, "holdout": {"auc": 0.9}}', metric="holdout.auc").value == 0.7


BAD_VALUES = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "true",
    "false",
    "null",
    '"0.9"',
    "[0.9]",
    '{"value": 0.9}',
    "[]",
    '""',
    '"NaN"',
    '"\\ud800"',
    "1" + "0" * 400,
]
BAD_FILES = [
    b"", b" ", b"{", b"}", b"null", b"[]", b'"auc"', b"0.9", b"true", b"{}", b'{"AUC": 0.9}', b'{"auc ": 0.9}',
    b'{"auc": 0.9, "auc": 0.95}', b'{"a": {"b": 1, "b": 2}, "auc": 0.9}', b'{"auc": 0.9,}', b"{'auc': 0.9}",
    b'{"auc": 0.9} {}', b"\xff\xfe{}", b'{"auc": 0.9}\x00', b'{"auc": .9}', b'{"auc": 0x1}', b'{"auc": +1}',
    b'{"auc": 1_0}', b"auc: 0.9", b"auc,0.9", b"<auc>0.9</auc>", b'{"auc": 0.9', b"[" * 100_000, b'{"a":' * 5_000,
    b'{"auc": ' + b"9" * 5_000 + b"}", b'\xef\xbb\xbf{"auc": 0.9}', b'{"auc": 0.9}' * 2, b'{"auc": NaN, "auc": 0.9}',
    b'{"x": Infinity, "auc": 0.9}', '{"auc": 0.９}'.encode(), b'{"auc": "\xff"}', b'{"\\u0061uc": NaN}',
    b'{"auc": 0.9, "x": "\\uDFFF"}', b'{"auc": 0.9, "measures": []}', b'{"auc": 0.9, "kind": "measures"}',
    b'{"auc": 0.9, "kind": "benchmark", "version": 1}', b'{"auc": ' + b"[" * 900 + b"]" * 900 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize("bounds", [{"min": 0.8}, {"max": 0.8}, {"min": -1e308, "max": 1e308}])
def test_what_is_no_finite_number_never_passes(value: str, bounds: dict[str, float]) -> None:
    result = bare(f'{{"auc": {value}}}', bounds)
    assert result.verdict is Verdict.FAIL
    assert result.value is None
    assert "d.json" in result.sentence
    result.sentence.encode()


@pytest.mark.parametrize("content", BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_malformed_metrics_file_never_passes(content: bytes) -> None:
    result = bare(content)
    assert result.verdict is Verdict.FAIL
    assert "a gate passes only what it can read" in result.sentence
    assert len(result.sentence) < 400


def test_a_metric_that_is_absent_is_answered_with_those_that_are_there() -> None:
    assert "it has accuracy, f1" in bare('{"f1": 1, "accuracy": 1}').sentence


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    assert bare(b" " * (17 << 20)).verdict is Verdict.FAIL


# From measures, with an interval


def asked(entry: dict[str, Any], **options: Any) -> GateResult:
    return decide("threshold", measures(entry, rows=10_000), metric=entry["metric"], **options)


@pytest.mark.parametrize(
    ("interval", "bounds", "verdict"),
    [
        ([0.80, 0.86], {"min": 0.80}, Verdict.PASS),
        ([0.7999, 0.86], {"min": 0.80}, Verdict.INCONCLUSIVE),
        ([0.70, 0.83], {"min": 0.83}, Verdict.INCONCLUSIVE),
        ([0.70, 0.8299], {"min": 0.83}, Verdict.FAIL),
        ([0.80, 0.86], {"max": 0.86}, Verdict.PASS),
        ([0.80, 0.87], {"max": 0.86}, Verdict.INCONCLUSIVE),
        ([0.80, 0.86], {"max": 0.79}, Verdict.FAIL),
        ([0.80, 0.86], {"min": 0.80, "max": 0.86}, Verdict.PASS),
        ([0.80, 0.86], {"min": 0.81, "max": 0.85}, Verdict.INCONCLUSIVE),
        ([0.80, 0.86], {"min": 0.87, "max": 0.9}, Verdict.FAIL),
        ([0.82, 0.82], {"min": 0.82}, Verdict.PASS),
    ],
)
def test_the_whole_interval_decides(
    interval: list[float], bounds: dict[str, float], verdict: Verdict
) -> None:
    result = asked(score("roc_auc", 0.82, interval, 500), **bounds)
    assert result.verdict is verdict
    assert result.interval == tuple(interval)
    assert (result.confidence, result.method, result.sample_size) == (0.95, "bca", 500)
    assert (result.minimum, result.maximum) == (bounds.get("min"), bounds.get("max"))


def test_a_bootstrap_interval_without_its_value_decides_only_with_it() -> None:
    assert asked(score("r2", 0.78, [0.8, 0.9], 500), min=0.8).verdict is Verdict.INCONCLUSIVE
    assert asked(score("r2", 0.78, [0.8, 0.9], 500), min=0.7).verdict is Verdict.PASS


def test_the_sentences_say_value_interval_bound_and_rows() -> None:
    entry = score("roc_auc", 0.82, [0.8, 0.84], 500)
    said = "roc_auc 0.82, 95 % interval [0.8, 0.84],"
    assert asked(entry, min=0.75).sentence == f"{said} is at least 0.75 (500 rows)"
    assert asked(entry, min=0.85).sentence == f"{said} is below the minimum 0.85 (500 rows)"
    assert asked(entry, max=0.75).sentence == f"{said} is above the maximum 0.75 (500 rows)"
    undecided = asked(entry, min=0.81)
    assert undecided.sentence == (
        f"{said} leaves open whether it is at least 0.81 (500 rows); about 2,001 rows would decide"
    )
    assert undecided.rows_to_decide == 2001  # (0.02 / 0.01)² x 500, and a rounding error


@pytest.mark.parametrize(("hits", "minimum"), [(82, 0.8), (78, 0.8), (97, 0.95), (3, 0.05)])
def test_the_rows_that_would_decide_a_share_are_those_at_which_wilson_does(hits: int, minimum: float) -> None:
    needed = asked(share("accuracy", hits, 100), min=minimum).rows_to_decide
    assert needed is not None
    rate = hits / 100
    low, high = wilson(rate * needed, needed)
    assert low >= minimum or high < minimum
    low, high = wilson(rate * (needed - 1), needed - 1)
    assert low < minimum <= high


def test_at_the_bound_itself_no_number_of_rows_decides() -> None:
    result = asked(share("accuracy", 80, 100), min=0.8)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.rows_to_decide is None
    assert "at its bound, so no number of rows would decide" in result.sentence


def test_rows_that_a_metric_rests_on_are_set_against_the_whole_table() -> None:
    result = asked(share("recall", 82, 100), min=0.8)
    assert result.details == ("it rests on 100 of 10,000 rows; 1,537 mean about 153,700 in all",)


def test_without_confidence_the_value_alone_decides() -> None:
    result = asked(score("roc_auc", 0.82, [0.7, 0.9], 500), min=0.81, confidence=None)
    assert result.verdict is Verdict.PASS
    assert (result.interval, result.confidence, result.method) == (None, None, None)
    assert result.details == ("point estimate, no interval",)


def test_a_slice_is_told_from_the_whole() -> None:
    whole = share("recall", 90, 100)
    women = share("recall", 40, 50, column="sex", group="Female")
    document = measures(whole, women)
    result = decide("threshold", document, metric="recall", column="sex", group="Female", min=0.6)
    assert result.value == 0.8
    assert result.sentence.startswith("recall, sex Female 0.8,")
    assert decide("threshold", document, metric="recall", min=0.6).value == 0.9
    missing = decide("threshold", document, metric="recall", column="sex", group="Male", min=0.6)
    assert "no measure of recall, sex Male (it has recall, recall, sex Female)" in missing.sentence


def test_confidence_must_be_that_which_was_measured() -> None:
    result = asked(share("accuracy", 90, 100), min=0.5, confidence=0.99)
    assert result.verdict is Verdict.FAIL
    assert "no measure of accuracy at 99 % confidence (it has 95 %)" in result.sentence


def test_the_same_entry_twice_is_one_but_two_that_differ_are_a_contradiction() -> None:
    one = share("accuracy", 90, 100)
    assert decide("threshold", measures(one, one), metric="accuracy", min=0.5).verdict is Verdict.PASS
    result = decide("threshold", measures(one, share("accuracy", 91, 100)), metric="accuracy", min=0.5)
    assert result.verdict is Verdict.FAIL
    assert "measures[0] and measures[1] contradict each other" in result.sentence


def test_a_number_that_could_not_be_had_fails_with_the_reason() -> None:
    entry = share("accuracy", 90, 100, value=None, interval=None, hits=None, problem="no row has a truth")
    result = asked(entry, min=0.5)
    assert result.verdict is Verdict.FAIL
    assert "measures[0].value is null: no row has a truth" in result.sentence


@pytest.mark.parametrize("minimum", [0.5, 0.95])
def test_a_number_whose_interval_could_not_be_had_decides_nothing(minimum: float) -> None:
    entry = share("accuracy", 90, 100, interval=None, method=None, problem="too few rows for an interval")
    result = asked(entry, min=minimum)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.sentence == "accuracy 0.9 decides nothing (100 rows): too few rows for an interval"
    assert (result.value, result.interval, result.details) == (0.9, None, ())
    assert asked(entry, min=0.5, confidence=None).verdict is Verdict.PASS
    unexplained = asked(share("accuracy", 90, 100, interval=None), min=0.5)
    assert unexplained.verdict is Verdict.FAIL
    assert "interval is null, and the document does not say why" in unexplained.sentence


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"interval": [0.91, 0.95]}, "does not hold the value"),
        ({"interval": [0.95, 0.85]}, "lower end is above"),
        ({"hits": 101}, "which is not the value"),
        ({"hits": 89}, "which is not the value"),
        ({"rows": 0}, "below 1"),
        ({"rows": 20_000, "hits": None}, "more than the predictions table has"),
        ({"value": 1.2, "hits": None, "interval": [1.1, 1.3]}, "no share of rows"),
        ({"confidence": 95}, "not between 0 and 1"),
        ({"better": "up"}, "not higher or lower"),
        ({"method": None}, "is null although there is an interval"),
    ],
)
def test_what_contradicts_itself_fails_and_is_named(changes: dict[str, Any], said: str) -> None:
    result = asked(share("accuracy", 90, 100, **changes), min=0.1)
    assert result.verdict is Verdict.FAIL
    assert said in result.sentence


def test_another_kind_of_document_holds_no_metrics() -> None:
    result = decide("threshold", validation(), metric="rows", min=1)
    assert result.verdict is Verdict.FAIL
    assert "of the kind 'validation', not of metrics" in result.sentence


# Calibration


def calibration(ece: list[float], **options: Any) -> GateResult:
    document = measures(
        score("expected_calibration_error", 0.03, ece, 400, better="lower"),
        score("brier_score", 0.12, [0.1, 0.14], 400, better="lower"),
    )
    return decide("calibration", document, **options)


@pytest.mark.parametrize(
    ("ece", "verdict"),
    [([0.02, 0.05], "pass"), ([0.02, 0.06], "inconclusive"), ([0.055, 0.06], "inconclusive")],
)
def test_calibration_is_a_bound_on_the_error(ece: list[float], verdict: str) -> None:
    result = calibration(ece, max_ece=0.05)
    assert result.verdict.value == verdict
    assert result.parts == ()
    assert (result.value, result.maximum) == (0.03, 0.05)


def test_calibration_is_as_good_as_the_worse_of_two_numbers() -> None:
    result = calibration([0.01, 0.04], max_ece=0.05, max_brier=0.09)
    assert result.verdict is Verdict.FAIL
    assert result.value == 0.12
    assert [(each.label, each.verdict.value) for each in result.parts] == [
        ("expected_calibration_error", "pass"),
        ("brier_score", "fail"),
    ]
    assert result.sentence.startswith("1 of 2 fail: brier_score 0.12, 95 % interval [0.1, 0.14], is above")
    assert calibration([0.01, 0.04], max_ece=0.05, max_brier=0.14).sentence.startswith(
        "all 2 are within their bounds, the closest: "
    )


def test_calibration_without_bound_or_measure_fails() -> None:
    assert calibration([0.01, 0.04]).verdict is Verdict.FAIL
    missing = decide("calibration", measures(), max_ece=0.1)
    assert missing.verdict is Verdict.FAIL
    assert "no measure of expected_calibration_error (it has none)" in missing.sentence
