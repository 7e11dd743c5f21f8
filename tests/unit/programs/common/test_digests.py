"""What programs say lies at a path is what a run's report says."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import digest
from penstock.cache import trees
from penstock.cache.store import Store
from penstock.programs.common import digests


def filled(root: Path) -> Path:
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "model.bin").write_bytes(b"weights")
    (root / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (root / "sub" / "run.sh").chmod(0o755)
    (root / "latest").symlink_to("model.bin")
    (root / "folder").symlink_to("sub")
    (root / "sub-1").mkdir()
    (root / "sub-1" / "ä").write_bytes(b"")
    return root


def test_a_directory_has_the_digest_that_the_store_gives_it(tmp_path: Path) -> None:
    found = digests.of_path(filled(tmp_path / "model"))
    part, _ = trees.ingest(Store(tmp_path / "store"), tmp_path / "model", "model")
    assert (found.digest, found.size_bytes, found.files) == (part.digest, part.size_bytes, part.files)


def test_a_file_has_the_digest_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"weights")
    assert digests.of_path(tmp_path / "m") == digests.Content(digest.of_bytes(b"weights"), 7, 1)


@pytest.mark.parametrize("change", ["name", "content", "mode"])
def test_any_change_of_a_directory_changes_its_digest(tmp_path: Path, change: str) -> None:
    root = filled(tmp_path / "model")
    before = digests.of_path(root).digest
    match change:
        case "name":
            (root / "model.bin").rename(root / "model.bim")
        case "content":
            (root / "model.bin").write_bytes(b"weighty")
        case _:
            (root / "model.bin").chmod(0o755)
    assert digests.of_path(root).digest != before
