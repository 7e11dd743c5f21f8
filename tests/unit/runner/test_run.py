from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from penstock.errors import InputError, UsageError
from penstock.plan.model import GateSpec, Secret
from penstock.record import replace
from penstock.results import Verdict
from penstock.runner.assess import drive
from unit.runner.plans import World, plan, stage, states

COPY = stage("copy", "cp a b", reads=("a",), writes=("b",))
USE = stage("use", "cat b b > c", reads=("copy:b",), writes=("c",))
CHAIN = plan(COPY, USE)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {"a": b"1"})


def test_a_run_goes_through_once(world: World) -> None:
    assert states(world.run(CHAIN)) == {"copy": "ran", "use": "ran"}
    report = world.run(CHAIN)
    assert states(report) == {"copy": "cached", "use": "cached"}
    assert world.ran == []
    assert [each.reason.code for each in report.stages] == ["unchanged", "unchanged"]


def test_a_report_says_when_each_stage_began(world: World) -> None:
    for state in ("ran", "cached"):
        report = world.run(CHAIN)
        copy, use = report.stages
        assert states(report) == {"copy": state, "use": state}
        assert copy.started_s > 0
        assert copy.started_s + copy.wall_s <= use.started_s + 0.001
        assert use.started_s + use.wall_s <= report.wall_s


def test_a_run_with_nothing_to_do_starts_no_event_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run(CHAIN)
    monkeypatch.setattr("anyio.run", lambda *_: pytest.fail("an event loop was started"))
    assert states(world.run(CHAIN)) == {"copy": "cached", "use": "cached"}


def test_a_missing_input_is_found_before_anything_runs(world: World) -> None:
    late = stage("late", "true", reads=("use:c", "nowhere.txt"))
    with pytest.raises(InputError, match=r"p\.yaml:0: stage 'late': input 'nowhere\.txt' is produced by no"):
        world.run(plan(COPY, USE, late))
    assert world.ran == []


def test_the_nearest_output_is_offered_for_a_missing_input(world: World) -> None:
    make = stage("make", "true", writes=("model/churn.onnx",))
    read = stage("read", "true", reads=("models/churn.onnx",))
    with pytest.raises(InputError, match=r"nearest declared output: 'model/churn\.onnx' \(stage 'make'\)"):
        world.run(plan(make, read))


def test_stages_that_do_not_need_each_other_run_at_the_same_time(world: World) -> None:
    # each waits for the other's file, so only a parallel run ends
    folder = world.root
    meet = [
        stage(
            f"s{i}", f"touch {folder}/{i}; until test -e {folder}/{1 - i}; do sleep 0.01; done", timeout_s=20
        )
        for i in range(2)
    ]
    assert set(states(world.run(plan(*meet), jobs=2)).values()) == {"ran"}


def test_no_more_stages_run_at_a_time_than_there_are_jobs(world: World) -> None:
    lock = world.root / "lock"
    alone = [stage(f"s{i}", f": {i}; mkdir {lock}; sleep 0.02; rmdir {lock}") for i in range(5)]
    assert set(states(world.run(plan(*alone), jobs=1)).values()) == {"ran"}


def test_an_exclusive_stage_runs_while_no_other_does(world: World) -> None:
    lock, shared = (
        world.root / "lock",
        [
            stage(f"s{i}", f": {i}; for _ in 1 2 3; do test ! -e {world.root}/lock; sleep 0.02; done")
            for i in range(6)
        ],
    )
    timed = [
        stage(f"t{i}", f": {i}; mkdir {lock}; sleep 0.1; rmdir {lock}", exclusive=True) for i in range(3)
    ]
    mixed = plan(*shared[:3], *timed, *shared[3:])
    assert set(states(world.run(mixed, jobs=3)).values()) == {"ran"}


def test_an_exclusive_stage_that_fails_gives_its_slots_back(world: World) -> None:
    stages = (
        stage("t", "exit 1", exclusive=True),
        stage("s", "sleep 0.1"),
        stage("u", "true", exclusive=True),
    )
    report = world.run(plan(*stages), jobs=2, keep_going=True)
    assert states(report) == {"t": "failed", "s": "ran", "u": "ran"}


def test_a_failure_ends_what_runs_beside_it(world: World) -> None:
    slow = stage("slow", "sleep 60")
    bad = stage("bad", "sleep 0.1; exit 2")
    after = stage("after", "true", reads=("slow2:x",))
    slow2 = stage("slow2", "sleep 60; touch x", writes=("x",))
    began = time.monotonic()
    report = world.run(plan(slow, bad, slow2, after), jobs=3)
    assert time.monotonic() - began < 20
    assert states(report) == {
        "slow": "interrupted",
        "bad": "failed",
        "slow2": "interrupted",
        "after": "skipped",
    }
    assert report.exit_code == 1
    assert report.stages[0].reason.sentence == "ended because stage 'bad' failed"


def test_what_had_finished_before_a_failure_is_not_run_again(world: World) -> None:
    bad = stage("bad", "exit 1", reads=("use:c",))
    assert world.run(plan(COPY, USE, bad)).exit_code == 1
    report = world.run(plan(COPY, USE, replace(bad, run="true")))
    assert states(report) == {"copy": "cached", "use": "cached", "bad": "ran"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_a_report(world: World, number: signal.Signals, code: int) -> None:
    started = world.root / "started"
    slow = stage("slow", f"touch {started}; sleep 60", writes=("x",))
    after = stage("after", "true", reads=("slow:x",))

    def send() -> None:
        while not started.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    sender.start()
    report = world.run(plan(slow, after))
    sender.join()
    assert states(report) == {"slow": "interrupted", "after": "skipped"}
    assert report.exit_code == code


def test_retries_stop_at_the_first_success(world: World) -> None:
    mark = world.root / "mark"
    flaky = stage("flaky", f"test -e {mark} || {{ touch {mark}; exit 1; }}", retries=5)
    report = world.run(plan(flaky))
    assert states(report) == {"flaky": "ran"}
    assert [attempt.exit_code for attempt in report.stages[0].attempts] == [1, 0]


def test_a_stage_that_is_never_cached_always_runs_but_its_readers_do_not(world: World) -> None:
    always = replace(COPY, cache=False)
    assert states(world.run(plan(always, USE))) == {"copy": "ran", "use": "ran"}
    report = world.run(plan(always, USE))
    assert states(report) == {"copy": "ran", "use": "cached"}
    assert report.stages[0].reason.code == "no-cache"


def test_force_runs_what_is_selected(world: World) -> None:
    world.run(CHAIN)
    report = world.run(CHAIN, force=True)
    assert states(report) == {"copy": "ran", "use": "ran"}


def test_a_selection_reads_stored_results_and_says_if_there_are_none(world: World) -> None:
    with pytest.raises(UsageError, match="penstock run --until copy"):
        world.run(CHAIN, only=("use",))
    world.run(CHAIN, until=("copy",))
    assert states(world.run(CHAIN, only=("use",))) == {"copy": "skipped", "use": "ran"}


METRICS = stage("evaluate", """printf '{"auc": 0.5}' > m.json""", reads=("use:c",), writes=("m.json",))
GATE = GateSpec(
    gate="threshold", name="auc", reads=(("evaluate", "m.json"),), options={"metric": "auc", "min": 0.8}
)


def test_a_failed_gate_is_exit_code_3_and_its_evidence_is_the_output(world: World) -> None:
    report = world.run(plan(COPY, USE, METRICS, gates=(GATE,)))
    assert report.exit_code == 3
    assert report.gates[0].verdict is Verdict.FAIL
    assert report.gates[0].evidence[0].digest == report.stages[2].outputs[0].digest


def test_a_gate_without_its_stage_is_skipped_and_fails_nothing(world: World) -> None:
    report = world.run(plan(COPY, USE, METRICS, gates=(GATE,)), until=("copy",))
    assert report.gates[0].verdict is Verdict.SKIP
    assert report.exit_code == 0


def test_a_failed_stage_outweighs_gates(world: World) -> None:
    bad = replace(METRICS, run="exit 1")
    assert world.run(plan(COPY, USE, bad, gates=(GATE,))).exit_code == 1


def test_a_secret_that_is_not_there_is_refused_before_anything_runs(world: World) -> None:
    what = replace(
        plan(COPY, replace(USE, secrets=("TOKEN",))), secrets=(Secret(name="TOKEN", env="MY_TOKEN"),)
    )
    with pytest.raises(UsageError, match="secret 'TOKEN': the variable MY_TOKEN is not set"):
        world.run(what, environ={})
    assert world.ran == []
    assert world.run(what, environ={"MY_TOKEN": "long-enough"}).exit_code == 0
    # nobody needs the secret for what is done already
    assert world.run(what, environ={}).exit_code == 0


def test_a_join_of_many_stages_sees_them_all(world: World) -> None:
    many = [stage(f"s{i}", f"echo {i} > o{i}", writes=(f"o{i}",)) for i in range(30)]
    join = stage("join", "cat o* | wc -l > n", reads=tuple(f"s{i}:o{i}" for i in range(30)), writes=("n",))
    assert set(states(world.run(plan(*many, join), jobs=4)).values()) == {"ran"}
    assert world.executor is not None
    assert world.executor.exported["n"][""][0].strip() == b"30"


def test_drive_refuses_work_that_waits() -> None:
    with pytest.raises(RuntimeError, match="waited where it must not"):
        drive(_waits())


async def _waits() -> None:
    class Pause:
        def __await__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204 - the smallest thing that waits
            yield

    await Pause()
