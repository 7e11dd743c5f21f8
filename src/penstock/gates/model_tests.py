"""The gates `model-tests` and `robustness`: what `uses: model-tests` found out about a model.

The bounds of the tests are part of the tests, so the stage has judged them; the gate trusts no verdict that
its own numbers contradict. How much a metric may fall under noise is the gate's to say.
"""

from __future__ import annotations

from penstock.gates.base import Exhibits, evidence, list_option, needed_option, result, strict
from penstock.gates.bounds import Case, case, cut, several
from penstock.gates.comparison import gain
from penstock.gates.document import DocumentError, Section
from penstock.gates.measures import change
from penstock.gates.performance import check_model
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Judged, Verdict

_VERDICTS = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
_EXAMPLES = 3


@strict
def judge(spec: GateSpec, exhibits: Exhibits) -> GateResult:
    """Pass if every test passed, or the metric surely falls by no more than it may.

    Args:
        spec: `model-tests`, or `robustness` with the options `max_drop` and `names` (all if absent).
        exhibits: The document of model tests.
    """
    document = model_tests_of(spec, exhibits)
    return (_robustness if spec.gate == "robustness" else _tests)(spec, exhibits, document)


def model_tests_of(spec: GateSpec, exhibits: Exhibits) -> Section:
    """The document that a gate about a model judges.

    Raises:
        DocumentError: It is none, or does not say which model it is about.
    """
    document = evidence(spec, exhibits, "model-tests")
    check_model(document)
    return document


def _tests(spec: GateSpec, exhibits: Exhibits, document: Section) -> GateResult:
    tests = document.sections("tests")
    if not tests:
        raise document.error("tests", "is empty, so nothing was tested")
    parts = [_part(each) for each in tests]
    verdict = min((each.verdict for each in parts), key=_VERDICTS.index)
    telling = [
        each for each, part in zip(tests, parts, strict=True) if part.verdict is verdict is not Verdict.PASS
    ]
    words = {Verdict.FAIL: "fail", Verdict.INCONCLUSIVE: "are inconclusive"}
    sentence = f"all {len(tests)} tests pass"
    if telling:
        sentence = f"{len(telling)} of {len(tests)} tests {words[verdict]}: {_words(telling[0])}"
    examples = [f"e.g. {cut(each)}" for test in telling[:1] for each in test.texts("examples")[:_EXAMPLES]]
    warnings = document.texts("warnings")
    return result(
        spec,
        verdict,
        sentence,
        exhibits,
        parts=tuple(parts),
        sample_size=document.count("rows"),
        details=(*examples, *(_words(each) for each in telling[1:]), *warnings),
    )


def _part(test: Section) -> Judged:
    """A test's verdict, if its own numbers allow it."""
    test.text("sentence")
    test.texts("examples")
    verdict = Verdict(test.choice("verdict", *_VERDICTS))
    value, interval = test.maybe("value", test.number), test.maybe("interval", test.interval)
    minimum, maximum = test.maybe("minimum", test.number), test.maybe("maximum", test.number)
    if verdict is Verdict.PASS and value is not None:
        low = float("-inf") if minimum is None else minimum
        high = float("inf") if maximum is None else maximum
        if not low <= value <= high:
            raise test.error("verdict", f"is pass, but the value {value:g} is beyond its bound")
    return Judged(
        label=test.text("name"),
        verdict=verdict,
        value=value,
        interval=interval,
        minimum=minimum,
        maximum=maximum,
        sample_size=test.maybe("rows", test.count),
    )


def _words(test: Section) -> str:
    return f"{cut(test.text('name'))}: {test.text('sentence')}"


def _robustness(spec: GateSpec, exhibits: Exhibits, document: Section) -> GateResult:
    entries: dict[str, list[Section]] = {}
    for each in document.sections("robustness"):
        entries.setdefault(each.text("name"), []).append(each)
    names = list_option(spec, "names") or tuple(entries)
    missing = [name for name in names if name not in entries]
    if missing or not names:
        known = ", ".join(map(cut, entries)) or "none"
        raise DocumentError(f"{document.path}: no noise {cut(', '.join(missing))} was tried (but {known})")
    most = needed_option(spec, "max_drop")
    cases = [_drop(entry, most) for name in names for entry in entries[name]]
    return several(spec, exhibits, cases, details=document.texts("warnings"))


def _drop(entry: Section, most: float) -> Case:
    metric = entry.maybe("metric", entry.text) or "the metric"
    label = f"change of {metric} under {entry.text('name')}"
    confidence = entry.maybe("confidence", entry.number)
    number = change(entry, label, "perturbed_value", "value", confidence)
    return case(number, gain(-most, entry.choice("better", "higher", "lower")))
