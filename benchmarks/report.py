"""What was found, as Markdown to read and as JSON to compute with."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cases import Bench, Check, Table, Trainings
from measure import Series
from peers import Absent, Tool

HEAD = """\
# Benchmarks

Written by `benchmarks/run.py`. Every number is from one run on one machine, in which the tools took turns
(A, B, C, A, B, C, ...) with the same trivial commands. The ratios carry over to other machines,
the seconds do not.
"""
WORDS = {True: "met", False: "**not met**", None: "not measured"}


def write(bench: Bench, absent: list[Absent], command: str, folder: Path) -> str:
    """Write `report.md` and `report.json`; gives the former's text."""
    about = _about(bench, command)
    document = {
        "about": about,
        "tools": {tool.name: tool.version for tool in bench.tools.values()},
        "absent": {each.name: each.reason for each in absent},
        "checks": [dataclasses.asdict(check) for check in bench.checks],
        "tables": [_table_document(table) for table in bench.tables],
        "trainings": dataclasses.asdict(bench.trainings) if bench.trainings else None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(document, indent=1) + "\n")
    text = _markdown(bench, absent, about)
    (folder / "report.md").write_text(text)
    return text


def _about(bench: Bench, command: str) -> dict[str, str]:
    return {
        "command": command,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{_first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores, "
        f"{_first('/proc/meminfo', 'MemTotal')}",
        "system": f"{platform.platform()}, {platform.freedesktop_os_release()['PRETTY_NAME']}",
        "python": platform.python_version(),
        "load": f"{bench.load_at_start:.2f} when it began, mean of a minute",
        "kind": "quick: smaller and fewer rounds" if bench.quick else "whole",
    }


def _commit() -> str:
    def said(*arguments: str) -> str:
        result = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
        return result.stdout.strip()

    changed = said("status", "--porcelain", "--", "../src")
    return said("rev-parse", "HEAD") + (" and changes in src/ not committed" if changed else "")


def _first(file: str, field: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(field):
            return line.partition(":")[2].strip()
    return "unknown"


def _table_document(table: Table) -> dict[str, object]:
    return {
        "title": table.title,
        "note": table.note,
        "series": {
            each.name: {
                "median_s": None if math.isnan(each.median) else each.median,
                "failure": each.failure,
                "samples": [dataclasses.asdict(sample) for sample in each.samples],
            }
            for each in table.series
        },
    }


def _markdown(bench: Bench, absent: list[Absent], about: Mapping[str, str]) -> str:
    parts = [
        HEAD,
        "\n".join(f"- {name}: {f'`{text}`' if name == 'command' else text}" for name, text in about.items())
        + "\n",
        _tools(bench.tools, absent),
        _checks(bench.checks),
        *(_table(table) for table in bench.tables),
    ]
    if bench.trainings:
        parts.append(_trainings(bench.trainings))
    return "\n".join(parts)


def _tools(tools: Mapping[str, Tool], absent: list[Absent]) -> str:
    lines = [f"- {tool.name}: {tool.version}" for tool in tools.values()]
    lines += [f"- {each.name}: absent, nothing is said about it: {each.reason}" for each in absent]
    return "## Tools\n\n" + "\n".join(lines) + "\n"


def _checks(checks: list[Check]) -> str:
    lines = [f"| {check.goal} | {_cell(check.found)} | {WORDS[check.met]} |" for check in checks]
    return "## Goals\n\n| goal | found | |\n|---|---|---|\n" + "\n".join(lines) + "\n"


def _table(table: Table) -> str:
    ours = next((each for each in table.series if each.name == "penstock"), None)
    counted = any(each.ran for each in table.series)
    head = "| | median s | least | most | runs | Penstock is | peak MiB |" + (
        " stages run |" if counted else ""
    )
    rule = "|---|--:|--:|--:|--:|--:|--:|" + ("--:|" if counted else "")
    lines = [_row(each, ours, counted=counted) for each in table.series]
    note = f"\n{table.note[0].upper()}{table.note[1:]}.\n" if table.note else ""
    title = table.title[0].upper() + table.title[1:]
    return f"## {title}\n{note}\n{head}\n{rule}\n" + "\n".join(lines) + "\n"


def _row(series: Series, ours: Series | None, *, counted: bool) -> str:
    if not series.samples:
        return f"| {series.name} | failed: {_cell(series.failure or '')} |" + " |" * (5 + counted)
    ratio = "" if ours is None or ours is series or not ours.samples else _ratio(ours.median / series.median)
    cells = [
        series.name + (" (then failed)" if series.failure else ""),
        f"{series.median:.3f}",
        f"{min(series.seconds):.3f}",
        f"{max(series.seconds):.3f}",
        str(len(series.samples)),
        ratio,
        f"{series.peak_bytes / (1 << 20):.0f}",
    ]
    if counted:
        cells.append(f"{statistics.median(series.ran):g}" if series.ran else "")
    return "| " + " | ".join(cells) + " |"


def _ratio(value: float) -> str:
    return f"{value:.2f} times as slow" if value >= 1 else f"{1 / value:.1f} times as fast"


def _trainings(found: Trainings) -> str:
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(found.kinds.items()))
    lines = [f"| {name} | {_cell(str(count))} |" for name, count in found.counted.items()]
    return (
        f"## History replay: {found.commits} commits\n\n{kinds}.\n\n"
        f"What train depends on (code, data as a set of rows, its own parameters) had {found.contents} "
        "distinct contents: nobody can train less often.\n\n| | trainings |\n|---|--:|\n"
        f"{chr(10).join(lines)}\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
