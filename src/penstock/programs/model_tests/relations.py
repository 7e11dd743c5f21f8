"""Declared changes of rows, and what may happen to the prediction: nothing, or no fall, or no rise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..common.outputs import Outputs
from . import changes
from .asking import Case, PredictError
from .determinism import TOLERANCE, shown
from .judging import FAIL, Result, of_rows, percent, share_verdict
from .options import Options

FALL, RISE = "fall", "rise"
_PAST = {FALL: "fell", RISE: "rose"}

Floats = NDArray[np.float64]
Broken = Callable[[Outputs, Outputs], NDArray[np.bool_]]
"""From the answers before and after a change to the rows that break the rule."""


def invariance(case: Case, options: Options) -> Result:
    """A change that must not change the prediction.

    Args:
        case: The model's answers before the change.
        options: `name`, `change`, `tolerance` (of the number or the probability; without it the class alone
            counts), `max_share` (of rows that may change nevertheless).
    """
    tolerance = options.number("tolerance", None, 0)
    if tolerance is not None and case.subject.classes and case.outputs.scores is None:
        raise options.wrong("tolerance", "the model gives no probabilities; leave it out")

    def broken(before: Outputs, after: Outputs) -> NDArray[np.bool_]:
        if before.numbers is not None and after.numbers is not None:
            return _beyond(np.abs(before.numbers - after.numbers), before.numbers, tolerance)
        if tolerance is None or before.scores is None or after.scores is None:
            return np.asarray(before.labels != after.labels, dtype=bool)
        return _beyond(np.abs(before.scores - after.scores).max(axis=1), before.scores, tolerance)

    return _judged(case, options, "invariance", broken, "changed")


def direction(case: Case, options: Options) -> Result:
    """A change under which the prediction must not fall, or not rise.

    Args:
        case: The model's answers before the change.
        options: `name`, `change`, `must_not` (`fall` or `rise`), `class` (whose probability is meant; the
            positive one's if absent), `tolerance`, `max_share`.
    """
    must_not = options.text("must_not", among=(FALL, RISE))
    if must_not is None:
        raise options.wrong("must_not", f"is missing: say {FALL} or {RISE}")
    sign = 1 if must_not == FALL else -1
    tolerance = options.number("tolerance", None, 0)
    place = _class_place(case, options)

    def broken(before: Outputs, after: Outputs) -> NDArray[np.bool_]:
        one, other = _signal(case, before, place), _signal(case, after, place)
        return _beyond(sign * (one - other), one, tolerance)

    return _judged(case, options, "direction", broken, _PAST[must_not])


def _beyond(change: Floats, before: Floats, tolerance: float | None) -> NDArray[np.bool_]:
    """Which changes are above what is tolerated, or NaN; without a tolerance, above rounding."""
    room = TOLERANCE * float(np.abs(before).max(initial=0)) if tolerance is None else tolerance
    return ~(change <= room)


def _class_place(case: Case, options: Options) -> int:
    wanted, classes = options.take("class"), case.subject.classes
    if not classes:
        if wanted is not None:
            raise options.wrong("class", "means nothing for numbers")
        return 0
    chosen = case.subject.positive if wanted is None else str(wanted)
    if chosen not in classes:
        what = "is missing" if chosen is None else f"{chosen!r} is unknown"
        raise options.wrong("class", f"{what}: name one of {', '.join(classes)}")
    return classes.index(chosen)


def _signal(case: Case, outputs: Outputs, place: int) -> Floats:
    """What rises or falls: the number, the class's probability, or 1 where the class is predicted."""
    if outputs.numbers is not None:
        return outputs.numbers
    if outputs.scores is not None:
        return outputs.scores[:, place]
    return np.asarray(outputs.labels == case.subject.classes[place], dtype=np.float64)


def _judged(case: Case, options: Options, kind: str, broken: Broken, what: str) -> Result:
    """Apply the declared change and count the rows that break the rule, of those that it alters."""
    name = options.text("name") or options.where.removeprefix("tests.")
    change = changes.read(options, "change", case.rows.features)
    most = options.share("max_share", 0.0)
    options.finish()

    def failed(why: str) -> Result:
        return Result(name, kind, FAIL, f"{name}: {why}", maximum=most)

    after = change.applied(case.rows.features)
    touched = np.flatnonzero(change.touched(case.rows.features, after))
    if not len(touched):
        return failed("the change alters no row, so nothing was tested; see its columns and values")
    before = case.outputs.take(touched)
    try:
        outputs = case.predict(after.iloc[touched].reset_index(drop=True))
    except PredictError as error:
        return failed(f"the model cannot predict the changed rows: {error}")
    wrong = broken(before, outputs)
    hits, rows = int(wrong.sum()), len(touched)
    verdict, bounds = share_verdict(hits, rows, most, case.confidence)
    told = of_rows(hits, rows, bounds, case.confidence)
    sentence = (
        f"{name}: the prediction {what} for {told}; {f'at most {percent(most)} may' if most else 'none may'}"
    )
    examples = [
        f"{case.named(int(touched[row]))}: {shown(before, row)}, changed {shown(outputs, row)}"
        for row in np.flatnonzero(wrong)[:5]
    ]
    return Result(name, kind, verdict, sentence, hits / rows, bounds, None, most, rows, examples)
