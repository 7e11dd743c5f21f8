"""Observed stages in a run: order, keys, and what happens when others fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.plan.model import Plan, Stage
from penstock.results import RunReport
from penstock.runner.observed import all_observed, all_shown
from unit.runner.plans import World, plan, stage, states


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {"a": b"1"})


def seen(name: str, run: str, *writes: str, reads: tuple[str, ...] = (), **more: Any) -> Stage:
    return stage(name, run, reads=reads, writes=writes, observe=True, **more)


def unchanged(world: World, what: Plan, **options: Any) -> None:
    again = world.run(what, **options)
    assert set(states(again).values()) == {"cached"}, [each.reason for each in again.stages]
    assert world.ran == []


def undeclared(report: RunReport, name: str) -> list[str]:
    observed = next(each for each in report.stages if each.name == name).observed
    assert observed is not None
    return [each.path for each in observed.undeclared]


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_a_chain_of_undeclared_outputs_is_put_in_order(world: World, jobs: int) -> None:
    count = 8
    stages = [seen(f"s{at}", f"cat o{at + 1} > o{at}; cat a >> o{at}", f"o{at}") for at in range(count)]
    last = seen(f"s{count}", f"cat a > o{count}", f"o{count}")
    report = world.run(plan(*stages, last), jobs=jobs)
    assert set(states(report).values()) == {"ran"}
    assert undeclared(report, "s0") == ["o1", "a"]
    unchanged(world, plan(*stages, last), jobs=jobs)
    world.files["a"] = b"2"
    report = world.run(plan(*stages, last), jobs=jobs)
    assert set(states(report).values()) == {"ran"}
    assert len(world.ran) == count + 1, "the order is known now"


def test_one_that_reads_many_outputs_waits_for_all_of_them(world: World) -> None:
    makers = [seen(f"m{at}", f"cat a > o{at}", f"o{at}") for at in range(6)]
    reader = seen("r", "cat o0 o1 o2 o3 o4 o5 > out", "out")
    report = world.run(plan(reader, *makers), jobs=2)
    assert states(report)["r"] == "ran"
    unchanged(world, plan(reader, *makers))


def test_two_that_read_each_others_outputs_end(world: World) -> None:
    one = seen("one", "cat two 2>/dev/null || echo none; echo 1 > one", "one")
    two = seen("two", "cat one 2>/dev/null || echo none; echo 2 > two", "two")
    report = world.run(plan(one, two), jobs=2)
    assert set(states(report).values()) <= {"ran", "skipped"}
    assert "ran" in states(report).values()


def test_one_whose_undeclared_producer_fails_does_not_run(world: World) -> None:
    maker = seen("maker", "exit 3", "made")
    reader = seen("reader", "cat made > out", "out")
    report = world.run(plan(reader, maker), jobs=2, keep_going=True)
    assert states(report) == {"maker": "failed", "reader": "skipped"}
    reason = next(each.reason for each in report.stages if each.name == "reader")
    assert reason.sentence == "it reads what stage 'maker' writes, undeclared"


def test_a_result_of_one_that_was_not_observed_is_not_taken(world: World) -> None:
    plain = stage("s", "echo 1 > out", writes=("out",))
    world.run(plan(plain))
    report = world.run(all_observed(plan(plain)), observe=True)
    assert states(report) == {"s": "ran"}
    unchanged(world, all_observed(plan(plain)), observe=True)
    unchanged(world, plan(plain))


def test_one_that_always_runs_is_observed_too(world: World) -> None:
    what = plan(seen("s", "cat a > out", "out", cache=False))
    for _ in range(2):
        report = world.run(what)
        assert (states(report), undeclared(report, "s")) == ({"s": "ran"}, ["a"])


def test_force_runs_it_although_nothing_has_changed(world: World) -> None:
    what = plan(seen("s", "cat a > out", "out"))
    world.run(what)
    assert states(world.run(what, force=True)) == {"s": "ran"}
    unchanged(world, what)


def test_what_is_lost_of_the_observations_costs_a_run(world: World) -> None:
    what = plan(seen("s", "cat a > out", "out"))
    world.run(what)
    world.history.observed.clear()
    assert states(world.run(what)) == {"s": "ran"}
    unchanged(world, what)


def test_a_failed_attempt_leaves_no_trace(world: World) -> None:
    what = plan(seen("s", "cat a > out; cat missing", "out", retries=1))
    report = world.run(what)
    assert states(report) == {"s": "failed"}
    assert undeclared(report, "s") == ["a"]
    assert world.history.observed == {}


def test_a_stage_that_works_outside_is_never_observed() -> None:
    what = all_observed(plan(stage("in", "true"), stage("out", "true", outside=True)))
    assert [each.observe for each in what.stages] == [True, False]


def test_where_nothing_is_observed_everything_is_an_input() -> None:
    what = all_shown(plan(seen("s", "true", reads=("a",)), stage("t", "true", reads=("b",))))
    assert [each.sources for each in what.stages] == [("**", "a"), ("b",)]
    assert ".dvc/cache" in what.ignore
    native = plan(stage("t", "true", reads=("b",)))
    assert all_shown(native) is native
