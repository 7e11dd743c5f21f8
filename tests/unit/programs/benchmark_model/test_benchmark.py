"""Real processes with real models: what is fast, slow, large, leaking, or does not answer at all."""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_samples import Canary, Workspace, classifier, entered
from penstock.programs.benchmark_model import baseline, machine, main

MODELS = """
import time
import numpy as np

LEAKED = []

def slow(path):
    def predict(rows):
        time.sleep(0.01 + 0.001 * len(rows))
        return np.zeros(len(rows))
    return predict

def leaking(path):
    def predict(rows):
        LEAKED.append(np.ones(1_000_000))
        return np.zeros(len(rows))
    return predict

def large(path):
    weights = np.ones(8_000_000)
    return lambda rows: np.full(len(rows), weights[0])

def warming(path):
    calls = []
    def predict(rows):
        calls.append(1)
        if len(calls) <= 2:
            time.sleep(0.2)
        return np.zeros(len(rows))
    return predict

def lazy(path):
    time.sleep(0.5)
    return lambda rows: np.zeros(len(rows))

def chatty(path):
    print("loading", flush=True)
    def predict(rows):
        print('{"error": "no error"}', flush=True)
        return np.zeros(len(rows))
    return predict

def raising(path):
    def predict(rows):
        raise RuntimeError("no weights")
    return predict

def dying(path):
    import os
    os._exit(3)

def threaded(path):
    import threading
    threading.Thread(target=time.sleep, args=(600,)).start()
    return lambda rows: np.zeros(len(rows))
"""


class Bench(Workspace):
    """Few calls and starts unless something else is said."""

    def request(self, **more: Any) -> dict[str, Any]:
        quick = {"batch_sizes": [1], "calls": 20, "warmup": 2, "starts": 1, "baseline": None}
        return super().request(**quick | more)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with entered(tmp_path, monkeypatch):
        (tmp_path / "zoo.py").write_text(MODELS, encoding="utf-8")
        yield Bench(tmp_path, main.main)


def test_everything_is_measured(bench: Bench) -> None:
    model = bench.skops(classifier(bench.rows()))
    found = bench.document(model=model, batch_sizes=[1, 16], calls=80, starts=2)
    assert (found["version"], found["kind"], found["rows"]) == (1, "benchmark", 300)
    assert found["model"]["size_bytes"] == Path(model).stat().st_size
    assert found["model"]["format"] == "skops"
    assert [entry["batch"] for entry in found["latency"]] == [1, 16]
    for entry, speed in zip(found["latency"], found["throughput"], strict=True):
        assert entry["calls"] == 80
        p50, p95, p99 = (entry[f"{name}_ms"] for name in ("p50", "p95", "p99"))
        assert 0 < p50["value"] <= p95["value"] <= p99["value"]
        assert p50["interval"][0] <= p50["value"] <= p50["interval"][1]
        assert p99["interval"] is None
        assert p99["problem"] == "80 calls are too few for an interval; it takes 368"
        assert sum(entry["histogram"]["counts"]) == 80
        assert speed["rows_per_s"]["value"] == pytest.approx(
            1000 * entry["batch"] / entry["mean_ms"]["value"]
        )
    memory = found["memory"]
    assert 10e6 < memory["before_bytes"] < memory["loaded_bytes"] <= memory["peak_bytes"]
    assert found["cold_start_s"]["value"] > 0.1
    assert found["cold_start_s"]["problem"] == "2 starts are too few for an interval; it takes 6"
    assert found["machine"] == machine.described()
    assert found["baseline"] is None


def test_the_clock_sees_the_call_and_nothing_else(bench: Bench) -> None:
    found = bench.document(loader="zoo:slow", batch_sizes=[1, 20], target="amount")
    for entry, least in zip(found["latency"], (11, 30), strict=True):
        assert least <= entry["p50_ms"]["value"] < least + 15


def test_the_warm_up_is_not_timed(bench: Bench) -> None:
    found = bench.document(loader="zoo:warming", target="amount")
    assert found["latency"][0]["mean_ms"]["value"] < 50
    cold = bench.document(loader="zoo:warming", target="amount", warmup=0)
    assert cold["latency"][0]["histogram"]["edges_ms"][-1] > 200


def test_a_model_that_keeps_what_it_computed_shows_at_the_peak(bench: Bench) -> None:
    found = bench.document(loader="zoo:leaking", target="amount")["memory"]
    assert found["peak_bytes"] - found["loaded_bytes"] > 20 * 8_000_000  # calls, and bytes in each
    sound = bench.document(target="amount", loader="zoo:large")["memory"]
    assert sound["loaded_bytes"] - sound["before_bytes"] > 60_000_000
    assert sound["peak_bytes"] - sound["loaded_bytes"] < 20_000_000


def test_a_cold_start_is_that_of_a_whole_process(bench: Bench) -> None:
    began = time.monotonic()
    found = bench.document(loader="zoo:lazy", starts=6, target="amount")["cold_start_s"]
    assert 0.5 < found["value"] < time.monotonic() - began
    assert found["starts"] == 6
    assert found["interval"][0] <= found["value"] <= found["interval"][1]


def test_what_a_model_prints_is_no_finding(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    assert bench.document(loader="zoo:chatty", target="amount")["latency"][0]["calls"] == 20
    assert "loading" in capfd.readouterr().err


def test_a_thread_that_never_ends_keeps_nobody_waiting(bench: Bench) -> None:
    began = time.monotonic()
    bench.document(loader="zoo:threaded", target="amount")
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"loader": "zoo:raising"}, "rows.csv: asked to predict, it raised RuntimeError: no weights"),
        ({"loader": "zoo:dying"}, "a fresh process ended before it had predicted; see the log"),
        ({"loader": "shop:unloadable"}, "rows.csv cannot be loaded as loader: ValueError: truncated weights"),
        ({"loader": "shop:nothing"}, "has no attribute 'nothing'"),
        (
            {"baseline": "rows.csv"},
            "rows.csv: no document of benchmark-model; name an earlier *.benchmark.json",
        ),
        ({"baseline": "none.json"}, "none.json: No such file or directory"),
        ({"model": "build/none.skops"}, "build/none.skops: there is no model"),
    ],
)
def test_what_cannot_be_measured_ends_with_one_line(
    bench: Bench, capfd: pytest.CaptureFixture[str], request_: dict[str, Any], says: str
) -> None:
    assert bench.start(**request_) == 2
    assert says in capfd.readouterr().err.splitlines()[-1]
    assert not Path("build/result.json").exists()


def test_a_pickle_is_loaded_in_no_process_without_consent(bench: Bench) -> None:
    Path("build/model.pkl").write_bytes(pickle.dumps(Canary()))
    assert bench.start(model="build/model.pkl", format="pickle") == 2
    assert not Path("canary").exists()
    bench.start(model="build/model.pkl", format="pickle", trust="pickle")
    assert Path("canary").exists()


# Baselines


def test_a_baseline_of_this_machine_is_compared(bench: Bench) -> None:
    then = bench.document(loader="zoo:slow", target="amount")
    Path("earlier.json").write_text(json.dumps(then), encoding="utf-8")
    now = bench.document(loader="zoo:slow", target="amount", baseline="earlier.json", batch_sizes=[1, 2])
    assert now["warnings"] == []
    assert now["baseline"]["same_machine"] is True
    (ratio,) = now["baseline"]["ratios"]
    assert ratio["batch"] == 1
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        expected = now["latency"][0][name]["value"] / then["latency"][0][name]["value"]
        assert ratio[name.removesuffix("_ms")] == pytest.approx(expected)


def compared(**changes: Any) -> tuple[dict[str, Any], list[str]]:
    """What is said of a document that differs from this machine's in something."""
    this = machine.described()
    latency = [{"batch": 1} | {f"p{share}_ms": {"value": 2.0} for share in (50, 95, 99)}]
    usual = {"kind": "benchmark", "machine": this, "latency": latency, "data": {"digest": "sha256:1"}}
    Path("earlier.json").write_text(json.dumps(usual | changes), encoding="utf-8")
    return baseline.compared(baseline.read("earlier.json"), this, latency, "sha256:1")


def test_a_baseline_of_another_machine_is_not_compared_and_that_is_said(bench: Bench) -> None:
    other = machine.described() | {"processor": "Other 9000", "identity": "sha256:0"}
    found, warnings = compared(machine=other)
    assert found["same_machine"] is False
    assert found["ratios"] is None
    assert found["machine"] == other
    (warning,) = warnings
    assert warning.startswith(
        "earlier.json was measured on another machine and is not compared (processor: Other 9000 then,"
    )
    found, warnings = compared(machine={})
    assert (found["same_machine"], found["ratios"]) == (False, None)


def test_a_baseline_of_other_rows_is_said_to_be_such(bench: Bench) -> None:
    assert compared(data={"digest": "sha256:0"})[1] == ["earlier.json was measured with other rows"]
    assert compared()[1] == []


@pytest.mark.parametrize("value", [None, 0, -1, True, "2", {"value": None}])
def test_a_baseline_without_a_number_has_no_ratio(bench: Bench, value: object) -> None:
    found, _ = compared(
        latency=[{"batch": 1, "p50_ms": {"value": 4.0}, "p95_ms": {"value": value}, "p99_ms": value}]
    )
    assert found["ratios"] == [{"batch": 1, "p50": 0.5, "p95": None, "p99": None}]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kind": "measures"}',
        '{"kind": "benchmark", "machine": 1, "latency": []}',
        "[" * 10_000,
    ],
)
def test_a_baseline_that_is_none_is_refused(
    bench: Bench, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    Path("earlier.json").write_text(text, encoding="utf-8")
    assert bench.start(loader="zoo:slow", target="amount", baseline="earlier.json") == 2
    assert "earlier.json: no document of benchmark-model" in capfd.readouterr().err


# The machine


def test_the_machine_is_the_same_as_a_moment_ago() -> None:
    found = machine.described()
    assert found == machine.described()
    assert set(found) == {"processor", "cores", "memory_bytes", "system", "python", "accelerator", "identity"}
    assert 0 < found["cores"] <= len(os.sched_getaffinity(0))
    assert found["memory_bytes"] > 1 << 28


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 64), ("150000 100000", 1.5), ("200000 100000", 2), ("", 64), ("x y", 64)],
)
def test_a_control_group_limits_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: float
) -> None:
    group = tmp_path / "group"
    group.mkdir()
    (group / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(machine, "_groups", lambda controller: [group, tmp_path / "none"])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert machine.described()["cores"] == cores


def test_another_amount_of_memory_or_another_processor_is_another_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def identity(memory: int, processor: str) -> str:
        monkeypatch.setattr(machine, "_memory_bytes", lambda: memory)
        monkeypatch.setattr(machine, "_processor", lambda: processor)
        return str(machine.described()["identity"])

    this = identity(16 << 30, "A")
    assert identity((16 << 30) - 5_000_000, "A") == this  # what the kernel keeps differs from boot to boot
    assert identity(8 << 30, "A") != this
    assert identity(16 << 30, "B") != this
