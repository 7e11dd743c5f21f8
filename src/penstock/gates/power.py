"""What gates could see, before anything is trained: from the measures of an earlier run or of the baseline.

A gate that judges an interval passes a model only if that is so much better than its bound that chance does
not explain it. How much that is follows from the rows and their spread; what is called seen is seen in 80 %
of cases (`POWER`), as is usual where samples are planned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from statistics import NormalDist
from typing import Any

from penstock.gates import fairness, measures
from penstock.gates.base import CONFIDENCE, confidence_of, needed_option, number_option, text_option
from penstock.gates.bounds import Bounds, Case, Number, cut, quantile, writer
from penstock.gates.clearing import Clearing, Spread
from penstock.gates.document import DocumentError, Section, document
from penstock.gates.threshold import CALIBRATION, wanted
from penstock.plan.model import GateSpec
from penstock.record import Record, replace

POWER = 0.8
_OFTEN = "in 4 of 5 cases"
_ENDLESS = 700.0
"""The logarithm of a ratio that is as good as endless, and still a float."""

_NO_SAMPLE = {
    "schema": "it counts what is wrong",
    "freshness": "it looks at the clock",
    "drift": "the columns' own tests are corrected for their number, and judged as they are",
    "latency": "its calls are timed when the model is there",
    "memory": "it judges a number without a sample",
    "model-size": "it judges a number without a sample",
    "model-tests": "its bounds are part of the tests",
    "robustness": "how a model changes under noise is not known before",
    "explainability": "it judges shares of importance as they are",
    "reproducible": "it judges whether things are the same",
    "command": "only the command knows",
}
"""Gates that have no power to speak of, and why."""


class Power(Record):
    """What a gate can see with the rows that there are.

    Attributes:
        name: Of the gate.
        rows: That its number rests on; absent if nothing can be said, and the sentence says why.
        half_width: Of the interval; of a ratio's, on the logarithmic scale.
        detectable: How far beyond its bound the truth must be for the gate to pass in 80 % of cases.
        rows_needed: With which it does so if the truth is the present value (for `no-regression` and
            `fairness`: no difference), or as far from the bound as was asked for.
        hopeless: Whether not even a perfect value passes; for `no-regression` and `fairness`, whether the
            gate passes in fewer than half of all cases where nothing differs.
    """

    gate: str
    name: str
    sentence: str
    rows: int | None = None
    half_width: float | None = None
    detectable: float | None = None
    rows_needed: int | None = None
    hopeless: bool = False


def survey(
    gates: Iterable[GateSpec],
    documents: Mapping[str, bytes],
    *,
    rows: int | None = None,
    difference: float | None = None,
) -> tuple[Power, ...]:
    """What each gate can see.

    Args:
        gates: Of a plan.
        documents: Measures by the path that the gates read: of the last run, or those of the baseline.
        rows: Of the evaluation set that is planned; as many as were measured if absent.
        difference: How much better than its bound (for comparisons: than the baseline) the model is taken to
            be, instead of what was measured.
    """
    return tuple(_survey(spec, documents, rows, difference) for spec in gates)


def hopeless(gates: Iterable[GateSpec], documents: Mapping[str, bytes]) -> tuple[str, ...]:
    """A note for each gate that cannot pass with the rows that there are, for `penstock plan`."""
    words = {"no-regression": "can hardly pass"}  # only a model that happens to look better does
    return tuple(
        f"gate {each.name!r} {words.get(each.gate, 'cannot pass')}: {each.sentence}"
        for each in survey(gates, documents)
        if each.hopeless
    )


def _survey(
    spec: GateSpec, documents: Mapping[str, bytes], rows: int | None, difference: float | None
) -> Power:
    path = spec.reads[0][1] if spec.reads else ""
    why = ""
    if spec.gate not in _KINDS:
        why = f"no power: {_NO_SAMPLE.get(spec.gate, 'it judges no sample')}"
    elif confidence_of(spec) is None:
        why = "no power: a bare number always decides, rightly or not"
    elif path not in documents:
        why = "unknown: there are no measures of an earlier run or of the baseline"
    if why:
        return Power(gate=spec.gate, name=spec.name, sentence=why)
    try:
        measured = measures.checked(document(documents[path], path))
        scale = 1.0 if rows is None else rows / measures.rows_of(measured)
        return _KINDS[spec.gate](spec, measured, scale, difference)
    except DocumentError as error:
        return Power(gate=spec.gate, name=spec.name, sentence=f"unknown: {error}")


# Thresholds


def _threshold(spec: GateSpec, measured: Section, scale: float, difference: float | None) -> Power:
    spread = _spread_of(measured, wanted(spec), scale)
    bounds = ((number_option(spec, "min"), 1), (number_option(spec, "max"), -1))
    found = [_against(spec, spread, bound, sign, difference) for bound, sign in bounds if bound is not None]
    return max(found, key=_urgency)


def _calibration(spec: GateSpec, measured: Section, scale: float, difference: float | None) -> Power:
    bounds = ((metric, number_option(spec, option)) for option, metric in CALIBRATION.items())
    found = [
        _against(spec, _spread_of(measured, wanted(spec, metric), scale), bound, -1, difference)
        for metric, bound in bounds
        if bound is not None
    ]
    return max(found, key=_urgency)


def _against(spec: GateSpec, spread: Spread, bound: float, sign: int, difference: float | None) -> Power:
    """The power against a bound that good values are above (`sign` 1) or below (-1)."""
    test = _clearing(spec, spread, bound)
    truth = spread.value if difference is None else bound + sign * difference
    write = writer(bound, truth)
    kept = f"{'at least' if sign > 0 else 'at most'} {write(bound)}"
    if spread.share:
        best = 1.0 if sign > 0 else 0.0
        least = test.least_rows(best) if (best - bound) * sign >= 0 else None
        if least is None or spread.rows < least:
            takes = f"it takes {least:,}" if least else "no number of rows is enough"
            text = f"with {spread.rows:,} rows not even {best:g} passes: {takes} to show {kept}"
            return _power(spec, test, text, rows_needed=least, hopeless=True)
        detectable = test.detectable(sign, abs(best - bound))
    else:
        detectable = test.detectable(sign)
    needed = test.rows(truth)
    text = f"{spread.rows:,} rows show it to ±{test.half_width:.2g}"
    if detectable is not None:
        text += f"; a true {bound + sign * detectable:.4g} passes {_OFTEN}"
    rows = f"{_about(needed)} rows" if needed else "more rows than there are"
    text += f"; to tell {write(truth)} from {write(bound)} so often takes {rows}"
    return _power(spec, test, text, detectable=detectable, rows_needed=needed)


# Comparisons with a baseline


def _no_regression(spec: GateSpec, measured: Section, scale: float, difference: float | None) -> Power:
    spread, how = _change(spec, measured, scale)
    margin, truth = needed_option(spec, "margin"), difference or 0.0
    test = _clearing(spec, spread, -margin)
    detectable, needed = test.detectable(1), test.rows(truth)
    as_good = "a model that is just as good" if truth == 0 else f"a model that is better by {truth:g}"
    text = f"{spread.rows:,} rows{how} show it to ±{test.half_width:.2g}"
    out_of_reach = margin + truth < test.half_width
    if out_of_reach:
        text += f", so {as_good} passes in fewer than half of all cases"
    rows = f", or with {margin:g} and {_about(needed)} rows" if needed else ""
    least = max((detectable or 0.0) - truth, 0.0)
    text += f"; {as_good} passes {_OFTEN} with a margin of {least:.2g}{rows}"
    return _power(spec, test, text, detectable=detectable, rows_needed=needed, hopeless=out_of_reach)


def _improvement(spec: GateSpec, measured: Section, scale: float, difference: float | None) -> Power:
    spread, how = _change(spec, measured, scale)
    by, truth = needed_option(spec, "by"), spread.value if difference is None else difference
    test = _clearing(spec, spread, by)
    detectable, needed = test.detectable(1), test.rows(truth) if truth > by else None
    text = f"{spread.rows:,} rows{how} show it to ±{test.half_width:.2g}"
    text += f"; a model that is truly better by {by + (detectable or 0.0):.2g} passes {_OFTEN}"
    if needed:
        text += f"; one that is better by {truth:.2g} with {_about(needed)} rows"
    return _power(spec, test, text, detectable=detectable, rows_needed=needed)


def _change(spec: GateSpec, measured: Section, scale: float) -> tuple[Spread, str]:
    """The spread of the gain over the baseline, and what is to be said of the rows.

    Where the document compares with no baseline, the two models are taken to be independent, which makes the
    change look vaguer than rows in pairs will show it.
    """
    number, baseline = wanted(spec), text_option(spec, "baseline") or ""
    unpaired = spec.options.get("unpaired") is True
    try:
        found = measures.comparison(measured, number, baseline, unpaired=unpaired)
        error = _error(found.standard_error, found.number)
    except DocumentError:
        return _independent(measured, number, scale)
    if error == 0:  # the baseline is the model itself, which says nothing of another one
        return _independent(measured, number, scale)
    rows = found.number.rows or 1
    gain = found.number.value if found.better == "higher" else -found.number.value
    deviation = error * math.sqrt(rows)
    spread = Spread(label=found.number.label, value=gain, rows=_scaled(rows, scale), deviation=deviation)
    return spread, ""


def _independent(measured: Section, number: measures.Wanted, scale: float) -> tuple[Spread, str]:
    alone = _spread_of(measured, number, scale)
    # one hit and one miss are added, so that a perfect baseline does not count as one without spread
    likely = (alone.value * alone.rows + 1) / (alone.rows + 2)
    deviation = math.sqrt(2) * alone.deviation_at(likely)
    spread = replace(alone, value=0.0, deviation=deviation, share=False)
    return spread, " (taken as independent; in pairs they show smaller changes)"


# Fairness


def _fairness(spec: GateSpec, measured: Section, scale: float, difference: float | None) -> Power:
    """The power of what is hardest to pass of all that the gate compares."""
    smallest = number_option(spec, "min_group_size") or fairness.MIN_GROUP_SIZE
    planned = replace(spec, options={**spec.options, "min_group_size": math.ceil(smallest / scale)})
    found = []
    for each in fairness.compare(planned, measured):
        if each.small or each.case is None:
            why = f"{cut(each.label)}: a group has fewer than {smallest:g} rows, which leaves the gate open"
            return Power(gate=spec.gate, name=spec.name, sentence=why, hopeless=True)
        spread = _spread_of_case(spec, each.case, each.standard_error, scale)
        bounds = each.case.bounds
        if each.pair:
            found.append(_alike(spec, spread, bounds, ratio=each.case.number.logarithmic))
            continue
        sides = ((bounds.minimum, 1), (bounds.maximum, -1))
        found += [
            _against(spec, spread, bound, sign, difference) for bound, sign in sides if bound is not None
        ]
    return max(found, key=_urgency)


def _alike(spec: GateSpec, spread: Spread, bounds: Bounds, *, ratio: bool) -> Power:
    """The power to see that two groups are alike if they are: the interval must clear a bound on either side.

    Source: two one-sided tests, Schuirmann (1987), J. of Pharmacokinetics and Biopharmaceutics 15:657-680.
    """
    room = bounds.maximum or 0.0
    if ratio:
        room = -math.log(bounds.minimum) if bounds.minimum else math.inf
    spread = replace(spread, value=0.0)
    test = Clearing(spread=spread, bound=-room, z=_z(spec), reach=NormalDist().inv_cdf((1 + POWER) / 2))
    seen, needed = test.detectable(1) or 0.0, test.rows(0.0)
    out_of_reach = room < test.half_width
    factor = math.exp(min(test.half_width, _ENDLESS))
    width = f"a factor of {factor:.3g}" if ratio else f"±{test.half_width:.2g}"
    bound, own = (math.exp(-seen), math.exp(-room)) if ratio else (seen, room)
    rows = f", or with {own:.3g} and {_about(needed)} rows" if needed else ""
    text = f"{spread.rows:,} rows show it to {width}"
    if out_of_reach:
        text += ", which is more than the bound leaves"
    text += f"; groups that are alike pass {_OFTEN} with a bound of {bound:.2g}{rows}"
    return _power(spec, test, text, detectable=seen, rows_needed=needed, hopeless=out_of_reach)


def _spread_of_case(spec: GateSpec, judged: Case, error: float | None, scale: float) -> Spread:
    """The spread of a number; of a ratio, on its own scale."""
    number, rows = judged.number, judged.number.rows or 1
    deviation = _error(error, replace(number, confidence=confidence_of(spec))) * math.sqrt(rows)
    return Spread(label=number.label, value=number.value, rows=_scaled(rows, scale), deviation=deviation)


# Arithmetic


def _spread_of(measured: Section, number: measures.Wanted, scale: float) -> Spread:
    found = measures.measure(measured, replace(number, confidence=None))
    value, rows = found.number.value, found.number.rows or 1
    if found.number.proportion:
        error = math.sqrt(value * (1 - value) / rows)
    else:
        known = found.standard_error
        error = _error(
            known, found.number if known is not None else measures.measure(measured, number).number
        )
    return Spread(
        label=number.label,
        value=value,
        rows=_scaled(rows, scale),
        deviation=error * math.sqrt(rows),
        share=found.number.proportion,
    )


def _error(known: float | None, number: Number) -> float:
    """A standard error; where it is not known, what the interval would have it be.

    Raises:
        DocumentError: There is no interval either, or it is endless.
    """
    if known is not None:
        return known
    low, high = number.ends
    if number.logarithmic:
        low, high = (math.log(each) if each > 0 else -math.inf for each in (low, high))
    if number.interval is None or not math.isfinite(high - low):
        raise DocumentError(f"nothing is known of how much {cut(number.label)} varies")
    return (high - low) / 2 / quantile(number.confidence or CONFIDENCE)


def _clearing(spec: GateSpec, spread: Spread, bound: float) -> Clearing:
    return Clearing(spread=spread, bound=bound, z=_z(spec), reach=NormalDist().inv_cdf(POWER))


def _z(spec: GateSpec) -> float:
    return quantile(confidence_of(spec) or CONFIDENCE)


def _scaled(rows: int, scale: float) -> int:
    return max(round(rows * scale), 1)


def _about(rows: int) -> str:
    digits = max(len(str(rows)) - 3, 0)
    return f"about {round(rows, -digits):,}"


def _power(spec: GateSpec, test: Clearing, text: str, **facts: Any) -> Power:
    return Power(
        gate=spec.gate,
        name=spec.name,
        sentence=f"{cut(test.spread.label)}: {text}",
        rows=test.spread.rows,
        half_width=test.half_width,
        **facts,
    )


def _urgency(power: Power) -> tuple[bool, float]:
    """Hopeless ones last, and before them those that need the most rows."""
    share = math.inf if power.rows_needed is None else power.rows_needed / (power.rows or 1)
    return power.hopeless, share


_KINDS: Mapping[str, Callable[[GateSpec, Section, float, float | None], Power]] = {
    "threshold": _threshold,
    "calibration": _calibration,
    "no-regression": _no_regression,
    "improvement": _improvement,
    "fairness": _fairness,
}
