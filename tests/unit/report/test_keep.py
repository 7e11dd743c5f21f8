from __future__ import annotations

from pathlib import Path

import pytest

import report_samples as samples
from penstock.errors import StoreError
from penstock.report import keep


def test_a_report_is_the_same_files_wherever_it_is_put(tmp_path: Path) -> None:
    report = samples.refused()
    folder = keep.write(report, tmp_path / "runs")
    keep.copy(report, tmp_path / "elsewhere")
    expected = keep.files(report)
    assert sorted(expected) == ["exit-code", "junit.xml", "metrics.txt", "run.json", "summary.md"]
    for place in (folder, tmp_path / "elsewhere", tmp_path / "runs" / "latest"):
        assert {path.name: path.read_bytes() for path in place.iterdir()} == expected


def test_the_exit_code_is_a_number_on_a_line() -> None:
    for report in (samples.passed(), samples.failed(), samples.refused(), samples.undecided()):
        assert keep.files(report)["exit-code"] == b"%d\n" % report.exit_code


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/run\.json: the report cannot be written"):
        keep.copy(samples.passed(), tmp_path / "file")


def test_a_run_is_found_again_by_a_beginning_of_its_id_and_as_the_latest(tmp_path: Path) -> None:
    report = samples.passed()
    keep.write(report, tmp_path)
    assert keep.read(tmp_path, "latest") == report
    assert keep.read(tmp_path, report.run_id[:8]) == report
