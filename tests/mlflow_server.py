"""A real MLflow server on this machine's loopback address, and the environments that tests of it need."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from uv import find_uv_bin

from penstock.plan import carrying

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "src" / "penstock" / "plan" / "tools" / "registry.txt"
_KEPT = Path(tempfile.gettempdir()) / f"penstock-test-environments-{os.getuid()}"


def tools_python() -> Path:
    """The Python that the program `registry` runs with for users: exactly its locked packages."""
    return _environment("registry", TOOLS.read_text(encoding="utf-8"), "--require-hashes")


def server_python() -> Path:
    """A Python that has the whole of MLflow, of the same version."""
    lines = TOOLS.read_text(encoding="utf-8").splitlines()
    version = next(line.split()[0].partition("==")[2] for line in lines if line.startswith("mlflow-skinny=="))
    return _environment("mlflow", f"mlflow=={version}\n")


def _environment(name: str, requirements: str, *options: str) -> Path:
    """An environment, made once for all tests of this machine; the test is skipped if it cannot be had."""
    digest = hashlib.sha256(requirements.encode()).hexdigest()[:16]
    place = _KEPT / f"{name}-{digest}"
    _KEPT.mkdir(mode=0o700, exist_ok=True)
    uv, environ = find_uv_bin(), {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    with (_KEPT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(place)], check=True, env=environ)
            listing = place / "requirements.txt"
            listing.write_text(requirements, encoding="utf-8")
            install = [uv, "pip", "install", "-q", "--compile-bytecode", "-p", str(place / "bin/python")]
            command = [*install, *options, "-r", str(listing)]
            done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no environment with {name}; it needs a package index: {done.stderr[-300:]}")
            (place / "made").touch()
    return place / "bin" / "python"


def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """`mlflow server` with a sqlite database and proxied artifacts, while it is entered."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.place.mkdir(parents=True, exist_ok=True)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            str(server_python()), "-m", "mlflow", "server",
            "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self.place / 'server.db'}",
            "--artifacts-destination", str(self.place / "artifacts"), "--serve-artifacts",
        ]  # fmt: skip
        quiet = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")
        environ = {
            **os.environ,
            **dict.fromkeys(quiet, "true"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            environ.pop(name, None)
        environ["PATH"] = f"{server_python().parent}{os.pathsep}{environ['PATH']}"
        with (self.place / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environ, cwd=self.place, start_new_session=True
            )
        ends = time.monotonic() + 240
        while time.monotonic() < ends:
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            if self._process.poll() is not None:
                break
            time.sleep(0.2)
        raise RuntimeError(f"no MLflow server: {(self.place / 'server.log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Kill it with its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def carried(workspace: Path, program: str, request: Mapping[str, Any]) -> None:
    """Put a program and its request into a workspace, as an executor does."""
    for path, text in carrying.files(program, request):
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text(text, encoding="utf-8")


def receipt(workspace: Path) -> dict[str, Any]:
    """What the program left."""
    found: dict[str, Any] = json.loads((workspace / "receipt.json").read_text(encoding="utf-8"))
    return found
