"""What is computed again, and what is not."""

from __future__ import annotations

from conformance.conftest import Bench, pipeline, stage, states

NOW = "date +%s.%N > out"


def test_a_stage_with_cache_false_runs_every_time(isolated: Bench) -> None:
    text = pipeline({"s": {"run": NOW, "outputs": ["out"], "cache": False}})
    assert states(isolated.run(text)) == {"s": "ran"}
    first = isolated.read("out")
    assert states(isolated.run()) == {"s": "ran"}
    second = isolated.read("out")
    assert states(isolated.run()) == {"s": "ran"}
    assert len({first, second, isolated.read("out")}) == 3


def test_force_runs_what_is_known_and_its_result_is_the_new_one(isolated: Bench) -> None:
    text = pipeline(
        {
            "s": {"run": NOW, "outputs": ["out"]},
            "t": {"run": "cp out copy", "inputs": ["out"], "outputs": ["copy"]},
        }
    )
    assert states(isolated.run(text)) == {"s": "ran", "t": "ran"}
    first = isolated.read("out")
    report = isolated.run(force=True)
    assert states(report) == {"s": "ran", "t": "ran"}
    assert stage(report, "s").reason.code == "forced"
    assert isolated.read("out") != first
    assert isolated.read("copy") == isolated.read("out")


def test_a_stage_whose_inputs_are_what_they_were_does_not_run(isolated: Bench) -> None:
    isolated.write({"seed": "1"})
    text = pipeline(
        {
            "make": {
                "run": "mkdir -p tree/deep; cp seed tree/deep/a; echo x > file; date +%N",
                "inputs": ["seed"],
                "outputs": ["tree", "file"],
                "cache": False,
            },
            "tree": {"run": f"{NOW}1", "inputs": ["tree"], "outputs": ["out1"]},
            "file": {"run": f"{NOW}2", "inputs": ["file"], "outputs": ["out2"]},
            "part": {"run": f"{NOW}3", "inputs": ["tree/deep"], "outputs": ["out3"]},
            "leaf": {"run": f"{NOW}4", "inputs": ["tree/deep/a"], "outputs": ["out4"]},
        }
    )
    names = ("tree", "file", "part", "leaf")
    assert states(isolated.run(text)) == {"make": "ran", **dict.fromkeys(names, "ran")}
    made = [isolated.read(f"out{number}") for number in range(1, 5)]
    assert states(isolated.run()) == {"make": "ran", **dict.fromkeys(names, "cached")}
    assert [isolated.read(f"out{number}") for number in range(1, 5)] == made
    isolated.write({"seed": "2"})
    again = states(isolated.run())
    assert again == {"make": "ran", "tree": "ran", "file": "cached", "part": "ran", "leaf": "ran"}


def test_an_edit_elsewhere_runs_nothing(isolated: Bench) -> None:
    isolated.write({"in/a": "1", "other": "1"})
    text = pipeline({"s": {"run": NOW, "inputs": ["in"], "outputs": ["out"]}})
    assert states(isolated.run(text)) == {"s": "ran"}
    isolated.write({"other": "2", "new/file": "3"})
    assert states(isolated.run()) == {"s": "cached"}
    (isolated.root / "in/a").touch()
    assert states(isolated.run()) == {"s": "cached"}


def test_what_can_not_matter_runs_nothing_and_what_can_does(isolated: Bench) -> None:
    stages = {"s": {"run": NOW, "outputs": ["out"], "timeout": 100}}
    assert states(isolated.run(pipeline(stages))) == {"s": "ran"}
    stages["s"] |= {"timeout": 200, "retries": 2, "description": "another"}
    assert states(isolated.run(pipeline(stages))) == {"s": "cached"}
    stages["s"] |= {"variables": {"A": "1"}}
    assert states(isolated.run(pipeline(stages))) == {"s": "ran"}
    stages["s"] |= {"variables": {"A": "2"}}
    assert states(isolated.run(pipeline(stages))) == {"s": "ran"}
    stages["s"] |= {"params": ["a"]}
    assert states(isolated.run(pipeline(stages, params={"a": 1, "b": 1}))) == {"s": "ran"}
    assert states(isolated.run(pipeline(stages, params={"a": 1, "b": 2}))) == {"s": "cached"}
    assert states(isolated.run(pipeline(stages, params={"a": 2, "b": 2}))) == {"s": "ran"}


def test_a_failure_is_never_taken_from_what_is_known(isolated: Bench) -> None:
    # the same plan fails or not by something outside of it: whether a secret has the right value
    isolated.environ = {"TOKEN": "the-wrong-value"}
    text = pipeline(
        {
            "s": {
                "run": 'date +%N; test "$TOKEN" = "the-right-"value; echo ok > out',
                "secrets": ["TOKEN"],
                "outputs": ["out"],
            }
        },
        secrets={"TOKEN": {}},
    )
    logs = []
    for _ in range(3):
        report = isolated.run(text)
        assert states(report) == {"s": "failed"}
        logs.append(stage(report, "s").attempts[-1].log)
    assert len(set(logs)) == 3, "every failure is a new one"
    isolated.environ = {"TOKEN": "the-right-value"}
    assert states(isolated.run()) == {"s": "ran"}
    isolated.environ = {"TOKEN": "the-wrong-value"}
    assert states(isolated.run()) == {"s": "cached"}
    assert isolated.read("out") == b"ok\n"


def test_every_kind_of_failure_is_tried_again(isolated: Bench) -> None:
    stages = {
        "missing": {"run": "date +%N", "outputs": ["x"]},
        "timeout": {"run": "date +%N; sleep 100", "timeout": 1},
        "killed": "date +%N; kill -9 $$",
        "link": {"run": "date +%N; ln -s a y", "outputs": ["y"]},
    }
    first = isolated.run(pipeline(stages), keep_going=True)
    second = isolated.run(keep_going=True)
    assert set(states(first).values()) == {"failed", "timed-out"}
    assert states(first) == states(second)
    for name in stages:
        assert stage(first, name).attempts[-1].log != stage(second, name).attempts[-1].log
        assert stage(first, name).attempts[-1].problem == stage(second, name).attempts[-1].problem


def test_a_known_result_says_when_and_how_it_was_made(isolated: Bench) -> None:
    text = pipeline({"s": {"run": "echo hello; sleep 0.2; echo > out", "outputs": ["out"]}})
    first = stage(isolated.run(text), "s")
    second = stage(isolated.run(), "s")
    assert second.state.value == "cached"
    assert second.made_at == first.made_at
    assert second.outputs == first.outputs
    assert [each.log for each in second.attempts] == ["hello\n"]
    assert second.attempts == first.attempts
    assert "s" not in isolated.observer.output
