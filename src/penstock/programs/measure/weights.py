"""How often each row is in each resample."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

STRETCH = 512
"""Rows that are worked on at a time, so that they stay in a processor's cache."""

_LIMIT = 1 << 16
_WORD = (1 << 64) - 1


def generator(seed: str, *more: int) -> np.random.Generator:
    """Random numbers that depend on nothing but the seed."""
    start = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest(), "big")
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([start, *more])))


def draw_weights(rng: np.random.Generator, units: int, draws: int) -> NDArray[np.uint8]:
    """How often each unit is in each resample, (units, draws): each column adds up to `units`.

    To draw unit by unit is slow. Nearly all are drawn at once, each unit so often as a Poisson distribution
    with a mean a little under one has it; given their number, these are as if drawn one by one. The few that
    are then missing are drawn so.
    """
    limits = _poisson_limits(max(0.0, 1 - 4 / math.sqrt(units)))
    weights = np.zeros((units, draws), dtype=np.uint8)
    drawn = np.zeros(draws)
    for start in range(0, units, STRETCH):
        part = weights[start : start + STRETCH]
        words = rng.integers(0, _WORD, size=-(-part.size // 4), dtype=np.uint64, endpoint=True)
        lots = words.view(np.uint16)[: part.size].reshape(part.shape)
        for limit in limits:
            part += (lots >= limit).view(np.uint8)
        drawn += np.ones(len(part)) @ part.astype(np.float64)
    missing = units - drawn.astype(np.int64)
    over = missing < 0  # once in tens of thousands of draws
    weights[:, over] = 0
    missing[over] = units
    columns = np.repeat(np.arange(draws), missing)
    rows = rng.integers(0, units, size=len(columns))
    np.add.at(weights.reshape(-1), rows * draws + columns, np.uint8(1))
    return weights


def _poisson_limits(mean: float) -> list[int]:
    """From which of 65,536 equally likely numbers on a Poisson variable is at least 1, 2, ..."""
    limits, share, below = [], math.exp(-mean), 0.0
    for count in range(1, 64):
        below += share
        share *= mean / count
        limit = round(below * _LIMIT)
        if limit >= _LIMIT:
            break
        limits.append(limit)
    return limits
