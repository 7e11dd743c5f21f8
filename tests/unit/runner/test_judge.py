"""What a run keeps of its documents, and how it counts what decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.digest import of_bytes
from penstock.plan.model import GateSpec, Output, Plan
from penstock.record import replace
from penstock.results import RunReport, Verdict
from unit.runner.plans import World, plan, stage

PATH = "build/penstock/m.measures.json"


def measures(predictions: bytes, **more: Any) -> str:
    document = {
        "version": 1,
        "kind": "measures",
        "evaluation_set": of_bytes(b"rows"),
        "predictions": {"digest": of_bytes(predictions), "rows": 10},
        "confidence": None,
        "measures": [],
        "warnings": [],
    }
    return json.dumps(document | more)


MEASURE = replace(
    stage("m", f"mkdir -p build/penstock; cp a {PATH}", reads=("a",), uses="measure"),
    outputs=(Output(PATH, "measures"),),
)
GATE = GateSpec(
    gate="threshold", name="g", reads=(("m", PATH),), options={"metric": "x", "min": 0.5, "confidence": None}
)
PLAN = replace(plan(MEASURE, gates=(GATE,)), holdout_budget=2)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {"a": b"1"})


def judged(world: World, document: str, what: Plan = PLAN) -> RunReport:
    world.files["a"] = document.encode()
    return world.run(what)


def test_each_new_table_of_predictions_counts_as_a_look_at_the_holdout(world: World) -> None:
    reports = [judged(world, measures(each)) for each in (b"one", b"one", b"two", b"three")]
    assert [each.holdouts[0].decisions for each in reports] == [1, 1, 2, 3]
    assert [len(each.warnings) for each in reports] == [0, 0, 0, 1]
    assert "has judged 3 models; the policy's budget is 2" in reports[-1].warnings[0]


def test_a_table_that_no_gate_judged_is_not_counted(world: World) -> None:
    assert judged(world, measures(b"one"), replace(PLAN, gates=())).holdouts == ()


def test_warnings_of_programs_are_those_of_the_run_and_cannot_move_the_cursor(world: World) -> None:
    report = judged(world, measures(b"one", warnings=["a pickle\x1b[2J", 3, "b\nc"]))
    assert len(report.warnings) == 2
    assert all("\x1b" not in each and "\n" not in each for each in report.warnings)


@pytest.mark.parametrize(
    "document",
    ["", "[]", "{", '{"predictions": 3}', '{"evaluation_set": 3, "predictions": {"digest": 4}}', "[" * 9999],
)
def test_a_document_that_cannot_be_read_counts_for_nothing_and_stops_nothing(
    world: World, document: str
) -> None:
    report = judged(world, document)
    assert (report.holdouts, report.warnings) == ((), ())
    assert report.gates[0].verdict is Verdict.FAIL


def test_the_documents_of_recipes_are_kept_and_outputs_of_commands_are_not(world: World) -> None:
    world.files["a"] = measures(b"one").encode()
    made = world.prepared(PLAN)
    made.report()
    assert made.documents == {PATH: world.files["a"]}
    own = replace(MEASURE, uses=None)
    made = world.prepared(replace(PLAN, stages=(own,)))
    made.report()
    assert made.documents == {}
