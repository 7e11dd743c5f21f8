"""Known vulnerabilities of locked packages: from a file, and from services, of which none is the real one."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import docker_registry
from penstock.programs.security import audit
from penstock.programs.security.advisories import base_score, read_database
from security_samples import TODAY, Document, Project, named

HASH = " --hash=sha256:" + "ab" * 32
LOCK = f"requests==2.19.0{HASH}\nurllib3==2.8.0{HASH}\n"
RECORD: Document = {
    "schema_version": "1.6.0",
    "id": "PYSEC-2018-28",
    "modified": f"{TODAY}T00:00:00Z",
    "aliases": ["CVE-2018-18074", "GHSA-x84v-xcm2-53pg"],
    "summary": "sends the Authorization header after a redirect to plain http",
    "affected": [
        {
            "package": {"name": "requests", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.20.0"}]}],
        }
    ],
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}],
}


def offline(project: Project, record: object, lock: str = LOCK, **options: Any) -> Document:
    """A scan with a database of one file."""
    project.write("requirements.lock", lock)
    project.write("osv.json", json.dumps(record))
    return project.scan("vulnerabilities", requirements=["requirements.lock"], database="osv.json", **options)


def test_a_known_vulnerability_is_found_where_it_is_locked(project: Project) -> None:
    document = offline(project, [RECORD])
    (found,) = document["findings"]
    assert (found["rule"], found["path"], found["line"], found["severity"]) == (
        "PYSEC-2018-28", "requirements.lock", 1, "high",
    )  # fmt: skip
    assert "CVE-2018-18074" in found["message"]
    assert found["package"]["fixed"] == ["2.20.0"]
    assert named(document, "vulnerabilities")["problems"] == []
    assert named(document, "vulnerabilities")["examined"] == "2 packages of 1 lock files"


AFFECTED = [
    ("2.19.0", {"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.20"}, {"fixed": "2.21"}]}]}, False),
    ("2.20.0", {"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.20"}, {"fixed": "2.21"}]}]}, True),
    ("2.21", {"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.20"}, {"fixed": "2.21"}]}]}, False),
    ("2.21rc1", {"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.21"}]}]}, True),
    ("2.22", {"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "2.22"}]}]}, True),
    ("2.23", {"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "2.22"}]}]}, False),
    ("3.1", {"ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "2"}, {"introduced": "3"}, {"introduced": "0"}]}]}, True),
    ("2.5", {"ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "2"}, {"introduced": "3"}, {"introduced": "0"}]}]}, False),
    ("2.19", {"versions": ["2.19.0"]}, True),
    ("2.19", {"versions": ["2.18.0"]}, False),
    ("1.0", {}, True),
    ("1.0", {"ranges": [{"type": "GIT", "events": [{"introduced": "abc"}]}], "versions": ["0.9"]}, False),
]  # fmt: skip


@pytest.mark.parametrize(("version", "affected", "expected"), AFFECTED)
def test_a_record_is_about_the_versions_that_it_says(
    project: Project, version: str, affected: Document, *, expected: bool
) -> None:
    record = {**RECORD, "affected": [{"package": {"name": "Requests", "ecosystem": "PyPI"}, **affected}]}
    document = offline(project, record, f"requests=={version}{HASH}\n")
    assert bool(document["findings"]) is expected


def test_what_was_withdrawn_or_is_about_another_ecosystem_is_not_told(project: Project) -> None:
    npm = {**RECORD, "id": "A", "affected": [{"package": {"name": "requests", "ecosystem": "npm"}}]}
    assert offline(project, [{**RECORD, "withdrawn": "2026-01-01T00:00:00Z"}, npm])["findings"] == []


SCORES = [
    # from the examples of FIRST's calculator and of the National Vulnerability Database
    ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
    ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
    ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
    ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
    ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
    ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:N/A:N", 3.7),
    ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0.0),
    ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None),
    ("CVSS:3.1/AV:N", None),
    ("nonsense", None),
]


@pytest.mark.parametrize(("vector", "score"), SCORES)
def test_the_base_score_is_that_of_the_specification(vector: str, score: float | None) -> None:
    assert base_score(vector) == score


def test_a_severity_that_nobody_says_counts_as_high(project: Project) -> None:
    document = offline(project, {**RECORD, "severity": []})
    assert document["findings"][0]["severity"] == "high"
    rated = offline(project, {**RECORD, "database_specific": {"severity": "MODERATE"}})
    assert rated["findings"][0]["severity"] == "medium"


def test_databases_in_a_directory_a_zip_and_an_answer_of_a_service_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(RECORD))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("PYSEC-2018-28.json", json.dumps(RECORD))
    (tmp_path / "vulns.json").write_text(json.dumps({"vulns": [RECORD]}))
    for name in ("db", "all.zip", "vulns.json"):
        assert [each.id for each in read_database(tmp_path / name, name).about("requests", "2.19")] == [
            "PYSEC-2018-28"
        ]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "[1]", '{"id": "A"}', "[" * 100_000, '{"vulns": {}}', "PK\x03\x04"]
)
def test_what_is_no_database_is_no_pass(project: Project, content: str) -> None:
    project.write("requirements.lock", LOCK)
    project.write("osv.json", content)
    document = project.scan("vulnerabilities", requirements=["requirements.lock"], database="osv.json")
    problems = named(document, "vulnerabilities")["problems"]
    assert any("osv.json" in each for each in problems)
    assert any("2 of 2 packages could not be audited" in each for each in problems)


def test_a_database_that_is_old_is_told(project: Project) -> None:
    fresh = offline(project, [RECORD])
    old = offline(project, [{**RECORD, "modified": "2025-01-01T00:00:00Z"}])
    assert not any("knows nothing newer" in each for each in fresh["warnings"])
    assert any("2025-01-01" in each and "knows nothing newer" in each for each in old["warnings"])


UNAUDITABLE = {
    "a range": "requests>=2\n",
    "no version": "requests\n",
    "an address": "requests @ https://example.com/requests.whl#sha256=" + "ab" * 32 + "\n",
    "a commit": "requests @ git+https://example.com/r.git@" + "a" * 40 + "\n",
    "an editable project": "-e ./requests\n",
    "a wildcard": "requests==2.*\n",
    "a strange version": "requests==latest\n",
}


@pytest.mark.parametrize("name", UNAUDITABLE)
def test_what_cannot_be_audited_is_no_pass(project: Project, name: str) -> None:
    document = offline(project, [RECORD], f"urllib3==2.8.0{HASH}\n" + UNAUDITABLE[name])
    (problem,) = named(document, "vulnerabilities")["problems"]
    assert "requirements.lock:2" in problem
    assert "could not be audited" in problem


def test_no_lock_and_a_lock_that_is_not_there_are_no_pass(project: Project) -> None:
    project.write("osv.json", json.dumps(RECORD))
    none = project.scan("vulnerabilities", database="osv.json")
    assert "nothing was audited" in named(none, "vulnerabilities")["problems"][0]
    gone = project.scan("vulnerabilities", database="osv.json", requirements=["gone.lock"])
    assert "gone.lock" in named(gone, "vulnerabilities")["problems"][0]


def test_every_version_and_platform_that_a_lock_names_is_audited(project: Project) -> None:
    lock = (
        f"requests==2.19.0 ; sys_platform == 'win32'{HASH}\n"
        f"requests==2.32.0 ; sys_platform != 'win32'{HASH}\n"
        f"requests[socks]==2.18.0 \\\n   {HASH}\n"
    )
    found = offline(project, [RECORD], lock)["findings"]
    assert sorted((each["package"]["version"], each["line"]) for each in found) == [
        ("2.18.0", 3),
        ("2.19.0", 1),
    ]


def test_locks_of_uv_and_pylock_and_what_requirements_include_are_read(project: Project) -> None:
    package = '[[package]]\nname = "{}"\nversion = "2.19.0"\nsource = {{ registry = "https://pypi.org/simple" }}\nsdist = {{ url = "x", hash = "sha256:0" }}\n'
    own = '[[package]]\nname = "churn"\nversion = "0"\nsource = { virtual = "." }\n'
    project.write("uv.lock", f"version = 1\n{own}\n{package.format('requests')}")
    project.write(
        "pylock.toml", 'lock-version = "1.0"\n[[packages]]\nname = "requests"\nversion = "2.19.0"\n'
    )
    project.write("all.txt", "-r inner/more.txt\n")
    project.write("inner/more.txt", LOCK)
    project.write("osv.json", json.dumps(RECORD))
    document = project.scan(
        "vulnerabilities", database="osv.json", requirements=["uv.lock", "pylock.toml", "all.txt"]
    )
    assert sorted({each["path"] for each in document["findings"]}) == [
        "inner/more.txt",
        "pylock.toml",
        "uv.lock",
    ]
    assert len({each["fingerprint"] for each in document["findings"]}) == 1
    assert named(document, "vulnerabilities")["problems"] == []


# services

Answer = Callable[[str, Document], tuple[int, object]]


class _Service(BaseHTTPRequestHandler):
    answer: Answer
    asked: list[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(body["package"]["name"], body)

    def do_GET(self) -> None:
        self._send(self.path, {})

    def _send(self, subject: str, body: Document) -> None:
        type(self).asked.append(subject)
        status, content = type(self).answer(subject, body)
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        ...


def serve(answer: Answer) -> tuple[ThreadingHTTPServer, list[str]]:
    """A service on the loopback interface, and what it is asked."""
    asked: list[str] = []
    handler = type("Handler", (_Service,), {"answer": staticmethod(answer), "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, asked


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_PAUSE_S", 0.01)
    monkeypatch.setattr(audit, "_ATTEMPTS", 2)


@pytest.fixture
def osv(project: Project) -> Iterator[Callable[[Answer], Document]]:
    """Asks a service like osv.dev about the lock."""
    servers = []

    def ask(answer: Answer) -> Document:
        server, _ = serve(answer)
        servers.append(server)
        project.write("requirements.lock", LOCK)
        url = f"http://127.0.0.1:{server.server_port}/v1/query"
        return project.scan(
            "vulnerabilities", requirements=["requirements.lock"], service="osv", service_url=url
        )

    yield ask
    for server in servers:
        server.shutdown()
        server.server_close()


def _vulnerable(name: str, _body: Mapping[str, Any]) -> tuple[int, object]:
    return 200, {"vulns": [RECORD]} if name == "requests" else {}


def test_a_service_like_osv_is_asked_about_every_package(osv: Callable[[Answer], Document]) -> None:
    document = osv(_vulnerable)
    (found,) = document["findings"]
    assert (found["rule"], found["line"], found["package"]["fixed"]) == ("PYSEC-2018-28", 1, ["2.20.0"])
    assert named(document, "vulnerabilities")["problems"] == []


FAULTS: dict[str, Answer] = {
    "an error": lambda _name, _body: (500, {}),
    "an error for one package": lambda name, _body: (500, {}) if name == "urllib3" else (200, {}),
    "another answer": lambda _name, _body: (200, {"error": "no"}),
    "not allowed": lambda _name, _body: (403, {}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_service_that_fails_is_no_pass(osv: Callable[[Answer], Document], fault: str) -> None:
    document = osv(FAULTS[fault])
    (problem,) = named(document, "vulnerabilities")["problems"]
    assert problem.startswith("2 of 2 packages could not be audited")
    assert document["findings"] == []


def test_a_service_that_fails_once_is_asked_again(osv: Callable[[Answer], Document]) -> None:
    times = []

    def answer(name: str, body: Document) -> tuple[int, object]:
        times.append(name)
        return (503, {}) if len(times) == 1 else _vulnerable(name, body)

    document = osv(answer)
    assert named(document, "vulnerabilities")["problems"] == []
    assert len(document["findings"]) == 1


def test_a_service_that_is_away_is_no_pass(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        project.write("requirements.lock", LOCK)
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        document = project.scan(
            "vulnerabilities", requirements=["requirements.lock"], service="osv", service_url=url
        )
    (problem,) = named(document, "vulnerabilities")["problems"]
    assert "2 of 2 packages could not be audited" in problem


def test_a_service_that_hangs_is_given_up(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PATIENCE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        project.write("requirements.lock", LOCK)
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}/"
        document = project.scan(
            "vulnerabilities", requirements=["requirements.lock"], service="osv", service_url=url
        )
    (problem,) = named(document, "vulnerabilities")["problems"]
    assert "took too long" in problem


class _Tunnel(BaseHTTPRequestHandler):
    """A proxy whose every tunnel ends at one TLS service: what the real PyPI is reached through here."""

    context: ssl.SSLContext
    target: int

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", type(self).target)) as onward:
            pipe = threading.Thread(target=_copy, args=(onward, self.connection), daemon=True)
            pipe.start()
            _copy(self.connection, onward)
            pipe.join(5)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        ...


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def pypi(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Answer], Document]]:
    """Asks what pip-audit takes for PyPI: a service with a certificate for pypi.org, behind a proxy."""
    servers: list[ThreadingHTTPServer] = []
    tls = docker_registry.certificates(tmp_path, name="pypi.org")

    def ask(answer: Answer) -> Document:
        server, _ = serve(answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        proxy = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Tunnel", (_Tunnel,), {"target": server.server_port})
        )
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        servers.extend((server, proxy))
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.authority))
        project.write("requirements.lock", LOCK)
        return project.scan("vulnerabilities", requirements=["requirements.lock"])

    yield ask
    for each in servers:
        each.shutdown()
        each.server_close()


def test_pypi_is_asked_and_what_it_does_not_have_is_no_pass(pypi: Callable[[Answer], Document]) -> None:
    known = {
        "id": "PYSEC-2018-28",
        "aliases": ["CVE-2018-18074"],
        "summary": "s",
        "details": "d",
        "fixed_in": ["2.20.0"],
        "withdrawn": None,
    }

    def answer(path: str, _body: Document) -> tuple[int, object]:
        if path == "/pypi/requests/2.19.0/json":
            return 200, {"info": {}, "vulnerabilities": [known]}
        return 404, {}

    document = pypi(answer)
    (found,) = document["findings"]
    assert (found["rule"], found["severity"], found["package"]["rated"]) == ("PYSEC-2018-28", "high", False)
    # pip-audit itself leaves such a package out and passes
    (problem,) = named(document, "vulnerabilities")["problems"]
    assert problem == "1 of 2 packages could not be audited: urllib3 2.8.0 (it is not known there)"
