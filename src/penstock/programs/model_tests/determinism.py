"""Is the answer for a row the same whenever, with whatever other rows, and by whichever copy of the model?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..common import models
from ..common.outputs import Outputs, joined
from .asking import Case, PredictError, predicted
from .changes import SEED
from .judging import FAIL, PASS, Result, counted
from .options import Options

KIND = "determinism"
MOST_CALLS = 200
"""For each batch size; fewer rows are asked about if there would be more."""

TOLERANCE = 1e-6
_BATCHES = [1, 32]


def determinism(case: Case, options: Options) -> Iterator[Result]:
    """The same rows again, in another order, in smaller batches, and by the model loaded anew.

    Args:
        case: The model's answers for all rows at once.
        options: `tolerance` (of scores and numbers, relative to the largest), `batch_sizes`.
    """
    tolerance = options.number("tolerance", TOLERANCE, 0)
    sizes = options.take("batch_sizes", _BATCHES)
    if not isinstance(sizes, list) or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise options.wrong("batch_sizes", f"{sizes!r} is no list of whole numbers from 1")
    options.finish()
    rows = len(case.rows)
    features, everything = case.rows.features, np.arange(rows)

    def again() -> Outputs:
        return case.predict(features)

    def shuffled() -> Outputs:
        order = np.random.default_rng(SEED).permutation(rows)
        mixed = features.iloc[order].reset_index(drop=True)
        return case.predict(mixed).take(np.argsort(order))

    def reloaded() -> Outputs:
        return predicted(models.load(case.source), features, case.subject)

    yield _compared(case, "the same rows again", again, everything, tolerance or 0)
    yield _compared(case, "the rows in another order", shuffled, everything, tolerance or 0)
    for size in sizes:
        if size < rows:
            asked = everything[: size * MOST_CALLS]
            name = f"in batches of {size}" if size > 1 else "one row at a time"
            batched = _in_batches(case, features.iloc[asked], size)
            yield _compared(case, name, batched, asked, tolerance or 0)
    yield _compared(case, "the model loaded again", reloaded, everything, tolerance or 0)


def _in_batches(case: Case, rows: pd.DataFrame, size: int) -> Callable[[], Outputs]:
    def ask() -> Outputs:
        parts = []
        for start in range(0, len(rows), size):
            parts.append(case.predict(rows.iloc[start : start + size].reset_index(drop=True)))
            case.progress.say(f"predicted {start:,} of {len(rows):,} rows in batches of {size}")
        return joined(parts)

    return ask


def _compared(
    case: Case, name: str, ask: Callable[[], Outputs], asked: NDArray[np.int64], tolerance: float
) -> Result:
    title = f"determinism: {name}"
    try:
        other = ask()
    except (PredictError, models.LoadError) as error:
        return Result(title, KIND, FAIL, f"{name}: {error}", rows=len(asked))
    first = case.outputs.take(asked)
    differ = different(first, other, tolerance)
    count = int(differ.sum())
    examples = [
        f"{case.named(int(asked[row]))}: {shown(first, row)}, then {shown(other, row)}"
        for row in np.flatnonzero(differ)[:5]
    ]
    sentence = f"{name}: {counted(count)} of {len(asked):,} got another prediction"
    if not count:
        sentence = f"{name}: the same predictions for {counted(len(asked))}"
    share = count / len(asked)
    return Result(
        title, KIND, FAIL if count else PASS, sentence, share, None, None, 0.0, len(asked), examples
    )


def different(one: Outputs, other: Outputs, tolerance: float) -> NDArray[np.bool_]:
    """For which rows two answers differ by more than rounding.

    A class counts where its probability leads by more than the tolerance: at a draw, rounding decides.
    """
    if one.numbers is not None and other.numbers is not None:
        return _apart(one.numbers[:, None], other.numbers[:, None], tolerance)
    changed: NDArray[np.bool_] = np.asarray(one.labels != other.labels, dtype=bool)
    if one.scores is None or other.scores is None:
        return changed | ((one.scores is None) != (other.scores is None))
    ranked = np.sort(one.scores, axis=1)
    lead = ranked[:, -1] - ranked[:, -2] if ranked.shape[1] > 1 else np.ones(len(ranked))
    return _apart(one.scores, other.scores, tolerance) | (changed & ~(lead <= 2 * tolerance))


def _apart(one: NDArray[np.float64], other: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    finite = np.abs(one[np.isfinite(one)])
    limit = tolerance * float(finite.max(initial=0))
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        same |= np.abs(one - other) <= limit
    apart: NDArray[np.bool_] = ~same.all(axis=1)
    return apart


def shown(outputs: Outputs, row: int) -> str:
    """One row's answer in a sentence."""
    if outputs.numbers is not None:
        return f"{outputs.numbers[row]:.6g}"
    assert outputs.labels is not None
    label = str(outputs.labels[row])
    return label if outputs.scores is None else f"{label} ({np.max(outputs.scores[row]):.6g})"
