from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from penstock.cache.store import Store
from penstock.cache.trees import ingest
from penstock.digest import of_bytes, of_file
from penstock.errors import CorruptError, StoreError
from penstock.publish.archive import Contents, contents, write
from penstock.record import replace
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

STAGE = StageResult(
    name="train",
    state=StageState.RAN,
    reason=Reason(code="first-run", sentence="no earlier result"),
    run="train",
    key=of_bytes(b"key"),
    made_at="2026-01-01T00:00:00Z",
    wall_s=3.0,
)
GATE = GateResult(
    gate="threshold",
    name="auc",
    verdict=Verdict.PASS,
    required=True,
    sentence="auc 0.9 is at least 0.8",
    evidence=(Evidence(path="m.json", digest=of_bytes(b"m")),),
    value=0.9,
    minimum=0.8,
)
REPORT = RunReport(
    penstock="0.1.0",
    run_id="one",
    pipeline="churn",
    pipeline_file="pipelines/default.yaml",
    plan=of_bytes(b"plan"),
    profile=None,
    commit="abc",
    executor="local",
    started_at="2026-01-01T00:00:00Z",
    wall_s=4.0,
    exit_code=0,
    stages=(STAGE,),
    gates=(GATE,),
    publications=(),
)


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    staging = tmp_path / "staging"
    model = staging / "build" / "model"
    (model / "empty").mkdir(parents=True)
    (model / "weights.bin").write_bytes(bytes(range(256)) * 50)
    (model / "run.sh").write_text("#!/bin/sh\n")
    (model / "run.sh").chmod(0o755)
    (model / "latest").symlink_to("weights.bin")
    (model / ("n" * 150)).write_text("long name")
    (model / os.fsdecode(b"\xff odd\n")).write_text("x")
    (staging / "build" / "metrics.json").write_text('{"auc": 0.9}')
    return staging


def made(tmp_path: Path, staging: Path, report: RunReport = REPORT) -> Contents:
    store = Store(tmp_path / "home")
    parts: list[Part] = [
        ingest(store, staging / path, path)[0] for path in ("build/model", "build/metrics.json")
    ]
    return contents(report, parts)


def test_the_same_inputs_give_the_same_bytes_whenever_and_wherever(tmp_path: Path, staging: Path) -> None:
    one = made(tmp_path, staging)
    write(one, staging, tmp_path / "a" / one.name)
    for path in sorted(staging.rglob("*")):
        if not path.is_symlink():
            os.utime(path, (1, 1))
    later = replace(REPORT, run_id="two", started_at="2027-01-01T00:00:00Z", wall_s=9.0, commit="def")
    later = replace(
        later, stages=(replace(STAGE, state=StageState.CACHED, wall_s=0.0, made_at="2027-01-01T00:00:00Z"),)
    )
    other = made(tmp_path, staging, later)
    write(other, staging, tmp_path / "b" / other.name)
    assert one.name == other.name
    assert (tmp_path / "a" / one.name).read_bytes() == (tmp_path / "b" / other.name).read_bytes()


def test_an_archive_holds_model_metrics_run_and_a_manifest_of_digests(tmp_path: Path, staging: Path) -> None:
    what = made(tmp_path, staging)
    target = tmp_path / "dist" / what.name
    assert write(what, staging, target) == of_file(target)
    top = what.name.removesuffix(".tar")
    with tarfile.open(target) as archive:
        members = {member.name: member for member in archive.getmembers()}
        manifest = json.load(archive.extractfile(f"{top}/manifest.json"))  # type: ignore[arg-type] # it is a file
        run = archive.extractfile(f"{top}/run.json")
        assert run is not None
        assert manifest["run"] == of_bytes(run.read())
        weights = archive.extractfile(f"{top}/build/model/weights.bin")
        assert weights is not None
        assert weights.read() == bytes(range(256)) * 50
    assert [part["path"] for part in manifest["parts"]] == ["build/metrics.json", "build/model"]
    assert members[f"{top}/build/model/run.sh"].mode == 0o755
    assert members[f"{top}/build/model/latest"].linkname == "weights.bin"
    assert members[f"{top}/build/model/empty"].isdir()
    assert {member.mtime for member in members.values()} == {315_532_800}
    assert {member.uid for member in members.values()} == {0}


def test_a_verdict_is_part_of_the_archives_name(tmp_path: Path, staging: Path) -> None:
    other = replace(REPORT, gates=(replace(GATE, minimum=0.7),))
    assert made(tmp_path, staging).name != made(tmp_path, staging, other).name


@pytest.mark.parametrize("path", ["build/model/weights.bin", "build/metrics.json"])
def test_what_was_not_judged_is_not_published(tmp_path: Path, staging: Path, path: str) -> None:
    what = made(tmp_path, staging)
    (staging / path).write_bytes(b"tampered")
    with pytest.raises(CorruptError, match="was judged"):
        write(what, staging, tmp_path / "dist" / what.name)
    assert list((tmp_path / "dist").iterdir()) == []


def test_a_failure_leaves_the_older_archive_alone(tmp_path: Path, staging: Path) -> None:
    what = made(tmp_path, staging)
    target = tmp_path / "dist" / what.name
    write(what, staging, target)
    before = target.read_bytes()
    (staging / "build" / "model" / "weights.bin").unlink()
    with pytest.raises((CorruptError, StoreError)):
        write(what, staging, target)
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_what_was_measured_by_the_clock_is_not_part_of_the_archives_name(
    tmp_path: Path, staging: Path
) -> None:
    def clocked(digest: str, p95_ms: float) -> RunReport:
        part = Part(path="b.json", kind=PartKind.FILE, digest=digest, size_bytes=1, files=1)
        stage = replace(STAGE, uses="benchmark-model", outputs=(part,))
        gate = replace(
            REPORT.gates[0],
            gate="latency",
            sentence=f"{p95_ms} ms",
            value=p95_ms,
            interval=(p95_ms - 1, p95_ms + 1),
            evidence=(Evidence(path=part.path, digest=digest),),
        )
        return replace(REPORT, stages=(stage,), gates=(gate,))

    names = {made(tmp_path, staging, clocked(f"sha256:{n}" + "0" * 63, n)).name for n in (1, 2)}
    assert len(names) == 1
    failing = replace(
        clocked("sha256:" + "1" * 64, 1), gates=(replace(REPORT.gates[0], verdict=Verdict.FAIL),)
    )
    assert made(tmp_path, staging, failing).name not in names
