"""The Dagger engine that tests use, if there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import pytest

RUNNER = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
CLI = "_EXPERIMENTAL_DAGGER_CLI_BIN"


def require_engine() -> str:
    """The path of the Dagger CLI; skips the test where no engine answers it."""
    problem = _problem()
    if problem:
        pytest.skip(problem)
    return _cli() or ""


def _cli() -> str | None:
    return os.environ.get(CLI) or shutil.which("dagger")


@cache
def _problem() -> str | None:
    cli = _cli()
    if cli is None:
        return "no Dagger CLI: install dagger v0.21.8 (https://docs.dagger.io/install) and put it on the PATH"
    if RUNNER not in os.environ and shutil.which("docker") is None:
        return f"no Dagger engine: start one and name it in {RUNNER}, or install Docker"
    try:
        asked = subprocess.run(
            [cli, "core", "version"], capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{cli} does not answer: {error}"
    if asked.returncode:
        lines = [line for line in asked.stderr.splitlines() if line.strip()]
        return f"no Dagger engine answers {cli}: {lines[-1] if lines else asked.returncode}"
    os.environ[CLI] = cli  # so that the SDK takes it, and downloads none
    return None
