from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.digest import of_bytes
from penstock.gates.base import Exhibit
from penstock.gates.schema import judge
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

GOOD: dict[str, Any] = {
    "version": 1,
    "rows": 7043,
    "passed": True,
    "checks": [{"name": "type integer", "column": "tenure", "passed": True, "failures": 0, "examples": []}],
}
FAILED = {
    "name": "allowed values",
    "column": "Churn",
    "passed": False,
    "failures": 2,
    "examples": [{"row": 3, "value": "maybe"}],
}


def decide(document: object) -> GateResult:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    spec = GateSpec(gate="schema", name="churn-schema", options={"data": "churn"})
    return judge(spec, {"v.json": Exhibit("v.json", data, of_bytes(data))})


def test_data_whose_checks_all_hold_pass() -> None:
    result = decide(GOOD)
    assert result.verdict is Verdict.PASS
    assert result.sample_size == 7043
    assert result.sentence == "churn: all 1 checks hold for 7,043 rows"


def test_a_failed_check_is_named_with_column_count_and_example() -> None:
    result = decide({**GOOD, "passed": False, "checks": [*GOOD["checks"], FAILED]})
    assert result.verdict is Verdict.FAIL
    assert result.details == ("column Churn: allowed values (2 rows), e.g. 'maybe' in row 3",)


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{}", b"[]", b"null", b"NaN", b'{"version": 1}', b'{"passed": true}',
        {**GOOD, "version": 2}, {**GOOD, "version": "1"}, {**GOOD, "passed": "true"}, {**GOOD, "passed": 1},
        {**GOOD, "passed": None}, {**GOOD, "checks": []}, {**GOOD, "checks": None}, {**GOOD, "checks": {}},
        {**GOOD, "checks": [{}]}, {**GOOD, "checks": [{"passed": 1}]}, {**GOOD, "checks": [True]},
        {**GOOD, "rows": -1}, {**GOOD, "rows": True}, {**GOOD, "rows": "7"}, {**GOOD, "rows": None},
        {**GOOD, "passed": False}, {**GOOD, "checks": [FAILED]},
        b'{"version": 1, "rows": 1, "passed": false, "passed": true, "checks": [{"passed": true}]}',
    ],
)  # fmt: skip
def test_a_result_that_does_not_say_so_itself_never_passes(document: object) -> None:
    result = decide(document)
    assert result.verdict is Verdict.FAIL
    assert "not validated" in result.sentence
