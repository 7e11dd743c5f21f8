"""The metrics by their names, which are scikit-learn's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..common.program import UnusableError
from ..common.tables import nearest, shown
from . import confusion, own, probabilistic, regression
from .sample import (
    BINARY,
    CLASSIFICATION,
    MULTICLASS,
    RANKING,
    REGRESSION,
    MissingColumnError,
    Sample,
    UnmeasurableError,
)
from .statistic import Negative, Statistic

HIGHER, LOWER = "higher", "lower"
BINS = 10


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: As it was asked for.
        better: Which direction is; none where neither is.
        tasks: Of which it is a metric.
        build: From a sample to the statistic; raises UnmeasurableError where it has no value.
        proportion: It is a share of rows.
    """

    name: str
    better: str | None
    tasks: tuple[str, ...]
    build: Callable[[Sample], Statistic]
    proportion: bool = False

    def statistic(self, sample: Sample) -> Statistic:
        """The metric on some rows.

        Raises:
            UnmeasurableError: It has no value on them; says why.
        """
        if sample.task not in self.tasks:
            raise UnmeasurableError(f"{self.name} is no metric of a {sample.task} task")
        if not sample.rows:
            raise UnmeasurableError("there are no rows")
        return self.build(sample)


def _shares() -> dict[str, tuple[str | None, tuple[str, ...], Callable[[Sample], Statistic]]]:
    one = CLASSIFICATION  # of one class among more, where the request names one
    return {
        "accuracy": (HIGHER, CLASSIFICATION, confusion.accuracy),
        "precision": (HIGHER, one, confusion.precision),
        "negative_predictive_value": (HIGHER, one, confusion.negative_predictive_value),
        "recall": (HIGHER, one, confusion.recall),
        "false_negative_rate": (LOWER, one, confusion.false_negative_rate),
        "specificity": (HIGHER, one, confusion.specificity),
        "false_positive_rate": (LOWER, one, confusion.false_positive_rate),
        "selection_rate": (None, one, confusion.selection_rate),
        "jaccard": (HIGHER, one, confusion.jaccard),
        "precision_micro": (HIGHER, CLASSIFICATION, confusion.accuracy),
        "recall_micro": (HIGHER, CLASSIFICATION, confusion.accuracy),
        "f1_micro": (HIGHER, CLASSIFICATION, confusion.accuracy),
        "top_k_accuracy": (HIGHER, CLASSIFICATION, probabilistic.top_k_accuracy(2)),
    }


def _classification() -> dict[str, tuple[str | None, tuple[str, ...], Callable[[Sample], Statistic]]]:
    one_class = "all rows are of one class, or are predicted as one"
    counted = {
        "balanced_accuracy": confusion.mean_recall,
        "matthews_corrcoef": confusion.counts(confusion.matthews_corrcoef, needs=one_class),
        "cohen_kappa": confusion.counts(
            confusion.cohen_kappa, needs="truth and prediction are all of one class"
        ),
        "f1": confusion.f1,
        "jaccard_micro": confusion.micro_jaccard,
    }
    for name in confusion.OF_CLASSES:
        counted[f"{name}_macro"] = confusion.average(name, confusion.macro)
        counted[f"{name}_weighted"] = confusion.average(name, confusion.weighted)
    scored = (*CLASSIFICATION, RANKING)
    return {name: (HIGHER, CLASSIFICATION, build) for name, build in counted.items()} | {
        "roc_auc": (HIGHER, scored, probabilistic.roc_auc),
        "roc_auc_ovr": (HIGHER, (MULTICLASS,), probabilistic.roc_auc),
        "roc_auc_ovr_weighted": (HIGHER, (MULTICLASS,), probabilistic.roc_auc_weighted),
        "average_precision": (HIGHER, scored, probabilistic.average_precision),
        "log_loss": (LOWER, CLASSIFICATION, probabilistic.log_loss),
        "brier_score": (LOWER, CLASSIFICATION, probabilistic.brier_score),
    }


def _numbers() -> dict[str, tuple[str | None, tuple[str, ...], Callable[[Sample], Statistic]]]:
    only = (REGRESSION,)
    relevant = "no query has a relevant row"
    return {
        "mean_absolute_error": (LOWER, only, regression.mean_absolute_error),
        "mean_squared_error": (LOWER, only, regression.mean_squared_error),
        "root_mean_squared_error": (LOWER, only, regression.root_mean_squared_error),
        "median_absolute_error": (LOWER, only, regression.median_absolute_error),
        "mean_absolute_percentage_error": (LOWER, only, regression.mean_absolute_percentage_error),
        "max_error": (LOWER, only, regression.max_error),
        "mean_error": (None, only, regression.mean_error),
        "r2": (HIGHER, only, regression.r2),
        "explained_variance": (HIGHER, only, regression.explained_variance),
        "pearson": (HIGHER, only, regression.correlation),
        "spearman": (HIGHER, (REGRESSION, RANKING), regression.spearman),
        "ndcg": (HIGHER, (RANKING,), regression.by_query(regression.ndcg, relevant)),
        "mean_reciprocal_rank": (
            HIGHER,
            (RANKING,),
            regression.by_query(regression.reciprocal_rank, relevant),
        ),
        "mean_average_precision": (
            HIGHER,
            (RANKING,),
            regression.by_query(regression.query_precision, relevant),
        ),
    }


def _registry() -> dict[str, Metric]:
    shares = {name: Metric(name, *rest, proportion=True) for name, rest in _shares().items()}
    others = {name: Metric(name, *rest) for name, rest in (_classification() | _numbers()).items()}
    return shares | others


METRICS: Mapping[str, Metric] = _registry()

ALIASES = {
    "sensitivity": "recall",
    "true_positive_rate": "recall",
    "tpr": "recall",
    "fpr": "false_positive_rate",
    "true_negative_rate": "specificity",
    "tnr": "specificity",
    "mcc": "matthews_corrcoef",
    "auc": "roc_auc",
    "kappa": "cohen_kappa",
    "ece": "expected_calibration_error",
    "positive_predictive_value": "precision",
    "brier": "brier_score",
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "rmse": "root_mean_squared_error",
    "mape": "mean_absolute_percentage_error",
    "mrr": "mean_reciprocal_rank",
    "map": "mean_average_precision",
    "roc_auc_ovr_macro": "roc_auc_ovr",
    "brier_score_loss": "brier_score",
    "negative_log_likelihood": "log_loss",
}

USUAL: Mapping[str, tuple[str, ...]] = {
    BINARY: (
        "accuracy", "balanced_accuracy", "precision", "recall", "f1", "matthews_corrcoef",
        "roc_auc", "average_precision", "log_loss", "brier_score", "expected_calibration_error",
    ),
    MULTICLASS: (
        "accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "matthews_corrcoef",
        "roc_auc_ovr", "log_loss", "brier_score", "expected_calibration_error",
    ),
    REGRESSION: (
        "mean_absolute_error", "root_mean_squared_error", "median_absolute_error", "r2", "mean_error",
        "spearman",
    ),
    RANKING: ("ndcg", "mean_reciprocal_rank", "mean_average_precision", "roc_auc", "average_precision"),
}  # fmt: skip


def find(name: str, bins: int = BINS) -> Metric:
    """A metric by its name; `recall_score` and `rmse` are names, too, and `neg_log_loss` is -log_loss.

    Args:
        bins: Of the expected calibration error.

    Raises:
        UnusableError: There is none of this name.
    """
    if ":" in name:
        return Metric(name, *own.metric(name))
    plain = name.strip().lower()
    if plain.startswith("neg_"):
        found = find(plain.removeprefix("neg_"), bins)
        better = {HIGHER: LOWER, LOWER: HIGHER}.get(found.better or "")
        return replace(
            found, name=name, better=better, build=lambda s: Negative(found.build(s)), proportion=False
        )
    if (top := re.fullmatch(r"top_(\d{1,9})_accuracy(_score)?", plain)) and int(top[1]) > 0:
        return replace(METRICS["top_k_accuracy"], name=name, build=probabilistic.top_k_accuracy(int(top[1])))
    for spelling in (plain, plain.removesuffix("_score")):
        known = ALIASES.get(spelling, spelling)
        if known == CALIBRATION_ERROR:
            return Metric(name, LOWER, CLASSIFICATION, probabilistic.expected_calibration_error(bins))
        if known in METRICS:
            return replace(METRICS[known], name=name)
    own_kind = "functions of your own are written `package.module:function`"
    raise UnusableError(f"there is no metric {shown(name)}; {own_kind}{nearest(plain, NAMES)}")


CALIBRATION_ERROR = "expected_calibration_error"
NAMES = frozenset({*METRICS, *ALIASES, CALIBRATION_ERROR})


def usual(sample: Sample) -> tuple[str, ...]:
    """The metrics of a task that the table has the columns for."""

    def possible(name: str) -> bool:
        try:
            find(name).statistic(sample)
        except MissingColumnError:
            return False
        except UnmeasurableError:
            return True  # that it has no value here is worth saying
        return True

    return tuple(filter(possible, USUAL[sample.task]))
