"""The gate `threshold`: a metric in a metrics file against bounds.

A metrics file is a JSON object of numbers, nested as one likes; `holdout.roc_auc` names a nested one (a key
that holds the dot itself is found first). The number is a point estimate: it has no interval, and the
verdict says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from penstock.gates.base import Exhibit, result
from penstock.gates.document import DocumentError, parse
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

_ABSENT = object()
_ROWS = ("rows", "n", "samples", "support")


def judge(spec: GateSpec, exhibits: Mapping[str, Exhibit]) -> GateResult:
    """Pass if the metric is within the bounds, both inclusive; fail if it is not, or is no number.

    Args:
        spec: With the options `metric`, and `min`, `max` or both.
        exhibits: The metrics file.
    """
    exhibit = next(iter(exhibits.values()))
    metric = str(spec.options["metric"])
    minimum, maximum = _bound(spec, "min"), _bound(spec, "max")
    try:
        document = parse(exhibit.content, exhibit.path)
        value = _number(document, metric, exhibit.path)
    except DocumentError as error:
        return result(
            spec, Verdict.FAIL, f"{error}; only a number can pass", exhibits, minimum=minimum, maximum=maximum
        )
    verdict, sentence = _compare(metric, value, minimum, maximum)
    return result(
        spec,
        verdict,
        sentence,
        exhibits,
        value=value,
        minimum=minimum,
        maximum=maximum,
        sample_size=_rows(document),
        details=("point estimate, no interval",),
    )


def _compare(metric: str, value: float, minimum: float | None, maximum: float | None) -> tuple[Verdict, str]:
    if minimum is not None and value < minimum:
        return Verdict.FAIL, f"{metric} {value:g} is below the minimum {minimum:g}"
    if maximum is not None and value > maximum:
        return Verdict.FAIL, f"{metric} {value:g} is above the maximum {maximum:g}"
    bounds = " and ".join(
        text
        for bound, text in ((minimum, f"at least {minimum}"), (maximum, f"at most {maximum}"))
        if bound is not None
    )
    return Verdict.PASS, f"{metric} {value:g} is {bounds}"


def _bound(spec: GateSpec, name: str) -> float | None:
    value = spec.options.get(name)
    return None if value is None else float(cast("float", value))


def _number(document: object, metric: str, path: str) -> float:
    if not isinstance(document, dict):
        raise DocumentError(f"{path} holds no JSON object")
    value = _look_up(document, metric)
    if value is _ABSENT:
        known = ", ".join(sorted(map(str, document))[:10]) or "nothing"
        raise DocumentError(f"{path} has no metric {metric!r} (it has {known})")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DocumentError(f"{path}: {metric} is {_shown(value)}, not a number")
    try:
        return float(value)
    except OverflowError:
        raise DocumentError(f"{path}: {metric} is too large for a number") from None


def _look_up(document: dict[str, object], metric: str) -> object:
    if metric in document:
        return document[metric]
    head, _, rest = metric.partition(".")
    inner = document.get(head)
    return _look_up(inner, rest) if rest and isinstance(inner, dict) else _ABSENT


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."  # noqa: PLR2004 - one line of a message


def _rows(document: object) -> int | None:
    if isinstance(document, dict):
        for name in _ROWS:
            value = document.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return None
