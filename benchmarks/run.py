"""Measure Penstock against installed peers, in turn, and write `report.md` and `report.json`.

    python benchmarks/run.py            # everything, about half an hour
    python benchmarks/run.py --quick    # about two minutes

It works in a folder of its own below /var/tmp and removes it. Peers are installed once, into
/var/tmp/penstock-peers or $PENSTOCK_BENCH_PEERS, and kept; one that cannot be had is reported as absent.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cases
import history
import peers
import report
from cases import Bench, Check

CASES: dict[str, Callable[[Bench], None]] = {
    "seven": cases.small_plans,
    "fan": cases.fan,
    "files": cases.many_files,
    "big": cases.big_file,
    "memory": cases.memory,
    "revert": cases.revert,
    "clone": cases.second_clone,
    "history": history.replay,
}


def main() -> int:
    options = _parse()
    home = Path(os.environ.get("PENSTOCK_BENCH_PEERS") or peers.DEFAULT_HOME)
    tools, absent = peers.find(home)
    if options.tools:
        tools = {name: tool for name, tool in tools.items() if name in {"penstock", *options.tools}}
    if "penstock" not in tools:
        print(f"penstock itself cannot be run: {absent[0].reason}", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-", dir=options.work))
    try:
        (folder / "home").mkdir()
        bench = Bench(folder, tools, options.quick, options.rounds, options.big_gib)
        for name in options.cases:
            start = time.monotonic()
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                CASES[name](bench)
            except (OSError, subprocess.CalledProcessError) as error:
                # half an hour of the others' figures must not be lost
                bench.checks.append(Check(f"case {name!r}", f"could not be laid out: {error}", None))
            print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder)
    command = shlex.join(["python", "benchmarks/run.py", *sys.argv[1:]])
    print(report.write(bench, absent, command, options.out))
    return 1 if options.strict and any(check.met is not True for check in bench.checks) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a smaller file, no slow peers")
    parser.add_argument("--rounds", type=int, help="of the short cases (default 15, quick 3)")
    parser.add_argument("--big-gib", type=float, help="size of the big file (default 4, quick 0.5)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="only these")
    parser.add_argument("--tools", nargs="+", help="only these peers")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where the reports go")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"), help="where the work folder is made")
    parser.add_argument("--strict", action="store_true", help="exit 1 unless every goal is met")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 15)
    options.big_gib = options.big_gib or (0.5 if options.quick else 4)
    return options


if __name__ == "__main__":
    sys.exit(main())
