"""Measures a model's speed and size; the recipe `benchmark-model` carries it into a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common import packages, program


def main(arguments: Sequence[str]) -> int:
    """Measure and write; the exit code. Whether it is fast enough, gates decide."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    packages.require("numpy", "pandas", purpose="the recipe benchmark-model")
    from . import work

    return work.run(request)
