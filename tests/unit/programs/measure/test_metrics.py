"""Every metric against scikit-learn (or scipy, or its definition), on random tables with ties and rare classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from penstock.programs.common.program import UnusableError
from penstock.programs.measure import metrics
from penstock.programs.measure.sample import Sample, UnmeasurableError

Expected = Callable[[Sample], float]
seeds = st.integers(0, 2**32 - 1)
many = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def binary(seed: int) -> Sample:
    """Both classes, a share of positives from 1 % to 99 %, scores with ties."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(2, 400))
    truth = (rng.random(rows) < rng.choice([0.01, 0.2, 0.5, 0.99])).astype(np.int32)
    truth[:2] = 0, 1
    noise = rng.normal(size=rows) + truth * rng.choice([-0.5, 0, 1, 5])
    score = np.round(1 / (1 + np.exp(-noise)), int(rng.integers(1, 6)))
    prediction = (score > rng.choice([0.1, 0.5, 0.9])).astype(np.int32)
    return Sample("binary", truth, prediction, score, classes=("no", "yes"), positive=1)


def multiclass(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    size, rows = int(rng.integers(3, 7)), int(rng.integers(10, 300))
    truth = rng.choice(size, size=rows, p=rng.dirichlet(np.ones(size))).astype(np.int32)
    truth[:size] = np.arange(size)
    logits = rng.normal(size=(rows, size)) + 2 * np.eye(size)[truth] * rng.random()
    odds = np.round(np.exp(logits), 2) + 0.01
    probabilities = np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)
    prediction = np.minimum(probabilities.argmax(axis=1), size - int(rng.integers(1, 3))).astype(np.int32)
    classes = tuple("abcdefg"[:size])
    return Sample("multiclass", truth, prediction, probabilities=probabilities, classes=classes)


def regression(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(3, 300))
    truth = np.round(rng.normal(100 * rng.random(), 1 + rng.random(), rows), int(rng.integers(0, 6))) + 0.5
    truth[:2] += 0, 3
    truth[truth == 0] = 1
    prediction = np.round(truth + rng.standard_t(3, rows), int(rng.integers(0, 6)))
    prediction[:2] += 0, 3
    return Sample("regression", truth, prediction)


def calibration_error(sample: Sample) -> float:
    """By the definition, row by row."""
    assert sample.score is not None
    bins: dict[int, list[tuple[float, bool]]] = {}
    for score, hit in zip(sample.score.tolist(), sample.is_positive.tolist(), strict=True):
        bins.setdefault(min(int(score * 10), 9), []).append((score, hit))
    return sum(abs(sum(score - hit for score, hit in rows)) for rows in bins.values()) / sample.rows


def of_two(function: Callable[..., float], **options: Any) -> Expected:
    return lambda sample: float(function(sample.truth, sample.predicted, **options))


def of_score(function: Callable[..., float]) -> Expected:
    return lambda sample: float(function(sample.truth, sample.scored))


BINARY: dict[str, Expected] = {
    "accuracy": of_two(sk.accuracy_score),
    "balanced_accuracy": of_two(sk.balanced_accuracy_score),
    "precision": of_two(sk.precision_score),
    "negative_predictive_value": of_two(sk.precision_score, pos_label=0),
    "recall": of_two(sk.recall_score),
    "false_negative_rate": lambda s: 1 - float(sk.recall_score(s.truth, s.predicted)),
    "specificity": of_two(sk.recall_score, pos_label=0),
    "false_positive_rate": lambda s: 1 - float(sk.recall_score(s.truth, s.predicted, pos_label=0)),
    "selection_rate": lambda s: float(np.mean(s.predicted)),
    "f1": of_two(sk.f1_score),
    "jaccard": of_two(sk.jaccard_score),
    "jaccard_micro": of_two(sk.jaccard_score, average="micro"),
    "matthews_corrcoef": of_two(sk.matthews_corrcoef),
    "cohen_kappa": of_two(sk.cohen_kappa_score),
    "roc_auc": of_score(sk.roc_auc_score),
    "average_precision": of_score(sk.average_precision_score),
    "log_loss": lambda s: float(sk.log_loss(s.truth, s.scored, labels=[0, 1])),
    "brier_score": of_score(sk.brier_score_loss),
    "expected_calibration_error": calibration_error,
}
AVERAGES: dict[str, Expected] = {
    f"{name}_{average}": of_two(function, average=average, zero_division=0)
    for name, function in (
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
        ("jaccard", sk.jaccard_score),
    )
    for average in ("macro", "micro", "weighted")
}


def of_probabilities(function: Callable[..., float], **options: Any) -> Expected:
    return lambda sample: float(function(sample.truth, sample.class_scores, **options))


def macro_average_precision(sample: Sample) -> float:
    return float(sk.average_precision_score(np.eye(len(sample.classes))[sample.truth], sample.class_scores))


MULTICLASS: dict[str, Expected] = {
    **{name: BINARY[name] for name in ("accuracy", "balanced_accuracy", "matthews_corrcoef", "cohen_kappa")},
    **AVERAGES,
    "top_k_accuracy": of_probabilities(sk.top_k_accuracy_score, k=2),
    "top_1_accuracy": of_probabilities(sk.top_k_accuracy_score, k=1),
    "roc_auc": of_probabilities(sk.roc_auc_score, multi_class="ovr"),
    "roc_auc_ovr": of_probabilities(sk.roc_auc_score, multi_class="ovr"),
    "roc_auc_ovr_weighted": of_probabilities(sk.roc_auc_score, multi_class="ovr", average="weighted"),
    "average_precision": macro_average_precision,
    "log_loss": of_probabilities(sk.log_loss),
    "brier_score": of_probabilities(sk.brier_score_loss),
}
REGRESSION: dict[str, Expected] = {
    "mean_absolute_error": of_two(sk.mean_absolute_error),
    "mean_squared_error": of_two(sk.mean_squared_error),
    "root_mean_squared_error": of_two(sk.root_mean_squared_error),
    "median_absolute_error": of_two(sk.median_absolute_error),
    "mean_absolute_percentage_error": of_two(sk.mean_absolute_percentage_error),
    "max_error": of_two(sk.max_error),
    "mean_error": lambda s: float(np.mean(s.predicted - s.truth)),
    "r2": of_two(sk.r2_score),
    "explained_variance": of_two(sk.explained_variance_score),
    "pearson": lambda s: float(stats.pearsonr(s.truth, s.predicted).statistic),
    "spearman": lambda s: float(stats.spearmanr(s.truth, s.predicted).statistic),
}


def no_value(sample: Sample) -> bool:
    """Whether scikit-learn gives 0 and a warning for precision, or 0 for correlation."""
    assert sample.prediction is not None
    return len(set(sample.prediction.tolist())) == 1


@pytest.mark.parametrize("name", [*BINARY, *AVERAGES])
@many
@given(seed=seeds)
def test_a_metric_of_two_classes_is_that_of_scikit_learn(name: str, seed: int) -> None:
    sample = binary(seed)
    if no_value(sample) and name in ("precision", "negative_predictive_value", "matthews_corrcoef"):
        return
    expected = {**BINARY, **AVERAGES}[name](sample)
    assert metrics.find(name).statistic(sample).value == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", MULTICLASS)
@many
@given(seed=seeds)
def test_a_metric_of_many_classes_is_that_of_scikit_learn(name: str, seed: int) -> None:
    sample = multiclass(seed)
    expected = MULTICLASS[name](sample)
    assert metrics.find(name).statistic(sample).value == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", REGRESSION)
@many
@given(seed=seeds)
def test_a_metric_of_numbers_is_that_of_scikit_learn(name: str, seed: int) -> None:
    sample = regression(seed)
    expected = REGRESSION[name](sample)
    assert metrics.find(name).statistic(sample).value == pytest.approx(expected, rel=1e-8, abs=1e-8)


def ranking(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(5, 200))
    query = np.sort(rng.integers(0, 8, rows)).astype(np.int32)
    truth = rng.integers(0, 4, rows).astype(np.float64)
    truth[0] = 2
    score = np.round(rng.normal(size=rows) + truth, int(rng.integers(0, 4)))
    return Sample("ranking", truth, score=score, query=query)


def over_queries(sample: Sample, function: Callable[[Any, Any], float]) -> float:
    """The mean over queries that have anything relevant."""
    assert sample.query is not None
    values = []
    for query in np.unique(sample.query):
        rows = sample.query == query
        if sample.truth[rows].any():
            values.append(function(sample.truth[rows], sample.scored[rows]))
    return float(np.mean(values))


def one_ndcg(truth: Any, score: Any) -> float:
    return 1.0 if len(truth) == 1 else float(sk.ndcg_score([truth], [score]))


def one_reciprocal_rank(truth: Any, score: Any) -> float:
    """Row by row: of equal scores the relevant one is last."""
    order = sorted(zip(-score, truth > 0, strict=True))
    return 1 / next(place for place, (_, relevant) in enumerate(order, 1) if relevant) if order else 0.0


def one_average_precision(truth: Any, score: Any) -> float:
    return float(sk.average_precision_score(truth > 0, score))


@many
@given(seed=seeds)
def test_a_metric_of_rankings_is_the_mean_over_queries(seed: int) -> None:
    sample = ranking(seed)
    for name, function in (
        ("ndcg", one_ndcg),
        ("mean_average_precision", one_average_precision),
    ):
        expected = over_queries(sample, function)
        assert metrics.find(name).statistic(sample).value == pytest.approx(expected, abs=1e-9)


def test_the_reciprocal_rank_counts_from_the_worst_of_equal_scores() -> None:
    truth, score = np.array([0.0, 0, 1, 2]), np.array([0.9, 0.5, 0.5, 0.1])
    sample = Sample("ranking", truth, score=score, query=np.zeros(4, np.int32))
    assert metrics.find("mean_reciprocal_rank").statistic(sample).value == pytest.approx(1 / 3)
    distinct = np.array([0.9, 0.4, 0.5, 0.1])
    sample = Sample("ranking", truth, score=distinct, query=np.zeros(4, np.int32))
    assert one_reciprocal_rank(truth, distinct) == pytest.approx(1 / 2)
    assert metrics.find("mean_reciprocal_rank").statistic(sample).value == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("accuracy_score", "accuracy"),
        ("f1_score", "f1"),
        ("roc_auc_score", "roc_auc"),
        ("brier_score_loss", "brier_score"),
        ("sensitivity", "recall"),
        ("true_negative_rate", "specificity"),
        ("MCC", "matthews_corrcoef"),
        ("ece", "expected_calibration_error"),
        ("average_precision_score", "average_precision"),
    ],
)
def test_other_names_of_a_metric_are_known(name: str, plain: str) -> None:
    sample = binary(7)
    assert metrics.find(name).statistic(sample).value == metrics.find(plain).statistic(sample).value
    assert metrics.find(name).name == name


NEGATIVE = [
    name for name in sk.get_scorer_names() if name.removeprefix("neg_") in {*BINARY, *REGRESSION} - {name}
]


def test_most_scorers_that_turn_the_sign_are_known() -> None:
    assert len(NEGATIVE) >= 7


@pytest.mark.parametrize("scorer", [name for name in NEGATIVE if name != "neg_max_error"])
def test_scorers_of_scikit_learn_that_turn_the_sign_do_so_here(scorer: str) -> None:
    sample = binary(7) if scorer in ("neg_log_loss", "neg_brier_score") else regression(7)
    turned, plain = metrics.find(scorer), metrics.find(scorer.removeprefix("neg_"))
    statistic, opposite = turned.statistic(sample), plain.statistic(sample)
    assert statistic.value == -opposite.value < 0
    assert (turned.better, plain.better) == ("higher", "lower")
    bounds, others = statistic.closed(0.9), opposite.closed(0.9)
    assert bounds is not None
    assert others is not None
    assert bounds.interval is not None
    assert others.interval is not None
    assert bounds.interval == (-others.interval[1], -others.interval[0])


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("acuracy", "'accuracy'"),
        ("roc-auc", "'roc_auc'"),
        ("reca1l", "'recall'"),
        ("neg_logloss", "'log_loss'"),
    ],
)
def test_an_unknown_metric_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnusableError, match=f"did you mean {nearest}"):
        metrics.find(name)


def test_precision_without_a_positive_prediction_has_no_value() -> None:
    sample = Sample("binary", np.array([0, 1]), np.array([0, 0]), classes=("no", "yes"), positive=1)
    with pytest.raises(UnmeasurableError, match="no row is predicted as 'yes'"):
        metrics.find("precision").statistic(sample)
    assert metrics.find("f1").statistic(sample).value == 0


@pytest.mark.parametrize("name", ["recall", "roc_auc", "average_precision"])
def test_metrics_of_the_positive_class_have_no_value_without_a_positive_row(name: str) -> None:
    nothing = np.zeros(5, np.int32)
    sample = Sample("binary", nothing, nothing, np.linspace(0, 1, 5), classes=("no", "yes"), positive=1)
    with pytest.raises(UnmeasurableError, match=r"truly|of one class"):
        metrics.find(name).statistic(sample)


def test_a_metric_of_one_class_needs_to_know_which() -> None:
    sample = multiclass(3)
    with pytest.raises(UnmeasurableError, match="name one"):
        metrics.find("recall").statistic(sample)


def test_a_metric_of_another_task_has_no_value() -> None:
    with pytest.raises(UnmeasurableError, match="r2 is no metric of a binary task"):
        metrics.find("r2").statistic(binary(1))
