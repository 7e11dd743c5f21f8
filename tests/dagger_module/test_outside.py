"""Functions that publish, move, serve and scan: on a real engine, with a registry on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagger_cli import Repository
from docker_registry import Registry, running
from penstock.publish import audit

pytestmark = pytest.mark.dagger

HERE = Path(__file__).resolve().parents[2]
SMALL = """\
version: 1
name: {name}
secrets: {{SIGNING_KEY: {{}}}}
params: {{train: {{size: 1}}}}
stages:
  train:
    run: |
      mkdir -p build/model
      cp params.yaml build/model/size
      echo '{{"good": 0.9}}' > build/metrics.json
    params: [train]
    outputs: {{model: build/model, metrics: build/metrics.json}}
  security: {{uses: security, checks: [secrets, pickles], history: false}}
gates:
  - {{gate: threshold, metric: good, min: 0.5}}
publish:
  evidence: {{key: SIGNING_KEY, public_key: public.pem}}
  artifact: {{repository: "registry:{port}/ml/small", insecure: true}}
  mlflow: {{model: small}}
"""
SERVED = """\
version: 1
name: {name}
environment: {{requirements: requirements.lock}}
params: params.yaml
variables: {{PYTHONPATH: src, OPENBLAS_NUM_THREADS: "1"}}
stages:
  prepare:
    run: python -m churn.prepare
    inputs: [src/churn, data/telco-churn.csv]
    params: [prepare]
    outputs: [build/splits]
  train:
    run: python -m churn.train
    inputs: [src/churn, build/splits/train.csv]
    params: [train]
    outputs: {{model: build/model}}
  evaluate:
    run: python -m churn.evaluate
    inputs: [src/churn, build/splits/test.csv, build/model]
    params: [evaluate]
    outputs: {{metrics: build/metrics.json, predictions: build/predictions.csv}}
  package:
    uses: package-model
    model: build/model/model.skops
    data: build/splits/test.csv
    target: Churn
    id: customerID
    inputs: []
gates:
  - {{gate: threshold, metric: roc_auc, min: 0.8}}
publish: {{mlflow: {{model: churn}}}}
"""


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with running(tmp_path / "registry") as made:
        yield made


@pytest.fixture
def small(repository: Repository, registry: Registry, tmp_path: Path) -> Repository:
    """A pipeline that publishes a signed model."""
    key = tmp_path / "key.pem"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    public = openssl("pkey", "-in", str(key), "-pubout").decode()
    repository.environ["SIGNING_KEY"] = key.read_text()
    pipeline = SMALL.format(name=f"small-{uuid.uuid4().hex[:8]}", port=registry.port)
    return repository.write({"pipelines/default.yaml": pipeline, "public.pem": public})


def publish(small: Repository, registry: Registry, out: Path, *settings: str) -> dict[str, tuple[str, str]]:
    """Run and publish; kind → state and target of what was published."""
    given = ["--secrets", "env://SIGNING_KEY", "--registry", f"tcp://localhost:{registry.port}", *settings]
    called = small.call(*given, "run", "report", "export", "--path", str(out))
    assert called.code == 0, called.log
    report = json.loads((out / "run.json").read_text())
    assert report["exit_code"] == 0, (out / "summary.md").read_text()
    return {each["kind"]: (each["state"], each["target"]) for each in report["publications"]}


def test_a_model_is_published_once_moved_and_rolled_back(
    small: Repository, registry: Registry, tmp_path: Path
) -> None:
    first = publish(small, registry, tmp_path / "1")
    assert {kind: state for kind, (state, _) in first.items()} == {
        "evidence": "written",
        "artifact": "written",
        "mlflow": "written",
    }
    again = publish(small, registry, tmp_path / "2")
    assert again["artifact"] == ("unchanged", first["artifact"][1])
    assert again["mlflow"] == ("unchanged", "models:/small/1")
    assert publish(small, registry, tmp_path / "3", "--set", "train.size=2")["mlflow"][1] == "models:/small/2"
    noted = [entry for _, entry in audit.entries(tmp_path / "1" / "audit.jsonl")]
    assert [entry.subject for entry in noted if entry] == [first["artifact"][1], "models:/small/1"]

    log = tmp_path / "audit.jsonl"
    who = ["--who", "somebody", "--why", "a test"]
    for number in ("1", "2"):
        more = ["--audit", str(log)] if log.exists() else []
        moved = [*more, "promote", "--version", f"small/{number}", *who]
        called = small.call(*moved, "audit", "export", "--path", str(log))
        assert called.code == 0, called.log
    assert small.call("rollback", "--model", "small", *who, "summary").out.startswith(
        "champion of 'small' is now version 1"
    )
    assert audit.verify(log).findings == ()
    assert audit.verify(log).entries == 4
    listed = small.call("models", "--model", "small").out
    assert "1        champion" in listed


def test_a_version_that_another_key_signed_is_not_promoted(
    small: Repository, registry: Registry, tmp_path: Path
) -> None:
    publish(small, registry, tmp_path / "1")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(tmp_path / "other.pem"))
    other = openssl("pkey", "-in", str(tmp_path / "other.pem"), "-pubout").decode()
    small.write({"public.pem": other})
    called = small.call("promote", "--version", "small/1", "--who", "x", "--why", "y", "summary")
    assert called.code == 3, called.log
    assert "key" in called.error


def test_evidence_that_was_exported_can_be_verified(
    small: Repository, registry: Registry, tmp_path: Path
) -> None:
    given = ["--secrets", "env://SIGNING_KEY", "--registry", f"tcp://localhost:{registry.port}"]
    called = small.call(*given, "evidence", "export", "--path", str(tmp_path / "out"))
    assert called.code == 0, called.log
    verified = subprocess.run(
        [
            *(sys.executable, "-m", "penstock", "evidence", "verify"),
            *(
                str(tmp_path / "out/build/penstock/evidence"),
                "--key",
                str(small.root / "public.pem"),
                "--json",
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    # the model itself stayed with the engine
    assert verified.returncode in (0, 3), verified.stderr
    shown = subprocess.run(
        [
            sys.executable,
            "-m",
            "penstock",
            "evidence",
            "show",
            str(tmp_path / "out/build/penstock/evidence"),
            "--json",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert json.loads(shown.stdout)["passed"] is True


def test_scans_give_their_reports(small: Repository, tmp_path: Path) -> None:
    small.write({"settings.py": 'AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"\n'})
    small.environ["SIGNING_KEY"] = "not needed"
    called = small.call("security", "export", "--path", str(tmp_path / "out"))
    assert called.code == 0, called.log
    (sarif,) = (tmp_path / "out").rglob("*.sarif")
    results = json.loads(sarif.read_text())["runs"][0]["results"]
    assert any("settings.py" in json.dumps(each) for each in results)


def test_a_registered_model_is_served_as_it_was_judged(repository: Repository, tmp_path: Path) -> None:
    example = HERE / "examples" / "churn"
    for name in ("src", "data"):
        shutil.copytree(example / name, repository.root / name)
    for name in ("requirements.lock", "params.yaml"):
        shutil.copy(example / name, repository.root / name)
    repository.write({"pipelines/default.yaml": SERVED.format(name=f"served-{uuid.uuid4().hex[:8]}")})
    called = repository.call("run", "report", "export", "--path", str(tmp_path / "report"))
    assert called.code == 0, called.log
    report = json.loads((tmp_path / "report" / "run.json").read_text())
    assert report["exit_code"] == 0, (tmp_path / "report" / "summary.md").read_text()
    tried = repository.call("smoke-test", "--version", "churn@candidate")
    assert tried.code == 0, tried.log
    assert "served 5 example rows as judged" in tried.out
    served = repository.call("serve", "--version", "churn@candidate", "endpoint", "--scheme", "http")
    assert served.code == 0, served.log
    assert served.out.strip().endswith(":8080")
