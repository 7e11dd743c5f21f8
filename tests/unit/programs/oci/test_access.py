"""Passwords, tokens, certificates and redirects: who gets to see a secret, and who does not."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import docker_registry
import oci_samples
from docker_registry import NAME, PASSWORD, Registry, Tls, TokenService
from fault_proxy import Exchange, FaultProxy, answer, with_headers
from oci_samples import Asked, Workspace
from penstock.programs.oci import authority

WITH_NAMES = {"username": "REGISTRY_USER", "password": "REGISTRY_PASSWORD"}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REGISTRY_USER", NAME)
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return docker_registry.certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("guarded")
    with docker_registry.running(folder, auth=docker_registry.htpasswd(folder)) as found:
        yield found


@pytest.fixture
def tokens(tls: Tls) -> Iterator[TokenService]:
    with TokenService(tls).running() as found:
        yield found


@pytest.fixture
def tokened(tokens: TokenService, tmp_path: Path) -> Iterator[Registry]:
    with docker_registry.running(tmp_path / "tokened", auth=tokens.auth()) as found:
        yield found


# a name and a password


def test_a_name_and_a_password_open_a_registry(
    guarded: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    request = ran.request(guarded.port, repository=f"127.0.0.1:{guarded.port}/{name}", **WITH_NAMES)
    assert asked(ran, request)[0] == 0
    assert asked(ran, request | {"action": "pull", "reference": "latest", "to": "got"})[0] == 0
    assert (ran.root / "got/build/metrics.json").read_bytes() == (
        ran.root / "build/metrics.json"
    ).read_bytes()


def test_without_them_it_is_said_what_is_missing(
    guarded: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    code, said = asked(ran, ran.request(0, repository=f"127.0.0.1:{guarded.port}/{name}"))
    assert (code, "give `username` and `password`" in said) == (5, True)


def test_a_wrong_password_is_tried_once_and_never_shown(
    guarded: Registry, name: str, ran: Workspace, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "not-the-password")
    with FaultProxy(guarded.place) as proxy:
        code, said = asked(ran, ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}", **WITH_NAMES))
    assert (code, "refuses" in said, "not-the-password" in said, len(proxy.seen)) == (5, True, False, 2)


def test_what_docker_login_left_is_used(
    guarded: Registry, name: str, ran: Workspace, asked: Asked, tmp_path: Path
) -> None:
    secret = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    (tmp_path / ".docker").mkdir()
    kept = {"auths": {f"127.0.0.1:{guarded.port}": {"auth": secret}}}
    (tmp_path / ".docker/config.json").write_text(json.dumps(kept))
    assert asked(ran, ran.request(0, repository=f"127.0.0.1:{guarded.port}/{name}"))[0] == 0
    (tmp_path / ".docker/config.json").write_text("{")
    code, said = asked(ran, ran.request(0, repository=f"127.0.0.1:{guarded.port}/{name}"))
    assert (code, "`docker login`" in said) == (2, True)


def test_a_registry_that_repeats_a_secret_does_not_get_it_into_the_log(
    name: str, ran: Workspace, asked: Asked
) -> None:
    secret = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    words = f"{PASSWORD} {secret} \x1b[2J::add-mask:: \n of {NAME}"
    body = json.dumps({"errors": [{"code": "X", "message": words}]}).encode()
    with FaultProxy(None) as proxy:
        proxy.rule(answer(401, {"WWW-Authenticate": 'Basic realm="r"'}), times=1)
        proxy.rule(answer(403, body=body))
        code, said = asked(ran, ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}", **WITH_NAMES))
    assert (code, "***" in said, len(said.splitlines())) == (5, True, 1)
    for hidden in (PASSWORD, secret, "\x1b"):
        assert hidden not in said


# tokens


def test_a_token_service_is_asked_for_what_is_needed(
    tokened: Registry, tokens: TokenService, name: str, ran: Workspace, asked: Asked
) -> None:
    repository = f"127.0.0.1:{tokened.port}/{name}"
    code, said = asked(ran, ran.request(0, repository=repository, **WITH_NAMES))
    assert code == 0, said
    scopes = [
        (scope.replace("push,pull", "pull,push"), known) for scope, known in tokens.asked
    ]  # in any order
    assert scopes == [(f"repository:{name}:pull", True), (f"repository:{name}:pull,push", True)]


def test_a_token_that_has_expired_is_replaced(
    tokened: Registry, tokens: TokenService, name: str, ran: Workspace, asked: Asked
) -> None:
    tokens.lifetime_s = -100  # the registry grants a minute
    with FaultProxy(tokened.place) as proxy:
        repository = f"127.0.0.1:{proxy.port}/{name}"
        code, said = asked(ran, ran.request(0, repository=repository, **WITH_NAMES))
        assert (code, "answers 401" in said) == (5, True), said
        tokens.lifetime_s = 300
        challenge = f'Bearer realm="http://127.0.0.1:{tokens.port}/token",service="a registry",scope="repository:{name}:pull,push"'
        headers = {"WWW-Authenticate": challenge}
        for method, skip in (("HEAD", 2), ("PUT", 1), ("PUT", 3), ("GET", 9)):
            proxy.rule(answer(401, headers), method=method, skip=skip, times=1)
        assert asked(ran, ran.request(0, repository=repository, **WITH_NAMES))[0] == 0


def test_anyone_gets_a_token_where_anyone_may(
    tokened: Registry, tokens: TokenService, name: str, ran: Workspace, asked: Asked
) -> None:
    tokens.anonymous = True
    assert asked(ran, ran.request(0, repository=f"127.0.0.1:{tokened.port}/{name}"))[0] == 0
    assert {known for _, known in tokens.asked} == {False}


def test_a_token_service_that_refuses_is_named(
    tokened: Registry, name: str, ran: Workspace, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "not-the-password")
    code, said = asked(ran, ran.request(0, repository=f"127.0.0.1:{tokened.port}/{name}", **WITH_NAMES))
    assert (code, "token service" in said, "not-the-password" in said) == (5, True, False)


@pytest.mark.parametrize(
    "realm", ["file:///etc/passwd", "", "//x", "http://u:p@127.0.0.1/", "gopher://127.0.0.1/", "http://["]
)
def test_a_token_service_that_is_no_url_is_asked_nothing(
    name: str, ran: Workspace, asked: Asked, realm: str
) -> None:
    with FaultProxy(None) as proxy:
        proxy.rule(answer(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}))
        code, said = asked(ran, ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}", **WITH_NAMES))
    assert (code, "as its token service" in said) == (5, True), said


def test_an_encrypted_registry_gets_no_one_to_send_a_password_in_the_clear() -> None:
    with pytest.raises(Exception, match="no https URL"):
        authority.Authority("https://r:443", "eDp5").answer(
            'Bearer realm="http://r/token"', lambda *_: (200, b"{}")
        )


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('Bearer realm="https://a/t",service="s",scope="r:x:pull,push"', {"bearer": {"realm": "https://a/t", "service": "s", "scope": "r:x:pull,push"}}),
        ('Basic realm="x", Bearer realm="y"', {"basic": {"realm": "x"}, "bearer": {"realm": "y"}}),
        ("Basic realm=x", {"basic": {"realm": "x"}}),
        ('BEARER Realm="a\\"b"', {"bearer": {"realm": 'a"b'}}),
        ("Negotiate", {}),
        ("", {}),
        ("=,=,,,Bearer", {}),
    ],
)  # fmt: skip
def test_challenges_are_read(header: str, found: dict[str, dict[str, str]]) -> None:
    assert authority.challenges(header) == found


# certificates


def test_a_certificate_of_ones_own_authority_is_accepted_if_it_is_named(
    tls: Tls, name: str, ran: Workspace, asked: Asked, *, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with docker_registry.running(tmp_path / "tls", tls=tls) as registry:
        request = ran.request(0, repository=f"127.0.0.1:{registry.port}/{name}", insecure=False)
        code, said = asked(ran, request)
        assert (code, "REQUESTS_CA_BUNDLE" in said) == (5, True), said
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(variable, str(tls.authority))
            assert asked(ran, request)[0] == 0
            monkeypatch.delenv(variable)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.authority))
        other = ran.request(0, repository=f"127.0.0.2:{registry.port}/{name}", insecure=False, patience_s=2)
        assert asked(ran, other)[0] == 5


def test_certificates_that_are_not_there_are_named(
    name: str, ran: Workspace, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    code, said = asked(ran, ran.request(0, repository=f"127.0.0.1:1/{name}"))
    assert (code, said.startswith("SSL_CERT_FILE: /nowhere.pem is not there")) == (2, True)


def test_a_registry_without_tls_is_not_spoken_to_unless_that_is_meant_so(
    registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    request = ran.request(0, repository=f"127.0.0.1:{registry.port}/{name}", insecure=False, patience_s=3)
    code, said = asked(ran, request)
    assert (code, "insecure: true" in said) == (5, True), said


# redirects


def elsewhere(exchange: Exchange, port: int) -> None:
    exchange.body()
    from fault_proxy import Answer

    exchange.send(
        Answer(307, {"Location": f"http://127.0.0.1:{port}{exchange.handler.path}?signature=s3cret"}, b"")
    )


def test_another_host_gets_no_credentials_with_a_redirect(
    guarded: Registry, registry: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    with FaultProxy(guarded.place) as proxy, FaultProxy(registry.place) as storage:
        request = ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}", **WITH_NAMES)
        assert asked(ran, request)[0] == 0
        proxy.clear()
        plain = ran.request(0, repository=f"127.0.0.1:{storage.port}/{name}")
        assert asked(ran, plain)[0] == 0
        storage.clear()
        proxy.rule(lambda exchange: elsewhere(exchange, storage.port), method="GET", path="/blobs/")
        assert asked(ran, request | {"action": "pull", "reference": "latest", "to": "got"})[0] == 0
    assert any("Authorization" in seen.headers for seen in proxy.seen)
    assert storage.seen
    assert not any("Authorization" in seen.headers for seen in storage.seen)


def test_another_hosts_challenge_is_not_answered(
    guarded: Registry, tokens: TokenService, name: str, ran: Workspace, asked: Asked
) -> None:
    with FaultProxy(guarded.place) as proxy, FaultProxy(None) as thief:
        request = ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}", **WITH_NAMES)
        assert asked(ran, request)[0] == 0
        proxy.rule(lambda exchange: elsewhere(exchange, thief.port), method="GET", path="/blobs/")
        thief.rule(
            answer(401, {"WWW-Authenticate": f'Bearer realm="http://127.0.0.1:{tokens.port}/",service="s"'})
        )
        code, said = asked(ran, request | {"action": "verify", "reference": "latest"})
    assert (code, tokens.asked, "s3cret" in said) == (5, [], False)
    assert not any("Authorization" in seen.headers for seen in thief.seen)


def test_an_upload_to_another_host_carries_no_credentials(
    guarded: Registry, name: str, ran: Workspace, asked: Asked
) -> None:
    with FaultProxy(guarded.place) as proxy, FaultProxy(None) as storage:
        storage.rule(answer(201))
        target = {"Location": f"http://127.0.0.1:{storage.port}/put?signature=s3cret"}
        proxy.rule(with_headers(target), method="POST")
        request = ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}", **WITH_NAMES, patience_s=2)
        code, said = asked(ran, request)
    assert (code, "s3cret" in said) == (5, False)
    assert storage.seen
    assert not any("Authorization" in seen.headers for seen in storage.seen)
    assert proxy.seen[-1].method == "PUT"  # of the manifest, whose blobs the registry never got


@pytest.mark.parametrize("to", ["http", "file", "nowhere", "half a host"])
def test_a_redirect_out_of_encryption_is_not_followed(
    tls: Tls, name: str, ran: Workspace, asked: Asked, *, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.authority))
    context = oci_samples.serving(tls.certificate, tls.key)
    with FaultProxy(None, tls=context) as proxy, FaultProxy(None) as other:
        place = {
            "http": f"http://127.0.0.1:{other.port}/",
            "file": "file:///etc/passwd",
            "nowhere": "",
            "half a host": "https://[",
        }[to]
        proxy.rule(answer(307, {"Location": place}))
        request = ran.request(0, repository=f"127.0.0.1:{proxy.port}/{name}", insecure=False, patience_s=2)
        assert asked(ran, request)[0] == 5
    assert not other.seen
