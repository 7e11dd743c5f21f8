"""The environment that is locked for registries is all that the program needs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from uv import find_uv_bin

import oci_samples
from docker_registry import Registry
from oci_samples import Workspace

ROOT = Path(__file__).parents[4]


@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_locked_environment_pushes_and_pulls(
    registry: Registry, name: str, ran: Workspace, tmp_path: Path
) -> None:
    uv, variables = find_uv_bin(), {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    python = tmp_path / "env/bin/python"
    lock = ROOT / "src/penstock/plan/tools/oci.txt"
    subprocess.run([uv, "venv", "-q", str(tmp_path / "env")], check=True, env=variables)
    command = [uv, "pip", "install", "-q", "--require-hashes", "--python", str(python), "-r", str(lock)]
    subprocess.run(command, check=True, env=variables)
    request = ran.request(0, repository=f"127.0.0.1:{registry.port}/{name}")
    code, said = oci_samples.done(ran.root, request, python=str(python))
    assert code == 0, said
    pull = request | {"action": "pull", "reference": "latest", "to": "got"}
    assert oci_samples.done(ran.root, pull, python=str(python))[0] == 0
    assert (ran.root / "got/build/metrics.json").exists()
