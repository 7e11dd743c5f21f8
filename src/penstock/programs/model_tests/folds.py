"""Cross-validation: how much does the metric depend on which rows the model was trained on?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..common import packages
from ..common.predictors import Predictor, predictor
from ..measure.metrics import Metric
from ..measure.sample import UnmeasurableError
from .asking import Case, PredictError, predicted
from .changes import SEED
from .judging import FAIL, Result, within
from .measuring import measured
from .options import Options

Train = Callable[[pd.DataFrame], Predictor]


def cross_validation(case: Case, options: Options) -> Result:
    """Train on all folds but one, measure on that one, for each; the spread must keep a bound.

    There is no interval: no estimate of this spread's own error is unbiased (Bengio & Grandvalet 2004,
    JMLR 5:1089-1105). The verdict is on the standard deviation over the folds as it is.

    Args:
        case: The model, of which an untrained copy is trained, unless a trainer makes one.
        options: `folds`, `metric`, `max_spread`, `trainer` (`package.module:function` from a table of the
            training rows to a model).
    """
    count = options.whole("folds", 5, 2, 100)
    metric = case.metric(options.text("metric"), f"{options.where}.metric")
    most = options.number("max_spread", None, 0)
    train = _trainer(case, options)
    options.finish()
    if most is None:
        raise options.wrong("max_spread", "is missing: the largest standard deviation over the folds")
    name = "cross-validation"
    if len(case.known) < 2 * count:
        return Result(name, name, FAIL, f"{len(case.known)} rows are too few for {count} folds", maximum=most)
    try:
        values = _values(case, metric, train, count)
    except (PredictError, UnmeasurableError) as error:
        return Result(name, name, FAIL, f"trained on all but one of {count} folds, {error}", maximum=most)
    spread, mean = float(np.std(values, ddof=1)), float(np.mean(values))
    sentence = (
        f"{metric.name} over {count} folds is {mean:.4g} on average, with a standard deviation of "
        f"{spread:.3g} ({min(values):.4g} to {max(values):.4g}); at most {most:g} may be"
    )
    examples = [f"fold {fold + 1}: {value:.4g}" for fold, value in enumerate(values)]
    verdict = within(spread, None, maximum=most)
    return Result(name, name, verdict, sentence, spread, None, None, most, len(case.known), examples)


def _values(case: Case, metric: Metric, train: Train, count: int) -> list[float]:
    """The metric on each fold, of a model that was trained on the others."""
    fold_of = folds(case.truth, count, stratified=bool(case.subject.classes))
    values = []
    for fold in range(count):
        case.progress.say(f"training for fold {fold + 1} of {count}")
        held = fold_of == fold
        model = train(case.rows.table.iloc[case.known[~held]].reset_index(drop=True))
        rows = case.rows.features.iloc[case.known[held]].reset_index(drop=True)
        outputs = predicted(model, rows, case.subject)
        values.append(measured(metric, case.truth[held], outputs, case.subject).value)
    return values


def folds(truth: Any, count: int, *, stratified: bool) -> NDArray[np.int64]:
    """The fold of each row, of equal sizes; each class is spread over all of them."""
    order = np.random.default_rng(SEED).permutation(len(truth))
    if stratified:
        order = order[np.argsort(truth[order].astype(str), kind="stable")]
    fold_of = np.empty(len(truth), np.int64)
    fold_of[order] = np.arange(len(truth)) % count
    return fold_of


def _trainer(case: Case, options: Options) -> Train:
    """What trains a model on a table."""
    reference = options.text("trainer")
    where = f"{options.where}.trainer"
    if reference is not None:
        function = packages.function(reference, where)
        return lambda table: predictor(_guarded(function, table), f"{where} {reference}")
    estimator, target = case.model.native, case.request["target"]
    if not all(callable(getattr(estimator, name, None)) for name in ("fit", "get_params")):
        raise options.wrong(
            "trainer",
            f"is missing: a {type(estimator).__name__} cannot be trained again; name "
            "`package.module:function`, which makes a model of a table of rows",
        )
    base = packages.load("sklearn.base", purpose="cross-validation of an estimator")

    def fit(table: pd.DataFrame) -> Predictor:
        rows = table[list(case.rows.features.columns)]
        return predictor(_guarded(base.clone(estimator).fit, rows, table[target]), where)

    return fit


def _guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        raise PredictError(f"it raised {packages.told(error)}", raised=True) from error
