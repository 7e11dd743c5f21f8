"""Models whose true quality is known, as data sets that the program `measure` bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from scipy import integrate, optimize, stats

from penstock.programs.measure import fairness, independent, measures, metrics, paired
from penstock.programs.measure.intervals import Bounds
from penstock.programs.measure.sample import Sample
from penstock.programs.measure.statistic import Statistic

CONFIDENCE = 0.95
RESAMPLES = 2000
CLASSES = ("no", "yes")


class Found(NamedTuple):
    """What a gate is told about one data set; `truth` is what the number would be with all rows there are."""

    value: float
    interval: tuple[float, float] | None
    truth: float


Draw = Callable[[np.random.Generator, int, float], Found]


@dataclass(frozen=True, slots=True)
class Case:
    """A gate, and models that it judges.

    Attributes:
        bound: That the true number of a model at the bound has.
        better: The true number of a model that should pass.
        minimum: Whether the gate demands at least the bound; at most otherwise.
        draw: A data set of so many rows of a model with this true number.
        both_sides: The bound holds for either sign: |number| <= bound, or bound <= number <= 1 / bound.
        drawn: Whether its interval takes resamples, and so longer.
        sizes: Rows of the data sets.
    """

    name: str
    bound: float
    better: float
    minimum: bool
    draw: Draw
    both_sides: bool = False
    drawn: bool = False
    note: str = ""
    sizes: tuple[int, ...] = (100, 400, 1600)


def _bounded(rng: np.random.Generator, statistic: Statistic) -> Bounds:
    return measures.bounds([(statistic, CONFIDENCE)], RESAMPLES, str(rng.integers(1 << 60)))[0]


def _alone(name: str, rng: np.random.Generator, sample: Sample, truth: float) -> Found:
    statistic = metrics.find(name).statistic(sample)
    return Found(statistic.value, _bounded(rng, statistic).interval, truth)


def _change(name: str, rng: np.random.Generator, ours: Sample, theirs: Sample, truth: float) -> Found:
    metric = metrics.find(name)
    one, other = (metric.statistic(sample) for sample in (ours, theirs))
    pair = paired.Pair(metric, ours, theirs, one, other, CONFIDENCE)
    (bounds,) = paired.bounds([pair], RESAMPLES, str(rng.integers(1 << 60)))
    return Found(one.value - other.value, bounds.interval, truth)


def _classes(truth: Any, prediction: Any = None, score: Any = None) -> Sample:
    codes = None if prediction is None else np.asarray(prediction, dtype=np.int32)
    return Sample("binary", np.asarray(truth, dtype=np.int32), codes, score, classes=CLASSES, positive=1)


def _errors(errors: Any) -> Sample:
    return Sample("regression", np.zeros(len(errors)), np.asarray(errors, dtype=float))


# Thresholds


def accuracy(rng: np.random.Generator, rows: int, true: float) -> Found:
    truth = rng.random(rows) < 0.4
    return _alone("accuracy", rng, _classes(truth, truth ^ (rng.random(rows) >= true)), true)


def recall(rng: np.random.Generator, rows: int, true: float) -> Found:
    truth = rng.random(rows) < 0.3
    return _alone("recall", rng, _classes(truth, rng.random(rows) < np.where(truth, true, 0.2)), true)


def f1(rng: np.random.Generator, rows: int, true: float) -> Found:
    truth = rng.random(rows) < 0.4
    hit = true * (0.4 + 0.6 * 0.15) / (0.4 * (2 - true))  # with 15 % false positives
    return _alone("f1", rng, _classes(truth, rng.random(rows) < np.where(truth, hit, 0.15)), true)


def _shifted(rng: np.random.Generator, truth: Any, shift: float) -> Any:
    return rng.standard_normal(len(truth)) + shift * truth


def roc_auc(rng: np.random.Generator, rows: int, true: float) -> Found:
    truth = rng.random(rows) < 0.3
    score = _shifted(rng, truth, math.sqrt(2) * stats.norm.ppf(true))
    return _alone("roc_auc", rng, _classes(truth, score=score), true)


def average_precision(rng: np.random.Generator, rows: int, true: float) -> Found:
    truth = rng.random(rows) < 0.3
    return _alone("average_precision", rng, _classes(truth, score=_shifted(rng, truth, _shift(true))), true)


@cache
def _shift(true: float) -> float:
    """How far apart the scores of two classes are for this average precision, with 30 % positives."""

    def at(score: float, shift: float) -> float:
        above = 0.3 * stats.norm.sf(score - shift), 0.7 * stats.norm.sf(score)
        return float(stats.norm.pdf(score - shift) * above[0] / sum(above))

    def off(shift: float) -> float:
        return float(integrate.quad(at, -8, 12, args=(shift,), limit=200)[0]) - true

    return float(optimize.brentq(off, 0, 8))


def absolute_error(rng: np.random.Generator, rows: int, true: float) -> Found:
    return _alone("mean_absolute_error", rng, _errors(rng.laplace(scale=true, size=rows)), true)


def outlying_error(rng: np.random.Generator, rows: int, true: float) -> Found:
    errors = rng.lognormal(math.log(true) - 0.5, 1, rows) * rng.choice([-1, 1], rows)
    return _alone("mean_absolute_error", rng, _errors(errors), true)


def squared_error(rng: np.random.Generator, rows: int, true: float) -> Found:
    return _alone(
        "root_mean_squared_error", rng, _errors(rng.laplace(scale=true / math.sqrt(2), size=rows)), true
    )


def log_loss(rng: np.random.Generator, rows: int, true: float) -> Found:
    """Of a model that is too sure of itself, so that few rows make up much of the loss."""
    odds = rng.normal(0, 1.5, rows)
    truth = rng.random(rows) < 1 / (1 + np.exp(-odds))
    score = 1 / (1 + np.exp(-_boldness(true) * odds))
    return _alone("log_loss", rng, _classes(truth, score=score), true)


@cache
def _boldness(true: float) -> float:
    """How many times log odds are exaggerated for this log loss."""

    def at(odds: float, boldness: float) -> float:
        share = 1 / (1 + math.exp(-odds))
        losses = math.log1p(math.exp(-boldness * odds)), math.log1p(math.exp(boldness * odds))
        return float(stats.norm.pdf(odds, scale=1.5) * (share * losses[0] + (1 - share) * losses[1]))

    def off(boldness: float) -> float:
        return float(integrate.quad(at, -12, 12, args=(boldness,), limit=200)[0]) - true

    return float(optimize.brentq(off, 1, 6))


# Against a baseline on the same rows


def accuracy_change(rng: np.random.Generator, rows: int, true: float, often: float = 0.06) -> Found:
    """The two differ on a share `often` of all rows."""
    lot = rng.random(rows)
    ours = (lot < 0.8) | ((lot >= 0.8) & (lot < 0.8 + (often + true) / 2))
    theirs = (lot < 0.8) | ((lot >= 0.8 + (often + true) / 2) & (lot < 0.8 + often))
    truth = np.ones(rows, dtype=int)
    return _change("accuracy", rng, _classes(truth, ours), _classes(truth, theirs), true)


def f1_change(rng: np.random.Generator, rows: int, true: float) -> Found:
    """Both have 15 % false positives, mostly the same; the baseline has an F1 of 0.8."""
    truth = rng.random(rows) < 0.4
    shared = rng.random(rows)
    predictions = []
    for target in (0.8 + true, 0.8):
        hit = target * (0.4 + 0.6 * 0.15) / (0.4 * (2 - target))
        own = np.where(rng.random(rows) < 0.8, shared, rng.random(rows))
        predictions.append(own < np.where(truth, hit, 0.15))
    return _change("f1", rng, *(_classes(truth, each) for each in predictions), true)


def area_change(
    rng: np.random.Generator, rows: int, true: float, baseline: float = 0.87, alike: float = 0.8
) -> Found:
    """AUC; the scores of the two correlate by `alike` within each class."""
    truth = rng.random(rows) < 0.3
    shared = rng.standard_normal(rows)
    scores = [
        math.sqrt(alike) * shared
        + math.sqrt(1 - alike) * rng.standard_normal(rows)
        + truth * math.sqrt(2) * stats.norm.ppf(target)
        for target in (baseline + true, baseline)
    ]
    return _change("roc_auc", rng, *(_classes(truth, score=each) for each in scores), true)


def error_change(rng: np.random.Generator, rows: int, true: float) -> Found:
    """Mean absolute error, 1 of the baseline; some rows are much harder than others, for both."""
    hard, shared = rng.lognormal(-0.245, 0.7, rows), rng.standard_normal(rows)
    ours, theirs = (
        _errors(size * math.sqrt(math.pi / 2) * hard * (0.8 * shared + 0.6 * rng.standard_normal(rows)))
        for size in (1 + true, 1)
    )
    return _change("mean_absolute_error", rng, ours, theirs, true)


def accuracy_apart(rng: np.random.Generator, rows: int, true: float) -> Found:
    """Both on as many rows of their own."""
    both = [
        metrics.find("accuracy").statistic(_classes(np.ones(rows), rng.random(rows) < share))
        for share in (0.85 + true, 0.85)
    ]
    (bounds,) = independent.bounds([(both[0], both[1], CONFIDENCE)], RESAMPLES, "")
    return Found(both[0].value - both[1].value, bounds.interval, true)


# Two groups


def _groups(
    name: str, rng: np.random.Generator, samples: list[Sample], truth: tuple[float, float], what: str
) -> Found:
    groups = []
    for label, sample in zip("ab", samples, strict=True):
        statistic = metrics.find(name).statistic(sample)
        groups.append(fairness.Group(label, sample.rows, statistic, _bounded(rng, statistic)))
    (pair,) = fairness.described(groups)["pairs"]
    one, other = truth if pair["groups"] == ["a", "b"] else truth[::-1]
    return Found(
        pair[what]["value"], pair[what]["interval"], one - other if what == "difference" else one / other
    )


def selection(rng: np.random.Generator, rows: int, true: float, what: str, small: float = 0.5) -> Found:
    """Selection rates; half of the second group is selected, and `small` of all rows are in the first."""
    first = 0.5 + true if what == "difference" else 0.5 * true
    sizes = round(small * rows), rows - round(small * rows)
    samples = [
        _classes(np.ones(size), rng.random(size) < share)
        for size, share in zip(sizes, (first, 0.5), strict=True)
    ]
    return _groups("selection_rate", rng, samples, (first, 0.5), what)


def error_ratio(rng: np.random.Generator, rows: int, true: float) -> Found:
    """Mean absolute errors of two groups of one size."""
    samples = [_errors(rng.laplace(scale=scale, size=rows // 2)) for scale in (true, 1)]
    return _groups("mean_absolute_error", rng, samples, (true, 1), "ratio")


_THRESHOLDS = (
    Case("threshold: accuracy >= 0.9", 0.9, 0.94, minimum=True, draw=accuracy),
    Case("threshold: recall >= 0.8", 0.8, 0.88, minimum=True, draw=recall, note="30 % positives"),
    Case("threshold: f1 >= 0.75", 0.75, 0.82, minimum=True, draw=f1),
    Case("threshold: roc_auc >= 0.85", 0.85, 0.9, minimum=True, draw=roc_auc, note="30 % positives"),
    Case("threshold: roc_auc >= 0.97", 0.97, 0.985, minimum=True, draw=roc_auc, note="30 % positives"),
    Case(
        "threshold: average_precision >= 0.75",
        0.75,
        0.82,
        minimum=True,
        draw=average_precision,
        drawn=True,
        note="30 % positives",
    ),
    Case(
        "threshold: mean_absolute_error <= 1",
        1,
        0.85,
        minimum=False,
        draw=absolute_error,
        note="Laplace errors: skewed",
    ),
    Case(
        "threshold: mean_absolute_error <= 1, outliers",
        1,
        0.8,
        minimum=False,
        draw=outlying_error,
        note="log-normal errors: very skewed",
    ),
    Case(
        "threshold: root_mean_squared_error <= 1",
        1,
        0.85,
        minimum=False,
        draw=squared_error,
        note="Laplace errors: very skewed",
    ),
    Case(
        "threshold: log_loss <= 0.8",
        0.8,
        0.6,
        minimum=False,
        draw=log_loss,
        note="a model too sure of itself: skewed",
    ),
)
_NO_REGRESSION = (
    Case(
        "no-regression: accuracy, margin 0.02",
        -0.02,
        0.0,
        minimum=True,
        draw=accuracy_change,
        note="the models differ on 6 % of the rows",
    ),
    Case(
        "no-regression: accuracy, margin 0.02, rarely different",
        -0.02,
        -0.005,
        minimum=True,
        draw=partial(accuracy_change, often=0.02),
        note="the models differ on 2 % of the rows",
    ),
    Case("no-regression: f1, margin 0.03", -0.03, 0.0, minimum=True, draw=f1_change),
    Case(
        "no-regression: roc_auc, margin 0.02",
        -0.02,
        0.0,
        minimum=True,
        draw=area_change,
        note="baseline 0.87, scores correlate by 0.8",
    ),
    Case(
        "no-regression: roc_auc, margin 0.015, nearly perfect",
        -0.015,
        0.0,
        minimum=True,
        draw=partial(area_change, baseline=0.975),
        note="baseline 0.975",
    ),
    Case(
        "no-regression: mean_absolute_error, margin 0.05",
        0.05,
        0.0,
        minimum=False,
        draw=error_change,
        note="heavy tails, errors correlate",
    ),
    Case(
        "no-regression, unpaired: accuracy, margin 0.02",
        -0.02,
        0.03,
        minimum=True,
        draw=accuracy_apart,
        note="each model on rows of its own",
    ),
)


def _fairness(name: str, bound: float, better: float, draw: Draw, note: str) -> Case:
    sizes = (400, 1600, 6400)
    return Case(
        f"fairness: {name}", bound, better, minimum=True, draw=draw, both_sides=True, note=note, sizes=sizes
    )


_EVEN, _UNEVEN = "two groups of one size", "one row in ten in the first group"
_FAIRNESS = (
    _fairness(
        "selection_rate, max_difference 0.1", -0.1, -0.02, partial(selection, what="difference"), _EVEN
    ),
    _fairness(
        "selection_rate, max_difference 0.1, small group",
        -0.1,
        -0.02,
        partial(selection, what="difference", small=0.1),
        _UNEVEN,
    ),
    _fairness("selection_rate, min_ratio 0.8", 0.8, 0.96, partial(selection, what="ratio"), _EVEN),
    _fairness(
        "selection_rate, min_ratio 0.8, small group",
        0.8,
        0.96,
        partial(selection, what="ratio", small=0.1),
        _UNEVEN,
    ),
    _fairness("mean_absolute_error, min_ratio 0.8", 0.8, 0.96, error_ratio, f"{_EVEN}, Laplace errors"),
)
CASES = (*_THRESHOLDS, *_NO_REGRESSION, *_FAIRNESS)
