"""What a metric loses when the rows are disturbed as declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..common.rows import check_columns
from ..measure.metrics import Metric
from ..measure.sample import UnmeasurableError
from .asking import Case, PredictError
from .changes import SEED, emptied, exchanged, is_numeric, noisy
from .measuring import changes
from .options import Options

NOISE, MISSING, SWAPPED = KINDS = ("noise", "missing", "swapped")

Disturb = Callable[[Any, float, np.random.Generator], Any]
_DISTURB: Mapping[str, Disturb] = {
    NOISE: noisy,
    MISSING: lambda values, rate, draws: emptied(values, draws.random(len(values)) < rate),
    SWAPPED: lambda values, rate, draws: exchanged(values, draws.random(len(values)) < rate, draws),
}


def robustness(case: Case, declared: list[Options]) -> Iterator[dict[str, Any]]:
    """The metric before and after each disturbance, on the same rows.

    Args:
        case: The model's answers before it.
        declared: Each with `name`, `metric`, `columns`, and one of `noise` (on numeric columns, a share of
            each one's standard deviation), `missing` (the share of values that are taken away, of any column)
            and `swapped` (the share of values that are exchanged for others of their column, which is not
            numeric). Without `columns`, all that it is for.
    """
    for options in declared:
        metric = case.metric(options.text("metric"), f"{options.where}.metric")
        kind, amount, columns = _disturbance(case, options)
        name = options.text("name") or f"{kind} {amount:g}"
        options.finish()
        case.progress.say(f"disturbing the rows: {name}")
        yield {"name": name} | _measured(case, metric, disturbed(case.rows.features, kind, amount, columns))


def unmeasured(declared: list[Options], problem: str) -> list[dict[str, Any]]:
    """The entries of a model that cannot predict at all."""
    found = []
    for options in declared:
        amounts = {kind: options.take(kind) for kind in KINDS}
        usual = next((f"{kind} {amount}" for kind, amount in amounts.items() if amount is not None), "")
        found.append(
            {"name": options.text("name") or usual} | _entry(options.text("metric"), problem=problem)
        )
    return found


def _disturbance(case: Case, options: Options) -> tuple[str, float, list[str]]:
    amounts = {
        NOISE: options.number(NOISE, None, 0),
        MISSING: options.number(MISSING, None, 0, 1),
        SWAPPED: options.number(SWAPPED, None, 0, 1),
    }
    given = {kind: amount for kind, amount in amounts.items() if amount is not None}
    if len(given) != 1:
        raise options.wrong("noise", f"give exactly one of {', '.join(KINDS)}")
    (kind, amount), features = next(iter(given.items())), case.rows.features
    columns = options.names("columns")
    fitting = [name for name in features if kind == MISSING or is_numeric(features[name]) == (kind == NOISE)]
    if columns is not None:
        check_columns(columns, features.columns, f"{options.where}.columns")
        for name in set(columns) - set(fitting):
            raise options.wrong("columns", f"{name!r} holds {features[name].dtype}, which {kind} is not for")
    if not fitting:
        raise options.wrong(kind, f"there is no column that {kind} is for")
    return kind, amount, columns or fitting


def disturbed(rows: pd.DataFrame, kind: str, amount: float, columns: list[str]) -> pd.DataFrame:
    """Rows with some columns disturbed; the same every time."""
    draws = np.random.default_rng(SEED)
    return rows.assign(**{name: _DISTURB[kind](rows[name], amount, draws) for name in columns})


def _measured(case: Case, metric: Metric, rows: pd.DataFrame) -> dict[str, Any]:
    try:
        before = case.measured(metric, case.outputs)
    except UnmeasurableError as error:
        return _entry(metric.name, metric.better, problem=str(error))
    try:
        after = case.measured(metric, case.predict(rows))
    except (PredictError, UnmeasurableError) as error:
        return _entry(metric.name, metric.better, before.value, problem=f"with the disturbed rows, {error}")
    found = changes(before, [after], case.confidence)[0]
    return _entry(metric.name, metric.better, before.value, found.problem) | {
        "perturbed_value": after.value,
        "change": after.value - before.value,
        "interval": found.interval,
        "confidence": case.confidence,
        "rows": len(case.known),
        "standard_error": found.standard_error,
        "method": found.method,
    }


def _entry(
    metric: str | None, better: str | None = None, value: float | None = None, problem: str | None = None
) -> dict[str, Any]:
    return {
        "metric": metric,
        "better": better,
        "value": value,
        "perturbed_value": None,
        "change": None,
        "interval": None,
        "confidence": None,
        "rows": 0,
        "standard_error": None,
        "method": None,
        "problem": problem,
    }
