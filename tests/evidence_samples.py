"""Runs whose evidence is made and forged: a workspace as the program finds it, and attackers' tools."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from penstock import digest
from penstock.programs.common import digests
from penstock.programs.evidence import documents, dsse, keys, layout
from penstock.programs.evidence import main as evidence
from penstock.programs.evidence.verify import verify
from penstock.publish import archive
from penstock.record import Record, replace
from penstock.report import document
from penstock.results import Evidence, RunReport, Verdict
from report_samples import gate, passed

EC, ED25519 = "ec", "ed25519"
KEY = "EVIDENCE_KEY"
LOCK = (
    f"numpy==2.4.6 --hash=sha256:{'a1' * 32} \\\n    --hash=sha256:{'b2' * 32}\n"
    'colorama==0.4.6 ; sys_platform == "win32" \\\n    --hash=sha256:' + "c3" * 32 + "\n"
)
MODEL, PACKAGE, METRICS = "build/model", "build/penstock/package-model", "build/metrics.json"
EVIDENCE = "build/penstock/evidence"


class Made(Record):
    """Evidence, and what it is about.

    Attributes:
        run: Digest of the run.
        public_key: PEM; none if it is not signed.
    """

    root: Path
    run: str
    key: keys.PrivateKey | None

    @property
    def evidence(self) -> Path:
        return self.root / EVIDENCE

    @property
    def model(self) -> Path:
        return self.root / MODEL

    @property
    def package(self) -> Path:
        return self.root / PACKAGE

    @property
    def public_key(self) -> bytes | None:
        return None if self.key is None else keys.pem(self.key.public_key())

    def verify(self, **changes: Any) -> dict[str, Any]:
        """Demand all that can be demanded of it."""
        options = {
            "package": self.package,
            "run": self.run,
            "report": self.root / ".penstock-recipe/run/run.json",
        }
        key = changes.pop("public_key", self.public_key)
        return verify(self.evidence, changes.pop("model", self.model), key, **{**options, **changes})

    def copy(self, destination: Path) -> Made:
        """The same elsewhere, to be forged."""
        shutil.copytree(self.root, destination, symlinks=True)
        return replace(self, root=destination)

    def payload(self, name: str) -> dict[str, Any]:
        """A statement."""
        data = (self.evidence / f"{name}{self.ending}").read_bytes()
        if self.key is not None:
            data = base64.b64decode(json.loads(data)["payload"])
        found: dict[str, Any] = json.loads(data)
        return found

    @property
    def ending(self) -> str:
        return layout.UNSIGNED if self.key is None else layout.SIGNED

    def write(self, name: str, statement: Mapping[str, Any], key: keys.PrivateKey | None) -> None:
        """Put another statement in its place, signed by whoever."""
        payload = documents.encode(statement)
        data = payload if key is None else documents.encode(dsse.seal(payload, key))
        (self.evidence / f"{name}{layout.UNSIGNED if key is None else layout.SIGNED}").write_bytes(data)

    def index(self) -> None:
        """Have the index say what lies there now."""
        names = [path.name for path in self.evidence.iterdir() if path.name != layout.INDEX]
        files = {name: (self.evidence / name).read_bytes() for name in names}
        run = layout.sha256(files.get(layout.RUN, b""))
        (self.evidence / layout.INDEX).write_bytes(documents.encode(layout.index(files, run)))

    def adopt(self, key: keys.PrivateKey | None) -> None:
        """Have the provenance name the files that lie there now, signed by whoever, and the index too."""
        provenance = self.payload(layout.PROVENANCE)
        (self.evidence / f"{layout.PROVENANCE}{self.ending}").unlink()
        byproducts = provenance["predicate"]["runDetails"]["byproducts"]
        report = [each for each in byproducts if each["name"] == "run-report.json"]
        skipped = (layout.INDEX, f"{layout.PROVENANCE}{self.ending}")
        byproducts[:] = report + [
            {"name": path.name, "digest": {"sha256": layout.sha256(path.read_bytes())[7:]}}
            for path in sorted(self.evidence.iterdir())
            if path.name not in skipped
        ]
        self.write(layout.PROVENANCE, provenance, key)
        self.index()


def new_key(kind: str) -> keys.PrivateKey:
    """A key of a kind."""
    return (
        ed25519.Ed25519PrivateKey.generate() if kind == ED25519 else ec.generate_private_key(ec.SECP256R1())
    )


def pem(key: Any) -> str:
    """A private key as a secret holds it."""
    form, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    text: bytes = key.private_bytes(encoding, form, serialization.NoEncryption())
    return text.decode()


def report(run_id: str = "20261121T180000Z-abc123", **changes: Any) -> RunReport:
    """A run whose gates passed."""
    return replace(passed(), run_id=run_id, **changes)


def failing() -> RunReport:
    """A run with a required gate that failed."""
    said = Evidence(path=METRICS, digest=digest.of_bytes(b"metrics"))
    bad = replace(gate("threshold", Verdict.FAIL), required=True, evidence=(said,))
    return report(gates=(bad,))


def workspace(root: Path, run: RunReport, *, model: bytes = b"weights" * 100) -> dict[str, Any]:
    """What the program finds, and its request."""
    for name, data in {
        f"{MODEL}/model.onnx": model,
        f"{MODEL}/labels/classes.txt": b"no\nyes\n",
        f"{MODEL}/empty": b"",
        f"{PACKAGE}/MLmodel": b"flavors: {}\n",
        f"{PACKAGE}/data/model.onnx": model,
        METRICS: b'{"roc_auc": 0.84}\n',
        ".penstock-recipe/run/run.json": document.encode(run),
        ".penstock-recipe/run/stable.json": archive._readable(archive.stable_run(run)),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    stable = (root / ".penstock-recipe/run/stable.json").read_bytes()
    roles = {MODEL: ("model", "directory"), METRICS: ("metrics", "file")}
    return {
        "action": "create",
        "contents": [
            {"path": path, "role": role, "kind": kind, "digest": digests.of_path(root / path).digest}
            for path, (role, kind) in roles.items()
        ],
        "package": PACKAGE,
        "run": {
            "id": run.run_id,
            "digest": digest.of_bytes(stable),
            "passed": not any(each.required and each.verdict is Verdict.FAIL for each in run.gates),
        },
        "environments": {"training": [LOCK], "serving": [LOCK, "mlflow==3.8.0\n"]},
        "key": KEY,
        "result": EVIDENCE,
        "receipt": "receipt.json",
    }


def start(root: Path, request: Mapping[str, Any], key: str | None) -> int:
    """Start the program in a workspace; its exit code."""
    (root / "request.json").write_text(json.dumps(request), encoding="utf-8")
    with chdir(root), mock.patch.dict(os.environ, {KEY: key} if key is not None else {}):
        return evidence.main(["request.json"])


def make(
    root: Path, *, kind: str | None = EC, run: RunReport | None = None, key: Any = None, **options: Any
) -> Made:
    """Evidence of a run, made by the program."""
    run = report() if run is None else run
    key = new_key(kind) if key is None and kind is not None else key
    request = workspace(root, run, **options)
    request["key"] = KEY if key is not None else None
    assert start(root, request, None if key is None else pem(key)) == 0
    return Made(root=root, run=request["run"]["digest"], key=key)
