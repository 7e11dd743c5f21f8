from __future__ import annotations

from pathlib import Path

import pytest

from penstock.plan.model import Stage
from penstock.record import replace
from penstock.results import Reason
from unit.runner.plans import World, plan, stage

TRAIN = stage("train", "cp a b", reads=("a",), writes=("b",), params={"train": {"epochs": 3}})


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, {"a": b"1"})
    assert reason(world, TRAIN).code == "first-run"
    return world


def reason(world: World, what: Stage) -> Reason:
    return world.run(plan(what)).stages[0].reason


def test_nothing_changed(world: World) -> None:
    assert reason(world, TRAIN).code == "unchanged"
    assert reason(world, TRAIN).sentence.startswith("nothing that it reads changed since 20")


def test_an_input_changed(world: World) -> None:
    world.files["a"] = b"2"
    assert reason(world, TRAIN).sentence == "a changed"


def test_a_parameter_changed(world: World) -> None:
    found = reason(world, replace(TRAIN, params={"train": {"epochs": 4}}))
    assert found.sentence == "parameter train.epochs changed"
    assert (found.changes[0].before, found.changes[0].after) == ("3", "4")


def test_several_things_changed(world: World) -> None:
    world.files["a"] = b"2"
    found = reason(world, replace(TRAIN, run="cp a b ", params={"train": {"epochs": 4}}))
    assert found.sentence == "a changed, and 2 more"


def test_a_revert_finds_the_older_result(world: World) -> None:
    world.files["a"] = b"2"
    world.run(plan(TRAIN))
    world.files["a"] = b"1"
    assert reason(world, TRAIN).code == "known"


def test_a_result_that_the_store_lost_is_said_to_be_lost(world: World) -> None:
    world.store.clear()
    assert reason(world, TRAIN).sentence == "its result is no longer in the store"
