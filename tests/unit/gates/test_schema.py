from __future__ import annotations

from typing import Any

import pytest

from gate_samples import Document, decide, validation
from penstock.results import GateResult, Verdict

FAILED = {
    "name": "allowed values",
    "column": "Churn",
    "passed": False,
    "failures": 2,
    "examples": [{"row": 3, "value": "maybe"}],
}


def judged(document: object) -> GateResult:
    return decide("schema", document, data="churn")


def test_data_whose_checks_all_hold_pass() -> None:
    result = judged(validation())
    assert result.verdict is Verdict.PASS
    assert result.sample_size == 7043
    assert result.sentence == "churn: all 1 checks hold for 7,043 rows"


def test_a_failed_check_is_named_with_column_count_and_example() -> None:
    result = judged(validation(passed=False, checks=[*validation()["checks"], FAILED]))
    assert result.verdict is Verdict.FAIL
    assert result.details == ('column Churn: allowed values (2 rows), e.g. "maybe" in row 3',)
    assert result.sentence == "churn: 1 of 2 checks fail for 7,043 rows"


def test_ten_lines_of_failed_checks_are_enough() -> None:
    result = judged(validation(passed=False, checks=[FAILED] * 14))
    assert len(result.details) == 10
    assert result.details[-1] == "and 5 more"


GOOD: dict[str, Any] = validation()


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{}", b"[]", b"null", b"NaN", b'{"version": 2}', b'{"passed": true}',
        {**GOOD, "version": 3}, {**GOOD, "version": "2"}, {**GOOD, "version": 2.0}, {**GOOD, "version": True},
        {**GOOD, "passed": "true"}, {**GOOD, "passed": 1}, {**GOOD, "kind": "measures"}, {**GOOD, "kind": None},
        {**GOOD, "passed": None}, {**GOOD, "checks": []}, {**GOOD, "checks": None}, {**GOOD, "checks": {}},
        {**GOOD, "checks": [{}]}, {**GOOD, "checks": [{"passed": 1}]}, {**GOOD, "checks": [True]},
        {**GOOD, "rows": -1}, {**GOOD, "rows": True}, {**GOOD, "rows": "7"}, {**GOOD, "rows": None},
        {**GOOD, "rows": 1.0}, {**GOOD, "rows": 10**400},
        {**GOOD, "passed": False}, {**GOOD, "checks": [FAILED]}, {**GOOD, "data": {"path": "d.csv"}},
        {**GOOD, "data": {"path": "d.csv", "digest": "sha256:12"}}, {**GOOD, "data": None},
        b'{"version": 2, "rows": 1, "passed": false, "passed": true, "checks": [{"passed": true}]}',
    ],
)  # fmt: skip
def test_a_result_that_does_not_say_so_itself_never_passes(document: Document | bytes) -> None:
    result = judged(document)
    assert result.verdict is Verdict.FAIL
    assert "a gate passes only what it can read" in result.sentence
