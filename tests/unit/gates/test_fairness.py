from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate_samples import Document, by_groups, decide, measures
from penstock.gates.fairness import holm
from penstock.results import GateResult, Verdict

FAIR = {"a": (800, 1000), "b": (805, 1000)}
UNFAIR = {"a": (800, 1000), "b": (500, 1000)}
UNCLEAR = {"a": (80, 100), "b": (75, 100)}


def judged(*entries: Document, **options: Any) -> GateResult:
    document = measures(fairness=entries)
    return decide("fairness", document, **{"metrics": ["recall"], "by": ["sex"], **options})


@pytest.mark.parametrize(
    ("bound", "value", "limits"),
    [
        ({"max_difference": 0.1}, 0.005, (-0.1, 0.1)),
        ({"min_ratio": 0.8}, 800 / 805, (0.8, 1.25)),
        ({"min": 0.7}, 0.8, (0.7, None)),
        ({"max": 0.9}, 0.805, (None, 0.9)),
    ],
)
def test_groups_that_are_surely_alike_pass(
    bound: dict[str, float], value: float, limits: tuple[float, float]
) -> None:
    result = judged(by_groups(FAIR), **bound)
    assert result.verdict is Verdict.PASS
    assert result.value == pytest.approx(value)
    assert (result.minimum, result.maximum) == pytest.approx(limits)


@pytest.mark.parametrize("bound", [{"max_difference": 0.1}, {"min_ratio": 0.8}, {"min": 0.7}])
def test_one_group_that_is_surely_worse_fails(bound: dict[str, float]) -> None:
    result = judged(by_groups(UNFAIR), **bound)
    assert result.verdict is Verdict.FAIL
    assert "recall, sex" in result.sentence
    assert judged(by_groups({"b": UNFAIR["b"], "a": UNFAIR["a"]}), **bound).verdict is Verdict.FAIL


@pytest.mark.parametrize("bound", [{"max_difference": 0.1}, {"min_ratio": 0.9}, {"min": 0.78}])
def test_what_is_not_sure_is_inconclusive(bound: dict[str, float]) -> None:
    result = judged(by_groups(UNCLEAR), **bound)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.rows_to_decide is not None
    assert result.sample_size is not None
    assert result.rows_to_decide > result.sample_size


def test_the_better_group_stands_first_whatever_the_document_says() -> None:
    difference = judged(by_groups(UNFAIR), max_difference=0.1)
    other_way = judged(by_groups({"b": UNFAIR["b"], "a": UNFAIR["a"]}), max_difference=0.1)
    assert difference.sentence == other_way.sentence
    assert difference.sentence.startswith("recall, sex a - b 0.3, 95 % interval")
    ratio = judged(by_groups(UNFAIR), min_ratio=0.8)
    assert ratio.sentence.startswith("recall, sex b / a 0.625, 95 % interval")
    assert "is below the minimum 0.8 (2,000 rows)" in ratio.sentence


def test_a_ratio_beyond_one_counts_as_its_inverse() -> None:
    assert judged(by_groups({"a": (500, 1000), "b": (800, 1000)}), min_ratio=0.8).value == 0.625
    assert judged(by_groups({"a": (800, 1000), "b": (500, 1000)}), min_ratio=0.8).value == pytest.approx(
        0.625
    )


def test_all_groups_and_columns_are_parts_with_the_worst_as_the_value() -> None:
    entries = by_groups(FAIR), by_groups({"x": (700, 1000), "y": (800, 1000)}, column="old")
    result = judged(*entries, by=["sex", "old"], max_difference=0.02, min=0.5)
    assert result.verdict is Verdict.FAIL
    assert [(each.label, each.verdict.value) for each in result.parts] == [
        ("recall, sex a", "pass"),
        ("recall, sex b", "pass"),
        ("recall, sex b - a", "inconclusive"),
        ("recall, old x", "pass"),
        ("recall, old y", "pass"),
        ("recall, old y - x", "fail"),
    ]
    assert result.value == pytest.approx(0.1)
    assert result.details[-1] == "a failure is corrected for 6 comparisons (Holm)"
    assert len(result.details) == 2


def test_what_fails_alone_may_not_fail_among_many() -> None:
    pair = {"a": (160, 200), "b": (130, 200)}  # p is about 0.015 against a difference of 0.05
    assert judged(by_groups(pair), max_difference=0.05).verdict is Verdict.FAIL
    many = {f"g{at}": (160, 200) for at in range(9)} | {"low": (130, 200)}
    result = judged(by_groups(many), max_difference=0.05)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "beyond its bound alone, but not after correction for 45 comparisons" in result.sentence
    assert len(result.details) == 10
    assert result.details[-1].startswith("and ")


def test_a_small_group_leaves_the_verdict_open_unless_another_fails() -> None:
    small = {**FAIR, "c": (8, 10)}
    result = judged(by_groups(small), max_difference=0.9, min=0.1)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "it rests on 10 rows of c, and a group must have 30" in result.sentence
    assert result.rows_to_decide is None
    assert judged(by_groups(small), max_difference=0.9, min_group_size=10).verdict is Verdict.PASS
    assert judged(by_groups({**UNFAIR, "c": (8, 10)}), max_difference=0.1).verdict is Verdict.FAIL


def test_a_small_group_is_never_what_fails() -> None:
    result = judged(by_groups({**FAIR, "c": (0, 20)}), max_difference=0.1)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_a_group_without_a_number_is_open_if_it_is_small_and_fails_if_not() -> None:
    empty = {**FAIR, "c": (0, 0)}
    result = judged(by_groups(empty), min=0.5)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.sentence == "recall, sex c is unknown: it rests on 0 rows of c, and a group must have 30"
    assert result.value is None
    assert result.parts[-1].value is None
    entry = by_groups({**FAIR, "c": (40, 50)})
    entry["groups"][2] |= {"measure": None, "interval": None, "problem": "a class is missing"}
    assert judged(entry, min=0.5).verdict is Verdict.FAIL
    assert "a class is missing" in judged(entry, min=0.5).sentence
    never = judged(by_groups({"a": (0, 500), "b": (400, 500)}), min_ratio=0.8)
    assert never.verdict is Verdict.FAIL
    assert "a share of 0 has no ratio" in never.sentence


def test_a_pair_whose_interval_could_not_be_had_leaves_it_open() -> None:
    entry = by_groups(UNFAIR)
    entry["pairs"][0]["ratio"]["interval"] = None
    entry["pairs"][0]["problem"] = "b may be 0, so that the ratio has no upper bound"
    result = judged(entry, min_ratio=0.8)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "decides nothing (2,000 rows): b may be 0" in result.sentence
    assert judged(entry, min_ratio=0.8, max_difference=0.1).verdict is Verdict.FAIL


def test_only_small_groups_decide_nothing() -> None:
    result = judged(by_groups({"a": (0, 0), "b": (0, 0)}), max_difference=0.1)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert len(result.parts) == 1


def test_a_criterion_names_its_metrics() -> None:
    entries = by_groups(FAIR), by_groups(UNFAIR, metric="false_positive_rate")
    options = {"by": ["sex"], "max_difference": 0.1}
    result = decide("fairness", measures(fairness=entries), criterion="equalized-odds", **options)
    assert result.verdict is Verdict.FAIL
    assert "false_positive_rate" in result.sentence
    one = decide("fairness", measures(fairness=entries), criterion="equal-opportunity", **options)
    assert one.verdict is Verdict.PASS


def test_without_confidence_the_values_alone_decide() -> None:
    assert judged(by_groups(UNCLEAR), max_difference=0.06, confidence=None).verdict is Verdict.PASS
    result = judged(by_groups(UNCLEAR), max_difference=0.04, confidence=None)
    assert result.verdict is Verdict.FAIL
    assert result.details == ("point estimate, no interval",)


def three() -> Document:
    return by_groups({"a": (80, 100), "b": (81, 100), "c": (82, 100)})


BREAKS: dict[str, Callable[[Document], object]] = {
    "a pair is missing": lambda entry: entry["pairs"].pop(),
    "a pair twice": lambda entry: entry["pairs"].append(entry["pairs"][0]),
    "a stranger": lambda entry: entry["pairs"][0].update(groups=["a", "zz"]),
    "a group with itself": lambda entry: entry["pairs"][0].update(groups=["a", "a"]),
    "a group twice": lambda entry: entry["groups"].append(entry["groups"][0]),
    "another difference": lambda entry: entry["pairs"][0]["difference"].update(value=0.0),
    "another ratio": lambda entry: entry["pairs"][0]["ratio"].update(value=1.0),
    "more rows than rows": lambda entry: entry["groups"][0].update(measure_rows=101),
    "a number without rows": lambda entry: entry["groups"][0].update(measure_rows=0),
    "a group of a list": lambda entry: entry["groups"][0].update(value=["a"]),
    "one group": lambda entry: entry.update(groups=entry["groups"][:1], pairs=[]),
    "no groups": lambda entry: entry.update(groups=[], pairs=[]),
    "a negative error": lambda entry: entry["pairs"][0]["difference"].update(standard_error=-1),
    "no interval": lambda entry: entry["pairs"][0]["ratio"].update(interval=None),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_contradicts_itself_or_is_not_whole_fails(what: str) -> None:
    entry = three()
    assert judged(entry, max_difference=0.9, min_ratio=0.1).verdict is Verdict.PASS
    BREAKS[what](entry)
    assert judged(entry, max_difference=0.9, min_ratio=0.1).verdict is Verdict.FAIL


def test_a_column_that_was_left_out_is_named_with_the_reason() -> None:
    document = measures(warnings=("column zip has 412 values and is left out",))
    result = decide("fairness", document, metrics=["recall"], by=["zip"], max_difference=0.1)
    assert "no recall by zip: column zip has 412 values" in result.sentence
    other = judged(by_groups(FAIR), max_difference=0.1, confidence=0.9)
    assert "no recall by sex at 90 % confidence" in other.sentence
    assert judged(by_groups(FAIR)).verdict is Verdict.FAIL


def test_holm_is_as_published() -> None:
    # the step-down of Holm (1979): 0.01 <= 0.05 / 4, 0.013 <= 0.05 / 3, 0.02 <= 0.05 / 2, 0.04 <= 0.05
    assert holm([0.04, 0.01, 0.02, 0.013], 0.05) == (True, True, True, True)
    assert holm([0.04, 0.01, 0.03, 0.013], 0.05) == (False, True, False, True)
    assert holm([0.02, 0.03], 0.02) == (False, False)
    assert holm([], 0.05) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_only_what_would_be_rejected_alone(p_values: list[float], level: float) -> None:
    rejected = holm(p_values, level)
    assert all(p <= level for p, no in zip(p_values, rejected, strict=True) if no)
    assert any(rejected) == (min(p_values) <= level / len(p_values))


shares = st.integers(1, 400).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows)))


@given(st.lists(shares, min_size=3, max_size=5), st.floats(0.0, 0.5))
def test_a_corrected_failure_is_one_without_correction(shares: list[tuple[int, int]], most: float) -> None:
    groups = {f"g{at}": each for at, each in enumerate(shares)}
    result = judged(by_groups(groups), max_difference=most, min_group_size=1)
    assert all(
        part.interval is not None and (part.interval[0] > most or part.interval[1] < -most)
        for part in result.parts
        if part.verdict is Verdict.FAIL
    )
    assert (result.verdict is Verdict.FAIL) == any(part.verdict is Verdict.FAIL for part in result.parts)
    assert not math.isnan(result.value or 0.0)
