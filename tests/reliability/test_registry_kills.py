"""Publishing, promoting and rolling back, cut off at every single request, by the server's end or their own.

Between the program and a real MLflow server stands a proxy that counts requests. Afterwards every alias means
a version that is whole, and the same command again finishes what was begun and makes nothing twice.
"""

from __future__ import annotations

import json
import random
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from fault_proxy import Act, Exchange, FaultProxy, pass_on
from mlflow_server import MlflowServer
from penstock import digest
from registry_samples import Ended, Published, Registry, workspace

pytestmark = [pytest.mark.network]

ALIASES = ("candidate", "champion", "previous")
FAULTS = ("server gone", "server gone after it", "killed", "killed after it", "answer lost")
ACTIONS = ("publish", "promote", "rollback")
PATIENCE_S = 6.0
"""Of what is cut off: it tries a few times."""

Command = Callable[..., Ended]


class Direct:
    """Asks the server itself, past the proxy and without MLflow's client."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **asked: str) -> dict[str, Any] | None:
        text = self._read(f"2.0/mlflow/{path}?{urllib.parse.urlencode(asked)}", absent=b"null")
        found: dict[str, Any] | None = json.loads(text)
        return found

    def _read(self, path: str, absent: bytes | None = None) -> bytes:
        try:
            with urllib.request.urlopen(f"{self._address}/api/{path}", timeout=30) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if absent is None or error.code != HTTPStatus.NOT_FOUND:
                raise
            return absent

    def artifact(self, run: Mapping[str, Any], at: str) -> bytes:
        place = run["info"]["artifact_uri"].partition(":/")[2].strip("/")
        return self._read(f"2.0/mlflow-artifacts/artifacts/{urllib.parse.quote(f'{place}/{at}')}")

    def aliases(self, name: str) -> dict[str, str]:
        found = self.get("registered-models/get", name=name)
        known = found["registered_model"].get("aliases", []) if found else []
        return {each["alias"]: str(each["version"]) for each in known}

    def versions(self, name: str) -> list[dict[str, Any]]:
        found = self.get("model-versions/search", filter=f"name='{name}'", max_results="5000") or {}
        return list(found.get("model_versions", []))

    def runs_of(self, run: str) -> int:
        body = {
            "experiment_ids": [each["experiment_id"] for each in self._experiments()],
            "filter": f"tags.`penstock.run` = '{run}'",
        }
        request = urllib.request.Request(
            f"{self._address}/api/2.0/mlflow/runs/search", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as answer:
            return len(json.loads(answer.read()).get("runs", []))

    def _experiments(self) -> list[dict[str, Any]]:
        found = self.get("experiments/search", max_results="1000") or {}
        return list(found.get("experiments", []))

    def demand_whole(self, name: str, number: str) -> None:
        """Demand that a version is there with all of its files, each as it was judged."""
        found = self.get("model-versions/get", name=name, version=number)
        assert found is not None, f"an alias means version {number}, which is not there"
        version = found["model_version"]
        run = (self.get("runs/get", run_id=version["run_id"]) or {})["run"]
        assert run["info"]["status"] == "FINISHED"
        tags = {each["key"]: each["value"] for each in version["tags"]}
        listing = json.loads(self.artifact(run, "penstock/contents.json"))
        assert listing["run"] == tags["penstock.run"]
        for each in listing["files"]:
            assert digest.of_bytes(self.artifact(run, each["at"])) == each["digest"], each["at"]


@dataclass
class Scene:
    """One project's registry behind a proxy, and what it must look like."""

    place: Path
    direct: Direct
    proxy: FaultProxy
    registry: Registry
    checked: set[str] = field(default_factory=set)
    champions: list[str] = field(default_factory=list)
    word: int = 0

    def publish(self) -> Command:
        """A run that was never published."""
        self.word += 1
        shutil.rmtree(self.place / "w", ignore_errors=True)
        self.made: Published = workspace(self.place / "w", f"word {self.word}")
        made = self.made
        return lambda patience_s=20.0: self.registry.publish(made, patience_s=patience_s)

    def act(self, action: str, **request: Any) -> Command:
        return lambda patience_s=20.0: self.registry.act(action, patience_s=patience_s, **request)

    def pointers(self) -> dict[str, str]:
        """The aliases; every one that is there means a version that is whole."""
        found = self.direct.aliases("churn")
        assert found.keys() <= set(ALIASES)
        for number in found.values():
            if number not in self.checked:
                self.direct.demand_whole("churn", number)
                self.checked.add(number)
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with MlflowServer(tmp_path / "server") as own, FaultProxy(("127.0.0.1", own.port)) as proxy:
        registry = Registry(tmp_path / "project" / ".penstock", f"http://127.0.0.1:{proxy.port}")
        made = Scene(tmp_path, Direct(own.address), proxy, registry)
        for number in ("1", "2"):
            assert made.publish()().code == 0
            assert made.act("promote", version=number, who="me")().code == 0
            made.champions.append(number)
        yield made


def faulty(scene: Scene, fault: str, at: int) -> Act:
    """What befalls request number `at` (from 1) and those after it."""
    count = 0

    def act(exchange: Exchange) -> None:
        nonlocal count
        count += 1
        if count < at or (count > at and fault == "answer lost"):
            pass_on(exchange)
            return
        if count == at and ("after" in fault or "lost" in fault):
            exchange.forward()
        if "killed" in fault:
            scene.registry.kill()
        exchange.reset()

    return act


def prepared(scene: Scene, action: str) -> Command:
    """A command that is to be cut off; each time from a state like the last one's."""
    if action == "publish":
        return scene.publish()
    if action == "promote":
        to = "1" if scene.champions[-1] == "2" else "2"
        return scene.act("promote", version=to, who="me", why="better")
    if len(scene.champions) < 4:
        for _ in range(3):
            command = prepared(scene, "promote")
            assert command().code == 0
            settle(scene, "promote")
    return scene.act("rollback", steps=1)


def settle(scene: Scene, action: str) -> None:
    """Note what the action has changed."""
    if action == "promote":
        scene.champions.append("1" if scene.champions[-1] == "2" else "2")
    elif action == "rollback":
        scene.champions.pop()


def demand_done(scene: Scene, action: str) -> None:
    """Demand that the action is done, once."""
    settle(scene, action)
    pointers = scene.pointers()
    if action == "publish":
        mine = [each for each in scene.direct.versions("churn") if scene.made.digest in str(each["tags"])]
        assert [each["version"] for each in mine] == [pointers["candidate"]]
        assert scene.direct.runs_of(scene.made.digest) == 1
    expected = scene.champions[-1], scene.champions[-2] if len(scene.champions) > 1 else None
    assert (pointers["champion"], pointers.get("previous")) == expected


def point(scene: Scene, action: str, fault: str, at: int) -> str:
    """Cut an action off at one request; gives what became of it."""
    command = prepared(scene, action)
    scene.proxy.clear()
    scene.proxy.rule(faulty(scene, fault, at))
    ended = command(PATIENCE_S)
    reached = len(scene.proxy.seen) >= at
    scene.proxy.clear()
    scene.pointers()
    if fault == "answer lost":
        assert ended.code == 0, ended.err
    else:
        wanted = (-9,) if "killed" in fault else (5,)
        assert ended.code in (wanted if reached else (0,)), (ended, fault, at)
        assert ended.receipt is None or not reached
        assert "Traceback" not in ended.err
        if reached:
            again = command()
            assert again.code == 0, (again.err, fault, at)
    demand_done(scene, action)
    return "cut off" if reached else "too late"


def requests_of(scene: Scene, action: str) -> int:
    command = prepared(scene, action)
    scene.proxy.clear()
    assert command().code == 0
    demand_done(scene, action)
    return len(scene.proxy.seen)


def sweep(scene: Scene, step: int) -> Counter[str]:
    """Cut everything off at each `step`-th point."""
    figures: Counter[str] = Counter()
    number = 0
    for action in ACTIONS:
        for at in range(1, requests_of(scene, action) + 1):
            for fault in FAULTS:
                number += 1
                if number % step == 0:
                    figures[f"{action}: {point(scene, action, fault, at)}"] += 1
                    figures[fault] += 1
    return figures


@pytest.mark.timeout(600)
def test_what_is_cut_off_leaves_pointers_valid_and_a_repeat_finishes_it(scene: Scene) -> None:
    figures = sweep(scene, 41)
    assert {f"{action}: cut off" for action in ACTIONS} <= figures.keys()
    assert set(FAULTS) <= figures.keys()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_request_may_be_the_last_one(scene: Scene) -> None:
    figures = sweep(scene, 1)
    print(f"\n{dict(figures)}")  # noqa: T201 - the figures
    assert sum(count for name, count in figures.items() if name.endswith("cut off")) >= 100


def own_command(place: Path, registry: Registry, action: str, number: str) -> Command:
    """Something to do with version `number`, which a workspace is there for."""
    if action == "publish":
        made = workspace(place / f"w{number}", f"word {number}")
        return lambda **how: registry.run(made.workspace, made.request, **how)
    errand = place / "errand"
    errand.mkdir(exist_ok=True)
    request = {"action": action, "model": "churn", "receipt": "receipt.json"}
    if action == "promote":
        request["version"] = number
    return lambda **how: registry.run(errand, request, **how)


def kill_at_random(place: Path, kills: int, seed: int) -> Counter[str]:
    """Kill what works on a project's own registry (a database and a folder), from its making on."""
    chance, figures = random.Random(seed), Counter[str]()
    registry = Registry(place / "project" / ".penstock")
    champions: list[str] = []
    number = 0
    while figures["killed"] < kills:
        number += 1
        for action in ACTIONS:
            if action == "rollback" and len(champions) < 3:
                continue
            command = own_command(place, registry, action, str(number))
            began = time.monotonic()
            ended = command(killed_after_s=chance.uniform(0.0, figures[action] / 1000 or 4.0))
            figures["killed" if ended.code == -9 else "too late"] += 1
            if ended.code == -9:
                began = time.monotonic()
                ended = command()
            figures[action] = round((time.monotonic() - began) * 1000)  # of one that was not killed
            assert ended.code == 0, ended.err
            champions = {"publish": champions, "promote": [*champions, str(number)]}.get(
                action, champions[:-1]
            )
        found = registry.act("list").facts
        assert [each["version"] for each in found["versions"]] == [str(each) for each in range(number, 0, -1)]
        assert found["champions"] == champions
        assert found["aliases"]["champion"] == champions[-1]
    return figures


@pytest.mark.timeout(600)
def test_killed_anywhere_a_projects_own_registry_stays_whole(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path, 5, seed=3)["killed"] >= 5


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_many_times_a_projects_own_registry_stays_whole(tmp_path: Path) -> None:
    print(f"\n{dict(kill_at_random(tmp_path, 80, seed=5))}")  # noqa: T201 - the figures
