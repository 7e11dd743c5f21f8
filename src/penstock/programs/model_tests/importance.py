"""How much each original column matters: what the metric loses when the rows swap its values at random."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..measure.distributions import two_sided
from ..measure.metrics import Metric
from ..measure.sample import UnmeasurableError
from .asking import Case, PredictError
from .changes import SEED
from .measuring import Measured, changes, measured, sign
from .options import Options

_REPEATS = 10
_MOST_ROWS = 10_000


class ImportanceError(Exception):
    """Nothing could be measured; the message is a clause that says why."""


def importance(case: Case, options: Options) -> dict[str, Any]:
    """Permutation importance of every column that the model gets.

    A feature's value is the mean loss over the repeats, positive where shuffling hurts. Its share is that of
    all losses (a gain counts as 0).

    Args:
        case: The model's answers with nothing shuffled.
        options: `metric`, `repeats`, `features` (all if absent), `rows` (at most so many are used).

    Raises:
        ImportanceError: The metric has no value, or the model cannot predict shuffled rows.

    Source: Breiman (2001), Machine Learning 45:5-32; Fisher, Rudin & Dominici (2019), JMLR 20:177.
    """
    metric = case.metric(options.text("metric"), f"{options.where}.metric")
    repeats = options.whole("repeats", _REPEATS, 2, 1000)
    names = options.names("features") or list(case.rows.features.columns)
    most = options.whole("rows", _MOST_ROWS, 2, 1 << 31)
    options.finish()
    for name in names:
        if name not in case.rows.features:
            raise options.wrong("features", f"the model gets no column {name!r}")
    features = [_of_feature(case, metric, name, repeats, most) for name in names]
    total = sum(max(feature["value"], 0.0) for feature in features)
    for feature in features:
        feature["share"] = max(feature["value"], 0.0) / total if total > 0 else None
    features.sort(key=lambda feature: (-feature["value"], feature["feature"]))
    return {
        "metric": metric.name,
        "method": "permutation",
        "repeats": repeats,
        "rows": len(_sampled(case, most)),
        "features": features,
    }


def _sampled(case: Case, most: int) -> Any:
    """Places, among the rows whose truth is known, of those that are used."""
    count = len(case.known)
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).choice(count, most, replace=False))


def _of_feature(case: Case, metric: Metric, name: str, repeats: int, most: int) -> dict[str, Any]:
    chosen = _sampled(case, most)
    places, truth = case.known[chosen], case.truth[chosen]
    rows = case.rows.features.iloc[places].reset_index(drop=True)
    draws = np.random.default_rng([SEED, list(case.rows.features.columns).index(name)])
    try:
        before = measured(metric, truth, case.outputs.take(places), case.subject)
        shuffled: list[Measured] = []
        for repeat in range(repeats):
            case.progress.say(f"shuffling {name}: {repeat + 1} of {repeats}")
            mixed = rows[name].iloc[draws.permutation(len(rows))].reset_index(drop=True)
            outputs = case.predict(rows.assign(**{name: mixed}))
            shuffled.append(measured(metric, truth, outputs, case.subject))
    except (PredictError, UnmeasurableError) as error:
        raise ImportanceError(f"with {name} shuffled, {error}") from None
    value = sign(metric) * float(np.mean([before.value - after.value for after in shuffled]))
    return {"feature": name, "value": value, "interval": _bounds(case, value, before, shuffled)}


def _bounds(
    case: Case, value: float, before: Measured, shuffled: list[Measured]
) -> tuple[float, float] | None:
    """Normal bounds, by the standard error of the loss in one shuffle: that of the mean is no larger."""
    if case.confidence is None:
        return None
    errors = [each.standard_error for each in changes(before, shuffled, case.confidence)]
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return None
    half = two_sided(case.confidence) * math.sqrt(float(np.mean(np.square(known))))
    return value - half, value + half
