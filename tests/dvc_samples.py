"""Real DVC repositories, remotes, and programs at work on them in the environments that users have."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from penstock.plan import carrying, exchange, recipes, recipes_dvc
from penstock.plan.dvc_config import tools_of
from penstock.plan.dvc_files import read_dvc_file
from penstock.plan.model import Environment
from penstock.plan.reads import Reads

KEY, SECRET = "AKIAPENSTOCKTEST", "wJalrXUtnFEMI-canary-bPxRfiCYEXAMPLEKEY"
"""What the S3 server is asked with; moto believes everybody."""
_SHARED = Path(tempfile.gettempdir(), f"penstock-test-tools-{os.getuid()}")


def tools(name: str) -> Path:
    """The Python of the locked environment that a stage with these tools gets; made once, for all tests."""
    return environment(name, (recipes.PACKAGE / "tools" / f"{name}.txt").read_text(encoding="utf-8"))


def environment(name: str, requirements: str, *options: str) -> Path:
    """The Python of an environment with these requirements; made once, for all tests."""
    lock = hashlib.sha256(repr((requirements, options, sys.version)).encode()).hexdigest()[:16]
    place = _SHARED / f"{name}-{lock}"
    if not place.exists():
        _SHARED.mkdir(exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=_SHARED))
        (making / "requirements.txt").write_text(requirements, encoding="utf-8")
        venv = [find_uv_bin(), "venv", "-q", "--python", sys.executable, "--relocatable", str(making / "env")]
        python, lock = str(making / "env/bin/python"), str(making / "requirements.txt")
        install = [find_uv_bin(), "pip", "install", "-q", "--python", python, "-r", lock, *options]
        for command in (venv, install):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"the environment {name!r} cannot be made here: {done.stderr.strip()[-300:]}")
        with contextlib.suppress(OSError):  # another process was quicker
            making.rename(place)
    return place / "env" / "bin" / "python"


@dataclass
class Ended:
    """How a program ended: exit code, what it said last, and its receipt."""

    code: int
    said: str
    receipt: dict[str, Any] | None = None


@dataclass
class Repository:
    """A git repository with DVC in it, and nothing of the user's around."""

    place: Path
    python: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, place: Path, python: Path | None = None) -> Repository:
        place.mkdir(parents=True)
        made = cls(place, python or tools("dvc"), {"HOME": str(place.parent)})
        made.git("init", "-q", "-b", "main")
        made.git("config", "user.email", "a@example.com")
        made.git("config", "user.name", "A")
        made.dvc("init", "-q")
        return made

    def git(self, *arguments: str) -> str:
        return self._run(["git", *arguments])

    def dvc(self, *arguments: str) -> str:
        return self._run([str(self.python), "-m", "dvc", *arguments])

    def _run(self, command: list[str]) -> str:
        path = f"{self.python.parent}:{os.environ['PATH']}"  # Debian has no `python` of its own
        environ = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", **self.environ}
        done = subprocess.run(
            command, cwd=self.place, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def write(self, path: str, content: bytes) -> Path:
        target = self.place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def remote(self, url: str, *, file: str = "config", **options: str) -> None:
        """Make this the only remote; by hand, since dvc takes a second to start."""
        lines = "".join(f"    {name} = {value}\n" for name, value in {"url": url, **options}.items())
        text = f"[core]\n    remote = store\n['remote \"store\"']\n{lines}"
        self.write(f".dvc/{file}", text.encode())

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x")

    def cache(self) -> list[Path]:
        """The objects of the cache."""
        return sorted(path for path in (self.place / ".dvc/cache").rglob("*") if path.is_file())

    def drop_cache(self) -> None:
        for path in self.cache():
            path.unlink()


def run_program(
    name: str,
    request: Mapping[str, Any],
    workspace: Path,
    python: Path,
    environ: Mapping[str, str],
) -> Ended:
    """Run a program as a stage does: its modules in its workspace, a scrubbed environment."""
    for path, text in carrying.files(name, request):
        target = workspace / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [python, carrying._START, name, exchange.REQUEST],
        cwd=workspace,
        env={"PATH": f"{python.parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    receipt = workspace / request.get("receipt", "none")
    found = json.loads(receipt.read_text()) if receipt.is_file() else None
    return Ended(done.returncode, f"{done.stdout}{done.stderr}".strip(), found)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def http_server(folder: Path) -> Iterator[str]:
    """The address of a server that gives what a folder holds."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def stuck_server(*, trickle: bool) -> Iterator[str]:
    """The address of a server that answers with nothing, or with a byte a second of an endless file."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.recv(65_536)
                if trickle:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not over.wait(1):
                    if trickle:
                        connection.sendall(b"x")

        def accept() -> None:
            with contextlib.suppress(OSError):
                while not over.is_set():
                    threading.Thread(target=answer, args=listening.accept()[:1], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """The address of an S3 server, moto's, that has the bucket `bucket`."""
    python = environment("moto", "moto[server]==5.2.5\n")
    log = folder / "moto.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET},
        )
    try:
        for _ in range(300):
            found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
            if found:
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            raise AssertionError(log.read_text())
        make = f"import boto3; boto3.client('s3', endpoint_url='{found[0]}').create_bucket(Bucket='bucket')"
        subprocess.run(
            [python, "-c", make],
            check=True,
            env={**os.environ, **credentials(), "AWS_DEFAULT_REGION": "us-east-1"},
        )
        yield found[0]
    finally:
        process.kill()
        process.wait()


def credentials() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


def fetch(
    repository: Repository,
    file: str,
    workspace: Path,
    environ: Mapping[str, str] | None = None,
    *,
    local: bool = True,
) -> Ended:
    """Fetch what a `.dvc` file of a repository stands for, as the stage of a data set does.

    Args:
        local: Whether the stage can see the repository, as it cannot in a container.
    """
    reads = Reads(root=repository.place)
    read = read_dvc_file(file, reads)
    recipe = recipes_dvc.fetch(read, Environment(), reads)
    workspace.mkdir(parents=True, exist_ok=True)
    for path in recipe.inputs:
        target = workspace / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((repository.place / path).read_bytes())
    request = json.loads(dict(recipe.files)[exchange.REQUEST])
    name = tools_of(read.kind) or ("dvc" if read.imported else None)
    python = tools(name) if name else Path(sys.executable)
    seen = {"PENSTOCK_ROOT": str(repository.place)} if local else {}
    return run_program(
        "dvc_fetch", request, workspace, python, {**repository.environ, **seen, **(environ or {})}
    )


def state(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Everything below a folder with mode, time and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_mtime_ns, content)
    return found


def damage(path: Path) -> None:
    """Flip a bit, and look as before: read-only, of the same size and time."""
    about = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(about.st_mode)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
