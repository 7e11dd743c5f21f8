"""Features that give the target away.

Each feature alone predicts the target: a table of what goes with each of its values (numbers: with each of
50 ranges of about as many rows) is learnt from one half of the rows and tried on the other, then the other
way round, so that a feature that is different in every row (an id) explains nothing. The score is the share
of the error that this removes: of wrong answers for classes (Goodman and Kruskal's λ, 1954, but of rows that
were not learnt from), of squares for numbers, taken of the target's ranks so that a few huge values do not
decide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .findings import Finding
from .schema_file import TEXTS, Schema
from .summaries import Summaries, group_of, inner_quantiles

RANGES = 50
FEW_CLASSES = 10
LEAST_ROWS = 50
_MISSING = np.uint64(0)
CLASSES, RANKS = "share of errors removed, cross-fitted", "R² of the target's ranks, cross-fitted"


def telling_features(
    found: Summaries, schema: Schema
) -> tuple[list[dict[str, Any]], list[Finding], list[str]]:
    """Features that remove more of the target's error than `leakage: telling` allows; the check; warnings."""
    target, bound = schema.target, schema.leakage.telling
    if target is None or bound is None or target not in found.by_name:
        return [], [], []
    finding = Finding(f"no feature gives {target} away")
    truth, method = _truth(found, target)
    known = ~np.isnan(truth)
    if np.count_nonzero(known) < LEAST_ROWS or len(np.unique(truth[known])) < 2:  # noqa: PLR2004 - it must vary
        why = f"whether a feature gives {target} away was not looked at: too few rows, or a single value"
        return [], [finding], [why]
    telling: list[dict[str, Any]] = []
    for name in found.by_name:
        if name in (target, schema.id):
            continue
        score = _score(_groups(found, name)[known], truth[known], ranks=method == RANKS)
        if score >= bound:
            telling.append({"column": name, "target": target, "score": score, "method": method})
    telling.sort(key=lambda item: (-item["score"], item["column"]))
    finding.failures = len(telling)
    shown = [f"{item['column']} alone removes {item['score']:.1%} of the error" for item in telling]
    finding.note = "; ".join(shown) or None
    return telling, [finding], []


def _truth(found: Summaries, target: str) -> tuple[np.ndarray, str]:
    """The target as class numbers or ranks, NaN where it is missing, and the method for it."""
    summary = found.by_name[target]
    values = found.sample.values(target)
    texts = summary.column.type in TEXTS
    if texts:
        marks = found.sample.values(group_of(target))
        classes = np.unique(marks, return_inverse=True)[1].astype(np.float64)
        return np.where(marks == _MISSING, np.nan, classes), CLASSES
    few = summary.column.type == "boolean" or (
        summary.counts is not None and len(summary.counts) <= FEW_CLASSES
    )
    if few:
        return values, CLASSES
    ranks = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    _, places, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    ranks[known] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks, RANKS


def _groups(found: Summaries, name: str) -> np.ndarray:
    """Which rows hold the same, or nearly the same, of a feature: 0 is nothing."""
    values = found.sample.values(name)
    summary = found.by_name[name]
    if summary.column.type in TEXTS:
        marks = found.sample.values(group_of(name))
        kinds, places = np.unique(marks, return_inverse=True)
        return np.asarray(places + (1 if len(kinds) == 0 or kinds[0] != _MISSING else 0))
    known = ~np.isnan(values)
    groups = np.zeros(len(values), np.int64)
    if known.any():
        groups[known] = 1 + np.searchsorted(inner_quantiles(values[known], RANGES), values[known])
    return groups


def _score(groups: np.ndarray, truth: np.ndarray, *, ranks: bool) -> float:
    half = np.arange(len(truth)) % 2 == 0  # the sample is in random order
    errors = baseline = 0.0
    for learn in (half, ~half):
        predict = _means if ranks else _majorities
        guess, plain = predict(groups, truth, learn)
        wanted = truth[~learn]
        if ranks:
            errors += float(((guess - wanted) ** 2).sum())
            baseline += float(((plain - wanted) ** 2).sum())
        else:
            errors += float(np.count_nonzero(guess != wanted))
            baseline += float(np.count_nonzero(plain != wanted))
    return max(0.0, 1 - errors / baseline) if baseline else 0.0


def _means(groups: np.ndarray, truth: np.ndarray, learn: np.ndarray) -> tuple[np.ndarray, float]:
    size = int(groups.max()) + 1
    counts = np.bincount(groups[learn], minlength=size)
    sums = np.bincount(groups[learn], truth[learn], minlength=size)
    plain = float(truth[learn].mean())
    present = groups[learn] > 0
    other = float(truth[learn][present].mean()) if present.any() else plain  # for a value not seen before
    means = np.where(counts > 0, sums / np.maximum(counts, 1), other)
    return means[groups[~learn]], plain


def _majorities(groups: np.ndarray, truth: np.ndarray, learn: np.ndarray) -> tuple[np.ndarray, float]:
    classes, places = np.unique(truth, return_inverse=True)
    overall = np.bincount(places[learn], minlength=len(classes))
    plain = float(classes[np.argmax(overall)])
    present = groups[learn] > 0
    seen = np.bincount(places[learn][present], minlength=len(classes)) if present.any() else overall
    guesses = np.full(int(groups.max()) + 1, classes[np.argmax(seen)])  # for a value not seen before
    pairs, counts = np.unique(np.stack([groups[learn], places[learn]]), axis=1, return_counts=True)
    order = np.lexsort((-pairs[1], counts))  # the most frequent last; of equals the smaller class
    guesses[pairs[0][order]] = classes[pairs[1][order]]
    return guesses[groups[~learn]], plain
