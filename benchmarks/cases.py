"""The cases: what is laid out, what is timed in turn, and which goal the figures are held against."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import workloads
from measure import Command, CommandFailedError, Contestant, Series, interleave, run
from peers import Tool
from workloads import Workload

MEBI = 1 << 20


@dataclass(slots=True)
class Table:
    """The figures of one case."""

    title: str
    series: list[Series]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A goal, what was found, and whether it is met; None if it could not be measured."""

    goal: str
    found: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class Trainings:
    """How often each tool trained over a history, and how often it was needed."""

    commits: int
    contents: int
    kinds: dict[str, int]
    counted: dict[str, int | str]


@dataclass(slots=True)
class Bench:
    """Where the cases work, with what, how thoroughly, and what they found."""

    folder: Path
    tools: dict[str, Tool]
    quick: bool
    rounds: int
    big_gib: float
    load_at_start: float = field(default_factory=lambda: os.getloadavg()[0])
    tables: list[Table] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    trainings: Trainings | None = None

    def chosen(self, *names: str) -> list[Tool]:
        """Those of these tools that are there."""
        return [self.tools[name] for name in names if name in self.tools]

    def check(self, goal: str, series: Sequence[Series], judge: Callable[[], tuple[bool, str]]) -> None:
        """Hold figures against a goal; when one of them is missing, say so instead of judging."""
        missing = [f"{each.name}: {each.failure or 'absent'}" for each in series if not each.samples]
        if missing:
            self.checks.append(Check(goal, "not measured: " + "; ".join(missing), None))
            return
        met, found = judge()
        self.checks.append(Check(goal, found, met))

    def at_most(self, goal: str, series: Series, bound_s: float) -> None:
        """Check that a median is within a bound."""
        self.check(
            goal,
            [series],
            lambda: (series.median <= bound_s, f"{series.median:.3f} s, bound {bound_s:.3f} s"),
        )

    def compared(self, goal: str, series: dict[str, Series], peer: str, factor: float) -> None:
        """Check that Penstock's median is at most so many times a peer's of the same rounds."""
        ours, theirs = series["penstock"], series.get(peer, Series(peer))

        def judge() -> tuple[bool, str]:
            ratio = ours.median / theirs.median
            return ratio <= factor, f"{ours.median:.3f} s to {theirs.median:.3f} s: {ratio:.2f} times"

        self.check(goal, [ours, theirs], judge)


@dataclass(slots=True)
class Site:
    """A tool's own copy of a workload, and its store.

    Attributes:
        known: Every content that an output has had: it holds a nonce, so another one means another run.
    """

    bench: Bench
    tool: Tool
    workload: Workload
    tree: Path
    store: Path
    known: set[tuple[str, bytes]] = field(default_factory=set)

    @property
    def command(self) -> Command:
        """Brings this tree up to date."""
        return self.tool.command(self.tree, self.store, self.bench.folder / "home")

    def run(self) -> None:
        """Bring the tree up to date, untimed."""
        run(self.command)

    def forget(self) -> None:
        """Make the next run a cold one: no outputs, no state, no store."""
        state = (path for pattern in self.tool.state for path in self.tree.glob(pattern))
        for path in [self.store, *state]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for stage in self.workload.stages:
            (self.tree / stage.output).unlink(missing_ok=True)

    def count_ran(self) -> int:
        """How many outputs are none of those seen before."""
        outputs = {(each.name, (self.tree / each.output).read_bytes()) for each in self.workload.stages}
        ran = len(outputs - self.known)
        self.known |= outputs
        return ran

    def contestant(
        self, *, before: Callable[[], None] | None = None, rounds: int | None = None
    ) -> Contestant:
        """This tool, as one that takes turns with others."""
        count_ran = self.count_ran if self.workload.nonces else None
        return Contestant(self.tool.name, self.command, before, count_ran, rounds)


def small_plans(bench: Bench) -> None:
    """Seven stages, cold and with nothing to do."""
    sites = lay_out(bench, "seven", workloads.seven(), ALL)
    cold, no_op = cold_and_no_op(bench, sites, "seven stages", bench.rounds)
    bench.compared("7-stage no-op: no slower than doit", no_op, "doit", 1)
    bench.compared("7-stage no-op: at most a sixth of DVC", no_op, "dvc", 1 / 6)
    bench.compared("7-stage cold: at most a third of DVC", cold, "dvc", 1 / 3)


def fan(bench: Bench) -> None:
    """Two hundred independent stages and a join, cold and with nothing to do."""
    width = 200
    tools = [name for name in ALL if not (bench.quick and name in {"dvc", "snakemake", "turbo"})]
    sites = lay_out(bench, "fan", workloads.fan(width), tools)
    title = f"{width} independent stages and a join"
    cold, no_op = cold_and_no_op(bench, sites, title, min(bench.rounds, 5), slow=("dvc", "turbo"))
    bench.compared("200 stages and a join, cold: faster than moon", cold, "moon", 1)
    bench.at_most("200 stages and a join, cold: at most 10 ms a stage", cold["penstock"], 0.010 * (width + 1))
    bench.at_most("200 stages and a join, no-op: at most 0.2 s", no_op["penstock"], 0.2)


def many_files(bench: Bench) -> None:
    """A directory of 20,000 files as input: cold, with nothing to do, and with one file changed."""
    files, size = 20_000, 1024
    workload = workloads.directory(files, size)
    # make takes 5 s for such a list of prerequisites, for reasons of its own
    names = ("penstock", "doit", "turbo", "moon", *(() if bench.quick else ("dvc",)))
    sites = lay_out(bench, "files", workload, names)
    tree = sites[0].tree
    sums = Command(
        ("sh", "-c", "find data -type f -print0 | xargs -0 sha256sum > /dev/null"),
        tree,
        sites[0].command.environ,
    )
    title = f"a directory of {files:,} files of {size:,} bytes"
    rounds = min(bench.rounds, 5)
    cold, no_op = cold_and_no_op(bench, sites, title, rounds, extra=[Contestant("sha256sum", sums)])
    bench.compared("20,000 files, cold: at most twice sha256sum", cold, "sha256sum", 2)
    bench.at_most("20,000 files, no-op: at most 0.25 s", no_op["penstock"], 0.25)
    changed = workloads.data_file(files // 2)
    edits = [site.contestant(before=partial(_edit, site.tree / "data" / changed)) for site in sites]
    series = interleave(edits, rounds)
    bench.tables.append(Table(f"{title}: one file changed", list(series.values())))
    _check_one_reading(bench, sites[0], changed)


def _check_one_reading(bench: Bench, site: Site, changed: str) -> None:
    goal = "20,000 files, one changed: one file is read again"
    tracer = shutil.which("strace")
    if tracer is None:
        bench.checks.append(Check(goal, "not measured: strace is not installed", None))
        return
    _edit(site.tree / "data" / changed)
    trace = site.tree.parent / "trace"
    argv = (tracer, "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", str(trace), *site.command.argv)
    try:
        run(Command(argv, site.tree, site.command.environ))
    except CommandFailedError as error:
        bench.checks.append(Check(goal, f"not measured: {error}", None))
        return
    opened = set(re.findall(r"f\d{6}\.bin", trace.read_text(errors="replace")))
    # the stage itself reads the first file, which did not change
    again = sorted(opened - {Path(workloads.data_file(0)).name})
    bench.checks.append(Check(goal, f"opened again: {len(again)} ({', '.join(again[:3])})", len(again) == 1))


def big_file(bench: Bench) -> None:
    """One big file as input: cold, with nothing to do, and after a touch."""
    size = int(bench.big_gib * 1024) * MEBI
    file = bench.folder / "big.bin"
    workloads.write_big(file, size)
    title = f"a file of {bench.big_gib:g} GiB"
    sites = lay_out(bench, "big", workloads.big(file), ("penstock", "make", "doit", "dvc", "turbo", "moon"))
    script = "import hashlib, sys; hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256')"
    argv = (sys.executable, "-c", script, str(file))
    reference = Contestant("hashlib", Command(argv, sites[0].tree, sites[0].command.environ))
    rounds = min(bench.rounds, 3)
    cold, no_op = cold_and_no_op(bench, sites, title, rounds, extra=[reference])
    series = interleave([site.contestant(before=file.touch) for site in sites], rounds)
    bench.tables.append(Table(f"{title}: after a touch", list(series.values())))
    bench.compared("big file, cold: read at 80 % of hashlib's speed", cold, "hashlib", 1 / 0.8)
    _check_readings(bench, "big file, cold: read once", cold["penstock"], size, (0.95, 1.05))
    _check_readings(bench, "big file, no-op: not read at all", no_op["penstock"], size, (0, 0.01))
    _check_readings(bench, "big file, after a touch: read once more", series["penstock"], size, (0.95, 1.05))
    _check_none_ran(bench, "big file, after a touch: no stage runs", series["penstock"])
    file.unlink()
    shutil.rmtree(bench.folder / "big")


def _check_readings(bench: Bench, goal: str, series: Series, size: int, bounds: tuple[float, float]) -> None:
    def judge() -> tuple[bool, str]:
        shares = [sample.read_bytes / size for sample in series.samples]
        met = all(bounds[0] <= share <= bounds[1] for share in shares)
        return met, f"read {min(shares):.3f} to {max(shares):.3f} times its size"

    bench.check(goal, [series], judge)


def _check_none_ran(bench: Bench, goal: str, series: Series) -> None:
    bench.check(goal, [series], lambda: (sum(series.ran) == 0, f"ran: {series.ran}"))


def memory(bench: Bench) -> None:
    """Peak memory with 100,000 input files."""
    files = 100_000
    site = lay_out(bench, "memory", workloads.directory(files, 64, tracked=False), ("penstock",))[0]
    cold = interleave([site.contestant(before=site.forget)], 1)["penstock"]
    no_op = interleave([site.contestant()], 1)["penstock"]
    bench.tables.append(Table(f"{files:,} input files: Penstock, cold", [cold]))
    bench.tables.append(Table(f"{files:,} input files: Penstock, no-op", [no_op]))

    def judge() -> tuple[bool, str]:
        peaks = [cold.peak_bytes / MEBI, no_op.peak_bytes / MEBI]
        return max(peaks) <= 150, f"{peaks[0]:.0f} MiB cold, {peaks[1]:.0f} MiB no-op"

    bench.check("100,000 input files: at most 150 MiB", [cold, no_op], judge)
    shutil.rmtree(site.tree.parent)


def revert(bench: Bench) -> None:
    """Code changed, run, changed back: what runs then."""
    sites = lay_out(bench, "revert", workloads.seven(), ALL)
    contestants = [site.contestant(before=partial(_there_and_back, site)) for site in sites]
    series = interleave(contestants, 1 if bench.quick else 5)
    bench.tables.append(
        Table("seven stages: training code changed, run, changed back", list(series.values()))
    )
    _check_none_ran(bench, "revert: nothing runs", series["penstock"])


def _there_and_back(site: Site) -> None:
    code = site.tree / "src/train.py"
    original = code.read_bytes()
    for content in (original, original + b"# changed\n"):
        code.write_bytes(content)
        site.run()
        site.count_ran()
    code.write_bytes(original)


def second_clone(bench: Bench) -> None:
    """A clone at another path on the same machine, with the same store."""
    shared = [tool.name for tool in bench.tools.values() if tool.shares]
    sites = lay_out(bench, "clone", workloads.seven(), shared)
    contestants = []
    for site in sites:
        second = Site(bench, site.tool, site.workload, site.tree.parent / "elsewhere" / "tree", site.store)
        try:
            site.run()
            site.count_ran()
        except CommandFailedError:
            pass  # it fails again, and is reported, when its turn comes
        second.known = site.known
        contestants.append(second.contestant(before=partial(_clone, site, second)))
    series = interleave(contestants, min(bench.rounds, 5))
    note = "only the tools whose store another work tree can use"
    bench.tables.append(Table("seven stages: a second clone at another path", list(series.values()), note))
    _check_none_ran(bench, "second clone: nothing runs", series["penstock"])


def _clone(first: Site, second: Site) -> None:
    if second.tree.exists():
        shutil.rmtree(second.tree)
    second.tree.parent.mkdir(exist_ok=True)
    workloads.git(first.tree.parent, "clone", "-q", str(first.tree), str(second.tree))
    workloads.exclude(second.tree, second.workload)
    lock = first.tree / "dvc.lock"
    if lock.exists():  # which its users commit
        shutil.copy(lock, second.tree)


ALL = ("penstock", "make", "doit", "turbo", "moon", "dvc", "snakemake")


def lay_out(bench: Bench, case: str, workload: Workload, names: Sequence[str]) -> list[Site]:
    """A site of the workload for each of these tools that is there."""
    sites = []
    for tool in bench.chosen(*names):
        place = bench.folder / case / tool.name
        site = Site(bench, tool, workload, place / "tree", place / "store")
        workloads.lay_out(site.tree, workload, tool.name, site.store)
        sites.append(site)
    os.sync()  # what is still to be written must not slow down the first rounds
    return sites


def cold_and_no_op(
    bench: Bench,
    sites: Sequence[Site],
    title: str,
    rounds: int,
    *,
    slow: Sequence[str] = (),
    extra: Sequence[Contestant] = (),
) -> tuple[dict[str, Series], dict[str, Series]]:
    """Time everything from nothing, then with nothing to do; `slow` ones only once from nothing."""
    contestants = [
        site.contestant(before=site.forget, rounds=1 if site.tool.name in slow else None) for site in sites
    ]
    cold = interleave([*contestants, *extra], rounds)
    for site in sites:
        if cold[site.tool.name].failure is None:
            settle(site)
    no_op = interleave([site.contestant() for site in sites], rounds)
    bench.tables.append(Table(f"{title}: cold", list(cold.values())))
    bench.tables.append(Table(f"{title}: no-op", list(no_op.values())))
    return cold, no_op


def settle(site: Site) -> None:
    """One untimed run with nothing to do: some tools write what they remember only then."""
    try:
        site.run()
        site.count_ran()
    except (CommandFailedError, OSError, subprocess.CalledProcessError) as error:
        print(f"  {site.tool.name}: {error}")


def _edit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    counter = int.from_bytes(content[-8:], "big") + 1
    file.write_bytes(bytes(content[:-8]) + (counter % (1 << 64)).to_bytes(8, "big"))
