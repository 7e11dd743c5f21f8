"""The metrics that Penstock computes from a predictions table itself.

Pipeline files are checked without the libraries that compute them, so their names stand here too; a test
holds them against `penstock.programs.measure`.
"""

from __future__ import annotations

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
        "roc_auc",
        "log_loss",
        "recall",
    }
)


def is_measured(metric: str) -> bool:
    """Whether a metric is computed from predictions: by Penstock, or by a function of the user's."""
    return metric in NAMES or ":" in metric
