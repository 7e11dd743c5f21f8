"""Stages of recipes that work on the world beyond their workspace."""

from __future__ import annotations

from pathlib import Path

from conformance.conftest import Bench, stage
from penstock.plan.model import Output, Plan, Stage
from penstock.runner.run import Options
from penstock.runner.selection import select

TOKEN = "a-token-that-must-not-be-seen"


def outside(run: str, **fields: object) -> Plan:
    made = Stage(name="out", run=run, outputs=(Output("told"),), outside=True, cache=False, **fields)  # type: ignore[arg-type] # checked where used
    return Plan(name="try", pipeline_file="p.yaml", profile=None, stages=(made,), digest="sha256:0")


def run(bench: Bench, plan: Plan) -> str:
    report = bench.perform(plan, Options(selection=select(plan), environ=bench.environ))
    told = stage(report, "out")
    assert told.state == "ran", told.attempts[-1].log
    written = bench.read("told")
    assert written is not None
    return written.decode() + told.attempts[-1].log


def test_it_gets_what_it_passes_on_if_that_is_set(bench: Bench) -> None:
    bench.environ |= {"SERVICE_URL": "http://127.0.0.1:1", "OTHER": "not asked for"}
    plan = outside(
        'echo "$SERVICE_URL ${OTHER-none} ${ABSENT-none}" > told', passes=("SERVICE_URL", "ABSENT")
    )
    assert run(bench, plan) == "http://127.0.0.1:1 none none\n"


def test_a_token_that_it_passes_on_is_masked(isolated: Bench) -> None:
    isolated.environ["SERVICE_TOKEN"] = TOKEN
    plan = outside('echo "it is $SERVICE_TOKEN"; test -n "$SERVICE_TOKEN" > told', passes=("SERVICE_TOKEN",))
    assert run(isolated, plan) == "it is ***\n"


def test_it_has_a_place_that_outlives_the_run(isolated: Bench) -> None:
    plan = outside('cat "$PENSTOCK_STATE/seen" > told 2>/dev/null || true; date +%N > "$PENSTOCK_STATE/seen"')
    run(isolated, plan)
    assert run(isolated, plan).strip().isdecimal()


def test_it_sees_the_project_where_there_is_one(isolated: Bench) -> None:
    isolated.write({"file": "here"})
    plan = outside('cat "${PENSTOCK_ROOT:-/nowhere}/file" > told 2>/dev/null || true')
    assert run(isolated, plan) == ("" if isolated.kind == "dagger" else "here")


def test_it_has_the_home_of_whoever_runs_it(isolated: Bench) -> None:
    found = run(isolated, outside('echo "$HOME" > told')).strip()
    assert (found == str(Path.home())) is (isolated.kind != "dagger")
