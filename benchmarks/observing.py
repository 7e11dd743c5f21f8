"""Measure what it costs to observe a command, against strace.

    python benchmarks/observing.py             # about two minutes; writes observing.md
    python benchmarks/observing.py --rounds 3

Each command runs alone, observed and under `strace -f --seccomp-bpf -e trace=%file`, in turn. Times are the
processor's, of all processes, the observer's own start included: observer and observed take turns, so on an
idle machine that is what one waits for, and on a busy one it still says something. The goals: nothing for
what computes, at most twice the time for what opens many files.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import penstock
from penstock.executors.observe import LAUNCH

HERE = Path(__file__).parent
COMMANDS = {
    "compute (Python, 60 million additions)": (
        [sys.executable, "-c", "s = 0\nfor n in range(60_000_000): s += n"],
        1.02,
    ),
    "import pandas": ([sys.executable, "-c", "import pandas"], 2.0),
    "read 5,000 files below the workspace": (
        [sys.executable, "-c", "for n in range(5000): open(f'f{n}').read()"],
        None,
    ),
    "start 500 processes": (
        ["/bin/sh", "-c", "n=0; while [ $n -lt 500 ]; do /bin/true; n=$((n+1)); done"],
        None,
    ),
    "nothing": (["/bin/true"], None),
}
WAYS = ("alone", "observed", "strace")


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each command runs in each way")
    options = parser.parse_args()
    ways = WAYS if shutil.which("strace") else WAYS[:2]
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder, "top")
        top.mkdir()
        for number in range(5000):
            (top / f"f{number}").write_text("x")
        lines = [_row(name, top, ways, options.rounds) for name in COMMANDS]
    text = "\n".join((*_head(options.rounds), *lines, ""))
    sys.stdout.write(text)
    (HERE / "observing.md").write_text(text)


def _row(name: str, top: Path, ways: tuple[str, ...], rounds: int) -> str:
    argv, goal = COMMANDS[name]
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way in ways:
            took = _timed(argv, way, top)
            sys.stderr.write(f"{name}, {way}: {took:.3f} s\n")
            if number:  # the first fills the kernel's caches
                times[way].append(took)
    base = statistics.median(times["alone"])
    cells = [f"{base:.3f} s ({min(times['alone']):.3f} to {max(times['alone']):.3f})"]
    for way in WAYS[1:]:
        found = times.get(way)
        cells.append(
            "not here" if not found else f"{statistics.median(found):.3f} s, factor {_ratio(times, way):.2f}"
        )
    ratio = _ratio(times, "observed")
    told = "" if goal is None else f"factor of at most {goal:g}: {'met' if ratio <= goal else 'missed'}"
    return "| " + " | ".join((name, *cells, told)) + " |"


def _ratio(times: dict[str, list[float]], way: str) -> float:
    """Of each round's two times, which the load of the machine changes alike; the median."""
    return statistics.median(one / other for one, other in zip(times[way], times["alone"], strict=True))


def _timed(argv: list[str], way: str, top: Path) -> float:
    with subprocess.Popen([*_before(way, top), *argv], cwd=top) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{argv} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def _before(way: str, top: Path) -> list[str]:
    if way == "alone":
        return []
    if way == "strace":
        return [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-e",
            "trace=%file",
            "-o",
            str(top.with_name("strace")),
        ]
    request = top.with_name("request.json")
    report = str(top.with_name("report.json"))
    request.write_text(json.dumps({"top": str(top), "declared": [], "report": report}))
    python = getattr(sys, "_base_executable", None) or sys.executable
    home = str(Path(penstock.__file__).parent.parent)
    return [python, "-I", "-S", "-c", LAUNCH, home, str(request), "--"]


def _head(rounds: int) -> tuple[str, ...]:
    machine = f"{os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}), {platform.machine()}"
    return (
        "# What it costs to observe a command",
        "",
        f"`python benchmarks/observing.py --rounds {rounds}`, {machine}, Linux {platform.release()}.",
        "Seconds of processor time, of all processes: medians; the factor is the median of the rounds' own.",
        "",
        "| command | alone (least to most) | observed | strace | goal |",
        "| --- | --- | --- | --- | --- |",
    )


if __name__ == "__main__":
    main()
