"""Stages that fetch what is known by its digest before it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import UsageError
from penstock.plan.model import Stage
from penstock.record import replace
from unit.runner.plans import World, plan, stage, states


def fetch(digest: str = "md5:1", run: str = "printf data > d") -> Stage:
    return stage("fetch", run, reads=("d.dvc",), writes=("d",), pledges=(("d", digest),))


USE = stage("use", "cat d code > out", reads=("code", "fetch:d"), writes=("out",))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {"d.dvc": b"md5: 1", "code": b"1"})


def evict(world: World, path: str) -> None:
    """Let the store lose what has this output."""
    for key in [key for key, outcome in world.store.items() if any(p.path == path for p in outcome.parts)]:
        del world.store[key]


def test_what_is_fetched_is_fetched_for_whom_reads_it(world: World) -> None:
    assert states(world.run(plan(fetch(), USE))) == {"fetch": "ran", "use": "ran"}


def test_nothing_is_fetched_where_no_reader_must_run(world: World) -> None:
    world.run(plan(fetch(), USE))
    evict(world, "d")
    report = world.run(plan(fetch(), USE))
    assert states(report) == {"fetch": "skipped", "use": "cached"}
    assert world.ran == []
    assert report.stages[0].reason.code == "not-needed"
    assert report.stages[0].settled
    assert report.exit_code == 0


def test_it_is_fetched_again_when_a_reader_must_run(world: World) -> None:
    world.run(plan(fetch(), USE))
    evict(world, "d")
    world.files["code"] = b"2"
    assert states(world.run(plan(fetch(), USE))) == {"fetch": "ran", "use": "ran"}


def test_a_reader_has_the_same_key_before_and_after_the_fetch(world: World) -> None:
    first = world.run(plan(fetch(), USE)).stages[1]
    evict(world, "d")
    second = world.run(plan(fetch(), USE)).stages[1]
    assert first.key == second.key
    assert [part.digest for part in first.inputs if part.path == "d"] == ["md5:1"]
    assert first.inputs == second.inputs


def test_other_data_run_the_reader_again(world: World) -> None:
    world.run(plan(fetch(), USE))
    world.files["d.dvc"] = b"md5: 2"
    report = world.run(plan(fetch("md5:2", "printf other > d"), USE))
    assert states(report) == {"fetch": "ran", "use": "ran"}


def test_a_part_of_what_was_fetched_is_known_by_the_whole(world: World) -> None:
    folder = stage(
        "fetch", "mkdir d; echo 1 > d/a", reads=("d.dvc",), writes=("d",), pledges=(("d", "md5:1.dir"),)
    )
    reader = stage("use", "cat d/a > out", writes=("out",))
    from penstock.plan.model import Produced

    reader = replace(reader, produced=(Produced("d/a", "fetch", "d"),))
    report = world.run(plan(folder, reader))
    assert states(report) == {"fetch": "ran", "use": "ran"}
    assert [part.digest for part in report.stages[1].inputs] == ["md5:1.dir/a"]
    evict(world, "d")
    assert states(world.run(plan(folder, reader))) == {"fetch": "skipped", "use": "cached"}


def test_a_fetch_that_nothing_reads_is_done_for_its_own_sake(world: World) -> None:
    assert states(world.run(plan(fetch()))) == {"fetch": "ran"}


def test_a_forced_fetch_is_done(world: World) -> None:
    world.run(plan(fetch(), USE))
    assert states(world.run(plan(fetch(), USE), force=True)) == {"fetch": "ran", "use": "ran"}


def test_a_reader_alone_needs_the_fetch_to_have_been(world: World) -> None:
    with pytest.raises(UsageError, match="penstock run --until fetch"):
        world.run(plan(fetch(), USE), only=("use",))


def test_a_reader_alone_with_a_result_needs_no_fetch(world: World) -> None:
    world.run(plan(fetch(), USE))
    evict(world, "d")
    assert states(world.run(plan(fetch(), USE), only=("use",))) == {"fetch": "skipped", "use": "cached"}


def test_what_was_pledged_is_not_put_into_the_project(world: World) -> None:
    world.run(plan(fetch(), USE))
    assert world.executor is not None
    assert set(world.executor.exported) == {"out"}


@pytest.mark.parametrize(
    ("ended", "outside", "code"), [(5, True, 5), (2, True, 1), (3, True, 1), (5, False, 1)]
)
def test_a_service_that_is_away_is_told_by_the_exit_code(
    world: World, ended: int, code: int, *, outside: bool
) -> None:
    away = replace(fetch(run=f"exit {ended}"), outside=outside)
    assert world.run(plan(away, USE)).exit_code == code
