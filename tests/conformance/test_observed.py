"""Stages that see the whole source and are observed: what they read undeclared is in their key."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import docker_samples
from conformance.conftest import Bench, stage, states
from conformance.docker_bench import in_image
from penstock.plan.model import Output, Plan, Produced, Stage
from penstock.results import RunReport
from penstock.runner.run import Options
from penstock.runner.selection import select


def made(name: str, run: str, *outputs: str, reads: Mapping[str, str] | None = None, **more: object) -> Stage:
    """An observed stage; `reads` are declared inputs: path → who writes it, or nothing."""
    declared = reads or {}
    return Stage(
        name=name,
        run=run,
        outputs=tuple(Output(path) for path in sorted(outputs)),
        sources=tuple(sorted(path for path, owner in declared.items() if not owner)),
        produced=tuple(Produced(path, owner, path) for path, owner in sorted(declared.items()) if owner),
        observe=True,
        **more,  # type: ignore[arg-type] # checked where used
    )


def run(bench: Bench, *stages: Stage, only: tuple[str, ...] = ()) -> RunReport:
    plan = Plan(name="try", pipeline_file="p.yaml", profile=None, stages=stages, digest="sha256:0")
    return bench.perform(plan, Options(selection=select(plan, only=only), environ=bench.environ))


def undeclared(report: RunReport, name: str = "s") -> list[str]:
    observed = stage(report, name).observed
    assert observed is not None
    assert observed.whole is None
    return [each.path for each in observed.undeclared]


@pytest.fixture
def bench(bench: Bench) -> Bench:
    if bench.kind == "dagger":
        pytest.skip("under Dagger the whole source is the input")
    if bench.kind == "docker":
        bench.adapt = in_image(docker_samples.python_image())
    return bench


def test_a_file_that_is_read_undeclared_is_found_and_enters_the_key(bench: Bench) -> None:
    bench.write({"a.txt": "1", "b.txt": "2", "src/c.txt": "3"})
    one = made("s", "cat b.txt > out", "out")
    report = run(bench, one)
    assert (states(report), undeclared(report)) == ({"s": "ran"}, ["b.txt"]), stage(report, "s").attempts
    bench.write({"a.txt": "changed", "src/c.txt": "changed"})
    report = run(bench, one)
    assert (states(report), undeclared(report)) == ({"s": "cached"}, ["b.txt"])
    bench.write({"b.txt": "new"})
    report = run(bench, one)
    assert states(report) == {"s": "ran"}
    assert stage(report, "s").reason.sentence == "undeclared input b.txt changed"
    assert bench.read("out") == b"new"
    bench.write({"b.txt": "2"})
    report = run(bench, one)
    assert states(report) == {"s": "cached"}
    assert bench.read("out") == b"2"
