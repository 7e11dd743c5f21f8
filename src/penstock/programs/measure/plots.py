"""What the pictures of a report are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intervals import wilson
from .sample import BINARY, CLASSIFICATION, REGRESSION, Floats, Sample, UnmeasurableError

CURVE_POINTS = 200
HISTOGRAM_BINS = 20
SCATTER_POINTS = 500
MOST_CLASSES = 20
"""With more of them, curves and confusion matrices are no pictures any more."""


def plots(sample: Sample, bins: int, confidence: float) -> dict[str, Any]:
    """Each plot that the task and the columns of the table have data for."""
    found: dict[str, Any] = {}
    if sample.task in CLASSIFICATION and len(sample.classes) <= MOST_CLASSES:
        if sample.prediction is not None:
            found["confusion"] = _confusion(sample)
        curves = list(_against_rest(sample))
        if curves:
            found["roc"] = [{"class": name, "points": p} for name, s, hit in curves if (p := _roc(s, hit))]
            found["precision_recall"] = [
                {"class": name, "points": p} for name, s, hit in curves if (p := _precision_recall(s, hit))
            ]
            if sample.improbable is None:
                found["calibration"] = [
                    {"class": name, "bins": _calibration(s, hit, bins, confidence)} for name, s, hit in curves
                ]
            found["scores"] = _scores(sample)
    if sample.task == REGRESSION:
        found["residuals"] = _residuals(sample)
    return found


def _confusion(sample: Sample) -> dict[str, Any]:
    size = len(sample.classes)
    cells = sample.truth.astype(np.int64) * size + sample.predicted
    counts = np.bincount(cells, minlength=size * size).reshape(size, size)
    return {"labels": list(sample.classes), "counts": counts.tolist()}


def _against_rest(sample: Sample) -> Iterator[tuple[str | None, Floats, NDArray[np.bool_]]]:
    """(class, score, which rows are of it): the positive one, or all of more than two."""
    if sample.task == BINARY:
        if sample.score is not None and sample.positive is not None:
            yield None, sample.score, sample.is_positive
    elif sample.probabilities is not None:
        for place, name in enumerate(sample.classes):
            yield name, sample.probabilities[:, place], sample.truth == place


def _steps(score: Floats, hit: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows, and hits among them, with a score at least as high as each that occurs, from the top."""
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    return last + 1, np.cumsum(hit[order])[last]


def _roc(score: Floats, hit: NDArray[np.bool_]) -> list[list[float]]:
    rows, found = _steps(score, hit)
    if found[-1] in (0, len(score)):
        return []
    others = np.r_[0, rows - found] / (len(score) - found[-1])
    return _thinned(others, np.r_[0, found] / found[-1])


def _precision_recall(score: Floats, hit: NDArray[np.bool_]) -> list[list[float]]:
    rows, found = _steps(score, hit)
    if found[-1] == 0:
        return []
    return _thinned(found / found[-1], found / rows)


def _thinned(across: Floats, up: Floats) -> list[list[float]]:
    """At most `CURVE_POINTS` of the points, evenly along the curve."""
    if len(across) > CURVE_POINTS:
        way = np.r_[0, np.cumsum(np.abs(np.diff(across)) + np.abs(np.diff(up)))]
        places = np.searchsorted(way, np.linspace(0, way[-1], CURVE_POINTS))
        places = np.unique(np.r_[0, np.minimum(places, len(way) - 1)])[:CURVE_POINTS]
        places[-1] = len(way) - 1
        across, up = across[places], up[places]
    return [[float(x), float(y)] for x, y in zip(across, up, strict=True)]


def _calibration(score: Floats, hit: NDArray[np.bool_], bins: int, confidence: float) -> list[dict[str, Any]]:
    places = np.minimum((score * bins).astype(np.int64), bins - 1)
    found = []
    for place in range(bins):
        inside = places == place
        rows, hits = int(inside.sum()), int(hit[inside].sum())
        found.append(
            {
                "low": place / bins,
                "high": (place + 1) / bins,
                "rows": rows,
                "mean_score": float(score[inside].mean()) if rows else None,
                "observed": hits / rows if rows else None,
                "interval": list(wilson(hits, rows, confidence)) if rows else None,
            }
        )
    return found


def _scores(sample: Sample) -> list[dict[str, Any]]:
    """How the scores of each true class are spread: that of the positive class, or of the true one."""
    if sample.task == BINARY:
        score = sample.scored
    else:
        score = sample.class_scores[np.arange(sample.rows), sample.truth]
    whole = (0.0, 1.0) if sample.improbable is None else (float(score.min()), float(score.max()))
    found = []
    for place, name in enumerate(sample.classes):
        counts, edges = np.histogram(score[sample.truth == place], HISTOGRAM_BINS, whole)
        found.append({"class": name, "edges": edges.tolist(), "counts": counts.tolist()})
    return found


def _residuals(sample: Sample) -> dict[str, Any]:
    try:
        predicted = sample.predicted
    except UnmeasurableError:
        return {}
    residuals = sample.truth - predicted
    counts, edges = np.histogram(residuals, HISTOGRAM_BINS)
    some = np.unique(np.linspace(0, sample.rows - 1, SCATTER_POINTS).astype(np.int64))
    some = np.argsort(predicted, kind="stable")[some]
    points = [[float(x), float(y)] for x, y in zip(predicted[some], residuals[some], strict=True)]
    return {"edges": edges.tolist(), "counts": counts.tolist(), "points": points}
