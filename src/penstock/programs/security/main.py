"""Scans a project and writes what was found; the recipe `security` carries it into a stage.

It ends with 0 whatever it finds (the gate `security` judges that), and with 2 and one line when its baseline
or its options cannot be used. It reads the project where it lies (PENSTOCK_ROOT, else PENSTOCK_SOURCE) and
its repository (PENSTOCK_GIT, else the one around the project), changes nothing there and runs nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common import packages, program


def main(arguments: Sequence[str]) -> int:
    """Scan and write; the exit code."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    packages.require(
        "detect_secrets", "pip_audit", "ruff", "picklescan", "yaml", purpose="the recipe security"
    )
    from . import work

    return work.run(request)
