from __future__ import annotations

from pathlib import Path

import pytest

from validation_runs import Runs, start


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Validates texts and gives the document."""
    return Runs(tmp_path)


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> object:
    """The one line that a request ends with whose files cannot be used, without the directory's name."""

    def run(data: str | bytes, schema: str | None, name: str = "t.csv", **others: str | bytes) -> str:
        files = Runs(tmp_path)
        splits: dict[str, Path] = {
            each: files.file(f"{each}.csv", others[each]) for each in ("train", "test") if each in others
        }
        code = start(
            files.file(name, data),
            files.file("t.yaml", schema) if schema is not None else None,
            tmp_path / "r.json",
            reference=files.file("reference.csv", others["reference"]) if "reference" in others else None,
            splits=splits,
        )
        line = capsys.readouterr().err
        assert (code, line.count("\n")) == (2, 1), line
        assert not (tmp_path / "r.json").exists()
        return line.strip().replace(f"{tmp_path}/", "")

    return run
