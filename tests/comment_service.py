"""A service that keeps comments and answers as the REST interfaces of GitHub and GitLab do."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from penstock.publish.comment import Posted, marker_for, post

TOKEN = "ghs_sample"
MARKER = marker_for("churn")
ME, OTHER = 7, 8


@dataclass
class Service:
    """Comments on request 12 of a repository."""

    provider: str
    address: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    lost: int = 0  # answers that never arrive although the request was carried out
    application: bool = False
    read_only: bool = False

    def add(self, body: str, author: int = ME, kind: str = "User") -> dict[str, Any]:
        number = 1000 + len(self.comments)
        who = "user" if self.provider == "github" else "author"
        comment = {"id": number, "body": body, who: {"id": author, "type": kind}}
        if self.provider == "github":
            comment["html_url"] = f"https://github.example/o/r/pull/12#issuecomment-{number}"
        self.comments.append(comment)
        return comment

    def write(self, body: str, **more: Any) -> Posted:
        repository = "o/r" if self.provider == "github" else "group/project"
        options: dict[str, Any] = {
            "api": self.address,
            "repository": repository,
            "number": 12,
            "token": TOKEN,
            "body": body,
            "marker": MARKER,
            "sleep": self.slept.append,
        }
        return post(self.provider, **(options | more))

    slept: list[float] = field(default_factory=list)

    @property
    def list_path(self) -> str:
        if self.provider == "github":
            return "/repos/o/r/issues/12/comments"
        return "/projects/group%2Fproject/merge_requests/12/notes"

    def answer(self, method: str, path: str, content: Any) -> tuple[int, Any, dict[str, str]]:
        query = parse_qs(urlsplit(path).query)
        path = urlsplit(path).path
        if path == "/user":
            return (403, {}, {}) if self.application else (200, {"id": ME}, {})
        if path == self.list_path and method == "GET":
            return self._page(int(query["page"][0]), int(query["per_page"][0]))
        if self.read_only:
            return 403, {"message": "Resource not accessible by integration"}, {}
        if path == self.list_path and method == "POST":
            return 201, self.add(content["body"], ME, "Bot" if self.application else "User"), {}
        one = self.list_path if self.provider == "gitlab" else "/repos/o/r/issues/comments"
        found = re.fullmatch(re.escape(one) + r"/(\d+)", path)
        if found and method == ("PATCH" if self.provider == "github" else "PUT"):
            comment = next(each for each in self.comments if each["id"] == int(found[1]))
            comment["body"] = content["body"]
            return 200, comment, {}
        return 404, {"message": "Not Found"}, {}

    def _page(self, page: int, size: int) -> tuple[int, Any, dict[str, str]]:
        part = self.comments[(page - 1) * size : page * size]
        more = page * size < len(self.comments)
        if self.provider == "gitlab":
            return 200, part, {"x-next-page": str(page + 1) if more else ""}
        return 200, part, {"Link": '<https://evil.example/?page=2>; rel="next"'} if more else {}


class Handler(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        service: Service = self.server.service  # type: ignore[attr-defined] # set by the fixture
        length = int(self.headers.get("Content-Length") or 0)
        content = json.loads(self.rfile.read(length)) if length else None
        service.requests.append(f"{self.command} {urlsplit(self.path).path}")
        given = self.headers.get("Authorization") or f"Bearer {self.headers.get('PRIVATE-TOKEN')}"
        if service.failures:
            code, headers = service.failures.pop(0)
            self._send(code, {"message": "no"}, headers)
        elif given != f"Bearer {TOKEN}":
            self._send(401, {"message": "Bad credentials"}, {})
        else:
            code, answer, headers = service.answer(self.command, self.path, content)
            if service.lost and self.command == "POST":
                service.lost -= 1
                self.close_connection = True
                return
            self._send(code, answer, headers)

    def _send(self, code: int, answer: Any, headers: dict[str, str]) -> None:
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815 - the base class's names

    def log_message(self, *_args: object) -> None: ...


@contextmanager
def running(provider: str) -> Iterator[Service]:
    """A service on a port of its own."""
    made = Service(provider)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.service = made  # type: ignore[attr-defined] # for the handler
    made.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
