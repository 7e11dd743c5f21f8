"""What is published to registries in tests, and the program that does it, in this or another process."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fault_proxy
from docker_registry import Registry
from penstock.plan import carrying
from penstock.programs.common import digests

REPOSITORY = "ml/churn"
Asked = Callable[["Workspace", dict[str, Any]], tuple[int, str]]
"""Has the program do something for a workspace; gives its exit code and what it said."""
CONTENTS = (
    ("build/metrics.json", "metrics", "file"),
    ("build/model", "model", "directory"),
    ("build/predictions.csv", "predictions", "file"),
    ("build/serve.sh", "", "executable"),
)


@dataclass
class Workspace:
    """A stage's workspace with what a run left to be published."""

    root: Path
    contents: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)

    def request(self, port: int, **more: Any) -> dict[str, Any]:
        return {
            "action": "push-artifact",
            "repository": f"127.0.0.1:{port}/{REPOSITORY}",
            "tags": ["1.4.0"],
            "alias": "latest",
            "insecure": True,
            "username": None,
            "password": None,
            "contents": self.contents,
            "run": self.run,
            "package": None,
            "evidence": None,
            "receipt": "receipt.json",
        } | more

    def receipt(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "receipt.json").read_text())
        return found


def workspace(root: Path, *, seed: int = 1, weights_bytes: int = 200_000) -> Workspace:
    """A run of which everything follows from the seed, but its id and its times."""
    model = root / "build/model"
    (model / "sub" / "empty").mkdir(parents=True)
    digits = hashlib.shake_128(str(seed).encode()).digest(weights_bytes)
    (model / "weights.bin").write_bytes(digits)
    (model / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (model / "sub" / "run.sh").chmod(0o755)
    (model / "sub" / "größe").write_text("1")
    (model / "latest").symlink_to("sub/run.sh")
    (root / "build/metrics.json").write_text(json.dumps({"auc": 0.9 + seed / 1000}))
    (root / "build/predictions.csv").write_text("id,prediction\n1,yes\n")
    (root / "build/serve.sh").write_text("#!/bin/sh\nexec true\n")
    (root / "build/serve.sh").chmod(0o755)
    folder = root / ".penstock-recipe/run"
    folder.mkdir(parents=True)
    (folder / "stable.json").write_text(json.dumps({"seed": seed}))
    (folder / "run.json").write_text(json.dumps({"id": os.urandom(4).hex()}))
    (folder / "summary.md").write_text("# All passed\n")
    contents = [judged(root, path, role, kind) for path, role, kind in CONTENTS]
    run = {
        "id": "r1",
        "digest": digests.of_path(folder / "stable.json").digest,
        "pipeline": "churn",
        "commit": "0" * 40,
        "plan": "sha256:" + "1" * 64,
        "profile": None,
        "executor": "local",
        "started_at": "2026-11-21T00:00:00Z",
        "passed": True,
    }
    return Workspace(root, contents, run)


def started(root: Path, request: Mapping[str, Any], **variables: str) -> subprocess.Popen[str]:
    """The program on its way in a process of its own, carried as into a stage."""
    for path, text in carrying.files("oci", request):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (root / "receipt.json").unlink(missing_ok=True)
    home = root / ".home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    return subprocess.Popen(
        [sys.executable, *carrying.command("oci").split()[1:]],
        cwd=root,
        env={**kept, "HOME": str(home), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(root: Path, request: Mapping[str, Any], **variables: str) -> tuple[int, str]:
    """Exit code and all that the program said."""
    process = started(root, request, **variables)
    out, err = process.communicate(timeout=200)
    return process.returncode, out + err


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """The program's modules look for files below the working directory."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def here(root: Path, request: Mapping[str, Any], main: Callable[[Sequence[str]], int]) -> int:
    """The program in this process; its exit code."""
    (root / "request.json").write_text(json.dumps(request))
    (root / "receipt.json").unlink(missing_ok=True)
    with inside(root):
        return main(["request.json"])


def judged(root: Path, path: str, role: str, kind: str) -> dict[str, Any]:
    """An output as a request's contents name it."""
    return {"path": path, "role": role, "kind": kind, "digest": digests.of_path(root / path).digest}


def serving(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server needs to speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def is_odd(mode: int) -> bool:
    """Whether it is that of a device, a pipe or a socket, or gives somebody else's rights."""
    plain = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
    return not plain or bool(mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX))


def put(registry: Registry, name: str, tag: str, manifest: bytes) -> int:
    """Push a manifest as anybody may; the status."""
    connection = http.client.HTTPConnection(*registry.place, timeout=30)
    try:
        kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        connection.request("PUT", f"/v2/{name}/manifests/{tag}", body=manifest, headers=kind)
        return connection.getresponse().status
    finally:
        connection.close()


def one_a_second(what: str) -> fault_proxy.Act:
    """An answer of which a byte comes every second."""
    return fault_proxy.slow_head(1) if "header" in what else fault_proxy.slow_body(1)
