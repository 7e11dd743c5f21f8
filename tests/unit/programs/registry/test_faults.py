"""Servers that are down, slow, forgetful, hostile or ask for a password; and secrets, which nobody sees."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fault_proxy
from fault_proxy import FaultProxy, answer
from mlflow_server import MlflowServer, free_port
from penstock.results import Verdict
from registry_samples import Published, Registry, gate, workspace

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

CANARY = "canary-8f3b1c-secret"


@pytest.fixture
def proxy(server: MlflowServer) -> Iterator[FaultProxy]:
    with FaultProxy(("127.0.0.1", server.port)) as running:
        yield running


@pytest.fixture
def behind(proxy: FaultProxy, tmp_path: Path) -> Registry:
    """A registry whose server is behind a proxy."""
    return Registry(tmp_path / "project" / ".penstock", f"http://127.0.0.1:{proxy.port}")


def made(tmp_path: Path, request: pytest.FixtureRequest) -> Published:
    found = workspace(tmp_path / "w", request.node.name[-30:])
    name = f"f {abs(hash(request.node.nodeid))}"
    return Published(found.workspace, {**found.request, "model": name, "experiment": name}, found.report)


def test_a_server_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    port = free_port()
    registry = Registry(tmp_path / ".penstock", f"http://127.0.0.1:{port}")
    began = time.monotonic()
    ended = registry.act("list", patience_s=60)
    assert ended.code == 5
    assert ended.err.splitlines()[-1] == (
        f"http://127.0.0.1:{port}: looking for model 'churn': nothing listens there; run again to go on"
    )
    assert time.monotonic() - began < 30


HOPELESS = {
    "unavailable": answer(503, body=b"try later"),
    "too many requests": answer(429),
    "internal": answer(500, body=b'{"error_code": "INTERNAL_ERROR", "message": "database is locked"}'),
    "no JSON": answer(200, {"Content-Type": "text/html"}, b"<html>a login page</html>"),
    "reset": fault_proxy.reset,
    "closed": fault_proxy.close,
    "a byte a second": fault_proxy.slow_head(1),
    "no answer": fault_proxy.hang,
    "forbidden": answer(403, body=b"no"),
    "who are you": answer(401, body=b"You are not authenticated"),
}


@pytest.mark.parametrize("kind", HOPELESS)
def test_a_server_that_cannot_be_used_is_given_up_in_time(
    proxy: FaultProxy, behind: Registry, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    proxy.rule(HOPELESS[kind])
    began = time.monotonic()
    ended = behind.publish(made(tmp_path, request), patience_s=4)
    assert time.monotonic() - began < 30
    assert ended.code == 5, ended.err
    assert ended.receipt is None
    assert "Traceback" not in ended.err
    last = ended.err.splitlines()[-1]
    assert last.startswith(f"http://127.0.0.1:{proxy.port}: "), ended.err
    if kind in ("forbidden", "who are you"):
        assert "MLFLOW_TRACKING_USERNAME" in last
        assert len(proxy.seen) == 1  # a password does not get better by trying again


@pytest.mark.slow
def test_the_time_that_is_given_is_at_most_a_minute(proxy: FaultProxy, behind: Registry) -> None:
    proxy.rule(fault_proxy.hang)
    began = time.monotonic()
    assert behind.act("list", patience_s=None).code == 5
    assert time.monotonic() - began < 75  # with what it takes to start on a busy machine


def test_an_address_of_something_else_is_not_taken_for_a_registry_without_a_champion(
    proxy: FaultProxy, behind: Registry, tmp_path: Path
) -> None:
    proxy.rule(answer(404, {"Content-Type": "text/html"}, b"<html>no such page</html>"))
    ended = behind.act("baseline", alias="champion", result=str(tmp_path / "result"))
    assert (ended.code, "is it the address of an MLflow server?" in ended.err) == (5, True), ended.err
    assert not (tmp_path / "result" / "absent.json").exists()


PASSING = {
    "unavailable": answer(503),
    "reset": fault_proxy.reset,
    "answer lost": fault_proxy.reset_after,
    "half an answer": fault_proxy.cut_answer_at(20),
}


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_is_tried_again_and_makes_nothing_twice(
    proxy: FaultProxy, behind: Registry, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    for path in ("runs/create", "model-versions/create", "registered-models/create", "experiments/create"):
        proxy.rule(PASSING[kind], path=path, times=1)
    published = made(tmp_path, request)
    ended = behind.publish(published)
    assert ended.code == 0, ended.err
    name = published.request["model"]
    assert [each["version"] for each in behind.act("list", model=name).facts["versions"]] == ["1"]
    assert sum("model-versions/create" in each.path for each in proxy.seen) <= 2


@pytest.mark.parametrize(
    "act", [fault_proxy.flipped(3), fault_proxy.truncated(2)], ids=["flipped", "truncated"]
)
def test_a_server_that_gives_other_bytes_than_it_got_is_found_out(
    proxy: FaultProxy, behind: Registry, tmp_path: Path, request: pytest.FixtureRequest, act: fault_proxy.Act
) -> None:
    proxy.rule(act, method="GET", path=r"artifacts/.*weights\.bin")
    published = made(tmp_path, request)
    ended = behind.publish(published)
    assert (ended.code, "weights.bin: the registry gives" in ended.err) == (3, True), ended.err
    proxy.clear()
    assert behind.publish(published).code == 0
    proxy.rule(act, method="GET", path=r"artifacts/.*weights\.bin")
    to = tmp_path / "to"
    loaded = behind.act("load", model=published.request["model"], alias="candidate", to=str(to))
    assert (loaded.code, to.exists()) == (3, False)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".penstock-")] == []


def test_a_server_cannot_lead_out_of_the_folder(
    proxy: FaultProxy, behind: Registry, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    published = made(tmp_path, request)
    assert behind.publish(published).code == 0
    evil = fault_proxy.changed(lambda body: body.replace(b'"model/MLmodel"', b'"../../../evil"'))
    proxy.rule(evil, method="GET", path=r"contents\.json")
    to = tmp_path / "a" / "b" / "c" / "to"
    loaded = behind.act("load", model=published.request["model"], alias="candidate", to=str(to))
    assert (loaded.code, "is not Penstock's" in loaded.err) == (3, True), loaded.err
    assert not list(tmp_path.rglob("evil"))


def test_secrets_are_nowhere(proxy: FaultProxy, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Neither in what is printed nor in what is kept, also when a server sends them back."""
    secrets = {"MLFLOW_TRACKING_USERNAME": "user", "MLFLOW_TRACKING_PASSWORD": CANARY, "OTHER_TOKEN": CANARY}
    address = f"http://127.0.0.1:{proxy.port}"
    registry = Registry(tmp_path / "project" / ".penstock", address, **secrets)
    published = made(tmp_path, request)
    ended = [registry.publish(published)]
    assert "Basic" in str(proxy.seen[0].headers.get("Authorization"))
    proxy.rule(answer(401, body=f"user:{CANARY} is wrong".encode()))
    ended.append(registry.publish(published))
    in_address = Registry(tmp_path / "project" / ".penstock", f"http://user:{CANARY}@127.0.0.1:{proxy.port}")
    ended.append(in_address.publish(published))
    proxy.clear()
    ended.append(in_address.publish(published))
    assert [each.code for each in ended] == [0, 5, 5, 0], ended
    assert all(CANARY not in each.out + each.err + json.dumps(each.receipt) for each in ended)
    assert in_address.act("show", model=published.request["model"], alias="candidate").code == 0
    for folder in (tmp_path, _server_place(request)):
        for path in folder.rglob("*"):
            if path.is_file():
                assert CANARY.encode() not in path.read_bytes(), path


def _server_place(request: pytest.FixtureRequest) -> Path:
    server: MlflowServer = request.getfixturevalue("server")
    return server.place


def test_a_version_that_did_not_pass_is_not_loaded_unless_somebody_answered_for_it(tmp_path: Path) -> None:
    own = Registry(tmp_path / "project" / ".penstock")
    assert own.publish(workspace(tmp_path / "w", gates=(gate(Verdict.INCONCLUSIVE),))).code == 0
    refused = own.act("load", version="1", to=str(tmp_path / "to"))
    assert (refused.code, "was not let through" in refused.err) == (3, True)
    override = {"name": "Ada", "reason": "tried by hand"}
    assert own.act("promote", version="1", who="Ada", override=override).code == 0
    assert own.act("load", version="1", to=str(tmp_path / "to")).code == 0


def test_a_projects_registry_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".penstock").write_text("no directory")
    ended = Registry(tmp_path / "project" / ".penstock").publish(workspace(tmp_path / "w"))
    assert ended.code == 2
    assert "Traceback" not in ended.err
