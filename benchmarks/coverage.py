"""Are the intervals honest? Gates judge models whose true quality is known, thousands of times.

    python benchmarks/coverage.py            # minutes; writes benchmarks/coverage.md
    python benchmarks/coverage.py --quick    # seconds; writes nothing

Every data set goes through the code that `uses: measure` runs in a stage, and is judged as a gate does: pass
if the whole interval is within the bound.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import numpy as np
import scipy
from coverage_cases import CASES, CONFIDENCE, Case

ONE_SIDED = (1 - CONFIDENCE) / 2


@dataclass(frozen=True, slots=True)
class Tally:
    """How often what happened, of models with one true number.

    Attributes:
        covered: The interval held the truth.
        passed: The whole interval was within the bound.
        failed: The whole interval was beyond the bound.
        bare: The point alone was within the bound.
        unknown: There was no interval; such a gate fails.
    """

    data_sets: int
    covered: int
    passed: int
    failed: int
    bare: int
    unknown: int

    @property
    def inconclusive(self) -> int:
        """Neither nor."""
        return self.data_sets - self.passed - self.failed

    def share(self, count: int) -> str:
        """In per cent."""
        return f"{100 * count / self.data_sets:.1f} %"

    def error(self, count: int) -> float:
        """Half the width of a 95 % interval on a share, which the simulation itself has."""
        share = (count + 2) / (self.data_sets + 4)
        return 1.96 * math.sqrt(share * (1 - share) / (self.data_sets + 4))


@dataclass(frozen=True, slots=True)
class Row:
    """A case at a number of rows."""

    case: Case
    rows: int
    at_bound: Tally
    better: Tally


def simulate(case: Case, rows: int, true: float, data_sets: int, seed: int) -> Tally:
    """Judge so many data sets of a model with this true number."""
    start = [seed, zlib.crc32(case.name.encode()), rows, round((true + 9) * 1e6)]
    rng = np.random.default_rng(start)
    covered = passed = failed = bare = unknown = 0
    for _ in range(data_sets):
        found = case.draw(rng, rows, true)
        bare += _verdict(case, found.value, found.value) > 0
        if found.interval is None:
            unknown += 1
            failed += 1
            continue
        low, high = found.interval
        covered += low <= found.truth <= high
        verdict = _verdict(case, low, high)
        passed += verdict > 0
        failed += verdict < 0
    return Tally(data_sets, covered, passed, failed, bare, unknown)


def _verdict(case: Case, low: float, high: float) -> int:
    """As gates have it: 1 where all is within the bounds, -1 where all is beyond one of them."""
    minimum = case.bound if case.minimum else -math.inf
    maximum = math.inf if case.minimum else case.bound
    if case.both_sides:
        maximum = 1 / case.bound if case.bound > 0 else -case.bound
    if high < minimum or low > maximum:
        return -1
    return 1 if minimum <= low and high <= maximum else 0


def rows_of(cases: Iterable[Case], data_sets: int, seed: int) -> Iterator[Row]:
    """The whole table, on all cores."""
    asked = [(case, rows) for case in cases for rows in case.sizes]
    with ProcessPoolExecutor() as pool:
        waiting = [
            [
                pool.submit(
                    _simulate_named, case.name, rows, true, data_sets if case.drawn else 4 * data_sets, seed
                )
                for true in (case.bound, case.better)
            ]
            for case, rows in asked
        ]
        for (case, rows), both in zip(asked, waiting, strict=True):
            yield Row(case, rows, *(each.result() for each in both))


def _simulate_named(name: str, rows: int, true: float, data_sets: int, seed: int) -> Tally:
    case = next(case for case in CASES if case.name == name)
    return simulate(case, rows, true, data_sets, seed)


HEAD = """\
# How honest the intervals are

Written by `benchmarks/coverage.py`. A gate with `confidence: 0.95` passes a model only if the whole two-sided
95 % interval is within the bound. So a model whose true quality is exactly **at** the bound should pass in at
most about 2.5 % of all cases: **false pass**. A bare comparison of the measured number with the bound passes
every second such model. The price: some models that are truly better are not decided (**inconclusive**). More
rows are the remedy; `penstock gates power` says how many.

Every row stands for {fewest:,} to {most:,} simulated data sets that went through the code of `uses: measure`.
`±` is the 95 % half-width of what the simulation itself leaves open.
"""


def markdown(table: list[Row], seconds: float) -> str:
    """The report."""
    sizes = [row.at_bound.data_sets for row in table]
    parts = [HEAD.format(fewest=min(sizes), most=max(sizes)), _summary(table)]
    for case, rows in groupby(table, key=lambda row: row.case):
        parts.append(_table(case, list(rows)))
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    made = f"{datetime.now(UTC):%Y-%m-%d} in {seconds / 60:.0f} min on {os.cpu_count()} cores"
    parts.append(f"\nMade on {made} by {versions} (scipy for the simulation only).\n")
    return "\n".join(parts)


def _summary(table: list[Row]) -> str:
    above = [row for row in table if _share(row) - row.at_bound.error(row.at_bound.passed) > ONE_SIDED]
    worst = max(table, key=_share)
    bare = sorted(100 * row.at_bound.bare / row.at_bound.data_sets for row in table)
    text = (
        f"Of {len(table)} combinations of a gate and a number of rows,"
        f" {len(table) - len(above)} let through no more than 2.5 %\n"
        "of the models at the bound, as far as the simulation can tell. A bare comparison lets through\n"
        f"{bare[0]:.0f} % to {bare[-1]:.0f} %, however many rows there are. The most of any gate is\n"
        f"{_passed(worst)}.\n"
    )
    if above:
        lines = (f"- {_passed(row)}" for row in sorted(above, key=_share, reverse=True))
        text += f"\nMore than 2.5 %, mostly with few rows and heavy tails:\n\n{chr(10).join(lines)}\n"
    return text


def _passed(row: Row) -> str:
    at = row.at_bound
    return f"{at.share(at.passed)} ± {100 * at.error(at.passed):.1f}: {row.case.name}, {row.rows:,} rows"


def _share(row: Row) -> float:
    return row.at_bound.passed / row.at_bound.data_sets


def _table(case: Case, rows: list[Row]) -> str:
    heads = [
        "rows",
        "coverage",
        f"false pass, truly {case.bound:g}",
        "bare comparison",
        f"pass, truly {case.better:g}",
        "inconclusive",
        "fail",
        "bare comparison fails",
    ]
    lines = [
        f"\n## {case.name}\n",
        f"{case.note[:1].upper()}{case.note[1:]}.\n" if case.note else "",
        f"| {' | '.join(heads)} |",
        f"|{'---:|' * len(heads)}",
    ]
    for row in rows:
        at, good = row.at_bound, row.better
        cells = [
            f"{row.rows:,}",
            at.share(at.covered),
            f"{at.share(at.passed)} ± {100 * at.error(at.passed):.1f}",
            at.share(at.bare),
            *map(good.share, (good.passed, good.inconclusive, good.failed, good.data_sets - good.bare)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    unknown = sum(row.at_bound.unknown + row.better.unknown for row in rows)
    if unknown:
        lines.append(f"\n{unknown:,} data sets gave no interval; they count as failed.")
    return "\n".join(line for line in lines if line)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few data sets; writes nothing")
    parser.add_argument("--only", default="", help="cases whose name holds this; writes nothing")
    parser.add_argument(
        "--data-sets", type=int, default=2500, help="per case; four times as many without resamples"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    cases = [case for case in CASES if options.only in case.name]
    table = []
    for row in rows_of(cases, 200 if options.quick else options.data_sets, options.seed):
        table.append(row)
        at = row.at_bound
        print(
            f"{row.case.name:60} {row.rows:6,}  coverage {at.share(at.covered):>7}  false pass"
            f" {at.share(at.passed):>6} ± {100 * at.error(at.passed):.1f}  bare {at.share(at.bare):>6}"
            f"  inconclusive {row.better.share(row.better.inconclusive):>7}",
            flush=True,
        )
    text = markdown(table, time.monotonic() - began)
    if not options.quick and not options.only:
        (Path(__file__).parent / "coverage.md").write_text(text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
