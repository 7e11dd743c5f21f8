from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_samples import Workspace, entered
from penstock.programs.model_tests import main


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    with entered(tmp_path, monkeypatch):
        yield Workspace(tmp_path, main.main)


@pytest.fixture
def complaint(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a request which cannot be used ends with."""

    def run(**more: object) -> str:
        assert workspace.start(**more) == 2
        assert not (workspace.root / "build/result.json").exists()
        line = capfd.readouterr().err
        assert line.count("\n") == 1, line
        return line.strip()

    return run
