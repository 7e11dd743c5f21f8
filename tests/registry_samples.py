"""Workspaces as the program `registry` finds them: a run, what it judged, and the report of it."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mlflow_server import carried, receipt, tools_python
from penstock import digest
from penstock.plan.exchange import REQUEST
from penstock.programs.common import digests
from penstock.publish.archive import stable_text
from penstock.record import replace
from penstock.report import document
from penstock.results import (
    Evidence,
    GateResult,
    Part,
    PartKind,
    Reason,
    RunReport,
    StageResult,
    StageState,
    Verdict,
)

PACKAGE = "build/penstock/package-model"
METRICS, PREDICTIONS, MODEL = "build/metrics.json", "build/predictions.csv", "build/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_ROLES = {PACKAGE: "package", METRICS: "metrics", PREDICTIONS: "predictions", MODEL: "model"}


@dataclass(frozen=True)
class Published:
    """A run that a workspace holds."""

    workspace: Path
    request: Mapping[str, Any]
    report: RunReport

    @property
    def digest(self) -> str:
        return str(self.request["run"]["digest"])


def part(workspace: Path, path: str) -> Part:
    found = digests.of_path(workspace / path)
    kind = PartKind.DIRECTORY if (workspace / path).is_dir() else PartKind.FILE
    return Part(path, kind, found.digest, found.size_bytes, found.files)


def gate(verdict: Verdict = Verdict.PASS, **facts: Any) -> GateResult:
    evidence = (
        ()
        if verdict in (Verdict.SKIP, Verdict.INCONCLUSIVE)
        else (Evidence(path=METRICS, digest=digest.of_bytes(b"m")),)
    )
    return GateResult(
        gate="threshold", name="roc_auc", verdict=verdict, required=True, sentence=f"roc_auc: {verdict.value}",
        evidence=evidence, value=0.84, minimum=0.8, interval=(0.82, 0.86), confidence=0.95, **facts,
    )  # fmt: skip


def workspace(place: Path, word: str = "first", *, gates: tuple[GateResult, ...] | None = None) -> Published:
    """A run whose model says `word`, with everything that a publication finds."""
    files = {
        f"{MODEL}/weights.bin": word.encode() * 100,
        METRICS: json.dumps({"roc_auc": 0.84, "nested": {"rows": 1409}}).encode(),
        PREDICTIONS: f"id,truth,prediction\n1,yes,{word}\n".encode(),
        f"{PACKAGE}/MLmodel": b"flavors:\n  python_function:\n    loader_module: own\n",
        f"{PACKAGE}/data/model/weights.bin": word.encode() * 100,
        f"{PACKAGE}/code/run.sh": b"#!/bin/sh\n",
    }
    for path, data in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)
    (place / PACKAGE / "code/run.sh").chmod(0o755)
    (place / PACKAGE / "empty").mkdir()
    stages = (
        _stage(place, "train", "build/model", METRICS, PREDICTIONS, inputs=(Part("data/a.csv", PartKind.FILE, digest.of_bytes(b"a"), 1, 1),)),
        _stage(place, "package-model", PACKAGE),
    )  # fmt: skip
    report = RunReport(
        penstock="0.1.0", run_id=f"20261121T120000Z-{word[:6]}", pipeline="churn",
        pipeline_file="pipelines/default.yaml", plan=digest.of_bytes(b"plan"), profile=None, commit=COMMIT,
        executor="local", started_at="2026-11-21T12:00:00Z", wall_s=1.5, exit_code=0, stages=stages,
        gates=(gate(),) if gates is None else gates, publications=(),
        params={"train": {"penalty": 1.0, "layers": [64, 32]}, "word": word},
    )  # fmt: skip
    return with_report(place, report)


def with_report(place: Path, report: RunReport) -> Published:
    """Write the run's report into a workspace, and say what there is to publish."""
    run = place / ".penstock-recipe/run"
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_bytes(document.encode(report))
    (run / "stable.json").write_bytes(stable_text(report))
    (run / "summary.md").write_text("# churn\nall gates passed\n")
    (run / "report.html").write_text("<!doctype html><title>churn</title>")
    request = {
        "action": "publish", "model": "churn", "alias": "candidate", "experiment": "churn", "tracking_uri": None,
        "package": PACKAGE, "evidence": None, "receipt": "receipt.json",
        "run": {
            "id": report.run_id, "digest": digest.of_bytes(stable_text(report)), "pipeline": report.pipeline,
            "commit": report.commit, "plan": report.plan, "profile": None, "executor": "local",
            "started_at": report.started_at, "passed": all(each.verdict is Verdict.PASS for each in report.gates),
        },
        "contents": [
            {"path": path, "role": role, "kind": part(place, path).kind.value, "digest": part(place, path).digest}
            for path, role in _ROLES.items()
        ],
    }  # fmt: skip
    return Published(place, request, report)


def again(published: Published, **facts: Any) -> Published:
    """The same run once more, at another time."""
    return with_report(
        published.workspace, replace(published.report, **{"run_id": "20261121T130000Z-other", **facts})
    )


def _stage(place: Path, name: str, *outputs: str, inputs: tuple[Part, ...] = ()) -> StageResult:
    return StageResult(
        name=name, state=StageState.RAN, reason=Reason(code="first-run", sentence="no earlier result"),
        run=f"python -m churn.{name}", key=digest.of_bytes(name.encode()), inputs=inputs,
        outputs=tuple(part(place, path) for path in outputs), made_at="2026-11-21T12:00:00Z",
    )  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How the program ended."""

    code: int
    out: str
    err: str
    receipt: Mapping[str, Any] | None

    @property
    def facts(self) -> Mapping[str, Any]:
        assert self.code == 0, self.err
        assert self.receipt is not None
        return self.receipt["facts"]  # type: ignore[no-any-return]


# MLflow's client takes seconds to import, so it is imported once: each start of the program is a fork of this
_STARTER = """
import importlib, json, os, sys
os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
import cryptography, sqlalchemy, alembic
from mlflow import MlflowClient
import mlflow.store.tracking.sqlalchemy_store, mlflow.store.tracking.rest_store
import mlflow.store.artifact.mlflow_artifacts_repo, mlflow.store.artifact.local_artifact_repo
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.chdir(asked["place"])
        os.environ.clear()
        os.environ.update(asked["environ"])
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.path.insert(0, os.path.join(asked["place"], ".penstock-recipe"))
        code = 1
        try:
            code = importlib.import_module("penstock_programs.registry.main").main([asked["request"]])
            sys.stdout.flush()
        finally:
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Registry:
    """Starts the program with its own locked packages, for one project.

    Args:
        state: The project's PENSTOCK_STATE.
        address: Of a server; the project's own registry if absent.
    """

    _starters: ClassVar[dict[tuple[int, int], subprocess.Popen[str]]] = {}

    def __init__(self, state: Path, address: str | None = None, **environ: str) -> None:
        self.state, self.address = state, address
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PENSTOCK_"))
        }
        self.environ = {**kept, "PENSTOCK_STATE": str(state), **environ}
        if address:
            self.environ["MLFLOW_TRACKING_URI"] = address
        self.child: int | None = None

    def publish(self, published: Published, **changes: Any) -> Ended:
        return self.run(published.workspace, {**published.request, **changes})

    def act(self, action: str, **request: Any) -> Ended:
        """Do something that needs no workspace of a run."""
        place = self.state.parent / "errand"
        place.mkdir(parents=True, exist_ok=True)
        return self.run(place, {"action": action, "model": "churn", "receipt": "receipt.json", **request})

    def run(self, place: Path, request: Mapping[str, Any], *, killed_after_s: float | None = None) -> Ended:
        """Run the program to its end, or kill it after some time."""
        (place / "receipt.json").unlink(missing_ok=True)
        carried(place, "registry", {"patience_s": 20, **request})
        starter = self._starter()
        assert starter.stdin is not None
        assert starter.stdout is not None
        asked = {"place": str(place), "environ": self.environ, "request": REQUEST}
        starter.stdin.write(json.dumps(asked) + "\n")
        starter.stdin.flush()
        self.child = int(starter.stdout.readline())
        if killed_after_s is not None:
            time.sleep(killed_after_s)
            self.kill()
        code = int(starter.stdout.readline())
        self.child = None
        left = receipt(place) if (place / "receipt.json").exists() else None
        return Ended(code, (place / "out").read_text(), (place / "err").read_text(), left)

    def kill(self) -> None:
        """Kill the program that runs now."""
        if self.child is not None:
            with suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)

    @classmethod
    def _starter(cls) -> subprocess.Popen[str]:
        mine = os.getpid(), threading.get_ident()
        known = cls._starters.get(mine)
        if known is None or known.poll() is not None:
            known = subprocess.Popen(
                [str(tools_python()), "-c", _STARTER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            cls._starters[mine] = known
            atexit.register(known.kill)
        return known
