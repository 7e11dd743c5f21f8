"""The gate `freshness`: how old the newest row of a data set is. The only gate that looks at the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from penstock.gates.base import Exhibits, needed_option, result, strict
from penstock.gates.bounds import cut
from penstock.gates.document import Section
from penstock.gates.validation import name_of, rows_of, validation_of
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

_DAY_S = 86_400
_AHEAD_S = _DAY_S  # a date without a zone can be that far ahead of UTC
_UNITS = ((_DAY_S, "d"), (3_600, "h"), (60, "min"))


def judge(spec: GateSpec, exhibits: Exhibits, clock: Callable[[], float] = time.time) -> GateResult:
    """Pass if the newest value is no older than the limit.

    Args:
        spec: With the options `data` and `max_age`, in seconds.
        exhibits: The validation, which names the newest value.
        clock: Seconds since 1970.
    """
    return strict(lambda spec, exhibits: _judge(spec, exhibits, clock()))(spec, exhibits)


def _judge(spec: GateSpec, exhibits: Exhibits, now: float) -> GateResult:
    document = validation_of(spec, exhibits)
    newest = document.maybe("newest", document.section)
    if newest is None:
        raise document.error("newest", "is null: the schema file names no column whose newest value counts")
    column, text = newest.text("column"), newest.text("value")
    limit = needed_option(spec, "max_age")
    age = now - _moment(newest, text)
    what = f"{name_of(spec)}: the newest {cut(column)}, {text},"
    if age < -_AHEAD_S:
        sentence = f"{what} lies {_duration(-age)} ahead of now, so it says nothing of how old the data are"
        return result(spec, Verdict.FAIL, sentence, exhibits)
    age = max(age, 0.0)
    passed = age <= limit
    return result(
        spec,
        Verdict.PASS if passed else Verdict.FAIL,
        f"{what} is {_duration(age)} old, {'at most' if passed else 'more than'} {_duration(limit)}",
        exhibits,
        value=round(age),
        maximum=limit,
        sample_size=rows_of(document),
    )


def _moment(newest: Section, text: str) -> float:
    from datetime import datetime, timedelta

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise newest.error("value", f"is {cut(text)}, no moment in ISO 8601") from None
    if moment.utcoffset() != timedelta(0):
        raise newest.error("value", f"is {cut(text)}, which does not say that it is UTC")
    return moment.timestamp()


def _duration(seconds: float) -> str:
    """`3 d 4 h`, `5 min`, `12 s`: the two largest units."""
    left, parts = round(seconds), []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size:,} {unit}")
            left %= size
    if not parts or left:
        parts.append(f"{left} s")
    return " ".join(parts[:2])
