"""The document is what gates and the report read, and its page describes schema files that are read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from penstock.digest import of_bytes
from penstock.gates import drift, schema
from penstock.gates.base import Exhibit
from penstock.plan.model import GateSpec
from penstock.programs.validate.rules import parse
from penstock.programs.validate.schema_file import read_schema
from penstock.report.documents.validation import Validation
from penstock.report.shapes import build
from penstock.results import Verdict
from validation_runs import Runs

PAGE = Path(__file__).parents[4] / "docs" / "data-quality.md"
SCHEMA = "columns: [{name: x, type: number}, {name: c, type: string}, {name: d, type: date}]\nfreshness: d\ntarget: c\n"


def table(start: int) -> str:
    rows = "".join(f"{(start + i) % 97},{'abc'[i % 3]},2026-01-0{1 + i % 9}\n" for i in range(400))
    return f"x,c,d\n{rows}"


@pytest.fixture
def content(runs: Runs) -> bytes:
    """A document with everything in it."""
    reference = table(0).replace(",a,", ",b,")
    runs(table(0), SCHEMA, reference=reference, splits={"train": table(0), "test": table(1)})
    return (runs.folder / "out" / "r.json").read_bytes()


def test_gates_judge_the_document(content: bytes) -> None:
    exhibits = {"v.json": Exhibit("v.json", content, of_bytes(content))}
    checked = schema.judge(GateSpec(gate="schema", name="s", options={"data": "t"}), exhibits)
    assert checked.verdict is Verdict.FAIL
    assert "no row of train in test" in checked.details[0]
    drifted = drift.judge(GateSpec(gate="drift", name="d", options={"data": "t", "max_share": 0.5}), exhibits)
    assert (drifted.verdict, drifted.value) == (Verdict.PASS, 0.5)
    assert "1 of 2 columns drifted" in drifted.sentence


def test_the_report_reads_the_document(content: bytes) -> None:
    read = build(Validation, json.loads(content), foreign=True)
    assert (read.rows, read.passed) == (400, False)
    assert [column.column for column in read.columns] == ["x", "c", "d"]
    assert read.drift is not None
    assert [column.drifted for column in read.drift.columns] == [False, True]
    assert read.leakage is not None
    assert len(read.leakage.overlaps) == 3
    assert read.newest is not None


def test_the_schema_file_of_the_documentation_is_one() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    found = next(block for block in blocks if "columns:" in block)
    described, _ = read_schema("page", found.encode())
    assert len(described.columns) == 7
    assert all(parse(rule.rule, described.columns).columns for rule in described.rules)
