"""Tests a model and writes what was found; the recipe `model-tests` carries it into a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common import packages, program


def main(arguments: Sequence[str]) -> int:
    """Test and write; the exit code. A model that fails a test is a result, not an error."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    packages.require("numpy", "pandas", purpose="the recipe model-tests")
    from . import work

    return work.run(request)
