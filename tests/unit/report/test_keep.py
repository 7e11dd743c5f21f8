from __future__ import annotations

from pathlib import Path

import pytest

import document_samples
import report_samples as samples
from penstock.errors import StoreError
from penstock.report import attached, keep


def test_a_report_is_the_same_files_wherever_it_is_put(tmp_path: Path) -> None:
    report = samples.refused()
    folder = keep.write(report, tmp_path / "runs")
    keep.copy(report, tmp_path / "elsewhere")
    expected = keep.files(report)
    assert sorted(expected) == ["exit-code", "junit.xml", "metrics.txt", "run.json", "summary.md"]
    for place in (folder, tmp_path / "runs" / "latest"):
        assert {path.name: path.read_bytes() for path in place.iterdir()} == expected
    page = keep.files(report, page=True)
    assert page.keys() - expected.keys() == {"report.html"}
    assert {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()} == page


def test_documents_lie_beside_a_report_by_their_paths(tmp_path: Path) -> None:
    report, documents = document_samples.whole()
    folder = keep.write(report, tmp_path, documents=documents)
    assert attached.read(folder) == documents
    for path, content in documents.items():
        assert (folder / "documents" / path).read_bytes() == content


@pytest.mark.parametrize("path", ["../out.json", "/etc/out.json", "a/../../out.json", "", ".", "a\0b"])
def test_a_document_is_put_nowhere_else(tmp_path: Path, path: str) -> None:
    keep.write(samples.passed(), tmp_path / "runs", documents={path: b"{}"})
    assert {each.name for each in tmp_path.rglob("*.json")} == {"run.json"}


def test_a_document_that_is_too_large_is_neither_kept_nor_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = {"a.json": b"{}", "b.json": b"[" + 4096 * b" " + b"]"}
    folder = keep.write(samples.passed(), tmp_path, documents=documents)
    assert attached.read(folder) == documents
    monkeypatch.setattr(attached, "MAX_BYTES", 4096)
    assert set(attached.read(folder)) == {"a.json"}
    assert set(attached.kept(documents)) == {"documents/a.json"}


def test_links_among_documents_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = keep.write(samples.passed(), tmp_path / "runs", documents={"a.json": b"{}"})
    (folder / "documents" / "link.json").symlink_to(tmp_path / "secret")
    (folder / "documents" / "folder").symlink_to(tmp_path)
    assert set(attached.read(folder)) == {"a.json"}


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
