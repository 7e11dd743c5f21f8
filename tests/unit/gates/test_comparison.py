from __future__ import annotations

from typing import Any

import pytest

from gate_samples import OTHER_DIGEST, Document, baseline, comparison, decide, measures
from penstock.results import FIRST_VERSION, GateResult, Verdict


def against(*entries: Document, kind: str = "no-regression", **options: Any) -> GateResult:
    document = options.pop("document", None) or measures(comparisons=entries)
    options = {"metric": "accuracy", "baseline": "champion", **options}
    return decide(kind, document, **options)


@pytest.mark.parametrize(
    ("interval", "margin", "verdict"),
    [
        ([-0.02, 0.03], 0.02, Verdict.PASS),
        ([-0.020001, 0.03], 0.02, Verdict.INCONCLUSIVE),
        ([-0.05, -0.02], 0.02, Verdict.INCONCLUSIVE),
        ([-0.05, -0.0201], 0.02, Verdict.FAIL),
        ([0.0, 0.0], 0.0, Verdict.PASS),
        ([-0.0, 0.01], 0.0, Verdict.PASS),
        ([-0.01, 0.01], 0.0, Verdict.INCONCLUSIVE),
        ([-0.03, -0.001], 0.0, Verdict.FAIL),
        ([0.01, 0.03], 0.0, Verdict.PASS),
    ],
)
def test_no_regression_means_surely_no_worse_than_the_margin(
    interval: list[float], margin: float, verdict: Verdict
) -> None:
    change = sum(interval) / 2
    result = against(comparison(change, interval), margin=margin)
    assert result.verdict is verdict
    assert (result.value, result.interval, result.minimum) == (change, tuple(interval), -margin)
    lower_is_better = comparison(-change, [-interval[1], -interval[0]], better="lower")
    mirrored = against(lower_is_better, margin=margin)
    assert mirrored.verdict is verdict
    assert (mirrored.minimum, mirrored.maximum) == (None, margin)


@pytest.mark.parametrize(
    ("interval", "by", "verdict"),
    [
        ([0.02, 0.06], 0.02, Verdict.PASS),
        ([0.019, 0.06], 0.02, Verdict.INCONCLUSIVE),
        ([-0.03, 0.02], 0.02, Verdict.INCONCLUSIVE),
        ([-0.03, 0.0199], 0.02, Verdict.FAIL),
        ([0.0, 0.0], 0.0, Verdict.PASS),
        ([-0.02, 0.04], 0.0, Verdict.INCONCLUSIVE),
    ],
)
def test_improvement_means_surely_better_by_so_much(
    interval: list[float], by: float, verdict: Verdict
) -> None:
    change = sum(interval) / 2
    assert against(comparison(change, interval), kind="improvement", by=by).verdict is verdict
    lower_is_better = comparison(-change, [-interval[1], -interval[0]], better="lower")
    mirrored = against(lower_is_better, kind="improvement", by=by)
    assert mirrored.verdict is verdict
    assert str(mirrored.maximum) in (str(-by), "0.0")


def test_the_sentence_says_what_was_compared_with_what() -> None:
    result = against(comparison(0.01, [-0.03, 0.05]), margin=0.02)
    assert result.sentence == (
        "accuracy may be worse than that of champion by more than 0.02: change of accuracy 0.01, 95 % interval "
        "[-0.03, 0.05], leaves open whether it is at least -0.02 (400 rows); about 712 rows would decide"
    )
    assert result.rows_to_decide == 712
    assert result.details == (
        "0.81 here, 0.8 in the baseline",
        "McNemar: 12 rows only this model has right, 8 only the baseline; p = 0.5 (exact)",
    )
    passed = against(comparison(0.05, [0.02, 0.08]), kind="improvement", by=0.01).sentence
    assert passed.startswith("accuracy is better than that of champion by at least 0.01: change of accuracy")


def test_a_baseline_of_other_rows_is_compared_only_if_that_is_allowed() -> None:
    other = baseline(evaluation_set=OTHER_DIGEST, same=False, shared_rows=10)
    refused = comparison(
        0.0, [0, 0], paired=False, change=None, interval=None, method=None, mcnemar=None,
        problem="the baseline was measured on a different evaluation set (10 rows in common of 400)",
    )  # fmt: skip
    allowed = comparison(0.01, [-0.01, 0.03], paired=False, mcnemar=None, method="newcombe")
    document = measures(comparisons=(refused, allowed), baselines=(other,))
    result = against(document=document, margin=0.02)
    assert result.verdict is Verdict.FAIL
    assert "different evaluation set (10 rows in common of 400)" in result.sentence
    result = against(document=document, margin=0.02, unpaired=True)
    assert result.verdict is Verdict.PASS
    assert "compared unpaired" in result.details[1]
    result = against(document=measures(comparisons=(allowed,), baselines=(other,)), margin=0.02)
    assert result.verdict is Verdict.FAIL
    assert "allow it: `unpaired: true`" in result.sentence
    paired = against(comparison(0.01, [-0.01, 0.03]), margin=0.02, unpaired=True)
    assert paired.verdict is Verdict.PASS


def test_no_baseline_is_skipped_only_if_the_policy_allows_a_first_version() -> None:
    for kind in ("no-regression", "improvement"):
        result = against(kind=kind, margin=0.1, by=0.1, baseline_missing=True, first_version="skip")
        assert (result.verdict, result.reason) == (Verdict.SKIP, FIRST_VERSION)
        assert "a first version has nothing to be compared with" in result.sentence
        result = against(kind=kind, margin=0.1, by=0.1, baseline_missing=True, first_version="fail")
        assert (result.verdict, result.reason) == (Verdict.FAIL, None)
        assert "policy: {first_version: skip}" in result.sentence
        assert against(kind=kind, baseline_missing=True).verdict is Verdict.FAIL


def test_a_baseline_that_is_there_but_was_not_compared_is_no_first_version() -> None:
    result = against(document=measures(baselines=()), margin=0.1, first_version="skip")
    assert result.verdict is Verdict.FAIL
    assert "has no baseline champion (it has none)" in result.sentence


@pytest.mark.parametrize(
    ("entry", "base", "said"),
    [
        (comparison(0.0, [-0.01, 0.01], change=0.5), baseline(), "change is 0.5, but"),
        (comparison(0.05, [0.06, 0.07]), baseline(), "does not hold the value"),
        (comparison(0.0, [-0.01, 0.01], better=None), baseline(), "better is null, not a text"),
        (comparison(0.0, [-0.01, 0.01]), baseline(same=False), "same contradicts the digests"),
        (comparison(0.0, [-0.01, 0.01]), baseline(evaluation_set=OTHER_DIGEST), "same contradicts"),
        (
            comparison(0.0, [-0.01, 0.01]),
            baseline(evaluation_set=OTHER_DIGEST, same=False),
            "is false, but a comparison is paired",
        ),
        (comparison(0.0, [-0.01, 0.01]), baseline(digest=None, problem="no such member"), "no such member"),
        (comparison(0.0, [-0.01, 0.01], metric="f1"), baseline(), "it has f1"),
        (comparison(0.0, [-0.01, 0.01], baseline="other"), baseline(), "it has none"),
        (comparison(0.0, [-0.01, 0.01], rows=0), baseline(), "below 1"),
    ],
)
def test_what_contradicts_itself_or_is_not_there_fails(entry: Document, base: Document, said: str) -> None:
    result = against(document=measures(comparisons=(entry,), baselines=(base,)), margin=0.9)
    assert result.verdict is Verdict.FAIL
    assert said in result.sentence


def test_without_confidence_the_change_alone_decides() -> None:
    entry = comparison(-0.01, [-0.5, 0.5])
    assert against(entry, margin=0.01, confidence=None).verdict is Verdict.PASS
    assert against(entry, margin=0.009, confidence=None).verdict is Verdict.FAIL
