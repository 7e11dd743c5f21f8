"""Commands that are observed, outside of any stage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import penstock
from penstock.executors.observe import LAUNCH

HOME = Path(penstock.__file__).parent.parent


@dataclass
class Seen:
    """What became of a command, and what it looked at: path → how."""

    code: int
    text: str
    why: str | None
    looks: dict[str, str] = field(default_factory=dict)
    by: dict[str, str] = field(default_factory=dict)

    def read(self) -> set[str]:
        """The paths whose content it read."""
        return {path for path, how in self.looks.items() if how == "read"}


def request(top: Path, declared: Sequence[str] = ()) -> list[str]:
    """The beginning of a command line that observes what comes behind it; the report is beside the top."""
    at = top.with_name("request.json")
    report = top.with_name("report.json")
    report.unlink(missing_ok=True)
    at.write_text(json.dumps({"top": str(top), "declared": list(declared), "report": str(report)}))
    python = getattr(sys, "_base_executable", None) or sys.executable
    return [python, "-I", "-S", "-c", LAUNCH, str(HOME), str(at), "--"]


def report_of(top: Path) -> tuple[str | None, dict[str, tuple[str, str]]]:
    """Why not all was seen, if so, and the looks."""
    found = json.loads(top.with_name("report.json").read_bytes())
    return found["why"], found["looks"]


def observed(
    top: Path,
    command: str | Sequence[str],
    *,
    declared: Sequence[str] = (),
    stdin: str = "",
    before: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> Seen:
    """Run a command in a directory and observe it."""
    argv = ["/bin/sh", "-euc", command] if isinstance(command, str) else list(command)
    done = subprocess.run(
        [*before, *request(top, declared), *argv],
        cwd=top,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=environ,
        timeout=timeout_s,
        start_new_session=True,  # it may send signals to its group
    )
    why, looks = report_of(top)
    return Seen(
        code=done.returncode,
        text=done.stdout,
        why=why,
        looks={path: how for path, (how, _) in looks.items()},
        by={path: by for path, (_, by) in looks.items()},
    )
