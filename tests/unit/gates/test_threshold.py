from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from penstock.digest import of_bytes
from penstock.gates.base import Exhibit
from penstock.gates.threshold import judge
from penstock.plan.model import GateSpec
from penstock.results import GateResult, Verdict


def decide(
    content: bytes | str, bounds: Mapping[str, float] | None = None, metric: str = "auc"
) -> GateResult:
    data = content.encode() if isinstance(content, str) else content
    spec = GateSpec(gate="threshold", name="auc", options={"metric": metric, **(bounds or {"min": 0.8})})
    return judge(spec, {"m.json": Exhibit("m.json", data, of_bytes(data))})


def test_a_metric_at_its_bound_passes() -> None:
    result = decide('{"auc": 0.8, "rows": 100}')
    assert result.verdict is Verdict.PASS
    assert result.value == 0.8
    assert result.sample_size == 100
    assert result.evidence[0].path == "m.json"


@pytest.mark.parametrize(
    ("value", "bounds", "verdict"),
    [
        (0.79999999, {"min": 0.8}, Verdict.FAIL),
        (0.2, {"max": 0.2}, Verdict.PASS),
        (0.21, {"max": 0.2}, Verdict.FAIL),
        (5, {"min": 1, "max": 9}, Verdict.PASS),
        (-1, {"min": 0}, Verdict.FAIL),
        (0, {"min": 0}, Verdict.PASS),
        (1e300, {"max": 1.0}, Verdict.FAIL),
    ],
)
def test_bounds_are_inclusive_and_have_both_directions(
    value: float, bounds: dict[str, float], verdict: Verdict
) -> None:
    assert decide(json.dumps({"auc": value}), bounds).verdict is verdict


def test_a_nested_metric_has_a_dotted_name_and_a_literal_dot_comes_first() -> None:
    assert decide('{"holdout": {"auc": 0.9}}', metric="holdout.auc").value == 0.9
    assert decide('{"holdout.auc": 0.7, "holdout": {"auc": 0.9}}', metric="holdout.auc").value == 0.7


BAD_VALUES = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "true",
    "false",
    "null",
    '"0.9"',
    "[0.9]",
    '{"value": 0.9}',
    "[]",
    '""',
    '"NaN"',
    "1" + "0" * 400,
]
BAD_FILES = [
    b"", b" ", b"{", b"}", b"null", b"[]", b'"auc"', b"0.9", b"true", b"{}", b'{"AUC": 0.9}', b'{"auc ": 0.9}',
    b'{"auc": 0.9, "auc": 0.95}', b'{"a": {"b": 1, "b": 2}, "auc": 0.9}', b'{"auc": 0.9,}', b"{'auc': 0.9}",
    b'{"auc": 0.9} {}', b"\xff\xfe{}", b'{"auc": 0.9}\x00', b'{"auc": .9}', b'{"auc": 0x1}', b'{"auc": +1}',
    b'{"auc": 1_0}', b"auc: 0.9", b"auc,0.9", b"<auc>0.9</auc>", b'{"auc": 0.9', b"[" * 100_000, b'{"a":' * 5_000,
    b'{"auc": ' + b"9" * 5_000 + b"}", b'\xef\xbb\xbf{"auc": 0.9}', b'{"auc": 0.9}' * 2, b'{"auc": NaN, "auc": 0.9}',
    b'{"x": Infinity, "auc": 0.9}', '{"auc": 0.９}'.encode(), b'{"auc": "\xff"}', b'{"\\u0061uc": NaN}',
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize("bounds", [{"min": 0.8}, {"max": 0.8}, {"min": -1e308, "max": 1e308}])
def test_what_is_no_finite_number_never_passes(value: str, bounds: dict[str, float]) -> None:
    result = decide(f'{{"auc": {value}}}', bounds)
    assert result.verdict is Verdict.FAIL
    assert result.value is None
    assert "m.json" in result.sentence


@pytest.mark.parametrize("content", BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_malformed_metrics_file_never_passes(content: bytes) -> None:
    result = decide(content)
    assert result.verdict is Verdict.FAIL
    assert "only a number can pass" in result.sentence
    assert len(result.sentence) < 400


def test_a_metric_that_is_absent_is_answered_with_those_that_are_there() -> None:
    assert "it has accuracy, f1" in decide('{"f1": 1, "accuracy": 1}').sentence


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    assert decide(b" " * (17 << 20)).verdict is Verdict.FAIL
