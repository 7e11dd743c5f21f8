"""Bounds on quantiles hold as often as they promise, whatever the distribution is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from penstock.programs.benchmark_model.quantiles import histogram, mean, needed, places, quantile

CASES = [(50, 0.5), (200, 0.5), (200, 0.95), (400, 0.99), (1000, 0.99)]


@pytest.mark.parametrize(("count", "share"), CASES)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_each_end_is_the_tightest_that_keeps_its_promise(count: int, share: float, confidence: float) -> None:
    ends = places(count, share, confidence)
    tail = (1 - confidence) / 2
    if ends is None:
        assert count < needed(share, confidence)
        return
    below, above = ends[0] + 1, ends[1] + 1  # as numbers of order, from 1
    number = stats.binom(count, share)
    assert number.cdf(below - 1) <= tail < number.cdf(below)
    assert number.sf(above - 1) <= tail < number.sf(above - 2)


@pytest.mark.parametrize(("count", "share"), CASES)
def test_intervals_cover_the_true_quantile(count: int, share: float) -> None:
    draws = np.random.default_rng(1)
    for distribution in (stats.lognorm(1), stats.expon(), stats.uniform()):
        samples = np.sort(distribution.rvs((2000, count), random_state=draws), axis=1)
        ends = places(count, share, 0.95)
        assert ends is not None
        true = distribution.ppf(share)
        covered = float(np.mean((samples[:, ends[0]] <= true) & (true <= samples[:, ends[1]])))
        missed_low, missed_high = np.mean(samples[:, ends[1]] < true), np.mean(samples[:, ends[0]] > true)
        assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 2000)
        assert max(missed_low, missed_high) <= 0.025 + 3 * np.sqrt(0.025 / 2000)


@pytest.mark.parametrize(
    ("share", "confidence", "calls"), [(0.99, 0.95, 368), (0.95, 0.95, 72), (0.5, 0.95, 6)]
)
def test_too_few_calls_give_no_interval_and_say_how_many_would(
    share: float, confidence: float, calls: int
) -> None:
    assert needed(share, confidence) == calls
    assert places(calls, share, confidence) is not None
    assert places(calls - 1, share, confidence) is None
    found = quantile(np.arange(1.0, calls), share, confidence)
    assert found["interval"] is None
    assert found["problem"] == f"{calls - 1} calls are too few for an interval; it takes {calls}"
    assert quantile(np.arange(1.0, calls + 1), share, confidence)["interval"] is not None


def test_a_quantile_lies_within_its_interval() -> None:
    values = np.random.default_rng(2).lognormal(size=500)
    for share in (0.5, 0.95, 0.99):
        found = quantile(values, share, 0.95)
        assert found["interval"][0] <= found["value"] <= found["interval"][1]
        assert found["value"] == pytest.approx(np.quantile(values, share))


def test_without_confidence_there_is_the_value_alone() -> None:
    assert quantile(np.array([1.0, 2.0, 3.0]), 0.5, None) == {"value": 2.0, "interval": None}
    assert mean(np.array([1.0, 2.0, 3.0]), None) == {"value": 2.0, "interval": None}


def test_a_histogram_has_every_call_even_the_slowest() -> None:
    values = np.concatenate([np.random.default_rng(2).lognormal(size=500), [1e4]])
    found = histogram(values)
    assert sum(found["counts"]) == 501
    assert len(found["edges_ms"]) == len(found["counts"]) + 1
    assert (found["edges_ms"][0], found["edges_ms"][-1]) == (values.min(), 1e4)
    assert histogram(np.array([2.0, 2.0])) == {"edges_ms": [2.0, 2.0], "counts": [2]}
