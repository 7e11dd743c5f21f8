"""What a request leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .metrics import BINS

CONFIDENCE = 0.95
RESAMPLES = 2000


def resamples(request: Mapping[str, Any]) -> int:
    """How many resamples an interval is had from where no formula gives one."""
    return int(request.get("resamples") or RESAMPLES)


def bins(request: Mapping[str, Any]) -> int:
    """How many bins scores are sorted into."""
    return int(request.get("bins") or BINS)
