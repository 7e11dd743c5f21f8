"""A registry behind a bad network: no wrong byte is accepted, no tag names what is not whole, and it ends.

Every script is one fault. What a passing one leaves has to be as if there had been none; a lasting one ends
with 5 (3 where the registry itself gives other bytes than its digests say), soon after patience is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import docker_registry
import fault_proxy
import oci_samples
from docker_registry import Registry
from fault_proxy import (
    Act,
    FaultProxy,
    answer,
    answer_at_once,
    changed,
    close,
    cut_answer_at,
    delayed,
    endless,
    flipped,
    garbage,
    hang,
    hang_after,
    part_of_request,
    reset,
    reset_after,
    reset_answer_at,
    reset_request_at,
    slow_body,
    slow_head,
    slow_reading,
    truncated,
    with_headers,
)
from penstock.programs.oci import main as oci

PATIENCE_S = 2.0
SLACK_S = 3.0  # for a machine that does other things too
REPOSITORY = "ml/churn"

BLOBS, UPLOADS, MANIFESTS = r"/blobs/sha256", r"/blobs/uploads/", r"/manifests/"
MODEL_BYTES = 300_000
RETRY_LATER, RETRY_NEVER = {"Retry-After": "1"}, {"Retry-After": "3600"}
NO_SUCH_DAY = {"Retry-After": "Thu, 45 Foo 2026 00:00:00 GMT"}
NOTHING = {"Docker-Content-Digest": "sha256:" + "0" * 64}

# act, method, path, where it begins (skip), how often (None: always), exit code
Script = tuple[Act, str, str, int, int | None, int]

PUSHES: dict[str, Script] = {
    # a fault that passes
    "401 without a challenge, then well": (answer(401), "POST", UPLOADS, 0, 1, 5),
    "408, then well": (answer(408), "GET", MANIFESTS, 0, 1, 0),
    "429 for a second, then well": (answer(429, RETRY_LATER), "POST", UPLOADS, 1, 1, 0),
    "429 until no day, then well": (answer(429, NO_SUCH_DAY), "HEAD", BLOBS, 1, 1, 0),
    "500, then well": (answer(500), "PUT", MANIFESTS, 0, 1, 0),
    "502, then well": (answer(502), "PUT", UPLOADS, 2, 1, 0),
    "503 before a body is read, then well": (answer_at_once(503), "PUT", UPLOADS, 2, 1, 0),
    "504, then well": (answer(504), "GET", BLOBS, 0, 1, 0),
    "a reset, then well": (reset, "POST", UPLOADS, 0, 1, 0),
    "a reset after a manifest was taken, then well": (reset_after, "PUT", MANIFESTS, 0, 1, 0),
    "a reset after a blob was taken, then well": (reset_after, "PUT", UPLOADS, 0, 1, 0),
    "a reset in the middle of an upload, then well": (reset_request_at(100_000), "PUT", UPLOADS, 2, 1, 0),
    "half of an upload, then well": (part_of_request(100_000), "PUT", UPLOADS, 2, 1, 0),
    "a reset in the middle of reading back, then well": (reset_answer_at(100_000), "GET", BLOBS, 2, 1, 0),
    "an answer that ends too early, then well": (cut_answer_at(100_000), "GET", BLOBS, 2, 1, 0),
    "a flipped bit on its way, then well": (flipped(1_000), "GET", BLOBS, 2, 1, 0),
    "a close without an answer, then well": (close, "GET", MANIFESTS, 2, 1, 0),
    "an upload that was forgotten, then well": (answer(404), "PUT", UPLOADS, 0, 1, 0),
    "an upload out of range, then well": (answer(416), "PUT", UPLOADS, 0, 1, 0),
    "a late answer": (delayed(0.5), "PUT", MANIFESTS, 0, 1, 0),
    "no answer to one request, then well": (hang, "POST", UPLOADS, 0, 1, 0),
    "a manifest that is there only later": (answer(404), "GET", r"/manifests/sha256:", 1, 1, 0),
    "bytes that are no HTTP, then well": (garbage(), "HEAD", BLOBS, 0, 1, 0),
    # a fault that stays
    "403": (answer(403), "POST", UPLOADS, 0, None, 5),
    "404 for uploads": (answer(404), "POST", UPLOADS, 0, None, 5),
    "405 for manifests": (answer(405), "PUT", MANIFESTS, 0, None, 5),
    "413": (answer_at_once(413), "PUT", UPLOADS, 2, None, 5),
    "429 for an hour": (answer(429, RETRY_NEVER), "POST", UPLOADS, 0, None, 5),
    "500": (answer(500), "PUT", MANIFESTS, 0, None, 5),
    "503": (answer(503, RETRY_LATER), "GET", BLOBS, 1, None, 5),
    "507": (answer(507), "PUT", UPLOADS, 1, None, 5),
    "resets": (reset, ".*", "", 7, None, 5),
    "resets at a tag": (reset, "PUT", r"/manifests/1\.4\.0", 0, None, 5),
    "resets at the alias": (reset, "PUT", r"/manifests/latest", 0, None, 5),
    "no answer": (hang, "GET", MANIFESTS, 0, None, 5),
    "no answer to an upload": (hang_after, "PUT", UPLOADS, 1, None, 5),
    "an upload that is read a byte at a time": (slow_reading(20), "PUT", UPLOADS, 2, None, 5),
    "a body of a byte a second": (slow_body(20), "GET", BLOBS, 2, None, 5),
    "a header of a byte a second": (slow_head(20), "GET", MANIFESTS, 1, None, 5),
    "a manifest without an end": (endless(), "GET", MANIFESTS, 0, None, 3),
    "a blob without an end": (endless(), "GET", BLOBS, 0, None, 3),
    "redirects in a circle": (answer(307, {"Location": "/v2/"}), "GET", "", 0, None, 5),
    "a redirect to nowhere": (answer(307), "GET", MANIFESTS, 0, None, 5),
    "an upload without a place": (with_headers({"Location": ""}), "POST", UPLOADS, 0, None, 5),
    "a page of a captive portal": (
        answer(200, {"Content-Type": "text/html"}, b"<html>"),
        ".*",
        "",
        0,
        None,
        3,
    ),
    "a portal that says yes to all": (answer(201, {"Location": "/v2/x"}), "POST|PUT", "", 0, None, 5),
    "half of every upload": (part_of_request(100_000), "PUT", UPLOADS, 2, None, 5),
    "blobs that are there and are not": (answer(200), "HEAD", BLOBS, 0, None, 5),
    # a registry that gives other bytes
    "flipped blobs": (flipped(1_000), "GET", BLOBS, 0, None, 3),
    "truncated blobs": (truncated(), "GET", BLOBS, 0, None, 3),
    "empty blobs": (changed(lambda _: b""), "GET", BLOBS, 0, None, 3),
    "longer blobs": (changed(lambda body: body + b"\0"), "GET", BLOBS, 0, None, 3),
    "flipped manifests": (flipped(5), "GET", MANIFESTS, 2, None, 3),
    "manifests of another digest": (with_headers(NOTHING), "GET", MANIFESTS, 2, None, 3),
    "a tag that leads elsewhere": (
        changed(lambda body: body + b" "),
        "GET",
        r"/manifests/1\.4\.0",
        1,
        None,
        3,
    ),
    "an alias that leads elsewhere": (changed(lambda _: b"{}"), "GET", r"/manifests/latest", 1, None, 3),
}

PULLS: dict[str, Script] = {
    "500, then well": (answer(500), "GET", MANIFESTS, 0, 1, 0),
    "a reset at a byte, then well": (reset_answer_at(150_000), "GET", BLOBS, 1, 1, 0),
    "an answer that ends too early, then well": (cut_answer_at(1), "GET", BLOBS, 0, 1, 0),
    "a flipped bit on its way, then well": (flipped(2_000), "GET", BLOBS, 1, 1, 0),
    "403": (answer(403), "GET", MANIFESTS, 0, None, 5),
    "404 for blobs": (answer(404), "GET", BLOBS, 0, None, 5),
    "503": (answer(503), "GET", BLOBS, 0, None, 5),
    "no answer": (hang, "GET", BLOBS, 0, None, 5),
    "a byte a second": (slow_body(20), "GET", BLOBS, 1, None, 5),
    "resets at a byte": (reset_answer_at(150_000), "GET", BLOBS, 1, None, 5),
    "flipped blobs": (flipped(2_000), "GET", BLOBS, 1, None, 3),
    "truncated blobs": (truncated(512), "GET", BLOBS, 1, None, 3),
    "flipped manifests": (flipped(9), "GET", MANIFESTS, 0, None, 3),
    "a blob without an end": (endless(), "GET", BLOBS, 0, None, 3),
}  # fmt: skip


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with docker_registry.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"ml/churn-{abs(hash(request.node.name))}"


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> oci_samples.Workspace:
    monkeypatch.setenv("HOME", str(tmp_path))
    return oci_samples.workspace(tmp_path / "workspace", weights_bytes=MODEL_BYTES)


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def some(scripts: dict[str, Script], every: int) -> list[Any]:
    """All scripts, most of which are left to the whole suite."""
    return [
        pytest.param(what, marks=() if at % every == 0 else pytest.mark.slow)
        for at, what in enumerate(scripts)
    ]


@pytest.mark.parametrize("what", some(PUSHES, 4))
def test_a_push_over_a_bad_network_tags_nothing_that_is_not_whole(
    registry: Registry, name: str, ran: oci_samples.Workspace, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    act, method, path, skip, times, code = PUSHES[what]
    with FaultProxy(registry.place) as proxy:
        proxy.rule(act, method=method, path=path, skip=skip, times=times)
        request = ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}", patience_s=PATIENCE_S)
        with in_time((30 if code == 0 else 2 * PATIENCE_S) + SLACK_S):
            found = oci_samples.here(ran.root, request, oci.main)
    said = capsys.readouterr().err
    assert (found, "Traceback" in said, len(said.splitlines()) <= 3) == (code, False, True), said
    tags = {tag: digest for tag, digest in registry.sound(name).items() if not tag.startswith("sha256-")}
    if code == 0:
        assert tags == dict.fromkeys(["1.4.0", "latest"], ran.receipt()["publications"][0]["digest"])
    else:
        assert not (ran.root / "receipt.json").exists()
        assert set(tags) <= ({"1.4.0", "latest"} if "tag" in what or "alias" in what else set())
        if "alias" not in what:
            assert "latest" not in tags


@pytest.mark.parametrize("what", some(PULLS, 3))
def test_a_pull_over_a_bad_network_gives_what_was_judged_or_nothing(
    registry: Registry, name: str, ran: oci_samples.Workspace, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    act, method, path, skip, times, code = PULLS[what]
    with FaultProxy(registry.place) as proxy:
        request = ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}", patience_s=PATIENCE_S)
        assert oci_samples.here(ran.root, request, oci.main) == 0
        proxy.rule(act, method=method, path=path, skip=skip, times=times)
        pull = request | {"action": "pull", "reference": "latest", "to": "got"}
        with in_time((30 if code == 0 else 2 * PATIENCE_S) + SLACK_S):
            found = oci_samples.here(ran.root, pull, oci.main)
    assert (found, "Traceback" in capsys.readouterr().err) == (code, False)
    assert not list(ran.root.glob(".got*"))
    if code == 0:
        for each in ran.contents:
            assert oci_samples.judged(ran.root / "got", each["path"], each["role"], each["kind"]) == each
    else:
        assert not (ran.root / "got").exists()


def test_there_are_at_least_forty_scripts() -> None:
    assert len(PUSHES) >= 40


@pytest.mark.parametrize(
    "port", [fault_proxy.refusing_port, fault_proxy.hanging_port, fault_proxy.silent_port]
)
def test_a_registry_that_cannot_be_reached_is_given_up(
    ran: oci_samples.Workspace, capsys: pytest.CaptureFixture[str], port: Callable[[], Any]
) -> None:
    with port() as number, in_time(2 * PATIENCE_S + SLACK_S):
        request = ran.request(0, repository=f"127.0.0.1:{number}/x", patience_s=PATIENCE_S)
        assert oci_samples.here(ran.root, request, oci.main) == 5
    said = capsys.readouterr().err
    words = "connection refused" if port is fault_proxy.refusing_port else "in time"
    assert (words in said, "given up after 2 s" in said, len(said.splitlines()) <= 3) == (True, True, True), (
        said
    )


def test_a_name_that_does_not_resolve_is_said(
    ran: oci_samples.Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ran.request(0, repository="registry.invalid:5000/x", patience_s=PATIENCE_S)
    with in_time(2 * PATIENCE_S + SLACK_S):
        assert oci_samples.here(ran.root, request, oci.main) == 5


def test_a_token_service_that_hangs_is_given_up(
    ran: oci_samples.Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultProxy(None) as proxy, FaultProxy(None) as tokens, in_time(2 * PATIENCE_S + SLACK_S):
        tokens.rule(slow_head_of_nothing)
        realm = f'Bearer realm="http://127.0.0.1:{tokens.port}/token",service="s"'
        proxy.rule(answer(401, {"WWW-Authenticate": realm}))
        request = ran.request(0, repository=f"127.0.0.1:{proxy.port}/x", patience_s=PATIENCE_S)
        assert oci_samples.here(ran.root, request, oci.main) == 5


def slow_head_of_nothing(exchange: fault_proxy.Exchange) -> None:
    exchange.drip(b"HTTP/1.1 200 OK\r\n" + b"x" * 10_000, 20)


def test_progress_keeps_a_slow_network_from_being_given_up(
    registry: Registry, name: str, ran: oci_samples.Workspace
) -> None:
    """64 KiB every 0.8 s are progress, though all of it takes longer than patience is."""
    request = ran.request(0, repository=f"127.0.0.1:{registry.port}/{name}", patience_s=PATIENCE_S)
    assert oci_samples.here(ran.root, request, oci.main) == 0
    with FaultProxy(registry.place) as proxy:
        proxy.rule(slowly, method="GET", path=BLOBS, skip=2, times=1)
        verify = request | {"action": "verify", "reference": "latest", "patience_s": 3}
        verify["repository"] = f"127.0.0.1:{proxy.port}/{name}"
        began = time.monotonic()
        assert oci_samples.here(ran.root, verify, oci.main) == 0
    assert time.monotonic() - began > 3


def slowly(exchange: fault_proxy.Exchange) -> None:
    given = exchange.forward()
    exchange.send_head(given, len(given.body))
    for at in range(0, len(given.body), 1 << 16):
        time.sleep(0.8)
        exchange.handler.wfile.write(given.body[at : at + (1 << 16)])
        exchange.handler.wfile.flush()


LASTING = ("no answer", "a header of a byte a second", "a body of a byte a second", "resets")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("what", LASTING)
def test_a_registry_is_given_up_within_a_minute(
    registry: Registry, name: str, ran: oci_samples.Workspace, what: str
) -> None:
    """With the patience that users have, in a process of its own."""
    act, method, path, skip, times, code = PUSHES[what]
    act = oci_samples.one_a_second(what) if "byte a second" in what else act
    began: list[float] = []

    def timed(exchange: fault_proxy.Exchange) -> None:
        began.append(time.monotonic())
        act(exchange)

    with FaultProxy(registry.place) as proxy:
        proxy.rule(timed, method=method, path=path, skip=skip, times=times)
        found, said = oci_samples.done(ran.root, ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}"))
        took = time.monotonic() - began[0]
    assert (found, "Traceback" in said) == (code, False), said
    assert took < 60, f"{took:.1f} s after the first answer that did not come"
    assert registry.sound(name) == {}
