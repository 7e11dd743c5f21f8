from __future__ import annotations

import json
from typing import Any

import pytest

from gate_samples import Document, decide, drift, drifting, validation
from penstock.digest import of_bytes
from penstock.gates.base import Exhibit
from penstock.gates.freshness import judge
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict

NOW = 1_795_262_400.0  # 2026-11-21T12:00:00Z


def fresh(newest: object, max_age: float = 86_400.0) -> GateResult:
    content = json.dumps(validation(newest=newest)).encode()
    spec = GateSpec(
        gate="freshness",
        name="f",
        reads=(("v", "v.json"),),
        options={"data": "churn", "max_age": max_age},
    )
    return judge(spec, {"v.json": Exhibit("v.json", content, of_bytes(content))}, clock=lambda: NOW)


@pytest.mark.parametrize(
    ("moment", "verdict", "age"),
    [
        ("2026-11-20T12:00:00Z", Verdict.PASS, 86_400),
        ("2026-11-20T11:59:59Z", Verdict.FAIL, 86_401),
        ("2026-11-21T12:00:00+00:00", Verdict.PASS, 0),
        ("2026-11-22T00:00:00Z", Verdict.PASS, 0),  # a date of a zone ahead of UTC
        ("2026-11-22T12:00:01Z", Verdict.FAIL, None),
        ("1970-01-01T00:00:00Z", Verdict.FAIL, 1_795_262_400),
    ],
)
def test_the_age_of_the_newest_value_counts_at_the_moment_of_the_verdict(
    moment: str, verdict: Verdict, age: float | None
) -> None:
    result = fresh({"column": "day", "value": moment})
    assert result.verdict is verdict
    assert result.value == age


def test_freshness_is_said_in_days_and_hours() -> None:
    result = fresh({"column": "day", "value": "2026-11-18T08:30:00Z"})
    assert result.sentence == ("churn: the newest day, 2026-11-18T08:30:00Z, is 3 d 3 h old, more than 1 d")
    assert "5 min old, at most 30 s" not in result.sentence
    assert "ahead of now" in fresh({"column": "day", "value": "2030-01-01T00:00:00Z"}).sentence


@pytest.mark.parametrize(
    "newest",
    [
        None, {}, {"column": "day"}, {"value": "2026-11-21T00:00:00Z"}, {"column": "day", "value": None},
        {"column": "day", "value": "yesterday"}, {"column": "day", "value": "2026-11-21T00:00:00"},
        {"column": "day", "value": "2026-11-21T00:00:00+02:00"}, {"column": "day", "value": 1_795_262_400},
        {"column": "day", "value": "2026-13-21T00:00:00Z"}, {"column": "", "value": "2026-11-21T00:00:00Z"},
        {"column": "day", "value": "9999-99-99T99:99:99Z"}, [], "2026-11-21T00:00:00Z",
    ],
)  # fmt: skip
def test_without_a_moment_in_utc_nothing_is_fresh(newest: object) -> None:
    assert fresh(newest).verdict is Verdict.FAIL


def drifted(*columns: Document, **options: Any) -> GateResult:
    return decide("drift", validation(drift=drift(*columns)), **{"data": "churn", **options})


def test_no_column_may_drift_unless_it_is_allowed() -> None:
    result = drifted()
    assert (result.verdict, result.value, result.maximum) == (Verdict.PASS, 0.0, 0.0)
    assert result.sentence == "churn: 0 of 2 columns drifted against old.csv; 0 of them may"
    result = drifted(drifting("age", drifted=True), drifting("plan"))
    assert (result.verdict, result.value) == (Verdict.FAIL, 0.5)
    assert result.sentence == "churn: 1 of 2 columns drifted against old.csv; 0 of them may: age"
    assert result.details == ("age: psi 0.4 (from 0.1 on it counts), p = 0.0001 after correction",)
    assert [each.verdict.value for each in result.parts] == ["fail", "pass"]
    assert drifted(drifting("age", drifted=True), drifting("plan"), max_share=0.5).verdict is Verdict.PASS
    assert drifted(drifting("age", drifted=True), drifting("plan"), max_share=0.49).verdict is Verdict.FAIL


def test_only_the_columns_that_are_named_count() -> None:
    columns = drifting("age", drifted=True), drifting("plan")
    assert drifted(*columns, columns=["plan"]).verdict is Verdict.PASS
    assert drifted(*columns, columns=["age", "plan"], max_share=0.5).verdict is Verdict.PASS
    missing = drifted(*columns, columns=["zip"])
    assert missing.verdict is Verdict.FAIL
    assert "no column zip was compared (but age, plan)" in missing.sentence


def test_an_own_least_effect_replaces_that_of_the_columns() -> None:
    column = drifting("age", drifted=True, effect=0.15)
    assert drifted(column).verdict is Verdict.FAIL
    assert drifted(column, min_effect=0.15).verdict is Verdict.FAIL
    assert drifted(column, min_effect=0.151).verdict is Verdict.PASS
    assert drifted(drifting("age", effect=0.9), min_effect=0.1).verdict is Verdict.PASS  # not significant


@pytest.mark.parametrize(
    "column",
    [
        drifting("age", drifted=True, effect=0.05),
        {**drifting("age", drifted=True), "drifted": False},
        {**drifting("age"), "drifted": True},
        drifting("age", adjusted_p_value=0.001),
        drifting("age", adjusted_p_value=1.5),
        drifting("age", problem="all values are missing"),
        drifting("age", effect=None) | {"effect": None},
    ],
)
def test_a_column_that_contradicts_itself_or_says_nothing_fails(column: Document) -> None:
    result = drifted(column, max_share=1.0)
    assert result.verdict is Verdict.FAIL
    assert "a gate passes only what it can read" in result.sentence


def test_an_effect_that_may_be_below_its_threshold_need_not_be_drift() -> None:
    column = drifting("age", drifted=True)
    column |= {"drifted": False}
    column["effect"] |= {"value": 0.11, "interval": [0.08, 0.14]}
    assert drifted(column).verdict is Verdict.PASS


def test_data_without_a_reference_or_with_the_same_column_twice_fail() -> None:
    result = decide("drift", validation(drift=None), data="churn")
    assert result.verdict is Verdict.FAIL
    assert "compared with no reference" in result.sentence
    assert drifted(drifting("age"), drifting("age")).verdict is Verdict.FAIL
    assert decide("drift", validation(drift=drift(columns=[])), data="churn").verdict is Verdict.FAIL
