"""Timing: processes run one at a time, contestants in turn, and what the kernel counted for each."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class CommandFailedError(Exception):
    """A command that was to be timed ended with another exit code than 0."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, where, and with which variables."""

    argv: tuple[str, ...]
    cwd: Path
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One run.

    Attributes:
        peak_bytes: The largest resident memory of any one process of it. This process's own (some 30 MiB)
            is a floor: what a child had before its exec counts.
        read_bytes: What it and the children it waited for got from read calls, from the page cache or not.
        ran: How many stages really ran, where that was asked for.
    """

    seconds: float
    peak_bytes: int
    read_bytes: int
    ran: int | None = None


@dataclass(frozen=True, slots=True)
class Contestant:
    """What is run in one place of a round.

    Attributes:
        before: Called ahead of each run, untimed.
        count_ran: Called after each run, untimed: how many stages ran.
        rounds: At most so many, for one that is so slow that it would take all the time.
    """

    name: str
    command: Command
    before: Callable[[], None] | None = None
    count_ran: Callable[[], int] | None = None
    rounds: int | None = None


@dataclass(slots=True)
class Series:
    """All runs of one contestant, and why it stopped if it did."""

    name: str
    samples: list[Sample] = field(default_factory=list)
    failure: str | None = None

    @property
    def seconds(self) -> list[float]:
        """The times, in the order in which they were taken."""
        return [sample.seconds for sample in self.samples]

    @property
    def median(self) -> float:
        """In seconds; NaN when there is no sample."""
        return statistics.median(self.seconds) if self.samples else float("nan")

    @property
    def peak_bytes(self) -> int:
        """The largest of all runs."""
        return max((sample.peak_bytes for sample in self.samples), default=0)

    @property
    def ran(self) -> list[int]:
        """How many stages ran in each run, where it was counted."""
        return [sample.ran for sample in self.samples if sample.ran is not None]


def run(command: Command, *, check: bool = True) -> Sample:
    """Run a command to its end.

    Raises:
        CommandFailedError: It ended with another exit code than 0, and `check` is set.
    """
    log = command.cwd.parent / f"{command.cwd.name}.log"
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=dict(command.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        # the process is left a zombie for a moment: its I/O counters are gone once it is reaped
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        seconds = time.perf_counter() - start
        read_bytes = _read_bytes(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if check and process.returncode != 0:
        raise CommandFailedError(f"exit code {process.returncode}: {_tail(log)}")
    return Sample(seconds, usage.ru_maxrss * 1024, read_bytes)


def interleave(contestants: Sequence[Contestant], rounds: int) -> dict[str, Series]:
    """Run all contestants in turn, so many times; one that fails is left out from there on."""
    series = {each.name: Series(each.name) for each in contestants}
    for turn in range(rounds):
        for each in contestants:
            if series[each.name].failure is None and (each.rounds is None or turn < each.rounds):
                _take(each, series[each.name])
    return series


def _take(contestant: Contestant, series: Series) -> None:
    try:
        if contestant.before:
            contestant.before()
        sample = run(contestant.command)
        ran = contestant.count_ran() if contestant.count_ran else None
    except (CommandFailedError, OSError) as error:
        series.failure = str(error)
        return
    series.samples.append(Sample(sample.seconds, sample.peak_bytes, sample.read_bytes, ran))


def _read_bytes(pid: int) -> int:
    try:
        counters = Path(f"/proc/{pid}/io").read_text()
    except OSError:
        return 0
    return int(counters.split("rchar:")[1].split()[0])


def _tail(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-4:])[-600:]
