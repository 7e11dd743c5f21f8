"""Intervals on differences and ratios, against published tables, statsmodels and their own definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special, stats
from statsmodels.stats import contingency_tables, proportion

from penstock.programs.measure import differences


def wilson(hits: int, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    low, high = stats.binomtest(hits, rows).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


def newcombe(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
    return differences.difference(first[0] / first[1], wilson(*first), second[0] / second[1], wilson(*second))


def test_a_paired_difference_of_proportions_is_bounded_as_published() -> None:
    # complete response before and after consolidation: Cavo et al. (2012), as in Fagerland, Lydersen & Laake
    # (2017), Statistical Analysis of Contingency Tables, chapter 8
    low, high = differences.paired_proportions(6, 16, 161, 0.95)
    assert (low, high) == pytest.approx((-0.1240, -0.0054), abs=5e-5)


@pytest.mark.parametrize(
    ("only_first", "only_second", "rows"), [(6, 16, 161), (0, 9, 40), (30, 1, 32), (3, 3, 1000), (0, 1, 1)]
)
@pytest.mark.parametrize("confidence", [0.8, 0.99])
def test_the_ends_of_a_paired_interval_are_where_the_constrained_score_test_rejects(
    only_first: int, only_second: int, rows: int, confidence: float
) -> None:
    """The likelihood is maximised numerically here, in closed form there."""

    def statistic(difference: float) -> float:
        def surprise(share: float) -> float:  # share: probability of `only_second`
            both = 1 - 2 * share - difference
            counts = (only_first, only_second, rows - only_first - only_second)
            shares = (share + difference, share, both)
            return -float(sum(special.xlogy(n, p) for n, p in zip(counts, shares, strict=True)))

        bounds = (max(0.0, -difference), (1 - difference) / 2)
        share = optimize.minimize_scalar(
            surprise, bounds=bounds, method="bounded", options={"xatol": 1e-12}
        ).x
        return float(
            (only_first - only_second - rows * difference)
            / np.sqrt(rows * (2 * share + difference * (1 - difference)))
        )

    z = stats.norm.ppf((1 + confidence) / 2)
    low, high = differences.paired_proportions(only_first, only_second, rows, confidence)
    for end, expected in ((low, z), (high, -z)):
        if -1 + 1e-9 < end < 1 - 1e-9:
            assert statistic(end) == pytest.approx(expected, abs=2e-3)


def test_a_paired_interval_of_models_that_agree_on_every_row_is_no_point() -> None:
    low, high = differences.paired_proportions(0, 0, 100, 0.95)
    assert (low, high) == pytest.approx((-0.0370, 0.0370), abs=5e-5)


def test_a_paired_interval_turns_round_with_its_models() -> None:
    low, high = differences.paired_proportions(4, 11, 90, 0.9)
    assert differences.paired_proportions(11, 4, 90, 0.9) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("only_first", "only_second"), [(6, 16), (0, 0), (5, 5), (0, 7), (180, 230)])
def test_mcnemar_is_the_exact_test(only_first: int, only_second: int) -> None:
    table = [[40, only_first], [only_second, 30]]
    expected = contingency_tables.mcnemar(table, exact=True).pvalue if only_first + only_second else 1.0
    assert differences.mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_is_as_published() -> None:
    assert differences.mcnemar(6, 16) == pytest.approx(0.052479, abs=5e-7)  # Cavo et al., as above


# Newcombe (1998), Statistics in Medicine 17:873-890, table II, method 10
@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_an_independent_difference_of_proportions_is_bounded_as_newcombe_published(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    assert newcombe(first, second) == pytest.approx((low, high), abs=5.1e-5)


def test_an_independent_difference_of_proportions_is_bounded_as_by_statsmodels() -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        rows = generator.integers(1, 500, 2)
        hits = generator.binomial(rows, generator.random(2))
        expected = proportion.confint_proportions_2indep(
            hits[0], rows[0], hits[1], rows[1], method="newcomb", compare="diff"
        )
        found = newcombe((int(hits[0]), int(rows[0])), (int(hits[1]), int(rows[1])))
        assert found == pytest.approx(expected, abs=1e-9)


def test_correlated_estimates_have_the_narrower_difference_that_was_published() -> None:
    # the same trial as in the first test: Newcombe's square-and-add interval, with his correction of phi
    phi = (59 * 80 - 6 * 16 - 161 / 2) / np.sqrt(65 * 96 * 75 * 86)
    found = differences.difference(65 / 161, wilson(65, 161), 75 / 161, wilson(75, 161), phi)
    assert found == pytest.approx((-0.1186, -0.0046), abs=5e-5)


def test_a_ratio_of_proportions_is_bounded_as_published() -> None:
    # high versus standard dose of epinephrine: Perondi et al. (2004), in chapter 4 of the same book
    found = differences.ratio(7 / 34, wilson(7, 34), 1 / 34, wilson(1, 34))
    assert found == pytest.approx((1.1537, 41.9763), abs=5e-5)


def test_a_ratio_turns_round_with_its_groups() -> None:
    first, second = (30 / 80, wilson(30, 80)), (50 / 90, wilson(50, 90))
    forward, backward = differences.ratio(*first, *second), differences.ratio(*second, *first)
    assert forward is not None
    assert backward is not None
    assert backward == pytest.approx((1 / forward[1], 1 / forward[0]))


def test_a_ratio_with_no_hits_above_is_bounded_and_below_is_not() -> None:
    none, some = (0.0, wilson(0, 50)), (0.4, wilson(20, 50))
    found = differences.ratio(*none, *some)
    assert found is not None
    assert found[0] == 0
    assert 0 < found[1] < 0.3
    assert differences.ratio(*some, *none) is None


def test_standard_errors_are_near_the_usual_ones_and_never_zero() -> None:
    assert differences.proportion_error(400, 1000) == pytest.approx(np.sqrt(0.4 * 0.6 / 1000), rel=0.01)
    assert differences.proportion_error(0, 20) > 0
    assert differences.proportion_error(0, 20) == pytest.approx(differences.proportion_error(20, 20))
    # Katz: sqrt(1/7 - 1/34 + 1/1 - 1/34) has no half hits, which matter with 7 and 1 and not with thousands
    assert differences.log_ratio_error(7000, 34000, 1000, 34000) == pytest.approx(
        np.sqrt(1 / 7000 + 1 / 1000 - 2 / 34000), rel=1e-3
    )
    # Fagerland, Lydersen & Laake: 7.0 with bounds 0.9241 and 27.0523 from the adjusted logarithms, (7.5/34.5)/(1.5/34.5)
    error = differences.log_ratio_error(7, 34, 1, 34)
    bounds = tuple(np.exp(np.log(5) + np.array([-1, 1]) * stats.norm.ppf(0.975) * error))
    assert bounds == (pytest.approx(0.9241, abs=5e-4), pytest.approx(27.0523, abs=5e-3))


def test_far_from_0_and_1_correlated_shares_have_walds_bounds() -> None:
    covariance = np.array([[4.0, 3.0], [3.0, 5.0]]) * 1e-8
    found = differences.correlated_shares(0.52, 0.5, covariance, 1.96)
    half = 1.96 * np.sqrt(3e-8)
    assert found == pytest.approx((0.02 - half, 0.02 + half), abs=1e-7)


def test_the_bounds_of_correlated_shares_are_where_the_ellipse_touches() -> None:
    """The same by a constrained search from many starts."""
    covariance = np.array([[9.0, 5.0], [5.0, 6.0]]) * 1e-4
    shares, slopes = np.array([0.93, 0.97]), 1 / (np.array([0.93, 0.97]) * np.array([0.07, 0.03]))
    inverse = np.linalg.inv(covariance * np.outer(slopes, slopes))
    centre = special.logit(shares)
    inside = {"type": "ineq", "fun": lambda at: 1.96**2 - (at - centre) @ inverse @ (at - centre)}
    ends = []
    for sign in (1, -1):
        runs = [
            optimize.minimize(
                lambda at, sign=sign: sign * (special.expit(at[0]) - special.expit(at[1])),
                centre + start,
                constraints=[inside],
                method="SLSQP",
                options={"ftol": 1e-12},
            )
            for start in ((0, 0), (0.5, -0.5), (-0.5, 0.5), (0.3, 0.3))
        ]
        ends.append(sign * min(run.fun for run in runs if run.success))
    assert differences.correlated_shares(0.93, 0.97, covariance, 1.96) == pytest.approx(tuple(ends), abs=1e-5)


def test_the_same_ranking_twice_differs_by_nothing() -> None:
    covariance = np.full((2, 2), 3e-4)
    assert differences.correlated_shares(0.9, 0.9, covariance, 1.96) == pytest.approx((0, 0), abs=1e-12)
