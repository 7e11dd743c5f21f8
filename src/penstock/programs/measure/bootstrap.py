"""Resamples: what statistics would be on rows drawn again, and without some rows.

All statistics of one call see the same resamples, so that their differences are paired. The same seed gives
the same resamples on any number of cores.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intervals import Bounds, bootstrapped
from .sample import Floats
from .statistic import Counts, Moments, Statistic, Weighted

MANY_ROWS = 1 << 20
_BLOCK_CELLS = 1 << 21
_MANY_CELLS = 2000
_STRETCH = 512
_WIDTH = 64
_LIMIT = 1 << 16
_WORD = (1 << 64) - 1


@dataclass(frozen=True)
class Resampled:
    """A statistic on resamples.

    Attributes:
        draws: On each; NaN where it has no value.
        left_out: Without one row (or group of rows, or row of a cell) each.
        times: How many rows each of those stands for; one each if absent.
    """

    value: float
    draws: Floats
    left_out: Floats
    times: Floats | None = None

    def minus(self, other: Resampled) -> Resampled:
        """The difference of two statistics of one call and one kind."""
        return Resampled(
            self.value - other.value, self.draws - other.draws, self.left_out - other.left_out, self.times
        )

    def bounds(self, confidence: float) -> Bounds:
        """An interval: BCa, or percentiles."""
        return bootstrapped(self.value, self.draws, self.left_out, self.times, confidence)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resample(statistics: Sequence[Statistic], resamples: int, seed: str) -> list[Resampled]:
    """Every statistic on the same resamples of its units.

    Args:
        statistics: Of the kinds `Counts` and `Weighted`, all of as many units. Those of one kind share their
            resamples, those of the other have others.
        seed: Another one gives independent resamples.
    """
    counts = [each for each in statistics if isinstance(each, Counts)]
    weighted = [each for each in statistics if isinstance(each, Weighted)]
    found = dict(zip(map(id, counts), _counted(counts, resamples, seed), strict=True))
    found |= dict(zip(map(id, weighted), _weighed(weighted, resamples, seed), strict=True))
    return [found[id(each)] for each in statistics]


def _generator(seed: str, *more: int) -> np.random.Generator:
    start = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest(), "big")
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([start, *more])))


# Tables of counts


def _counted(statistics: Sequence[Counts], resamples: int, seed: str) -> list[Resampled]:
    """Draws whole tables: n rows over the cells that have any."""
    if not statistics:
        return []
    joint = np.zeros(statistics[0].units, dtype=np.int64)
    for each in {id(each.cells): each for each in statistics}.values():  # alike in all tables: one cell
        _, joint = np.unique(joint * each.size + each.cells, return_inverse=True)
    _, first, many = np.unique(joint, return_index=True, return_counts=True)
    cells = {id(each.cells): (each.cells[first], each.size) for each in statistics}
    rng = _generator(seed, 0)
    draws: list[list[Floats]] = [[] for _ in statistics]
    step = max(1, _BLOCK_CELLS // max(len(many), *(size for _, size in cells.values())))
    for start in range(0, resamples, step):
        drawn = rng.multinomial(len(joint), many / len(joint), size=min(step, resamples - start))
        spread = {key: _spread(drawn, *table) for key, table in cells.items()}
        for each, values in zip(statistics, draws, strict=True):
            values.append(each.function(spread[id(each.cells)]))
    times = np.asarray(many, dtype=np.float64) if len(many) <= _MANY_CELLS else None
    return [
        Resampled(each.value, np.concatenate(values), _without(each, joint, first), times)
        for each, values in zip(statistics, draws, strict=True)
    ]


def _spread(drawn: NDArray[Any], cells: NDArray[Any], size: int) -> Floats:
    """Counts of joint cells as counts of one table's cells."""
    order = np.argsort(cells, kind="stable")
    there, starts = np.unique(cells[order], return_index=True)
    counts = np.zeros((len(drawn), size))
    counts[:, there] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return counts


def _without(statistic: Counts, joint: NDArray[Any], first: NDArray[Any]) -> Floats:
    """The statistic without one row of each joint cell, or without groups of rows where cells are many."""
    whole = np.bincount(statistic.cells, minlength=statistic.size)
    values = []
    if len(first) > _MANY_CELLS:
        for rows in np.array_split(_generator("groups").permutation(len(joint)), Weighted.groups):
            less = whole - np.bincount(statistic.cells[rows], minlength=statistic.size)
            values.append(statistic.function(less[None, :].astype(np.float64)))
        return np.concatenate(values)
    cells = statistic.cells[first]
    step = max(1, _BLOCK_CELLS // statistic.size)
    for start in range(0, len(cells), step):
        part = cells[start : start + step]
        counts = np.repeat(whole[None, :].astype(np.float64), len(part), axis=0)
        counts[np.arange(len(part)), part] -= 1
        values.append(statistic.function(counts))
    return np.concatenate(values)


# Weights of units


def _weighed(statistics: Sequence[Weighted], resamples: int, seed: str) -> list[Resampled]:
    if not statistics:
        return []
    units = statistics[0].units
    width = _WIDTH if units <= MANY_ROWS else 8
    work = _Work(statistics)

    def drawn(start: int) -> Floats:
        weights = draw_weights(_generator(seed, 1, start), units, min(width, resamples - start))
        return work.values(weights)

    if any(each.serial for each in statistics):
        draws = list(map(drawn, range(0, resamples, width)))
    else:
        with ThreadPoolExecutor(cores()) as pool:
            draws = list(pool.map(drawn, range(0, resamples, width)))
    joined = np.concatenate(draws, axis=1)
    return [
        Resampled(each.value, joined[place], _left_out(each))
        for each, place in zip(statistics, work.places, strict=True)
    ]


class _Work:
    """Several statistics on the same weights; the means of all of them by one multiplication."""

    def __init__(self, statistics: Sequence[Weighted]) -> None:
        self.moments = [each for each in statistics if isinstance(each, Moments)]
        self.others = [each for each in statistics if not isinstance(each, Moments)]
        order = {id(each): place for place, each in enumerate([*self.moments, *self.others])}
        self.places = [order[id(each)] for each in statistics]
        if self.moments:
            columns = np.concatenate([each.columns for each in self.moments])
            self._whole, self._unit = _in_whole_numbers(columns)

    def values(self, weights: NDArray[np.uint8]) -> Floats:
        """(statistics, draws); the means first."""
        found = self._means(weights) if self.moments else []
        return np.stack([*found, *(each.weighted(weights) for each in self.others)])

    def _means(self, weights: NDArray[np.uint8]) -> list[Floats]:
        sums = np.zeros((len(self._whole), weights.shape[1]))
        for start in range(0, len(weights), _STRETCH):
            stretch = slice(start, start + _STRETCH)
            sums += self._whole[:, stretch] @ weights[stretch].astype(np.float64)
        means = (sums * self._unit[:, None] / len(weights)).T
        found, start = [], 0
        for each in self.moments:
            stop = start + len(each.columns)
            found.append(each.function(means[:, start:stop]))
            start = stop
        return found


def _in_whole_numbers(columns: Floats) -> tuple[Floats, Floats]:
    """Columns as whole multiples of a unit so small that it does not matter.

    Sums of whole numbers are exact in whatever order they are formed, so that no processor, library or number
    of threads gives other bytes.
    """
    largest = np.maximum(np.abs(columns).max(axis=1), np.finfo(np.float64).tiny)
    unit = np.exp2(np.ceil(np.log2(largest)) - 52 + math.ceil(math.log2(columns.shape[1] + 1)))
    return np.rint(columns / unit[:, None]), unit


def _left_out(statistic: Weighted) -> Floats:
    """The statistic without one unit, or one group of units, each."""
    if isinstance(statistic, Moments):
        return _one_left_out(statistic)
    units = statistic.units
    many = min(units, statistic.groups)
    group = np.arange(units) % many
    if many < units:
        group = _generator("groups").permutation(group)
    blocks = (np.arange(start, min(start + _WIDTH, many)) for start in range(0, many, _WIDTH))
    return np.concatenate([statistic.weighted((group[:, None] != block).view(np.uint8)) for block in blocks])


def _one_left_out(statistic: Moments) -> Floats:
    columns, units = statistic.columns, statistic.units
    total = columns.sum(axis=1)[:, None]
    step = max(1, _BLOCK_CELLS // len(columns))
    return np.concatenate(
        [
            statistic.function(((total - columns[:, start : start + step]) / (units - 1)).T)
            for start in range(0, units, step)
        ]
    )


def draw_weights(rng: np.random.Generator, units: int, draws: int) -> NDArray[np.uint8]:
    """How often each unit is in each resample, (units, draws): each column adds up to `units`.

    To draw unit by unit is slow. Nearly all are drawn at once, each unit so often as a Poisson distribution
    with a mean a little under one has it; given their number, these are as if drawn one by one. The few that
    are then missing are drawn so.
    """
    limits = _poisson_limits(max(0.0, 1 - 4 / math.sqrt(units)))
    weights = np.zeros((units, draws), dtype=np.uint8)
    drawn = np.zeros(draws)
    for start in range(0, units, _STRETCH):
        part = weights[start : start + _STRETCH]
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
