"""The gate `security`: whole scans that found nothing worse than the pipeline file lets through."""

from __future__ import annotations

from typing import Any

import pytest

from gate_samples import Document, decide, security, security_finding
from penstock.results import GateResult, Verdict

SEVERITIES = ("info", "low", "medium", "high", "critical")


def judged(document: Document, **options: Any) -> GateResult:
    return decide("security", document, **options)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("allowed", ["none", *SEVERITIES])
def test_nothing_worse_than_is_allowed_passes(severity: str, allowed: str) -> None:
    found = judged(security(security_finding("pins", severity)), max_severity=allowed)
    order = ("none", *SEVERITIES)
    expected = Verdict.PASS if order.index(severity) <= order.index(allowed) else Verdict.FAIL
    assert found.verdict is expected


def test_medium_is_allowed_where_nothing_is_said() -> None:
    for severity, expected in (("medium", Verdict.PASS), ("high", Verdict.FAIL)):
        document = security(security_finding("secrets", severity))
        assert judged(document).verdict is expected
        assert judged(document, max_severity={"pins": "none"}).verdict is expected


def test_each_check_is_held_to_its_own_severity() -> None:
    document = security(security_finding("code", "high"), security_finding("pins", "low"))
    assert judged(document, max_severity={"code": "high", "pins": "low"}).verdict is Verdict.PASS
    found = judged(document, max_severity={"code": "high", "pins": "none"})
    assert found.verdict is Verdict.FAIL
    assert [(part.label, part.verdict) for part in found.parts if part.verdict is Verdict.FAIL] == [
        ("pins", Verdict.FAIL)
    ]


def test_the_sentence_names_the_worst_finding_and_the_details_the_others() -> None:
    document = security(
        security_finding("secrets", "critical", path="conf/.env", line=7, message="a token of GitHub"),
        security_finding("pickles", "high", path="a.pkl", line=None, message="a pickle"),
    )
    found = judged(document)
    assert found.sentence == (
        "2 findings are worse than the gate lets through;"
        " conf/.env:7: critical: a token of GitHub [abababababababababababab]"
    )
    assert found.details == ("a.pkl: high: a pickle [abababababababababababab]",)


def test_what_is_accepted_passes_and_is_counted() -> None:
    assert judged(security()).sentence == (
        "5 checks found nothing worse than may be left (1 that are not worse, 1 accepted)"
    )


def test_a_check_that_was_not_whole_fails_however_little_it_found() -> None:
    document = security(security_finding("code", "info"))
    document["checks"][1]["problems"] = ["17 of 17 packages could not be audited: a 1"]
    found = judged(document, max_severity="critical")
    assert found.verdict is Verdict.FAIL
    assert found.sentence == "not whole: vulnerabilities: 17 of 17 packages could not be audited: a 1"


def test_an_entry_of_the_baseline_that_is_over_fails_with_its_line() -> None:
    problem = "security.yaml:4: what was accepted until 2026-11-20 is over: mend it, or decide anew"
    document = security()
    document["baseline"]["problems"] = [problem]
    found = judged(document, max_severity="critical")
    assert found.verdict is Verdict.FAIL
    assert problem in found.sentence


def test_a_finding_that_was_accepted_for_less_time_fails() -> None:
    accepted = {"reason": "x", "expires": "2026-11-20"}
    found = judged(security(security_finding("code", "low", accepted=accepted)))
    assert found.verdict is Verdict.FAIL
    assert "is before 2026-11-21" in found.sentence


@pytest.mark.parametrize("change", [{"high": 1}, {"low": 0}, {"critical": 3}])
def test_counts_that_the_findings_contradict_fail(change: dict[str, int]) -> None:
    document = security()
    document["checks"][2]["counts"]["open"] |= change
    assert judged(document, max_severity="critical").verdict is Verdict.FAIL


def test_findings_that_are_not_listed_count() -> None:
    document = security(left_out=3)
    document["checks"][0]["counts"]["open"]["critical"] = 3
    assert judged(document).verdict is Verdict.FAIL
    assert judged(document, max_severity="critical").verdict is Verdict.PASS
    document["left_out"] = 2
    assert "left_out" in judged(document, max_severity="critical").sentence


def test_no_check_at_all_fails() -> None:
    assert judged(security(checks=[], findings=[])).verdict is Verdict.FAIL


def test_hostile_text_stays_in_one_line() -> None:
    document = security(security_finding("code", "critical", path="a\nb" * 300, message="x\n" * 300))
    found = judged(document)
    assert "\n" not in found.sentence
    assert len(found.sentence) < 1000
