"""A push that is killed at any request: every tag names something whole, and another push finishes it.

The proxy counts requests and kills the pushing process (SIGKILL) at the n-th one: before the registry gets it,
or after the registry has done it and before its answer comes back.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

import docker_registry
import oci_samples
from docker_registry import Registry
from fault_proxy import Exchange, FaultProxy, pass_on

NUMBERS = itertools.count()
REQUESTS = {"artifact": 56, "image": 35}
MOMENTS = ("before", "after")
SHARE = 25
"""One of so many points belongs to the quick share."""


@dataclass
class Killer:
    """Kills a process at its n-th request."""

    at: int
    moment: str
    process: BaseProcess | None = None
    met: int = 0
    started: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, exchange: Exchange) -> None:
        self.met += 1
        if self.met != self.at:
            if self.met < self.at:
                pass_on(exchange)
            return
        if self.moment == "after":
            exchange.forward()
        with self.started:  # only then it is known which process that is
            assert self.process is not None
            self.process.kill()
        exchange.reset()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with docker_registry.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@dataclass
class Case:
    """A push over another one's tags."""

    root: Path
    older: dict[str, Any]
    newer: dict[str, Any]


def artifacts(folder: Path) -> Case:
    old, new = (
        oci_samples.workspace(folder / f"w{seed}", seed=seed, weights_bytes=2_000 * seed) for seed in (1, 2)
    )
    evidence = new.root / "build/penstock/evidence"
    evidence.mkdir(parents=True)
    (evidence / "verdict.dsse.json").write_text("{}")
    (evidence / "public-key.pem").write_text("a key")
    older = old.request(0, tags=["1.0.0"])
    newer = new.request(0, tags=["1.1.0", "c0ffee"], evidence="build/penstock/evidence")
    return Case(folder, older | {"folder": str(old.root)}, newer | {"folder": str(new.root)})


def images(folder: Path) -> Case:
    requests = []
    for number, machines in enumerate((("amd64",), ("amd64", "arm64"))):
        root = folder / f"i{number}"
        root.mkdir(parents=True)
        (root / "image.tar").write_bytes(oci_samples.tar(oci_samples.layout(*machines)))
        request = {
            "action": "push-image",
            "archive": "image.tar",
            "tags": [f"1.{number}.0", f"c0ffee{number}"],
            "alias": "latest",
            "insecure": True,
            "receipt": "receipt.json",
            "folder": str(root),
        }
        requests.append(request)
    return Case(folder, *requests)


CASES = {"artifact": artifacts, "image": images}


def push(request: dict[str, Any], port: int, name: str) -> int | None:
    process = oci_samples.forked(
        Path(request["folder"]), request | {"repository": f"127.0.0.1:{port}/{name}"}
    )
    process.join(120)
    return process.exitcode


def killed(case: Case, registry: Registry, name: str, killer: Killer) -> dict[str, str]:
    """Tags after a push was killed."""
    with FaultProxy(registry.place) as proxy:
        proxy.rule(killer)
        request = case.newer | {"repository": f"127.0.0.1:{proxy.port}/{name}"}
        with killer.started:
            killer.process = oci_samples.forked(Path(case.newer["folder"]), request)
        killer.process.join(120)
        assert killer.process.exitcode == -signal.SIGKILL
    return registry.sound(name)


def check(case: Case, registry: Registry, name: str, killer: Killer) -> None:
    assert push(case.older, registry.port, name) == 0
    before = registry.sound(name)
    tags = killed(case, registry, name, killer)
    assert set(before) <= set(tags)
    assert {tag: digest for tag, digest in tags.items() if tag in before and tag != "latest"} == {
        tag: digest for tag, digest in before.items() if tag != "latest"
    }
    new = case.newer["tags"]
    given = [tag for tag in new if tag in tags]
    assert given == new[: len(given)], "tags are given in order"
    if tags["latest"] != before["latest"]:
        assert given == new, "the alias is moved last"
    assert push(case.newer, registry.port, name) == 0
    now = registry.sound(name)
    (publication,) = oci_samples.receipt(Path(case.newer["folder"]))["publications"]
    assert {now[tag] for tag in (*new, "latest")} == {publication["digest"]}
    assert publication["state"] == "unchanged" or set(now) >= set(tags)
    lists = [tag for tag in now if tag.startswith("sha256-")]
    assert len(lists) == (2 if case.newer["action"] == "push-artifact" else 0)
    assert len(registry.referrers(name, publication["digest"])) == len(lists) // 2


def points() -> list[Any]:
    """Every request of a push, before and after the registry has done it; most are left to the whole suite."""
    found = [
        (kind, at, moment)
        for kind, last in REQUESTS.items()
        for at in range(1, last + 1)
        for moment in MOMENTS
    ]
    return [
        pytest.param(*each, marks=() if at % SHARE == SHARE // 2 else pytest.mark.slow)
        for at, each in enumerate(found)
    ]


@pytest.fixture
def name() -> str:
    return f"ml/killed-{os.getpid()}-{next(NUMBERS)}"


@pytest.mark.parametrize("kind", CASES)
def test_every_request_of_a_push_is_a_point(registry: Registry, name: str, tmp_path: Path, kind: str) -> None:
    case = CASES[kind](tmp_path)
    assert push(case.older, registry.port, name) == 0
    with FaultProxy(registry.place) as proxy:
        assert push(case.newer, proxy.port, name) == 0
    assert len(proxy.seen) == REQUESTS[kind]


@pytest.mark.parametrize(("kind", "at", "moment"), points())
def test_a_push_that_is_killed_leaves_valid_tags_and_can_be_finished(
    registry: Registry, name: str, tmp_path: Path, *, kind: str, at: int, moment: str
) -> None:
    check(CASES[kind](tmp_path), registry, name, Killer(at, moment))
