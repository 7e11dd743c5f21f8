"""Bounds on means, against Student's, the definition of the transformation and the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from penstock.programs.measure.means import mean


def test_values_that_are_not_skewed_have_students_bounds() -> None:
    half = np.random.default_rng(1).normal(size=50)
    values = np.concatenate([half, -half]) + 3
    found = mean(values, 0.9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert found.interval == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert found.standard_error == pytest.approx(stats.sem(values))


@pytest.mark.parametrize("scale", [1.0, -1.0, 1e-9, 1e9])
def test_the_transformed_statistic_at_the_bounds_is_students_quantile(scale: float) -> None:
    values = scale * np.random.default_rng(2).lognormal(size=80)
    found = mean(values, 0.95)
    skewness = stats.skew(values, bias=False) / np.sqrt(80)
    low, high = ((found.value - bound) / found.standard_error for bound in found.interval)
    for statistic, quantile in ((low, stats.t.ppf(0.975, 79)), (high, stats.t.ppf(0.025, 79))):
        transformed = statistic + skewness * statistic**2 / 3 + skewness**2 * statistic**3 / 27 + skewness / 6
        assert transformed == pytest.approx(quantile, rel=1e-6)


def test_bounds_turn_round_with_the_sign() -> None:
    values = np.random.default_rng(3).exponential(size=40)
    low, high = mean(values, 0.95).interval
    assert mean(-values, 0.95).interval == pytest.approx((-high, -low))


def test_the_upper_bound_of_skewed_losses_misses_less_often_than_students() -> None:
    generator = np.random.default_rng(4)
    samples = generator.exponential(size=(2000, 100))  # absolute errors of a Laplace distribution, mean 1
    missed = np.mean([mean(sample, 0.95).interval[1] < 1 for sample in samples])
    students = np.mean(
        [stats.ttest_1samp(sample, 1).confidence_interval().high < 1 for sample in samples[:500]]
    )
    assert missed <= 0.035  # 2.5 % is meant; three standard errors of the simulation are 1 %
    assert students > missed


def test_values_that_are_all_the_same_have_a_point() -> None:
    assert mean(np.full(5, 2.5), 0.95) == (2.5, (2.5, 2.5), 0)
