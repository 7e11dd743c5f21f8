"""Tests of the answers themselves: are they there, do they mean something, do they differ?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .asking import Case
from .judging import FAIL, PASS, Result, counted, of_rows, percent, share_verdict
from .measuring import SUM_TOLERANCE
from .options import Options

Mask = NDArray[np.bool_]


def smoke(case: Case) -> Result:
    """It got here, so the model was loaded and answered."""
    sentence = f"the model was loaded and predicted {counted(len(case.rows))}"
    return Result("smoke", "smoke", PASS, sentence, rows=len(case.rows))


def validity(case: Case, options: Options) -> Result:
    """Every answer is there, finite, within its range, of a known class; probabilities are such.

    Args:
        case: The model's answers.
        options: `min`, `max` (of numbers), `classes`.
    """
    (low, high), classes = options.bounds(), options.names("classes")
    options.finish()
    if case.subject.classes and (low is not None or high is not None):
        raise options.wrong("min" if low is not None else "max", "means nothing for classes")
    if not case.subject.classes and classes is not None:
        raise options.wrong("classes", "means nothing for numbers")
    faults = list(
        _number_faults(case, low, high) if not case.subject.classes else _class_faults(case, classes)
    )
    faults = [(what, wrong) for what, wrong in faults if wrong.any()]
    rows = len(case.rows)
    bad = np.any([wrong for _, wrong in faults], axis=0).sum() if faults else 0
    examples = [
        f"{case.named(int(row))}: {what}" for what, wrong in faults for row in np.flatnonzero(wrong)[:2]
    ]
    if faults:
        told = "; ".join(f"{what} in {counted(int(wrong.sum()))}" for what, wrong in faults)
        sentence = f"of {counted(rows)}: {told}"
    else:
        sentence = f"all {counted(rows)} have {_fine(case)}"
    verdict = FAIL if faults else PASS
    return Result(
        "validity", "validity", verdict, sentence, float(bad) / rows, None, None, 0.0, rows, examples
    )


def _fine(case: Case) -> str:
    if not case.subject.classes:
        return "a finite number within its range"
    return "a known class" + (" and probabilities that are such" if case.outputs.scores is not None else "")


def _number_faults(case: Case, low: float | None, high: float | None) -> Iterator[tuple[str, Mask]]:
    numbers = case.outputs.numbers
    assert numbers is not None
    faults: dict[str, Mask] = {
        "the prediction is missing or NaN": np.isnan(numbers),
        "the prediction is infinite": np.isinf(numbers),
    }
    if low is not None:
        faults[f"the prediction is below {low:g}"] = numbers < low
    if high is not None:
        faults[f"the prediction is above {high:g}"] = numbers > high
    yield from faults.items()


def _class_faults(case: Case, classes: list[str] | None) -> Iterator[tuple[str, Mask]]:
    labels, scores = case.outputs.labels, case.outputs.scores
    assert labels is not None
    missing = np.array([label is None for label in labels])
    yield "there is no prediction", missing
    known = set(classes) if classes is not None else _known(case)
    strange = np.array([label not in known for label in labels]) & ~missing
    first = next(iter(labels[strange]), "")
    yield f"the class is none of {', '.join(sorted(known))} (such as {first!r})", strange
    if scores is not None:
        yield "a probability is NaN", np.asarray(np.isnan(scores).any(axis=1))
        yield "a probability is outside of 0 to 1", np.asarray(((scores < 0) | (scores > 1)).any(axis=1))
        yield "the probabilities do not add up to 1", np.abs(scores.sum(axis=1) - 1) > SUM_TOLERANCE


def _known(case: Case) -> set[str]:
    """The classes that the model knows, or else those that the truth has."""
    if case.answer_classes or case.truth is None:
        return set(case.subject.classes)
    return set(case.truth.tolist())


def collapse(case: Case, options: Options) -> Result:
    """No class (or number) is the answer for more than a share of the rows, let alone for all of them.

    Args:
        case: The model's answers.
        options: `max_share`.
    """
    most = options.share("max_share", 0.99)
    options.finish()
    answers: Any = case.outputs.labels if case.subject.classes else case.outputs.numbers
    texts = [str(answer) for answer in answers]
    values, counts = np.unique(texts, return_counts=True)
    top = int(np.argmax(counts))
    verdict, bounds = share_verdict(int(counts[top]), len(texts), most, case.confidence)
    if len(values) == 1 and len(texts) > 1 and most < 1:
        verdict = FAIL  # too few rows to decide a share are enough to see this
    told = of_rows(int(counts[top]), len(texts), bounds, case.confidence)
    sentence = (
        f"the most frequent prediction, {values[top]}, is that of {told}; at most {percent(most)} may have it"
    )
    return Result(
        "collapse",
        "collapse",
        verdict,
        sentence,
        float(counts[top]) / len(texts),
        bounds,
        None,
        most,
        len(texts),
        [
            f"{value}: {counted(int(count))}"
            for value, count in sorted(zip(values, counts, strict=True), key=lambda item: -item[1])
        ],
    )
