"""The gates `no-regression`, `improvement` and `robustness`: a metric against what it was before.

All of them judge the interval of a change. `no-regression` is a test of non-inferiority: "not significantly
worse" is no pass, since too few rows make everything so.
"""

from __future__ import annotations

from penstock.gates import measures
from penstock.gates.base import (
    Exhibits,
    first_version,
    needed_option,
    strict,
    text_option,
    without_baseline,
)
from penstock.gates.bounds import Bounds, case, cut, single, writer
from penstock.gates.threshold import wanted
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

_NO_REGRESSION = {
    Verdict.PASS: "{} is not worse than {} by more than {}",
    Verdict.INCONCLUSIVE: "{} may be worse than {} by more than {}",
    Verdict.FAIL: "{} is worse than {} by more than {}",
}
_IMPROVEMENT = {
    Verdict.PASS: "{} is better than {} by at least {}",
    Verdict.INCONCLUSIVE: "{} may or may not be better than {} by at least {}",
    Verdict.FAIL: "{} is not better than {} by at least {}",
}


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if the whole interval of the change is on the right side of the margin, fail if it is beyond.

    Args:
        spec: `no-regression` with the option `margin`, or `improvement` with `by`; both with `metric`,
            `baseline`, `unpaired`, `confidence`, `column`, `group`, `first_version`, `baseline_missing`.
        exhibits: The measures.
    """
    missing = without_baseline(spec, exhibits)
    if missing is not None:
        return missing
    measured = measures.measures_of(spec, exhibits)
    baseline, unpaired = text_option(spec, "baseline") or "", spec.options.get("unpaired") is True
    absent = measures.absence(measured, baseline)
    if absent is not None:
        return first_version(spec, exhibits, absent)
    change = measures.comparison(measured, wanted(spec), baseline, unpaired=unpaired)
    improvement = spec.gate == "improvement"
    least = needed_option(spec, "by") if improvement else -needed_option(spec, "margin")
    judged = case(change.number, gain(least, change.better))
    write = writer(change.value, change.baseline_value)
    heads = _IMPROVEMENT if improvement else _NO_REGRESSION
    head = heads[judged.verdict].format(wanted(spec).label, f"that of {cut(baseline)}", f"{abs(least):g}")
    details = [f"{write(change.value)} here, {write(change.baseline_value)} in the baseline"]
    if not change.paired:
        details.append(
            "compared unpaired: the baseline was measured on other rows, which widens the interval"
        )
    if change.mcnemar:
        details.append(change.mcnemar)
    return single(spec, exhibits, judged, sentence=f"{head}: {judged.words}", details=details)


def gain(least: float, better: str) -> Bounds:
    """The bounds of a change that is a gain of at least so much; a loss is allowed by a negative one."""
    return Bounds(minimum=least + 0.0) if better == "higher" else Bounds(maximum=0.0 - least)
