"""Drift: statistics against scipy and published ones, and what is called drifted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from penstock.programs.validate.drift import chi_squared, holm, ks, psi, psi_interval, quantile_counts
from validation_runs import Runs

NUMBERS = np.random.default_rng(11)
XC = "columns: [{name: x, type: number, nullable: true}, {name: c, type: string, nullable: true}]\n"


def table(numbers: object, texts: object) -> str:
    return "x,c\n" + "".join(f"{x},{c}\n" for x, c in zip(numbers, texts, strict=True))  # type: ignore[call-overload]


def classes(rows: int, *shares: float) -> np.ndarray:
    return NUMBERS.choice(list("abcdefgh")[: len(shares)], rows, p=shares)


def test_the_same_distribution_has_not_drifted(runs: Runs) -> None:
    data = table(NUMBERS.normal(size=2000), classes(2000, 0.5, 0.3, 0.2))
    reference = table(NUMBERS.normal(size=3000), classes(3000, 0.5, 0.3, 0.2))
    drift = runs(data, XC, reference=reference)["drift"]
    assert [each["drifted"] for each in drift["columns"]] == [False, False]
    assert [each["test"] for each in drift["columns"]] == ["ks", "chi-squared"]
    assert (drift["reference"]["rows"], drift["confidence"], drift["correction"]) == (3000, 0.95, "holm")


def test_a_shift_is_called_drift_with_the_values_of_scipy(runs: Runs) -> None:
    here, there = NUMBERS.normal(0.5, 1, 1500).round(6), NUMBERS.normal(0, 1, 1200).round(6)
    kinds, kinds_there = classes(1500, 0.2, 0.6, 0.2), classes(1200, 0.5, 0.3, 0.2)
    result = runs(table(here, kinds), XC, reference=table(there, kinds_there))
    number, text = result["drift"]["columns"]
    test = stats.ks_2samp(here, there, method="asymp")
    assert (number["statistic"], number["p_value"]) == pytest.approx((test.statistic, test.pvalue), rel=1e-9)
    assert number["wasserstein"] == pytest.approx(stats.wasserstein_distance(here, there), rel=1e-9)
    counts = [[(values == kind).sum() for kind in "abc"] for values in (kinds, kinds_there)]
    expected = stats.chi2_contingency(counts, correction=False)
    assert (text["statistic"], text["p_value"]) == pytest.approx(
        (expected.statistic, expected.pvalue), rel=1e-9
    )
    both = multipletests([number["p_value"], text["p_value"]], method="holm")[1]
    assert [number["adjusted_p_value"], text["adjusted_p_value"]] == pytest.approx(list(both), rel=1e-9)
    assert (number["drifted"], text["drifted"]) == (True, True)
    low, high = number["effect"]["interval"]
    assert 0.1 < low < number["psi"] < high
    assert sum(number["histogram"]["counts"]) == 1500
    assert sum(number["histogram"]["reference_counts"]) == 1200
    assert text["histogram"]["values"] == sorted(
        "abc", key=lambda kind: -(kinds == kind).sum() - (kinds_there == kind).sum()
    )
    assert result["passed"]  # whether drift matters is for its gate to say


def test_a_small_effect_is_no_drift_however_small_its_p_value(runs: Runs) -> None:
    data = table(NUMBERS.normal(0.1, 1, 20_000), ["a"] * 20_000)
    reference = table(NUMBERS.normal(0, 1, 20_000), ["a"] * 20_000)
    number = runs(data, XC, reference=reference)["drift"]["columns"][0]
    assert number["adjusted_p_value"] < 1e-6
    assert number["psi"] < 0.1
    assert not number["drifted"]
    assert runs(data, XC + "drift: {threshold: 0.001}", reference=reference)["drift"]["columns"][0]["drifted"]


def test_a_large_effect_is_no_drift_if_chance_makes_it(runs: Runs) -> None:
    data, reference = table([1, 2, 3, 4, 5.5], "aabbc"), table([3, 4, 5, 6, 7.5], "abbbc")
    number, text = runs(data, XC, reference=reference)["drift"]["columns"]
    assert number["psi"] > 0.25
    assert (number["drifted"], text["drifted"]) == (False, False)


def test_values_that_go_missing_are_drift(runs: Runs) -> None:
    numbers, kinds = NUMBERS.normal(size=1000), classes(1000, 0.5, 0.5)
    data = table(
        ["" if i % 3 == 0 else x for i, x in enumerate(numbers)],
        [c if i % 3 else "" for i, c in enumerate(kinds)],
    )
    result = runs(data, XC, reference=table(numbers, kinds))["drift"]["columns"]
    assert [each["drifted"] for each in result] == [True, True]


def test_a_class_that_is_new_is_drift(runs: Runs) -> None:
    data = table([1] * 400, [*"a" * 200, *"z" * 200])
    text = runs(data, XC, reference=table([1] * 400, "a" * 400))["drift"]["columns"][1]
    assert text["drifted"]
    assert text["histogram"] == {"values": ["a", "z"], "counts": [200, 200], "reference_counts": [400, 0]}


def test_free_text_is_compared_by_its_length(runs: Runs) -> None:
    long = [f"{'word ' * (i % 5)}{i}" for i in range(600)]
    short = [str(i) for i in range(600)]
    text = runs(table([1] * 600, long), XC, reference=table([1] * 600, short))["drift"]["columns"][1]
    assert (text["kind"], text["test"], text["drifted"]) == ("text", "ks", True)


def test_numbers_of_few_values_are_compared_as_classes(runs: Runs) -> None:
    number = runs(table([0, 1] * 300, "a" * 600), XC, reference=table([0, 1.0] * 300, "a" * 600))["drift"][
        "columns"
    ][0]
    assert (number["kind"], number["psi"], number["p_value"]) == ("categorical", 0, 1)


def test_ids_dates_and_ignored_columns_are_left_out(runs: Runs) -> None:
    schema = (
        "columns: [{name: i, type: integer}, {name: u, type: string, unique: true}, {name: d, type: date},"
        " {name: x, type: number}, {name: y, type: number}]\nid: i\n"
    )
    data = "i,u,d,x,y\n1,a,2024-01-01,1,1\n2,b,2024-01-02,2,2\n"
    named = [each["column"] for each in runs(data, schema, reference=data)["drift"]["columns"]]
    assert named == ["x", "y"]
    assert [
        e["column"] for e in runs(data, schema + "drift: {ignore: [x]}", reference=data)["drift"]["columns"]
    ] == ["y"]
    assert [
        e["column"]
        for e in runs(data, schema + "drift: {columns: [d, x]}", reference=data)["drift"]["columns"]
    ] == ["d", "x"]


def test_a_column_that_cannot_be_compared_says_why(runs: Runs) -> None:
    first, second = runs(table([1, 2], "ab"), XC, reference="x\n1\n2\n")["drift"]["columns"]
    assert first["problem"] is None
    assert (second["problem"], second["psi"], second["drifted"]) == (
        "the reference has no such column",
        None,
        False,
    )
    empty = runs(table(["", ""], "ab"), XC, reference=table([1, 2], "ab"))["drift"]["columns"][0]
    assert empty["problem"] == "no value in the data"


def test_without_a_schema_types_are_inferred_and_that_is_said(runs: Runs) -> None:
    data, reference = table(NUMBERS.normal(2, 1, 500), "a" * 500), table(NUMBERS.normal(0, 1, 500), "a" * 500)
    result = runs(data, None, reference=reference)
    assert result["schema"] is None
    assert [check["name"] for check in result["checks"]] == ["rows"]
    assert [each["type"] for each in result["columns"]] == ["number", "string"]
    assert [each["drifted"] for each in result["drift"]["columns"]] == [True, False]
    assert result["warnings"] == ["no schema file: types of columns are those of the first 10,000 rows"]


def test_values_that_are_not_of_the_inferred_type_are_counted(runs: Runs) -> None:
    result = runs("x\n" + "1\n" * 10_000 + "a\nb\n", None)
    assert result["warnings"][1] == "column 'x': 2 values are no integer, as which it began"
    assert result["passed"]


# Statistics


def test_psi_is_what_its_definition_says() -> None:
    """Shares of 2/3 and 1/3 swapped: (2/3 - 1/3) ln 2, twice."""
    assert psi(np.array([[200, 100], [100, 200]])) == pytest.approx(2 / 3 * math.log(2), rel=1e-12)


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=2, max_size=12))
@settings(deadline=None)
def test_psi_is_the_sum_of_both_relative_entropies(bins: list[tuple[int, int]]) -> None:
    counts = np.array(bins).T
    first, second = counts / counts.sum(axis=1, keepdims=True)
    expected = stats.entropy(first, second) + stats.entropy(second, first)
    assert psi(counts) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_chance_alone_makes_a_psi_that_is_chi_squared() -> None:
    """Yurdakul (2018): for the same population PSI / (1/n + 1/m) is chi-squared with B - 1 degrees of freedom."""
    random = np.random.default_rng(2)
    shares = np.full(10, 0.1)
    found = [
        psi(np.stack([random.multinomial(4000, shares), random.multinomial(3000, shares)]))
        for _ in range(3000)
    ]
    scaled = np.array(found) / (1 / 4000 + 1 / 3000)
    assert stats.kstest(scaled, stats.chi2(9).cdf).pvalue > 0.001


def test_an_empty_bin_counts_as_half_a_row() -> None:
    shares = np.array([[10 / 10.5, 0.5 / 10.5], [0.5, 0.5]])
    expected = float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())
    assert psi(np.array([[10, 0], [5, 5]])) == pytest.approx(expected)


def test_the_interval_of_a_psi_covers_it() -> None:
    """95 % of 400 intervals hold the true PSI, within three standard errors."""
    random = np.random.default_rng(3)
    first, second = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.25, 0.25, 0.25, 0.25])
    true = float(((first - second) * np.log(first / second)).sum())
    hits = 0
    for _ in range(400):
        counts = np.stack([random.multinomial(800, first), random.multinomial(800, second)])
        low, high = psi_interval(counts, 0.95)
        hits += low <= true <= high
    assert abs(hits / 400 - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 400)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), abs=1e-12)


def test_holm_by_hand() -> None:
    """0.005·4, 0.01·3, 0.03·2, 0.04·1, and none less than the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_small_samples_have_exact_p_values() -> None:
    here, there = np.array([1.0, 2, 3, 4]), np.array([2.5, 5, 6, 7, 8])
    assert ks(here, there)[1] == pytest.approx(stats.ks_2samp(here, there, method="exact").pvalue)


def test_classes_of_few_rows_are_counted_together() -> None:
    alone = chi_squared(np.array([[50, 50, 5, 5], [50, 50, 5, 5]]))
    assert alone == pytest.approx((0, 1))
    rare = np.array([[50, 40, 1, 0, 9], [40, 50, 0, 1, 9]])
    pooled = stats.chi2_contingency([[50, 40, 9, 1], [40, 50, 9, 1]], correction=False)
    assert chi_squared(rare) == pytest.approx((pooled.statistic, pooled.pvalue))
    assert chi_squared(np.array([[1, 1], [1, 1]])) == (0.0, 1.0)


def test_bins_hold_the_same_share_of_the_reference_each() -> None:
    there = np.arange(100.0)
    counts = quantile_counts(there, there, 10)
    assert counts.tolist() == [[10] * 10, [10] * 10]
    with_missing = quantile_counts(np.array([np.nan, 5.0]), there, 4)
    assert with_missing.tolist() == [[1, 0, 0, 0, 1], [25, 25, 25, 25, 0]]
    assert quantile_counts(np.ones(3), np.ones(4), 10).tolist() == [[3], [4]]
