"""Programs that publish once the gates have passed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import UsageError
from penstock.plan.exchange import REQUEST, receipt_of
from penstock.plan.model import Delivery, GateSpec, Plan, Produced, Secret
from penstock.publish import audit
from penstock.record import replace
from penstock.results import Publication, RunReport
from unit.runner.plans import World, plan, stage, states

MAKE = stage("make", "printf 1 > model", reads=("a",), writes=("model",))
FAILING = GateSpec(
    gate="threshold", name="bound", reads=(("make", "model"),), options={"metric": "x", "min": 2}
)


def delivery(kind: str, run: str = "", *, reads: tuple[str, ...] = (), **fields: object) -> Delivery:
    """A program that publishes the model: a command, and then a receipt that holds its request."""
    name = f"publish-{kind}"
    receipt = receipt_of(name)
    content = {
        "publications": [{"kind": kind, "state": "written", "sentence": "done", "target": f"{kind}:1"}]
    }
    command = f"{run or 'true'}\ncat model\ncat > {receipt} <<'END'\n{json.dumps(content)}\nEND\n"
    files = ((REQUEST, json.dumps({"action": "publish"})),)
    made = stage(
        name,
        command,
        reads=("make:model", *reads),
        writes=(receipt,),
        files=files,
        cache=False,
        outside=True,
        **fields,
    )
    return Delivery(kind, made, (("make", "model"),))


def publishing(*deliveries: Delivery, gates: tuple[GateSpec, ...] = ()) -> Plan:
    return replace(plan(MAKE, gates=gates), deliveries=deliveries)


def told(report: RunReport) -> list[tuple[str, str]]:
    return [(each.kind, each.state.value) for each in report.publications]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {"a": b"1"})


def test_what_programs_say_is_in_the_report(world: World) -> None:
    report = world.run(publishing(delivery("artifact"), delivery("mlflow")))
    assert told(report) == [("artifact", "written"), ("mlflow", "written")]
    assert [each.target for each in report.publications] == ["artifact:1", "mlflow:1"]
    assert report.exit_code == 0
    assert states(report) == {"make": "ran"}


def test_programs_run_again_when_nothing_else_does(world: World) -> None:
    what = publishing(delivery("mlflow"))
    world.run(what)
    assert states(world.run(what)) == {"make": "cached"}
    assert world.ran == ["publish-mlflow"]


def test_programs_publish_in_order_and_may_read_what_one_before_wrote(world: World) -> None:
    first = delivery("evidence", "echo signed > evidence")
    first = replace(
        first,
        stage=replace(
            first.stage, outputs=(*first.stage.outputs, *stage("", "", writes=("evidence",)).outputs)
        ),
    )
    second = delivery("artifact", "grep signed evidence")
    second = replace(
        second,
        stage=replace(
            second.stage,
            produced=(*second.stage.produced, Produced("evidence", "publish-evidence", "evidence")),
        ),
    )
    report = world.run(publishing(first, second))
    assert told(report) == [("evidence", "written"), ("artifact", "written")]


def test_nothing_is_published_when_a_gate_does_not_pass(world: World) -> None:
    report = world.run(publishing(delivery("mlflow"), gates=(FAILING,)))
    assert told(report) == [("mlflow", "skipped")]
    assert report.publications[0].sentence == "gate 'bound' did not pass"
    assert world.ran == ["make"]


def test_nothing_is_published_by_a_part_of_a_run(world: World) -> None:
    whole = publishing(delivery("mlflow"))
    more = replace(whole, stages=(*whole.stages, stage("other", "true")))
    report = world.run(more, only=("make",))
    assert told(report) == [("mlflow", "skipped")]
    assert world.ran == ["make"]


@pytest.mark.parametrize(("code", "state", "ends"), [(5, "failed", 5), (3, "refused", 3), (1, "failed", 5)])
def test_the_first_that_fails_stops_the_rest(world: World, code: int, state: str, ends: int) -> None:
    broken = delivery("artifact", f"echo working; echo 'the registry is away'; exit {code}")
    report = world.run(publishing(broken, delivery("mlflow")))
    assert told(report) == [("artifact", state), ("mlflow", "skipped")]
    assert report.publications[0].sentence == "the registry is away"
    assert report.exit_code == ends


def test_a_repeated_run_goes_on(world: World) -> None:
    broken = delivery("artifact", "test -e model && exit 5")
    world.run(publishing(broken, delivery("mlflow")))
    report = world.run(publishing(delivery("artifact"), delivery("mlflow")))
    assert told(report) == [("artifact", "written"), ("mlflow", "written")]


def test_a_program_is_told_the_run_and_what_was_judged(world: World) -> None:
    shows = delivery("mlflow", f"cat {REQUEST}; ls .penstock-recipe/run")
    run = world.prepared(publishing(shows))
    run.report()
    log = run.walk.outcomes["publish-mlflow"].attempts[-1].log
    request, _ = json.JSONDecoder().raw_decode(log)
    assert request["action"] == "publish"
    assert request["run"]["id"] == run.run_id
    assert request["run"]["digest"].startswith("sha256:")
    assert [(each["path"], each["stage"]) for each in request["contents"]] == [("model", "make")]
    assert all(name in log for name in ("run.json", "stable.json", "summary.md", "report.html"))


def test_the_digest_of_a_run_is_the_same_when_it_is_repeated(world: World) -> None:
    digests = set()
    for _ in range(2):
        run = world.prepared(publishing(delivery("mlflow", f"cat {REQUEST}")))
        run.report()
        request, _ = json.JSONDecoder().raw_decode(run.walk.outcomes["publish-mlflow"].attempts[-1].log)
        digests.add(request["run"]["digest"])
    assert len(digests) == 1


def test_a_secret_that_publishing_needs_is_missed_before_anything_runs(world: World) -> None:
    what = replace(
        publishing(delivery("mlflow", secrets=("PASSWORD",))),
        secrets=(Secret(name="PASSWORD", env="PASSWORD"),),
    )
    with pytest.raises(UsageError, match="the variable PASSWORD is not set"):
        world.run(what, environ={})
    assert world.ran == []


def test_an_observer_hears_of_publications(world: World) -> None:
    heard: list[Publication] = []
    run = world.prepared(publishing(delivery("mlflow")))
    run.observer.published = heard.append  # type: ignore[method-assign, assignment] # a probe
    run.report()
    assert [each.kind for each in heard] == ["mlflow"]


def test_what_leaves_the_project_is_noted_in_the_audit_log(world: World, tmp_path: Path) -> None:
    environ = {"PENSTOCK_AUDIT": str(tmp_path / "audit.jsonl")}
    world.run(publishing(delivery("evidence"), delivery("mlflow")), environ=environ)
    entries = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(each["what"], each["subject"]) for each in entries] == [("publish", "mlflow:1")]
    assert entries[0]["evidence"].startswith("sha256:")
    assert audit.verify(tmp_path / "audit.jsonl").findings == ()


def test_a_publication_that_cannot_be_noted_is_said(world: World, tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").write_text("this is no log\n")
    environ = {"PENSTOCK_AUDIT": str(tmp_path / "audit.jsonl")}
    report = world.run(publishing(delivery("artifact"), delivery("mlflow")), environ=environ)
    assert told(report) == [("artifact", "written"), ("audit", "failed"), ("mlflow", "skipped")]
    assert report.exit_code == 5


def test_what_is_pushed_is_tagged_by_digest_commit_and_release(world: World) -> None:
    pushes = delivery("artifact", f"cat {REQUEST}")
    files = ((REQUEST, json.dumps({"action": "push-artifact", "tags": ["stable"]})),)
    pushes = replace(pushes, stage=replace(pushes.stage, files=files))
    commit = "0123456789abcdef0123456789abcdef01234567"

    def tags(**options: Any) -> list[str]:
        run = world.prepared(publishing(pushes), **options)
        run.report()
        request, _ = json.JSONDecoder().raw_decode(run.walk.outcomes["publish-artifact"].attempts[-1].log)
        return list(request["tags"])

    assert tags(commit="") == ["stable", "{digest}"]
    stable, own, of_commit, release = tags(commit=commit, release="v1.2")
    assert (stable, own, release) == ("stable", "{digest}", "v1.2")
    assert of_commit.startswith("0123456789ab-")
    assert tags(commit=f"{commit}-dirty", release="no tag: a sentence") == ["stable", "{digest}"]
