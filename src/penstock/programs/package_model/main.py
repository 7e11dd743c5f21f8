"""Packages a model; the recipe `package-model` carries it into a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common import packages, program


def main(arguments: Sequence[str]) -> int:
    """Package; the exit code: 3 if the model does not say what was judged."""
    return program.main(arguments, _work)


def _work(request: Mapping[str, Any]) -> str:
    packages.require("numpy", "pandas", purpose="the recipe package-model")
    from . import work

    return work.run(request)
