"""Intervals against statsmodels, scipy, plain definitions and published examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

from penstock.programs.measure import bootstrap, distributions, intervals, metrics, probabilistic
from penstock.programs.measure.sample import Floats, Sample
from penstock.programs.measure.statistic import Counts, Mean, Median, Moments, Proportion
from penstock.programs.measure.weights import draw_weights

many = settings(max_examples=50, deadline=None)
confidences = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])

# Distributions


@many
@given(st.floats(1e-12, 1 - 1e-12))
def test_normal_quantiles_are_those_of_scipy(probability: float) -> None:
    assert distributions.normal_quantile(probability) == pytest.approx(special.ndtri(probability), abs=1e-9)
    assert distributions.normal_share(special.ndtri(probability)) == pytest.approx(probability, rel=1e-9)


@many
@given(st.floats(0.0001, 0.9999), st.floats(0.2, 1e5), st.floats(0.2, 1e5))
def test_beta_quantiles_are_those_of_scipy(probability: float, a: float, b: float) -> None:
    expected = special.betaincinv(a, b, probability)
    assert distributions.beta_quantile(probability, a, b) == pytest.approx(expected, rel=1e-7)


@many
@given(st.floats(0.001, 0.999), st.sampled_from([1, 2, 3, 10, 30.5, 999, 1e6]))
def test_quantiles_of_student_are_those_of_scipy(probability: float, freedom: float) -> None:
    expected = special.stdtrit(freedom, probability)
    assert distributions.student_quantile(probability, freedom) == pytest.approx(expected, rel=1e-8, abs=1e-9)


@many
@given(st.integers(0, 5000), st.integers(1, 5000), st.floats(0.01, 0.99))
def test_binomial_shares_are_those_of_scipy(hits: int, trials: int, probability: float) -> None:
    expected = stats.binom.cdf(hits, trials, probability)
    assert distributions.binomial_share(hits, trials, probability) == pytest.approx(expected, abs=1e-9)


# Proportions


@many
@given(st.data(), st.integers(1, 100_000), confidences)
def test_wilson_and_clopper_pearson_are_those_of_statsmodels(
    data: st.DataObject, trials: int, confidence: float
) -> None:
    hits = data.draw(st.integers(0, trials))
    for function, method in ((intervals.wilson, "wilson"), (intervals.clopper_pearson, "beta")):
        expected = proportion_confint(hits, trials, alpha=1 - confidence, method=method)
        assert function(hits, trials, confidence) == pytest.approx(expected, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize(
    ("hits", "trials", "wilson", "exact"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_proportions_are_bounded_as_published(
    hits: int, trials: int, wilson: tuple[float, float], exact: tuple[float, float]
) -> None:
    """Newcombe (1998), Statistics in Medicine 17:857-872, table I."""
    assert intervals.wilson(hits, trials, 0.95) == pytest.approx(wilson, abs=6e-5)
    assert intervals.clopper_pearson(hits, trials, 0.95) == pytest.approx(exact, abs=6e-5)


def test_f1_is_bounded_by_the_bounds_of_the_share_that_it_rises_with() -> None:
    truth, prediction = np.repeat([1, 1, 0, 0], [30, 10, 5, 900]), np.repeat([1, 0, 1, 0], [30, 10, 5, 900])
    sample = Sample("binary", truth, prediction, classes=("no", "yes"), positive=1)
    found = metrics.find("f1").statistic(sample).closed(0.95)
    assert found is not None
    low, high = proportion_confint(30, 45, method="wilson")
    assert found.interval == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
    resampled = bootstrap.resample([metrics.find("f1").statistic(sample)], 20_000, "f1")
    assert found.standard_error == pytest.approx(float(resampled[0].draws.std()), rel=0.05)


def test_a_balanced_accuracy_is_bounded_by_the_joined_bounds_of_its_recalls() -> None:
    truth, prediction = np.repeat([1, 1, 0, 0], [30, 10, 5, 900]), np.repeat([1, 0, 1, 0], [30, 10, 5, 900])
    sample = Sample("binary", truth, prediction, classes=("no", "yes"), positive=1)
    statistic = metrics.find("balanced_accuracy").statistic(sample)
    found = statistic.closed(0.95)
    assert found is not None
    one, other = (proportion_confint(*pair, method="wilson") for pair in ((30, 40), (900, 905)))
    value = (30 / 40 + 900 / 905) / 2
    low = value - math.hypot(30 / 40 - one[0], 900 / 905 - other[0]) / 2
    high = value + math.hypot(one[1] - 30 / 40, other[1] - 900 / 905) / 2
    assert found.interval == pytest.approx((low, high))
    (resampled,) = bootstrap.resample([statistic], 20_000, "balanced")
    assert found.standard_error == pytest.approx(float(resampled.draws.std()), rel=0.05)
    assert resampled.bounds(0.95).interval == pytest.approx((low, high), abs=0.02)


@pytest.mark.parametrize(
    "name", ["f1_macro", "matthews_corrcoef", "cohen_kappa", "precision_weighted", "jaccard_macro"]
)
def test_a_model_without_an_error_is_bounded_by_the_errors_that_it_may_yet_make(name: str) -> None:
    """Of 500 rows, Wilson's upper bound on none wrong; the worst is that all of these are in the small class."""
    truth = np.repeat([0, 1], [460, 40])
    sample = Sample("binary", truth, truth, classes=("no", "yes"), positive=1)
    found = metrics.find(name).statistic(sample).closed(0.95)
    assert found is not None
    assert found.interval is not None
    assert found.interval[1] == 1
    wrong = 500 * intervals.wilson(0, 500, 0.95)[1]
    around = []
    for errors in (math.floor(wrong), math.ceil(wrong)):
        missed = np.repeat([0, 1, 0], [460, 40 - errors, errors])
        around.append(
            metrics.find(name).statistic(Sample("binary", truth, missed, classes=("no", "yes"))).value
        )
        raised = np.repeat([0, 1, 1], [460 - errors, errors, 40])
        around.append(
            metrics.find(name).statistic(Sample("binary", truth, raised, classes=("no", "yes"))).value
        )
    assert min(around) <= found.interval[0] <= max(around) < 1


# Areas


def scored(seed: int, rows: int) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    rng = np.random.default_rng(seed)
    positive = rng.random(rows) < 0.3
    positive[:2] = True, False
    positive[2:4] = True, False
    return np.round(rng.normal(size=rows) + positive, 1), positive


def components(score: Floats, positive: np.ndarray) -> tuple[Floats, Floats]:
    """How often each positive beats a negative, and the other way round: every pair is looked at."""
    wins = np.array(
        [[(p > n) + (p == n) / 2 for n in score[~positive]] for p in score[positive]], dtype=np.float64
    )
    return wins.mean(axis=1), wins.mean(axis=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(6, 60))
def test_delong_is_that_of_all_pairs(seed: int, rows: int) -> None:
    first, positive = scored(seed, rows)
    second = np.round(first + np.random.default_rng(seed).normal(size=rows), 1)
    values, parts = [], []
    influences = []
    for score in (first, second):
        values.append(probabilistic.area(score, positive)[0])
        influences.append(probabilistic.area(score, positive)[1])
        parts.append(components(score, positive))
    assert values == pytest.approx([part[0].mean() for part in parts])
    expected = np.zeros((2, 2))
    for side in (0, 1):
        sides = np.stack([parts[0][side], parts[1][side]])
        expected += np.cov(sides) / sides.shape[1]
    found = np.stack(influences) @ np.stack(influences).T
    assert found == pytest.approx(expected, abs=1e-12)


def test_an_area_and_its_error_are_as_published() -> None:
    """Ratings of 109 CT images by Hanley & McNeil (1982), Radiology 143:29-36: 0.893.

    The error and the (plain normal) interval are those that Stata's manual shows for them under `roctab`.
    """
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    ratings = np.repeat([1.0, 2, 3, 4, 5, 1, 2, 3, 4, 5], normal + abnormal)
    positive = np.repeat([False, True], [58, 51])
    value, influence = probabilistic.area(ratings, positive)
    assert value == pytest.approx(0.893, abs=5e-4)
    error = math.sqrt(float(np.sum(influence**2)))
    assert error == pytest.approx(0.0307, abs=5e-5)
    plain = (value - 1.959964 * error, value + 1.959964 * error)
    assert plain == pytest.approx((0.83295, 0.95339), abs=5e-5)


def test_an_area_of_few_rows_solves_the_equation_of_newcombe() -> None:
    score, positive = np.array([0.1, 0.2, 0.3, 0.9, 0.8, 0.7]), np.array([0, 0, 0, 1, 1, 1], bool)
    sample = Sample("binary", positive.astype(int), None, score, classes=("a", "b"), positive=1)
    found = probabilistic.roc_auc(sample).closed(0.95)
    assert found is not None
    assert found.method == "newcombe"
    assert found.interval is not None
    low, high = found.interval
    assert high == 1
    # (1 - low)^2 = z^2 variance, by Hanley & McNeil with both sizes 3
    spread = low * (1 - low) * (1 + 2 * (1 - low) / (2 - low) + 2 * low / (1 + low)) / 9
    assert (1 - low) ** 2 == pytest.approx(special.ndtri(0.975) ** 2 * spread)


@pytest.mark.parametrize("seed", range(3))
def test_the_influence_on_average_precision_is_its_derivative_by_the_weight_of_a_row(seed: int) -> None:
    score, positive = scored(seed, 200)
    statistic = probabilistic.AveragePrecision(score, positive)
    weights = np.ones((200, 200)) + 1e-4 * np.eye(200)
    # whole weights, as a resample has them: 10,000 of each row, and one more of one
    changed = statistic.weighted(np.rint(weights * 10_000).astype(np.int64))
    assert (changed - statistic.value) / 1e-4 == pytest.approx(statistic.influence, abs=1e-3 / 200)
    draws = bootstrap.resample([statistic], 4000, "ap")[0].draws
    assert math.sqrt(float(np.sum(statistic.influence**2))) == pytest.approx(float(draws.std()), rel=0.1)


# Resamples


def spatial() -> Floats:
    """Test A of 26 children: Efron & Tibshirani (1993), An Introduction to the Bootstrap, table 14.1."""
    return np.array(
        [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41],
        dtype=np.float64,
    )


def variance(values: Floats) -> Moments:
    return Moments(np.stack([values, values**2]), lambda means: means[:, 1] - means[:, 0] ** 2)


def test_a_variance_is_bounded_as_published() -> None:
    """Chapter 14 there: 171.5, acceleration 0.061, 90 % bounds 115.8 and 259.6 from 2,000 resamples."""
    resampled = bootstrap.resample([variance(spatial())], 20_000, "spatial")[0]
    assert resampled.value == pytest.approx(171.5, abs=0.05)
    assert intervals.acceleration(resampled.left_out, None) == pytest.approx(0.061, abs=5e-4)
    found = resampled.bounds(0.9)
    assert found.method == "bca"
    assert found.interval == pytest.approx((115.8, 259.6), abs=4)


@pytest.mark.parametrize("rows", [25, 60, 1000])
def test_bca_is_that_of_scipy(rows: int) -> None:
    rng = np.random.default_rng(rows)
    values = rng.gamma(1.5, size=rows)
    positive = rng.random(rows) < 0.5
    score = rng.normal(size=rows) + positive
    cells = rng.integers(0, 4, rows)
    statistics = {
        "variance": (variance(values), lambda v, axis=-1: np.var(v, axis=axis), (values,)),
        "average precision": (
            probabilistic.AveragePrecision(score, positive),
            lambda s, p: probabilistic.AveragePrecision(s, p > 0).value,
            (score, positive),
        ),
        "kappa": (
            Counts(cells, 4, lambda c: kappa(c[:, 0], c[:, 1], c[:, 2], c[:, 3]), rows),
            lambda c: float(kappa(*(np.array([np.sum(c == k)], float) for k in range(4)))[0]),
            (cells,),
        ),
    }
    for name, (statistic, function, data) in statistics.items():
        vectorized = name == "variance"
        expected = stats.bootstrap(
            data, function, n_resamples=4000, vectorized=vectorized, paired=True, method="BCa",
            rng=np.random.default_rng(1),
        )  # fmt: skip
        resampled = bootstrap.resample([statistic], 20_000, name)[0]
        low, high = resampled.bounds(0.95).interval or (0, 0)
        interval = expected.confidence_interval
        width = interval.high - interval.low
        assert (low, high) == pytest.approx((interval.low, interval.high), abs=0.06 * width), name
        assert resampled.bounds(0.95).standard_error == pytest.approx(expected.standard_error, rel=0.06), name


def kappa(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    rows = a + b + c + d
    chance = ((a + b) * (a + c) + (c + d) * (b + d)) / rows
    return np.asarray((a + d - chance) / (rows - chance))


def test_left_out_rows_are_those_of_a_jackknife() -> None:
    values = spatial()
    expected = [np.var(np.delete(values, place)) for place in range(len(values))]
    assert bootstrap.resample([variance(values)], 100, "x")[0].left_out == pytest.approx(expected)
    score, positive = scored(1, 40)
    one_less = [
        probabilistic.AveragePrecision(np.delete(score, place), np.delete(positive, place)).value
        for place in range(40)
    ]
    statistic = probabilistic.AveragePrecision(score, positive)
    assert bootstrap.resample([statistic], 100, "x")[0].left_out == pytest.approx(one_less)


@pytest.mark.parametrize("units", [1, 2, 7, 100, 5000])
def test_weights_are_those_of_rows_drawn_one_by_one(units: int) -> None:
    """Each column adds up to the rows; counts of one row are binomial; two rows are correlated by -1/(n - 1)."""
    weights = draw_weights(np.random.Generator(np.random.SFC64(1)), units, 2000)
    assert weights.dtype == np.uint8
    assert (weights.sum(axis=0, dtype=int) == units).all()
    counts = np.bincount(weights.ravel(), minlength=4)[:4] / weights.size
    expected = stats.binom.pmf(range(4), units, 1 / units)
    assert counts == pytest.approx(expected, abs=5 * 0.5 / math.sqrt(weights.size))
    if units == 7:
        apart = np.cov(weights)
        assert apart[0, 1:].mean() == pytest.approx(-1 / 7, abs=0.03)
        assert apart.diagonal().mean() == pytest.approx(6 / 7, abs=0.05)


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    score, positive = scored(5, 700)
    statistics = [probabilistic.AveragePrecision(score, positive), variance(score), Median(score)]
    first = bootstrap.resample(statistics, 300, "seed")
    monkeypatch.setattr(bootstrap, "cores", lambda: 1)
    second = bootstrap.resample(statistics, 300, "seed")
    other = bootstrap.resample(statistics, 300, "another")
    for one, same, different in zip(first, second, other, strict=True):
        assert one.draws.tobytes() == same.draws.tobytes()
        assert not np.array_equal(one.draws, different.draws)


def test_statistics_of_one_call_see_the_same_resamples() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=300)
    hit, other = values > 0, rng.random(300) < 0.5
    means = bootstrap.resample([Mean(values), Mean(values + 1)], 200, "x")
    assert means[1].minus(means[0]).draws == pytest.approx(np.ones(200), abs=1e-9)
    shares = bootstrap.resample([Proportion(hit), Proportion(~hit), Proportion(other)], 200, "x")
    assert shares[0].draws + shares[1].draws == pytest.approx(np.ones(200))
    both = bootstrap.resample([Proportion(hit & other), Proportion(hit), Proportion(other)], 200, "x")
    assert (both[0].draws <= np.minimum(both[1].draws, both[2].draws)).all()


def test_the_spread_of_means_in_resamples_is_that_of_theory() -> None:
    values = np.random.default_rng(3).gamma(2, size=50_000)
    resampled = bootstrap.resample([Mean(values)], 2000, "means")[0]
    assert float(resampled.draws.std()) == pytest.approx(float(values.std()) / math.sqrt(50_000), rel=0.06)
    assert float(resampled.draws.mean()) == pytest.approx(float(values.mean()), rel=1e-3)


@pytest.mark.parametrize("rows", [1, 5, 6, 51, 100])
def test_a_median_is_bounded_by_the_values_that_scipy_says(rows: int) -> None:
    values = np.random.default_rng(rows).normal(size=rows)
    found = Median(values).closed(0.95)
    expected = stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    if math.isnan(expected.low) or math.isnan(expected.high):
        assert found.interval is None
        assert found.problem is not None
    else:
        assert found.interval == pytest.approx((expected.low, expected.high))


def test_a_median_of_weighted_rows_is_that_of_the_rows_repeated() -> None:
    values = np.random.default_rng(1).normal(size=30).round(1)
    weights = draw_weights(np.random.Generator(np.random.SFC64(1)), 30, 50)
    expected = [np.median(np.repeat(values, column)) for column in weights.T]
    assert Median(values).weighted(weights) == pytest.approx(expected)


def test_resamples_without_spread_give_no_interval_but_a_reason() -> None:
    right = np.zeros(40, dtype=np.int64)
    found = bootstrap.resample([Counts(right, 2, lambda c: c[:, 0] / c.sum(axis=1), 40)], 200, "x")[0].bounds(
        0.95
    )
    assert found.interval is None
    assert found.problem == "all resamples have the same value, so its spread is not known"


def test_resamples_that_mostly_have_no_value_give_no_interval_but_a_reason() -> None:
    draws = np.r_[np.linspace(0, 1, 800), np.full(200, math.nan)]
    found = intervals.bootstrapped(0.5, draws, draws, None, 0.95)
    assert (found.interval, found.problem) == (None, "too few rows: 20% of the resamples have no value")


def test_percentiles_stand_in_where_bca_is_undefined() -> None:
    draws = np.linspace(1, 2, 1001)
    found = intervals.bootstrapped(0.9, draws, np.linspace(0, 1, 5), None, 0.9)
    assert found.method == "percentile"
    assert found.interval == pytest.approx((0.9, 1.95))  # the value itself is never outside
