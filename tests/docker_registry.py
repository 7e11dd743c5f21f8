"""Debian's docker-registry on the loopback interface: plain, with a password, with tokens, with TLS."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

_PLACES = ("/var/tmp/docker-pkg/root/usr/bin", "/var/tmp/docker-pkg/root/usr/sbin")
ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.manifest.v1",
        "oci.image.index.v1",
        "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
    )
)
NAME, PASSWORD = "penny", "hunter2-hunter2"
HTPASSWD = f"{NAME}:$2b$05$VwDmat4Z89l3s/nkkn2ETOd7FbFM.YCCSIxXcO4VmA6zh9M2jGSMm\n"  # of this password


def binary() -> str:
    """The registry's program, or the test is skipped."""
    found = shutil.which("docker-registry") or next(
        (str(path) for place in _PLACES if (path := Path(place) / "docker-registry").is_file()), None
    )
    if found is None:
        pytest.skip("needs docker-registry (apt-get install docker-registry)")
    return found


@dataclass
class Registry:
    """A registry that is running.

    Attributes:
        port: On 127.0.0.1.
        root: Where it stores what it is given.
    """

    port: int
    root: Path

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def get(self, path: str) -> tuple[int, bytes]:
        """What it answers to a plain reader, without any of Penstock's code."""
        connection = http.client.HTTPConnection(*self.place, timeout=30)
        try:
            connection.request("GET", path, headers={"Accept": ACCEPT})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def tags(self, name: str) -> list[str]:
        status, body = self.get(f"/v2/{name}/tags/list")
        return sorted(json.loads(body)["tags"] or []) if status == 200 else []

    def manifest(self, name: str, reference: str) -> bytes | None:
        status, body = self.get(f"/v2/{name}/manifests/{reference}")
        return body if status == 200 else None

    def sound(self, name: str) -> dict[str, str]:
        """Every tag and its manifest's digest, after everything that a tag leads to was read and hashed."""
        return {tag: self._demand_whole(name, tag) for tag in self.tags(name)}

    def _demand_whole(self, name: str, reference: str) -> str:
        data = self.manifest(name, reference)
        assert data is not None, f"{reference} leads nowhere"
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert reference in (digest, reference if ":" not in reference else digest)
        document: dict[str, Any] = json.loads(data)
        for part in document.get("manifests", []):
            assert self._demand_whole(name, part["digest"]) == part["digest"]
        for part in [*document.get("layers", []), *filter(None, [document.get("config")])]:
            status, body = self.get(f"/v2/{name}/blobs/{part['digest']}")
            assert status == 200, f"{part['digest']} is missing"
            assert f"sha256:{hashlib.sha256(body).hexdigest()}" == part["digest"]
            assert len(body) == part["size"]
        return digest

    def referrers(self, name: str, digest: str) -> list[dict[str, Any]]:
        """What is listed under a manifest's tag as referring to it."""
        data = self.manifest(name, digest.replace(":", "-"))
        found: list[dict[str, Any]] = json.loads(data)["manifests"] if data is not None else []
        return found

    def blob_file(self, digest: str) -> Path:
        """Where it keeps a blob."""
        digits = digest.removeprefix("sha256:")
        return self.root / "docker/registry/v2/blobs/sha256" / digits[:2] / digits / "data"


@contextlib.contextmanager
def running(
    folder: Path, *, auth: Mapping[str, Any] | None = None, tls: Tls | None = None
) -> Iterator[Registry]:
    """A registry on a free port, until the end.

    Args:
        auth: The section `auth` of its configuration.
    """
    program = binary()
    folder.mkdir(parents=True, exist_ok=True)
    serving: dict[str, Any] = {"addr": "127.0.0.1:0", "secret": "for tests"}
    if tls is not None:
        serving["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    configuration: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": serving,
    }
    if auth is not None:
        configuration["auth"] = auth
    (folder / "config.json").write_text(json.dumps(configuration))  # JSON is YAML too
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.json")], stdout=log, stderr=log)
    try:
        yield Registry(_port(process, folder / "log"), folder / "data")
    finally:
        process.terminate()
        process.wait(10)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        _, found, rest = log.read_text().partition("listening on 127.0.0.1:")
        digits = "".join(c for c in rest[:5] if c.isdigit())
        if found and len(rest) > len(digits):
            return int(digits)
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def htpasswd(folder: Path) -> dict[str, Any]:
    """The section `auth` of a registry that asks for `NAME` and `PASSWORD`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    return {"htpasswd": {"realm": "Registry Realm", "path": str(folder / "htpasswd")}}


# certificates


@dataclass(frozen=True)
class Tls:
    """An authority of one's own, and a certificate of it for 127.0.0.1 and localhost."""

    authority: Path
    certificate: Path
    key: Path


def certificates(folder: Path, name: str = "localhost") -> Tls:
    """New ones, for a host of this name too; the test is skipped without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "names").write_text(f"subjectAltName=IP:127.0.0.1,DNS:{name}\nbasicConstraints=CA:FALSE\n")
    _openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority -keyout ca.key -out ca.pem",
    )
    _openssl(folder, "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request.pem")
    _openssl(
        folder, "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -days 2 -extfile names -out cert.pem"
    )
    return Tls(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")


def _openssl(folder: Path, arguments: str, data: bytes = b"") -> bytes:
    command = ["openssl", *arguments.split()]
    return subprocess.run(command, cwd=folder, input=data, check=True, capture_output=True).stdout


# tokens


@dataclass
class TokenService:
    """Gives tokens that a registry accepts, as the specification of Docker's token authentication has it.

    Attributes:
        lifetime_s: Of a token.
        asked: The scopes of all requests, and whether they came with the right name and password.
    """

    tls: Tls
    lifetime_s: float = 300
    anonymous: bool = False
    asked: list[tuple[str, bool]] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self) -> Iterator[TokenService]:
        handler = type("Handler", (_TokenHandler,), {"service": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def auth(self, host: str | None = None) -> dict[str, Any]:
        """The section `auth` of a registry that sends its users here."""
        return {
            "token": {
                "realm": f"http://{host or f'127.0.0.1:{self.port}'}/token",
                "service": "a registry",
                "issuer": "a token service",
                "rootcertbundle": str(self.tls.certificate),
            }
        }

    def token(self, scopes: list[str]) -> str:
        kind_and_names = [scope.rsplit(":", 1) for scope in scopes]
        access = [
            {"type": where.split(":", 1)[0], "name": where.split(":", 1)[1], "actions": actions.split(",")}
            for where, actions in kind_and_names
        ]
        pem = self.tls.certificate.read_text()
        der = pem.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0].replace("\n", "")
        now = int(time.time())
        claims = {
            "iss": "a token service",
            "sub": NAME,
            "aud": "a registry",
            "exp": now + int(self.lifetime_s),
            "nbf": now - 10,
            "iat": now,
            "jti": str(len(self.asked)),
            "access": access,
        }
        signed = _base64url({"typ": "JWT", "alg": "RS256", "x5c": [der]}) + b"." + _base64url(claims)
        signature = _openssl(self.tls.key.parent, f"dgst -sha256 -sign {self.tls.key.name}", signed)
        return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def _base64url(document: Mapping[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=")


class _TokenHandler(BaseHTTPRequestHandler):
    service: TokenService

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

    def do_GET(self) -> None:
        scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
        right = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
        known = self.headers.get("Authorization") == f"Basic {right}"
        self.service.asked.append((" ".join(scopes), known))
        allowed = known or (self.service.anonymous and "Authorization" not in self.headers)
        body = json.dumps({"token": self.service.token(scopes)} if allowed else {"details": "no"}).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
