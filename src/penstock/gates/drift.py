"""The gate `drift`: how many columns of a data set are distributed otherwise than in its reference."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.gates.base import Exhibits, list_option, number_option, result, strict
from penstock.gates.bounds import cut
from penstock.gates.document import DocumentError, Section
from penstock.gates.validation import name_of, rows_of, validation_of
from penstock.plan.model import GateSpec
from penstock.record import Record
from penstock.results import GateResult, Judged, Verdict


class _Column(Record):
    """A column beside that of the reference; it has drifted if that is significant and large enough."""

    name: str
    effect: str
    value: float
    interval: tuple[float, float] | None
    threshold: float
    p_value: float
    drifted: bool

    @property
    def words(self) -> str:
        what = f"{cut(self.name)}: {self.effect} {self.value:.3g}"
        return f"{what} (from {self.threshold:g} on it counts), p = {self.p_value:.3g} after correction"

    @property
    def part(self) -> Judged:
        return Judged(
            label=f"{self.effect} of {self.name}",
            verdict=Verdict.FAIL if self.drifted else Verdict.PASS,
            value=self.value,
            interval=self.interval,
            maximum=self.threshold,
        )


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if at most a share of the columns has drifted, fail if more have.

    Args:
        spec: With the options `data`, `max_share` (0 if absent), `columns` (all if absent) and `min_effect`
            (instead of each column's own threshold).
        exhibits: The validation.
    """
    document = validation_of(spec, exhibits)
    found = document.maybe("drift", document.section)
    if found is None:
        raise document.error("drift", "is null: the data were compared with no reference")
    reference = found.section("reference")
    reference.digest("digest")
    level = 1 - found.number("confidence", minimum=0.5, maximum=1)
    columns = _columns(found, list_option(spec, "columns"), number_option(spec, "min_effect"), level)
    drifted = sorted((each for each in columns if each.drifted), key=lambda each: -each.value)
    share, most = len(drifted) / len(columns), number_option(spec, "max_share") or 0.0
    counts = f"{len(drifted)} of {len(columns)} columns"
    against = f"against {cut(reference.text('path'))}; {most:.3g} of them may"
    return result(
        spec,
        Verdict.PASS if share <= most else Verdict.FAIL,
        f"{name_of(spec)}: {counts} drifted {against}{_first(drifted)}",
        exhibits,
        value=share,
        maximum=most,
        sample_size=rows_of(document),
        parts=tuple(each.part for each in columns),
        details=tuple(each.words for each in drifted),
    )


def _first(drifted: list[_Column]) -> str:
    return f": {', '.join(cut(each.name) for each in drifted[:3])}" if drifted else ""


def _columns(found: Section, wanted: Iterable[str], min_effect: float | None, level: float) -> list[_Column]:
    sections: dict[str, Section] = {}
    for section in found.sections("columns"):
        name = section.text("column")
        if name in sections:
            raise section.error("column", f"is {cut(name)}, which is there twice")
        sections[name] = section
    names = tuple(wanted) or tuple(sections)
    missing = [name for name in names if name not in sections]
    if missing or not names:
        known = ", ".join(cut(each) for each in list(sections)[:10]) or "none"
        raise DocumentError(
            f"{found.path}: no column {cut(missing[0] if missing else '')} was compared (but {known})"
        )
    return [_column(sections[name], min_effect, level) for name in names]


def _column(section: Section, min_effect: float | None, level: float) -> _Column:
    problem = section.maybe("problem", section.text)
    if problem is not None:
        raise section.error("problem", f"keeps {cut(section.text('column'))} from a verdict: {problem}")
    effect = section.section("effect")
    value, threshold = effect.number("value"), effect.number("threshold", minimum=0)
    interval = effect.maybe("interval", effect.interval)
    p_value = section.number("adjusted_p_value", minimum=0, maximum=1)
    if p_value < section.number("p_value", minimum=0, maximum=1):
        raise section.error("adjusted_p_value", "is smaller than the p-value that it corrects")
    drifted, surely = section.flag("drifted"), (interval or (value, value))[0]
    if drifted != (p_value <= level and value >= threshold) and not (surely < threshold <= value):
        raise section.error("drifted", "is not what its p-value and effect say")
    if min_effect is not None:
        threshold, drifted = min_effect, p_value <= level and value >= min_effect
    return _Column(
        name=section.text("column"),
        effect=effect.text("name"),
        value=value,
        interval=interval,
        threshold=threshold,
        p_value=p_value,
        drifted=drifted,
    )
