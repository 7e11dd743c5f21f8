"""A real browser for the tests of pages: Debian's Chromium, asked by its own protocol over two pipes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "needs Chromium: apt-get install chromium"


class Browser:
    """One tab; `said` has what its console and its network reported since the last page."""

    def __init__(self, process: subprocess.Popen[bytes], write: int, read: int) -> None:
        self.process, self._write, self._read = process, write, read
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask for something, and wait for the answer; what happens meanwhile is kept in `events`."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._read, 1 << 20)
            assert chunk, "Chromium has ended"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def open(self, path: Path, *, width: int = 1280, dark: bool = False) -> Self:
        """Show a file in a window of this width."""
        self.events.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(each["method"] == "Page.loadEventFired" for each in self.events):
            self.events.append(self._receive())
        return self

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, run by the tester and not by the page."""
        world = self.call("Page.createIsolatedWorld", frameId=self._frame())["executionContextId"]
        answer = self.call(
            "Runtime.evaluate", expression=expression, contextId=world, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _frame(self) -> str:
        frame: str = self.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
        return frame

    @property
    def said(self) -> list[str]:
        """What stands in the console: errors, warnings, what the page's policy forbade."""
        entries = [each["params"] for each in self.events if each["method"] == "Log.entryAdded"]
        thrown = [each["params"] for each in self.events if each["method"] == "Runtime.exceptionThrown"]
        logged = [each["params"] for each in self.events if each["method"] == "Runtime.consoleAPICalled"]
        return [entry["entry"]["text"] for entry in entries] + [str(each) for each in (*thrown, *logged)]

    @property
    def requested(self) -> list[str]:
        """Addresses that were asked for."""
        sent = (each for each in self.events if each["method"] == "Network.requestWillBeSent")
        return [each["params"]["request"]["url"] for each in sent]

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self, path: Path) -> None:
        """The page as it is printed."""
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser that has no settings and no network service of its own.

    Args:
        profile: Where it keeps what it keeps.
    """
    assert PROGRAM is not None, MISSING
    to_child, write = os.pipe()
    read, from_child = os.pipe()
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
    quiet = (
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--mute-audio",
    )
    # the browser reads from descriptor 3 and writes to 4
    command = f'exec "$0" "$@" 3<&{to_child} 4>&{from_child}'
    process = subprocess.Popen(
        [
            "bash",
            "-c",
            command,
            PROGRAM,
            *options,
            *quiet,
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
        ],
        pass_fds=(to_child, from_child),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(to_child)
    os.close(from_child)
    try:
        yield Browser(process, write, read)
    finally:
        os.close(write)  # the browser ends with its pipe
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(read)
