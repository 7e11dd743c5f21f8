"""Measure `uses: validate-data` against pandas and pandera on the same table and the same checks.

    python benchmarks/validate.py                  # about ten minutes; writes validate.md
    python benchmarks/validate.py --rounds 1 --large 0

Each measurement is a process of its own, so that memory is its peak with all libraries; tools take turns,
so that a busy machine is busy for all of them. Processor seconds are shown beside wall time, which other
work on the machine makes longer. Peers read as users do: `read_csv` guesses types. Penstock alone also
checks a table that is larger than the peers could hold. Modules are compiled before anything is timed, as
they are in a stage.
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
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

HERE = Path(__file__).parent
COLUMNS = """\
columns:
  - {name: id, type: string%s}
  - {name: gender, type: category, allowed: [Female, Male]}
  - {name: tenure, type: integer, min: 0, max: 120}
  - {name: charges, type: number, min: -1000, max: 1000}
  - {name: score, type: number, min: 0, max: 1}
  - {name: service, type: category, allowed: [DSL, Fiber optic, "No"]}
  - {name: day, type: date, min: 2024-01-01}
  - {name: note, type: string, length: {min: 5, max: 40}}
"""
CASES = {
    "types, ranges, values": COLUMNS % "",
    "the same, a unique id, a pattern, no duplicate rows": COLUMNS
    % ', unique: true, pattern: "[0-9]{9}-[A-Z]{2}"'
    + "duplicates: forbid\n",
}
PENSTOCK = """
import sys
from penstock.programs.validate.main import main
sys.exit(main(sys.argv[1:]))
"""
PANDAS = """
import json, sys
import pandas as pd
request = json.load(open(sys.argv[1]))
table = pd.read_csv(request["data"], parse_dates=["day"])
checks = [
    ~table["gender"].isin(["Female", "Male"]),
    ~table["tenure"].between(0, 120),
    ~table["charges"].between(-1000, 1000),
    ~table["score"].between(0, 1),
    ~table["service"].isin(["DSL", "Fiber optic", "No"]),
    table["day"] < "2024-01-01",
    ~table["note"].str.len().between(5, 40),
    table.isna().any(axis=1),
]
if request["strict"]:
    checks += [table["id"].duplicated(), ~table["id"].str.fullmatch("[0-9]{9}-[A-Z]{2}"), table.duplicated()]
assert not any(check.any() for check in checks)
"""
PANDERA = """
import json, sys
import pandas as pd
import pandera.pandas as pa
request = json.load(open(sys.argv[1]))
strict = request["strict"]
id_checks = [pa.Check.str_matches("^[0-9]{9}-[A-Z]{2}$")] if strict else []
pa.DataFrameSchema(
    {
        "id": pa.Column(str, id_checks, unique=strict),
        "gender": pa.Column(str, pa.Check.isin(["Female", "Male"])),
        "tenure": pa.Column(int, pa.Check.in_range(0, 120)),
        "charges": pa.Column(float, pa.Check.in_range(-1000, 1000)),
        "score": pa.Column(float, pa.Check.in_range(0, 1)),
        "service": pa.Column(str, pa.Check.isin(["DSL", "Fiber optic", "No"])),
        "day": pa.Column("datetime64[ns]", pa.Check.ge(pd.Timestamp("2024-01-01")), coerce=True),
        "note": pa.Column(str, pa.Check.str_length(5, 40)),
    },
    strict=True,
    ordered=True,
    unique=["id", "gender", "tenure", "charges", "score", "service", "day", "note"] if strict else None,
).validate(pd.read_csv(request["data"], parse_dates=["day"]), lazy=True)
"""
HEAD = (
    "| tool | wall s | processor s | to penstock | MB per processor s | peak MiB |\n|---|---|---|---|---|---|"
)
ABOUT = """\
Medians; start and libraries included. Penstock judges the text of each value, hashes rows to 128 bits on
disk where the case asks for it, and also sums up columns, samples them and digests the file; the peers read
all into memory with guessed types, in which `007` and `NA` can no longer be told."""
TOOLS = {"penstock": PENSTOCK, "pandas": PANDAS, "pandera": PANDERA}
ROWS_AT_ONCE = 100_000


def written(path: Path, size: int) -> int:
    """Write a table of at least so many bytes; gives its rows."""
    random, rows = np.random.default_rng(0), 0
    with path.open("wb") as file:
        file.write(b"id,gender,tenure,charges,score,service,day,note\n")
        while file.tell() < size:
            count = ROWS_AT_ONCE
            numbers = np.char.zfill(np.arange(rows, rows + count).astype(str), 9)
            days = np.datetime64("2024-01-01") + random.integers(0, 366, count)
            table = pa.table({
                "id": np.char.add(numbers, "-AB"),
                "gender": random.choice(["Female", "Male"], count),
                "tenure": random.integers(0, 120, count),
                "charges": np.round(random.normal(50, 20, count), 6),
                "score": random.random(count),
                "service": random.choice(["DSL", "Fiber optic", "No"], count),
                "day": days.astype(str),
                "note": np.char.add("free text no ", random.integers(0, 10**9, count).astype(str)),
            })  # fmt: skip
            # the texts in quotes in every other piece, as tools that quote text write them
            style = "needed" if rows // count % 2 else "none"
            options = pyarrow.csv.WriteOptions(include_header=False, quoting_style=style)
            pyarrow.csv.write_csv(table, file, options)
            rows += count
    return rows


def measured(tool: str, folder: Path, data: Path, schema: str) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak MiB of one run."""
    (folder / "schema.yaml").write_text(schema)
    request = {"data": str(data), "schema": str(folder / "schema.yaml"), "result": str(folder / "r.json")}
    (folder / "request.json").write_text(json.dumps(request | {"strict": "unique" in schema}))
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", TOOLS[tool], str(folder / "request.json")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")},
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{tool} ended with {process.returncode}")
    if tool == "penstock":
        assert json.loads((folder / "r.json").read_text())["passed"]
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def row(name: str, size: float, found: list[tuple[float, float, float]], base: float | None) -> str:
    wall, processor, memory = (statistics.median(each) for each in zip(*found, strict=True))
    ratio = f"{processor / base:.2f}" if base else "1"
    speed = size / processor / 1e6
    return f"| {name} | {wall:.1f} | {processor:.1f} | {ratio} | {speed:.0f} | {memory:.0f} |"


def compared(folder: Path, size: int, rounds: int) -> list[str]:
    """A table for each case, of all tools."""
    data, lines = folder / "table.csv", []
    rows = written(data, size)
    for case, schema in CASES.items():
        found: dict[str, list[tuple[float, float, float]]] = {tool: [] for tool in TOOLS}
        for number in range(rounds + 1):
            for tool, runs in found.items():
                run = measured(tool, folder, data, schema)
                if number:  # the first one compiles
                    runs.append(run)
        base = statistics.median(run[1] for run in found["penstock"])
        lines += [f"\n## {case}: {rows:,} rows, {data.stat().st_size / 1e6:,.0f} MB\n", HEAD]
        for tool, runs in found.items():
            lines.append(row(tool, data.stat().st_size, runs, None if tool == "penstock" else base))
    return lines


def alone(folder: Path, size: int) -> list[str]:
    """What Penstock needs for a table that is too large for the others."""
    data = folder / "table.csv"
    rows = written(data, size)
    lines = [
        f"\n## Penstock alone: {rows:,} rows, {data.stat().st_size / 1e6:,.0f} MB\n",
        HEAD.replace("tool", "checks"),
    ]
    for case, schema in CASES.items():
        lines.append(row(case, data.stat().st_size, [measured("penstock", folder, data, schema)], None))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=200, help="MB of the table that all tools check")
    parser.add_argument(
        "--large", type=int, default=1000, help="MB of the table that Penstock alone checks; 0: none"
    )
    options = parser.parse_args()
    sizes = f"--size {options.size} --large {options.large}"
    command = f"python benchmarks/validate.py --rounds {options.rounds} {sizes}"
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f} at the start"
    lines = ["# Checking data against pandas and pandera\n", f"`{command}` on {machine}, {load}.", ABOUT]
    with tempfile.TemporaryDirectory() as place:
        lines += compared(Path(place), options.size * 1_000_000, options.rounds)
        lines += alone(Path(place), options.large * 1_000_000) if options.large else []
    text = "\n".join(lines) + "\n"
    (HERE / "validate.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
