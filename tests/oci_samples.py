"""What is published to registries in tests, and the program that does it, in this or another process."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import multiprocessing
import multiprocessing.process
import os
import ssl
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fault_proxy
from docker_registry import Registry
from penstock.plan import carrying
from penstock.programs.common import digests
from penstock.programs.oci import main as oci

REPOSITORY = "ml/churn"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
Files = dict[str, bytes | str]
"""Of a tar: a content, or `-> target` of a link."""

OCI = "application/vnd.oci.image"
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
        return receipt(self.root)


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


def done(root: Path, request: Mapping[str, Any], python: str = sys.executable) -> tuple[int, str]:
    """Exit code and all that the program said, in a process of its own, carried as into a stage."""
    for path, text in carrying.files("oci", request):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (root / "receipt.json").unlink(missing_ok=True)
    home = root / ".home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    ended = subprocess.run(
        [python, *carrying.command("oci").split()[1:]],
        cwd=root,
        env={**kept, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    return ended.returncode, ended.stdout


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


def put(registry: Registry, name: str, tag: str, manifest: bytes, media_type: str = MANIFEST) -> int:
    """Push a manifest as anybody may; the status."""
    connection = http.client.HTTPConnection(*registry.place, timeout=30)
    try:
        kind = {"Content-Type": media_type}
        connection.request("PUT", f"/v2/{name}/manifests/{tag}", body=manifest, headers=kind)
        return connection.getresponse().status
    finally:
        connection.close()


def one_a_second(what: str) -> fault_proxy.Act:
    """An answer of which a byte comes every second."""
    return fault_proxy.slow_head(1) if "header" in what else fault_proxy.slow_body(1)


# archives of images


def tar(files: Mapping[str, bytes | str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content.removeprefix("-> ")
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def layers(number: int = 3) -> list[bytes]:
    return [tar({f"layer-{at}": bytes([at]) * 5_000}) for at in range(number)]


def config(made: list[bytes], machine: str = "amd64") -> bytes:
    files = {"type": "layers", "diff_ids": [f"sha256:{sha256(each)}" for each in made]}
    return json.dumps({"architecture": machine, "os": "linux", "config": {}, "rootfs": files}).encode()


def saved(made: list[bytes] | None = None, *, linked: bool = False) -> Files:
    """As `docker save` writes it before version 25; a layer that is there twice is a link."""
    made = layers() if made is None else made
    about = config(made)
    files: Files = {f"{at:064}/layer.tar": each for at, each in enumerate(made)}
    if linked:
        files[f"{len(made) - 1:064}/layer.tar"] = f"-> ../{0:064}/layer.tar"
    names = list(files)
    files[f"{sha256(about)}.json"] = about
    entry = {"Config": f"{sha256(about)}.json", "RepoTags": ["churn:1"], "Layers": names}
    return files | {"manifest.json": json.dumps([entry]).encode()}


def described(kind: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{sha256(data)}", "size": len(data)} | more


def layout(*machines: str) -> Files:
    """An OCI layout; with several machines an index of images."""
    files: Files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def kept(data: bytes) -> bytes:
        files[f"blobs/sha256/{sha256(data)}"] = data
        return data

    images = []
    for machine in machines:
        made = layers()
        packed = [kept(gzip.compress(each, mtime=0)) for each in made]
        document = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": described("config.v1+json", kept(config(made, machine))),
            "layers": [described("layer.v1.tar+gzip", each) for each in packed],
        }
        platform = {"architecture": machine, "os": "linux"}
        images.append(described("manifest.v1+json", kept(json.dumps(document).encode()), platform=platform))
    if len(images) > 1:
        index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": images}
        images = [described("index.v1+json", kept(json.dumps(index).encode()))]
    return files | {"index.json": json.dumps({"schemaVersion": 2, "manifests": images}).encode()}


def receipt(root: Path) -> dict[str, Any]:
    """What the program left."""
    found: dict[str, Any] = json.loads((root / "receipt.json").read_text())
    return found


# many processes


def forked(root: Path, request: Mapping[str, Any]) -> multiprocessing.process.BaseProcess:
    """The program on its way in a process of its own, which has its libraries already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["penstock.programs.oci.main"])
    process = context.Process(target=_ended, args=(str(root), dict(request)), daemon=True)
    process.start()
    return process


def _ended(root: str, request: dict[str, Any]) -> None:
    os.environ["HOME"] = root
    sys.exit(here(Path(root), request, oci.main))
