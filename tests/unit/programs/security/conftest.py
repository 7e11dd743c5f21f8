from __future__ import annotations

from pathlib import Path

import pytest

from security_samples import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project."""
    return Project(tmp_path / "project", tmp_path / "out", monkeypatch)
