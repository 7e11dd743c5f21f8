"""The gate `explainability`: what a model's predictions rest on, by permutation importance."""

from __future__ import annotations

from penstock.gates.base import Exhibits, list_option, number_option, result, strict
from penstock.gates.bounds import Bounds, Case, Number, case, cut
from penstock.gates.document import Section
from penstock.gates.measures import differ
from penstock.gates.model_tests import model_tests_of
from penstock.plan.model import GateSpec
from penstock.record import Record
from penstock.results import GateResult, Judged, Verdict


class _Feature(Record):
    """A column that the model gets: what shuffling it costs, and its share of all that is lost so."""

    name: str
    value: float
    interval: tuple[float, float] | None
    share: float


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if importance was measured, no feature has too much of it and no forbidden one has any.

    Args:
        spec: With the options `max_share`, `forbidden` and `min_features`, all of them optional.
        exhibits: The document of model tests.
    """
    document = model_tests_of(spec, exhibits)
    importance = document.maybe("importance", document.section)
    if importance is None:
        raise document.error("importance", "is null: ask the stage for it with `importance: true`")
    features = _features(importance)
    largest = max(features, key=lambda each: each.share)
    most = number_option(spec, "max_share")
    number = Number(label=f"share of {largest.name}", value=largest.share, exact=True)
    judged = case(number, Bounds(maximum=most))
    reasons = [] if judged.verdict is Verdict.PASS else [judged.words]
    reasons += [_forbidden(each) for each in features if _used(each, spec)]
    mattering, least = sum(each.value > 0 for each in features), number_option(spec, "min_features")
    if least is not None and mattering < least:
        reasons.append(f"only {mattering:,} features matter, {least:g} at least must")
    method = f"{importance.text('method')}, {importance.count('repeats', minimum=1):,} repeats"
    what = f"largest of {len(features):,} features: {cut(largest.name)}, {100 * largest.share:.3g} %"
    return result(
        spec,
        Verdict.FAIL if reasons else Verdict.PASS,
        reasons[0] if reasons else f"{what} of the importance",
        exhibits,
        parts=tuple(_part(each, spec, most) for each in features),
        details=(*reasons[1:], f"importance for {cut(importance.text('metric'))}, by {method}"),
        **_facts(judged, most, reasons),
    )


def _facts(judged: Case, most: float | None, reasons: list[str]) -> dict[str, object]:
    """The largest share beside its bound, unless something else is what fails."""
    elsewhere = bool(reasons) and judged.verdict is Verdict.PASS
    return {} if most is None or elsewhere else {"value": judged.number.value, "maximum": most}


def _features(importance: Section) -> list[_Feature]:
    found: dict[str, _Feature] = {}
    sections = importance.sections("features")
    for section in sections:
        name, value = section.text("feature"), section.number("value")
        if name in found:
            raise section.error("feature", f"is {cut(name)}, which is there twice")
        share = section.maybe("share", lambda key, at=section: at.number(key, minimum=0, maximum=1))  # type: ignore[misc]
        interval = section.maybe("interval", section.interval)
        found[name] = _Feature(name=name, value=value, interval=interval, share=share or 0.0)
    total = sum(max(each.value, 0.0) for each in found.values())
    if total <= 0:
        raise importance.error("features", "matter nothing, none of them: what the model rests on is unknown")
    for section, feature in zip(sections, found.values(), strict=True):
        if differ(feature.share, max(feature.value, 0.0) / total):
            raise section.error("share", f"is {feature.share:g}, which is not its part of all the importance")
    return list(found.values())


def _used(feature: _Feature, spec: GateSpec) -> bool:
    """Whether a forbidden feature matters: with shuffled values, the model does not do exactly as before."""
    return feature.name in list_option(spec, "forbidden") and feature.value != 0


def _forbidden(feature: _Feature) -> str:
    return f"{cut(feature.name)} is forbidden, but shuffling it changes the metric by {-feature.value:.4g}"


def _part(feature: _Feature, spec: GateSpec, most: float | None) -> Judged:
    fails = _used(feature, spec) or (most is not None and feature.share > most)
    return Judged(
        label=f"share of {feature.name}",
        verdict=Verdict.FAIL if fails else Verdict.PASS,
        value=feature.share,
        maximum=most,
    )
