"""The gates `threshold` and `calibration`: metrics against bounds, both inclusive.

From the measures that `uses: measure` computed, the whole interval must lie within. A file of metrics is a
JSON object of bare numbers, nested as one likes; `holdout.roc_auc` names a nested one (a key that holds the
dot itself is found first). Such a number has no interval, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.gates import measures
from penstock.gates.base import (
    Exhibits,
    confidence_of,
    exhibit,
    number_option,
    result,
    strict,
    text_option,
)
from penstock.gates.bounds import Bounds, Case, Number, case, several, single
from penstock.gates.document import DocumentError, Section, document
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

CALIBRATION = {"max_ece": "expected_calibration_error", "max_brier": "brier_score"}
"""Options of the gate `calibration` → the metrics that they bound."""

_ROWS = ("rows", "n", "samples", "support")
_OTHER_KINDS = ("validation", "model-tests", "benchmark", "reproducibility", "command")


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if every interval is within its bounds, fail if one is beyond one of them.

    Args:
        spec: `threshold` with the options `metric`, `min`, `max` or both, and `confidence`, `column` and
            `group`; `calibration` with `max_ece`, `max_brier` or both, and `confidence`.
        exhibits: The measures; for `threshold` also a file of metrics.
    """
    if spec.gate == "calibration":
        return _calibration(spec, exhibits)
    found = exhibit(spec, exhibits)
    content = document(found.content, found.path)
    bounds = Bounds(minimum=number_option(spec, "min"), maximum=number_option(spec, "max"))
    kind = content.values.get("kind")
    if kind == measures.KIND or isinstance(content.values.get("measures"), list):
        measured = measures.checked(content)
        judged = case(measures.measure(measured, wanted(spec)).number, bounds)
        return single(spec, exhibits, judged, details=_in_all(measured, judged))
    if kind in _OTHER_KINDS and "version" in content.values:
        raise DocumentError(f"{found.path} is a document of the kind {kind!r}, not of metrics")
    metric = text_option(spec, "metric") or ""
    number = Number(label=metric, value=_bare_number(content, metric), rows=_rows(content.values))
    return single(spec, exhibits, case(number, bounds))


def wanted(spec: GateSpec, metric: str | None = None) -> measures.Wanted:
    """The number of the measures that a gate judges.

    Args:
        metric: Instead of the gate's option.
    """
    return measures.Wanted(
        metric=metric or text_option(spec, "metric") or "",
        column=text_option(spec, "column"),
        group=text_option(spec, "group"),
        confidence=confidence_of(spec),
    )


def _calibration(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    measured = measures.measures_of(spec, exhibits)
    cases = []
    for option, metric in CALIBRATION.items():
        maximum = number_option(spec, option)
        if maximum is not None:
            number = measures.measure(measured, wanted(spec, metric)).number
            cases.append(case(number, Bounds(maximum=maximum)))
    if not cases:
        return result(spec, Verdict.FAIL, "neither `max_ece` nor `max_brier` is given", exhibits)
    return several(spec, exhibits, cases)


def _in_all(measured: Section, judged: Case) -> tuple[str, ...]:
    """What the rows that would decide mean for the whole table, where a number rests on some of it."""
    rows, whole, needed = judged.number.rows, measures.rows_of(measured), judged.rows_to_decide
    if needed is None or rows is None or rows == whole:
        return ()
    return (
        f"it rests on {rows:,} of {whole:,} rows; {needed:,} mean about {needed * whole // rows:,} in all",
    )


def _bare_number(metrics: Section, name: str) -> float:
    section, key = _look_up(metrics, name)
    if section is None:
        known = ", ".join(sorted(map(str, metrics.values))[:10]) or "nothing"
        raise DocumentError(f"{metrics.path} has no metric {name!r} (it has {known})")
    return section.number(key)


def _look_up(section: Section, name: str) -> tuple[Section | None, str]:
    if name in section.values:
        return section, name
    head, _, rest = name.partition(".")
    inner = isinstance(section.values.get(head), dict)
    return _look_up(section.section(head), rest) if rest and inner else (None, name)


def _rows(metrics: Mapping[str, object]) -> int | None:
    for name in _ROWS:
        value = metrics.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None
