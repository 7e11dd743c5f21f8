"""The metrics that Penstock computes from a predictions table itself.

Pipeline files are checked without the libraries that compute them, so their names stand here too; a test
holds them against `penstock.programs.measure`.
"""

from __future__ import annotations

import re

CRITERIA = {
    "demographic-parity": ("selection_rate",),
    "disparate-impact": ("selection_rate",),
    "equal-opportunity": ("recall",),
    "equalized-odds": ("recall", "false_positive_rate"),
}
"""Criterion of fairness → what must be alike in all groups."""

NAMES = frozenset(
    {
        "accuracy",
        "auc",
        "average_precision",
        "balanced_accuracy",
        "brier",
        "brier_score",
        "brier_score_loss",
        "cohen_kappa",
        "ece",
        "expected_calibration_error",
        "explained_variance",
        "f1",
        "f1_macro",
        "f1_micro",
        "f1_weighted",
        "false_negative_rate",
        "false_positive_rate",
        "fpr",
        "jaccard",
        "jaccard_macro",
        "jaccard_micro",
        "jaccard_weighted",
        "kappa",
        "log_loss",
        "mae",
        "map",
        "mape",
        "matthews_corrcoef",
        "max_error",
        "mcc",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_average_precision",
        "mean_error",
        "mean_reciprocal_rank",
        "mean_squared_error",
        "median_absolute_error",
        "mrr",
        "mse",
        "ndcg",
        "negative_log_likelihood",
        "negative_predictive_value",
        "pearson",
        "positive_predictive_value",
        "precision",
        "precision_macro",
        "precision_micro",
        "precision_weighted",
        "r2",
        "recall",
        "recall_macro",
        "recall_micro",
        "recall_weighted",
        "rmse",
        "roc_auc",
        "roc_auc_ovr",
        "roc_auc_ovr_macro",
        "roc_auc_ovr_weighted",
        "root_mean_squared_error",
        "selection_rate",
        "sensitivity",
        "spearman",
        "specificity",
        "tnr",
        "top_k_accuracy",
        "tpr",
        "true_negative_rate",
        "true_positive_rate",
    }
)
_TOP_K = re.compile(r"top_[0-9]{1,9}_accuracy(_score)?")


def is_measured(metric: str) -> bool:
    """Whether a metric is computed from predictions: by Penstock, or by a function of the user's."""
    plain = metric.strip().lower().removeprefix("neg_")
    names = (plain, plain.removesuffix("_score"))
    return ":" in metric or any(name in NAMES for name in names) or _TOP_K.fullmatch(plain) is not None
