"""A proxy between a program and a service over HTTP, which does to a connection what a script says.

    with FaultProxy(("127.0.0.1", port)) as proxy:
        proxy.rule(answer(503), method="PUT", path="/manifests/", times=2)
        ...  # speak to proxy.port
        assert [seen.method for seen in proxy.seen] == ["GET", "PUT", "PUT", "PUT"]

A rule holds for requests whose method and path (with query) match its regular expressions, `times` times, after
the first `skip` of them; the first rule that holds decides. Without a rule a request is passed on. The `Host`
header is kept, so a service's absolute URLs lead back through the proxy.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


@dataclass
class Seen:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Answer:
    """A service's answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Rule:
    act: Act
    method: str
    path: str
    times: int | None
    skip: int
    met: int = 0


@dataclass
class FaultProxy:
    """A proxy on a free port of the loopback interface.

    Args:
        upstream: Host and port of the service; None where no request gets through to it.
        tls: Speaks TLS to the program with this context.
    """

    upstream: tuple[str, int] | None
    tls: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list)
    _rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    ending: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()

    def rule(
        self, act: Act, *, method: str = ".*", path: str = "", times: int | None = None, skip: int = 0
    ) -> None:
        self._rules.append(Rule(act, method, path, times, skip))

    def clear(self) -> None:
        self._rules.clear()
        self.seen.clear()

    def act_on(self, method: str, path: str) -> Act:
        with self._lock:
            for rule in self._rules:
                if re.fullmatch(rule.method, method) and re.search(rule.path, path):
                    rule.met += 1
                    if rule.met > rule.skip and (rule.times is None or rule.met <= rule.skip + rule.times):
                        return rule.act
        return pass_on


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None: ...


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

    def handle_expect_100(self) -> bool:
        return True

    def _handle(self) -> None:
        proxy = self.server.proxy
        proxy.seen.append(Seen(self.command, self.path, dict(self.headers.items())))
        exchange = Exchange(self, proxy)
        try:
            proxy.act_on(self.command, self.path)(exchange)
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815


@dataclass
class Exchange:
    """One request and what may be done about it."""

    handler: _Handler
    proxy: FaultProxy
    _body: bytes | None = None

    @property
    def request(self) -> Seen:
        return self.proxy.seen[-1]

    def body(self) -> bytes:
        """The request's body, read once."""
        if self._body is None:
            headers = self.handler.headers
            if "chunked" in headers.get("Transfer-Encoding", ""):
                self._body = b"".join(self._chunks())
            else:
                self._body = self.handler.rfile.read(int(headers.get("Content-Length") or 0))
        return self._body

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.handler.rfile.readline(), 16):
            yield self.handler.rfile.read(size)
            self.handler.rfile.readline()
        self.handler.rfile.readline()

    def forward(self, body: bytes | None = None) -> Answer:
        """Ask the service, whole request, whole answer."""
        assert self.proxy.upstream is not None
        sent = self.body() if body is None else body
        connection = http.client.HTTPConnection(*self.proxy.upstream, timeout=60)
        try:
            connection.putrequest(
                self.handler.command, self.handler.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.handler.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(sent)))
            connection.endheaders(sent)
            answer = connection.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP_BY_HOP}
            kept |= {"Content-Length": answer.getheader("Content-Length", "0")} if self._is_head() else {}
            return Answer(answer.status, kept, answer.read())
        finally:
            connection.close()

    def _is_head(self) -> bool:
        return self.handler.command == "HEAD"

    def send(self, answer: Answer, *, length: int | None = None, body: bytes | None = None) -> None:
        """Answer; with another length or other bytes than the answer has."""
        sent = answer.body if body is None else body
        self.send_head(answer, len(answer.body) if length is None else length)
        if not self._is_head():
            self.handler.wfile.write(sent)

    def send_head(self, answer: Answer, length: int | None) -> None:
        self.handler.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.handler.send_header(name, value)
        if length is not None and "Content-Length" not in answer.headers:
            self.handler.send_header("Content-Length", str(length))
        self.handler.end_headers()

    def drip(self, data: bytes, bytes_per_s: float) -> None:
        """Send a byte at a time until the proxy ends or the other side has gone."""
        for at in range(len(data)):
            if self.proxy.ending.wait(1 / bytes_per_s):
                return
            self.handler.wfile.write(data[at : at + 1])
            self.handler.wfile.flush()

    def hang(self) -> None:
        """Say nothing until the proxy ends or the other side has gone."""
        while not self.proxy.ending.wait(0.02):
            readable, _, _ = select.select([self.handler.connection], [], [], 0)
            if readable and not self.handler.connection.recv(1 << 16):
                break
        self.close()

    def reset(self) -> None:
        """Cut the connection with RST."""
        linger = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):
            self.handler.wfile.flush()
            raw = self.handler.connection
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            raw.close()
        self.handler.close_connection = True

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.handler.wfile.flush()
            self.handler.connection.shutdown(socket.SHUT_RDWR)
        self.handler.close_connection = True


Act = Callable[[Exchange], None]


# what can be done to a request


def pass_on(exchange: Exchange) -> None:
    exchange.send(exchange.forward())


def answer(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Act:
    """Answer in the service's place, after the request was read."""

    def act(exchange: Exchange) -> None:
        exchange.body()
        exchange.send(Answer(status, dict(headers or {}), body))

    return act


def answer_at_once(status: int, body: bytes = b"") -> Act:
    """Answer and close, without reading the request's body."""

    def act(exchange: Exchange) -> None:
        exchange.send(Answer(status, {"Connection": "close"}, body))
        exchange.close()

    return act


def hang(exchange: Exchange) -> None:
    """Never answer."""
    exchange.hang()


def hang_after(exchange: Exchange) -> None:
    """Pass the request on, and never answer."""
    exchange.forward()
    exchange.hang()


def reset(exchange: Exchange) -> None:
    """Cut the connection at once."""
    exchange.reset()


def reset_after(exchange: Exchange) -> None:
    """Pass the request on, and cut the connection instead of answering."""
    exchange.forward()
    exchange.reset()


def close(exchange: Exchange) -> None:
    """Close the connection without an answer."""
    exchange.body()
    exchange.close()


def reset_request_at(position: int) -> Act:
    """Cut the connection when so many bytes of the request's body were read; the service gets nothing."""

    def act(exchange: Exchange) -> None:
        exchange.handler.rfile.read(position)
        exchange.reset()

    return act


def part_of_request(position: int) -> Act:
    """The service gets only the first bytes of the request's body, and its answer is passed on."""

    def act(exchange: Exchange) -> None:
        exchange.send(exchange.forward(exchange.body()[:position]))

    return act


def cut_answer_at(position: int) -> Act:
    """Close the connection after so many bytes of the answer's body."""

    def act(exchange: Exchange) -> None:
        given = exchange.forward()
        exchange.send(given, body=given.body[:position])
        exchange.close()

    return act


def reset_answer_at(position: int) -> Act:
    """Cut the connection after so many bytes of the answer's body."""

    def act(exchange: Exchange) -> None:
        given = exchange.forward()
        exchange.send(given, body=given.body[:position])
        exchange.reset()

    return act


def truncated(by: int = 1) -> Act:
    """A shorter body whose length is said to be right."""
    return changed(lambda body: body[:-by])


def flipped(at: int = 0) -> Act:
    """A bit of one byte of the body is another one."""

    def flip(body: bytes) -> bytes:
        return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if len(body) > at else body

    return changed(flip)


def changed(change: Callable[[bytes], bytes]) -> Act:
    """Other bytes than the service's, with its status."""

    def act(exchange: Exchange) -> None:
        given = exchange.forward()
        given.body = change(given.body)
        exchange.send(given)

    return act


def with_headers(headers: Mapping[str, str]) -> Act:
    """The service's answer with other headers."""

    def act(exchange: Exchange) -> None:
        given = exchange.forward()
        names = {name.lower() for name in headers}
        given.headers = {k: v for k, v in given.headers.items() if k.lower() not in names} | dict(headers)
        exchange.send(given)

    return act


def slow_body(bytes_per_s: float = 1) -> Act:
    """The answer's body comes a byte at a time."""

    def act(exchange: Exchange) -> None:
        given = exchange.forward()
        exchange.send_head(given, len(given.body))
        exchange.drip(given.body, bytes_per_s)

    return act


def slow_head(bytes_per_s: float = 1) -> Act:
    """The answer's first line comes a byte at a time."""

    def act(exchange: Exchange) -> None:
        exchange.forward()
        exchange.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: " + b"x" * 10_000, bytes_per_s)

    return act


def slow_reading(bytes_per_s: float = 1) -> Act:
    """The request's body is read a byte at a time."""

    def act(exchange: Exchange) -> None:
        exchange.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while not exchange.proxy.ending.wait(1 / bytes_per_s) and exchange.handler.rfile.read(1):
            pass

    return act


def endless(chunk: bytes = bytes(1 << 16)) -> Act:
    """A body that never ends."""

    def act(exchange: Exchange) -> None:
        exchange.send_head(Answer(200, {"Transfer-Encoding": "chunked"}, b""), None)
        while not exchange.proxy.ending.is_set():
            exchange.handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    return act


def garbage(data: bytes = b"\x15\x03\x01\x00\x02\x02\x46 this is no HTTP\r\n\r\n") -> Act:
    """Bytes that are no answer."""

    def act(exchange: Exchange) -> None:
        exchange.body()
        exchange.handler.wfile.write(data)
        exchange.close()

    return act


def delayed(seconds: float) -> Act:
    """Pass on, a while later."""

    def act(exchange: Exchange) -> None:
        exchange.proxy.ending.wait(seconds)
        pass_on(exchange)

    return act


def calling(before: Callable[[], None] | None = None, after: Callable[[], None] | None = None) -> Act:
    """Do something before a request is passed on, or before its answer is."""

    def act(exchange: Exchange) -> None:
        if before is not None:
            before()
            exchange.hang()
            return
        given = exchange.forward()
        if after is not None:
            after()
            exchange.hang()
            return
        exchange.send(given)

    return act


# what has no answer at all


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, so that nobody else gets it; not listening
        yield int(holder.getsockname()[1])


@contextlib.contextmanager
def hanging_port() -> Iterator[int]:
    """A port at which no connection is ever made: its queue is full, and nobody takes from it."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = listener.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003
            with contextlib.suppress(BlockingIOError):
                waiting.connect(place)
        time.sleep(0.05)
        yield int(place[1])


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port at which connections are made, and nothing is ever said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])
