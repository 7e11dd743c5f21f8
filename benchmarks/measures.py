"""Measure `uses: measure` against scipy.stats.bootstrap, called for each metric and each slice.

    python benchmarks/measures.py               # some ten minutes; writes measures.md
    python benchmarks/measures.py --rounds 1 --sizes 100000 --share 10

Penstock's program is started as a stage starts it, from files just carried into a workspace: its time is that
of the whole process, with Python's start and the reading of the table. Of scipy only the calls are timed. It
takes a share of the resamples, and its time is extrapolated: resamples cost alike. Its intervals are
percentiles, because its BCa leaves out every row once, which takes the square of the rows. Its statistics are
vectorised numpy, which is several times as fast as scikit-learn's functions. Both take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from penstock.plan import carrying

METRICS = (
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "matthews_corrcoef", "roc_auc",
    "average_precision", "log_loss", "expected_calibration_error",
)  # fmt: skip
COLUMNS, GROUPS, RESAMPLES = ("plan", "region", "device", "language"), 5, 2000
GOAL_S, GOAL_MIB, GOAL_TIMES, GOAL_ROWS = 5.0, 500, 10, 100_000
CORES = 2

SCIPY = """
import csv, json, sys, time
import numpy as np
from scipy import stats

def cells(truth, prediction, axis):
    both = (truth & prediction).sum(axis)
    one, other = truth.sum(axis), prediction.sum(axis)
    return both, one - both, other - both, truth.shape[axis] - one - other + both

def balanced(t, p, axis=-1):
    hit, miss, wrong, rest = cells(t, p, axis)
    return (hit / (hit + miss) + rest / (rest + wrong)) / 2

def matthews(t, p, axis=-1):
    a, b, c, d = (x.astype(float) for x in cells(t, p, axis))
    return (a * d - b * c) / np.sqrt((a + b) * (a + c) * (d + b) * (d + c))

def area(t, s, axis=-1):
    t = np.take_along_axis(t, np.argsort(s, axis=-1), -1)
    many = t.sum(-1)
    ranks = (t * np.arange(1, t.shape[-1] + 1)).sum(-1)
    return (ranks - many * (many + 1) / 2) / (many * (t.shape[-1] - many))

def average_precision(t, s, axis=-1):
    t = np.take_along_axis(t, np.argsort(-s, axis=-1), -1)
    return (t * np.cumsum(t, -1) / np.arange(1, t.shape[-1] + 1)).sum(-1) / t.sum(-1)

def log_loss(t, s, axis=-1):
    return -np.log(np.where(t, s, 1 - s)).mean(axis)

def calibration(t, s, axis=-1):
    gap, place = s - t, np.minimum((s * 10).astype(int), 9)
    return sum(np.abs((gap * (place == bin)).sum(axis)) for bin in range(10)) / t.shape[axis]

OF_PREDICTIONS = {
    "accuracy": lambda t, p, axis=-1: (t == p).mean(axis),
    "balanced_accuracy": balanced,
    "precision": lambda t, p, axis=-1: (t & p).sum(axis) / p.sum(axis),
    "recall": lambda t, p, axis=-1: (t & p).sum(axis) / t.sum(axis),
    "f1": lambda t, p, axis=-1: 2 * (t & p).sum(axis) / (t.sum(axis) + p.sum(axis)),
    "matthews_corrcoef": matthews,
}
OF_SCORES = {
    "roc_auc": area, "average_precision": average_precision, "log_loss": log_loss,
    "expected_calibration_error": calibration,
}
request = json.load(open(sys.argv[1]))
rows = list(csv.DictReader(open(request["predictions"])))
truth = np.array([row["truth"] == "yes" for row in rows])
prediction = np.array([row["prediction"] == "yes" for row in rows])
score = np.array([float(row["score"]) for row in rows])
parts = [np.ones(len(rows), bool)]
for column in request["slices"]:
    values = np.array([row[column] for row in rows])
    parts += [values == value for value in np.unique(values)]
share, wall, processor = int(sys.argv[2]), time.perf_counter(), time.process_time()
for part in parts:
    for name in [each["metric"] for each in request["metrics"]]:
        function = OF_PREDICTIONS.get(name) or OF_SCORES[name]
        other = prediction if name in OF_PREDICTIONS else score
        stats.bootstrap(
            (truth[part], other[part]), function, n_resamples=share, batch=10, paired=True, vectorized=True,
            method="percentile", rng=np.random.default_rng(0),
        )
print(time.perf_counter() - wall, time.process_time() - processor)
"""


class Result(NamedTuple):
    """Medians of one size; `least` and `peak` are the least and the most of all rounds."""

    rows: int
    wall: float
    least: float
    processor: float
    peak: float
    other_wall: float
    other_processor: float

    @property
    def times(self) -> float:
        """How much more of a processor scipy takes."""
        return self.other_processor / self.processor


def written(path: Path, rows: int) -> None:
    """Write a table of two classes, three tenths of them positive, with twenty slices."""
    random = np.random.default_rng(rows)
    truth = random.random(rows) < 0.3
    score = 1 / (1 + np.exp(1 - random.normal(size=rows) - 1.5 * truth))
    words = np.array(["no", "yes"])
    columns = {
        "id": np.char.add("row-", np.arange(rows).astype(str)),
        "truth": words[truth.astype(int)],
        "prediction": words[(score > 0.5).astype(int)],
        "score": np.char.mod("%.6f", score),
    }
    columns |= {name: np.char.add(name, random.integers(0, GROUPS, rows).astype(str)) for name in COLUMNS}
    with path.open("w") as file:
        file.write(",".join(columns) + "\n")
        file.writelines(",".join(row) + "\n" for row in zip(*columns.values(), strict=True))


def penstock(folder: Path, request: dict[str, object]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak MiB of one run."""
    workspace = Path(tempfile.mkdtemp(dir=folder))
    for path, text in carrying.files("measure", request):
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text(text)
    command = [sys.executable, *carrying.command("measure").split()[1:]]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=workspace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"penstock ended with {process.returncode}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def scipy(folder: Path, request: dict[str, object], share: int) -> tuple[float, float]:
    """Wall and processor seconds that all resamples would take."""
    (folder / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-c", SCIPY, str(folder / "request.json"), str(share)]
    seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    wall, processor = (float(each) * RESAMPLES / share for each in seconds)
    return wall, processor


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, GOAL_ROWS, 1_000_000])
    parser.add_argument("--share", type=int, default=20, help="resamples that scipy takes, of 2,000")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("measures.md"))
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    load = os.getloadavg()[0]
    results = []
    with tempfile.TemporaryDirectory(prefix="penstock-measures-") as name:
        for size in options.sizes:
            results.append(_measured(Path(name), size, options))
            print(results[-1], file=sys.stderr)
    options.out.write_text(_report(results, load))
    print(options.out.read_text())
    return 0


def _measured(folder: Path, size: int, options: argparse.Namespace) -> Result:
    written(folder / "p.csv", size)
    request: dict[str, object] = {
        "predictions": str(folder / "p.csv"),
        "result": str(folder / "measures.json"),
        "metrics": [{"metric": metric, "confidence": 0.95} for metric in METRICS],
        "slices": list(COLUMNS),
        "resamples": RESAMPLES,
    }
    ours, theirs = [], []
    for turn in range(options.rounds):
        ours.append(penstock(folder, request))
        if turn == 0 or size <= GOAL_ROWS:  # the largest would take all the time
            theirs.append(scipy(folder, request, options.share))
    document = json.loads((folder / "measures.json").read_text())
    assert len(document["measures"]) == len(METRICS) * (1 + len(COLUMNS) * GROUPS)
    assert all(each["interval"] for each in document["measures"])
    wall, processor, peak = zip(*ours, strict=True)
    other_wall, other_processor = zip(*theirs, strict=True)
    return Result(
        size,
        statistics.median(wall),
        min(wall),
        statistics.median(processor),
        max(peak),
        statistics.median(other_wall),
        statistics.median(other_processor),
    )


def _report(results: list[Result], load: float) -> str:
    command = " ".join(["python", "benchmarks/measures.py", *sys.argv[1:]])
    about = " ".join((__doc__ or "").split("\n\n")[2].split())
    lines = [
        f"""# Measuring predictions against scipy.stats.bootstrap

`{command}`, {len(os.sched_getaffinity(0))} cores, {platform.machine()}, Python {platform.python_version()},
load {load:.1f} at the start, {datetime.now(UTC):%Y-%m-%d}.
{len(METRICS)} metrics, 95 % intervals, all rows and {len(COLUMNS) * GROUPS} slices, {RESAMPLES:,} resamples.
{about}

| rows | penstock wall s (least) | processor s | peak MiB | scipy wall s | processor s | processor s, times |
|---|---|---|---|---|---|---|"""
    ]
    lines += [
        f"| {each.rows:,} | {each.wall:.1f} ({each.least:.1f}) | {each.processor:.1f} | {each.peak:.0f} |"
        f" {each.other_wall:,.0f} | {each.other_processor:,.0f} | {each.times:,.0f} |"
        for each in results
    ]
    for each in results:
        if each.rows == GOAL_ROWS:
            lines.append(f"\nGoals at {GOAL_ROWS:,} rows:\n")
            lines.append(_goal("wall time", f"{each.wall:.1f} s of {GOAL_S:g} s", met=each.wall <= GOAL_S))
            lines.append(_goal("memory", f"{each.peak:.0f} of {GOAL_MIB} MiB", met=each.peak <= GOAL_MIB))
            figures = f"{each.times:,.0f} times as fast, {GOAL_TIMES} wanted"
            lines.append(_goal("against scipy", figures, met=each.times >= GOAL_TIMES))
    return "\n".join(lines) + "\n"


def _goal(what: str, figures: str, *, met: bool) -> str:
    return f"- {what}: {'met' if met else 'missed'}: {figures}"


if __name__ == "__main__":
    sys.exit(main())
