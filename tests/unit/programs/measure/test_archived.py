"""Baselines out of archives that `publish: archive` wrote and out of folders of runs."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.cache.store import Store
from penstock.cache.trees import ingest
from penstock.digest import of_bytes
from penstock.programs.measure.archived import BaselineError, table
from penstock.publish.archive import contents, write
from penstock.report import document
from penstock.results import Part, Reason, RunReport, StageResult, StageState

TABLE = b"id,truth,prediction\n1,a,a\n"
OUTPUTS = ("build/predictions.csv", "build/splits")


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    staging = tmp_path / "staging"
    splits = staging / "build" / "splits"
    (splits / "empty").mkdir(parents=True)
    (splits / "test.csv").write_bytes(TABLE * 2)
    (splits / "run.sh").write_text("#!/bin/sh\n")
    (splits / "run.sh").chmod(0o755)
    (splits / "latest").symlink_to("test.csv")
    (staging / "build" / "predictions.csv").write_bytes(TABLE)
    return staging


@pytest.fixture
def report(tmp_path: Path, staging: Path) -> RunReport:
    store = Store(tmp_path / "home")
    outputs: tuple[Part, ...] = tuple(ingest(store, staging / path, path)[0] for path in OUTPUTS)
    stage = StageResult(
        name="evaluate",
        state=StageState.RAN,
        reason=Reason(code="first-run", sentence="no earlier result"),
        run="evaluate",
        key=of_bytes(b"key"),
        made_at="2026-01-01T00:00:00Z",
        wall_s=3.0,
        outputs=outputs,
    )
    return RunReport(
        penstock="0.1.0",
        run_id="one",
        pipeline="churn",
        pipeline_file="penstock.yaml",
        plan=of_bytes(b"plan"),
        profile=None,
        commit="abc",
        executor="local",
        started_at="2026-01-01T00:00:00Z",
        wall_s=4.0,
        exit_code=0,
        stages=(stage,),
        gates=(),
        publications=(),
    )


@pytest.fixture
def archive(tmp_path: Path, staging: Path, report: RunReport) -> Path:
    what = contents(report, report.stages[0].outputs)
    path = tmp_path / "dist" / what.name
    write(what, staging, path)
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def rewritten(archive: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The archive with the content of its files changed, their names relative to its top."""
    path = archive.with_name("changed.tar")
    with tarfile.open(archive) as old, tarfile.open(path, "w") as new:
        for member in old.getmembers():
            file = old.extractfile(member) if member.isreg() else None
            data = change(member.name.partition("/")[2], file.read()) if file else b""
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return path


def test_a_table_is_taken_out_of_an_archive(archive: Path, scratch: Path) -> None:
    assert table(archive, "build/predictions.csv", scratch).read_bytes() == TABLE


def test_a_table_is_taken_out_of_a_directory_in_an_archive(archive: Path, scratch: Path) -> None:
    assert table(archive, "build/splits/test.csv", scratch).read_bytes() == TABLE * 2


def test_a_table_is_found_in_an_unpacked_archive(archive: Path, scratch: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as packed:
        # Debian's 3.11.2 does not know filters yet, and later ones warn without
        safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        packed.extractall(tmp_path / "unpacked", **safe)
    folder = tmp_path / "unpacked" / archive.stem
    assert table(folder, "build/splits/test.csv", scratch).read_bytes() == TABLE * 2


def test_a_table_is_found_beside_the_report_of_its_run(
    staging: Path, report: RunReport, scratch: Path
) -> None:
    (staging / "run.json").write_bytes(document.encode(report))
    assert table(staging, "build/predictions.csv", scratch).read_bytes() == TABLE
    (staging / "build/predictions.csv").write_bytes(TABLE + b"2,a,b\n")
    with pytest.raises(BaselineError, match=r"predictions\.csv is sha256:.*was judged"):
        table(staging, "build/predictions.csv", scratch)


@pytest.mark.parametrize("path", ["build/predictions.csv", "build/splits/test.csv", "build/splits/run.sh"])
def test_a_file_that_was_changed_is_refused(archive: Path, scratch: Path, path: str) -> None:
    changed = rewritten(archive, lambda name, data: data + b"2,b,b\n" if name == path else data)
    member = "build/splits/test.csv" if "splits" in path else path
    with pytest.raises(BaselineError, match="was judged: it was changed or damaged"):
        table(changed, member, scratch)


def test_a_record_that_was_changed_is_refused(archive: Path, scratch: Path) -> None:
    changed = rewritten(archive, lambda name, data: data + b" " if name == "run.json" else data)
    with pytest.raises(BaselineError, match=r"run\.json is not the one that manifest\.json names"):
        table(changed, "build/predictions.csv", scratch)


def test_an_output_that_is_not_there_is_named_with_those_that_are(archive: Path, scratch: Path) -> None:
    message = r"holds no output 'build/test\.csv'; its outputs are: build/predictions\.csv, build/splits"
    with pytest.raises(BaselineError, match=message):
        table(archive, "build/test.csv", scratch)


@pytest.mark.parametrize("member", ["build/splits/latest", "build/splits/../predictions.csv", "build/splits"])
def test_only_a_plain_file_of_the_outputs_is_a_table(archive: Path, scratch: Path, member: str) -> None:
    with pytest.raises(BaselineError, match=r"holds no output|no such file"):
        table(archive, member, scratch)


def test_nothing_is_written_outside_the_scratch_folder(archive: Path, scratch: Path) -> None:
    hostile = archive.with_name("hostile.tar")
    hostile.write_bytes(archive.read_bytes())
    with tarfile.open(hostile, "a") as added:
        entry = tarfile.TarInfo(f"{archive.stem}/build/splits/../../../escaped")
        entry.size = 1
        added.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(BaselineError, match="leads out of it"):
        table(hostile, "build/splits/test.csv", scratch)
    assert not (scratch.parent / "escaped").exists()


@pytest.mark.parametrize("content", [b"", b"id,truth\n", b"\x1f\x8b garbage", json.dumps({}).encode() * 600])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, scratch: Path, content: bytes) -> None:
    path = tmp_path / "baseline.tar"
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=r"baseline\.tar"):
        table(path, "build/predictions.csv", scratch)


def test_a_truncated_archive_is_refused(archive: Path, scratch: Path) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[: whole.index(TABLE * 2) + 5])
    with pytest.raises(BaselineError, match=r"churn-.*\.tar cannot be read"):
        table(archive, "build/splits/test.csv", scratch)


@pytest.mark.parametrize("text", ["[]", "{", '{"stages": 3}', '{"stages": [{"outputs": [{"path": 3}]}]}'])
def test_a_report_that_is_none_is_refused(tmp_path: Path, scratch: Path, text: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(text)
    with pytest.raises(BaselineError, match="run"):
        table(folder, "build/predictions.csv", scratch)


def test_a_folder_without_records_is_refused(tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(BaselineError, match=r"holds no run\.json: name an archive"):
        table(tmp_path, "build/predictions.csv", scratch)
