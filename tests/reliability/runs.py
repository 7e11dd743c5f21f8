"""Projects of small shell stages, and runs of them through the real command in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stage_samples import marker

STALL_S = 60.0
PENSTOCK = (sys.executable, "-m", "penstock")


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def acknowledged(self) -> set[str]:
        """The stages that were reported as finished."""
        lines = self.err.splitlines(keepends=True)
        return {line.split(": ran in")[0] for line in lines if ": ran in" in line and line.endswith("\n")}


@dataclass
class Project:
    """A project's directory, with a home and a store of its own unless it shares one."""

    root: Path
    home: Path
    sandbox: str = "auto"
    environ: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, tmp_path: Path, pipeline: str, *, name: str = "project", **more: Any) -> Project:
        root = tmp_path / name
        root.mkdir(parents=True)
        (root / "p.yaml").write_text(f"version: 1\nname: p\n{pipeline}")
        return cls(root, tmp_path / "home", **more)

    @property
    def store(self) -> Path:
        return self.home / "store"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PENSTOCK_HOME": str(self.store),
            "PENSTOCK_SANDBOX": self.sandbox,
            **self.environ,
        }

    def start(
        self,
        *arguments: str,
        before: Sequence[str] = (),
        program: Sequence[str] = PENSTOCK,
        **more: Any,
    ) -> subprocess.Popen[bytes]:
        self.home.mkdir(exist_ok=True)
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(
            [*before, *program, *arguments],
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            **options,
        )

    def command(self, *arguments: str, timeout_s: float = STALL_S, **more: Any) -> Done:
        """Run a command to its end; a traceback, or no end at all, fails the test."""
        return ended(self.start(*arguments, **more), timeout_s)

    def run(self, *arguments: str, **more: Any) -> Done:
        return self.command("run", "-f", "p.yaml", *arguments, **more)

    def runs(self, *arguments: str, **more: Any) -> dict[str, str]:
        """Run the pipeline, which must go well; the states of its stages."""
        done = self.run(*arguments, **more)
        assert done.code == 0, done.said
        return self.states()

    def report(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / ".penstock/runs/latest/run.json").read_bytes())
        return document

    def states(self) -> dict[str, str]:
        return {stage["name"]: stage["state"] for stage in self.report()["stages"]}

    def write(self, path: str, content: bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def contents(self) -> dict[str, bytes]:
        """Everything in the project but the pipeline and Penstock's own directory, empty directories too."""
        found = {}
        for folder, _, names in os.walk(os.fsencode(self.root)):
            below = os.path.relpath(folder, os.fsencode(self.root))
            if below == b".penstock" or below.startswith(b".penstock/"):
                continue
            for name in names:
                path = os.path.normpath(os.path.join(below, name))  # noqa: PTH118 - bytes
                if path != b"p.yaml":
                    with open(os.path.join(folder, name), "rb") as file:  # noqa: PTH118, PTH123 - bytes
                        found[os.fsdecode(path)] = file.read()
        return found

    def leftovers(self) -> list[str]:
        """What a run should have tidied up."""
        state = self.root / ".penstock"
        left = [path for place in ("work", "tmp") for path in (state / place).glob("*")]
        left += [path for path in self.root.rglob(".penstock-*") if state not in path.parents]
        left += list((state / "plans").glob(".*"))
        return sorted(str(path.relative_to(self.root)) for path in left)

    def verify(self) -> None:
        """The store must be sound."""
        done = self.command("cache", "verify")
        assert done.code == 0, done.said


def ended(process: subprocess.Popen[bytes], timeout_s: float = STALL_S) -> Done:
    """Wait for a command; a traceback, or no end at all, fails the test."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"no end within {timeout_s:.0f} s: {out!r} {err!r}")
    done = Done(process.returncode, *((each or b"").decode("utf-8", "replace") for each in (out, err)))
    assert "Traceback" not in done.said, done.said
    return done


def stop_group(process: subprocess.Popen[bytes], number: int) -> None:
    """What a terminal does with a signal: the whole foreground group gets it."""
    os.killpg(process.pid, signal.Signals(number))


def spread(cases: Sequence[Any], quick: int) -> list[Any]:
    """Cases of a test, of which so many run always, spread over all, and the others in the whole suite."""
    always = {at * len(cases) // quick for at in range(quick)}
    return [
        case if at in always else pytest.param(case, marks=pytest.mark.slow) for at, case in enumerate(cases)
    ]


CHAIN = """\
stages:
  s1: {run: ": MARK; cat a > b1", inputs: [a], outputs: [b1]}
  s2: {run: ": MARK; cat b1 b1 > b2", inputs: [b1], outputs: [b2]}
  s3: {run: ": MARK; mkdir -p d3/x; cat b1 > d3/x/f; cat b1 > d3/g", inputs: [b1], outputs: [d3]}
  s4: {run: ": MARK; cat b2 d3/x/f > b4", inputs: [b2, d3], outputs: [b4]}
  s5: {run: ": MARK; cat b4 > b5", inputs: [b4], outputs: [b5]}
  s6: {run: ": MARK; cat b4 > b6", inputs: [b4], outputs: [b6]}
  s7: {run: ": MARK; mkdir d7; cat b5 b6 > d7/z", inputs: [b5, b6], outputs: [d7]}
  s8: {run: ": MARK; cat d7/z d3/g > out/b8", inputs: [d7, d3], outputs: [out/b8]}
publish: {archive: {path: dist, contents: [out/b8]}}
"""
"""Eight stages with files and directories, side by side and one after the other; a word marks processes."""


def chain(tmp_path: Path, **more: Any) -> tuple[Project, str]:
    """The project of eight stages, and the word on its processes' command lines."""
    word = marker()
    return Project.at(tmp_path, CHAIN.replace("MARK", word), **more), word


def made_of(content: bytes) -> dict[str, bytes]:
    """What the eight stages make of their input, archive left out."""
    four = content * 3
    return {
        "a": content,
        "b1": content,
        "b2": content * 2,
        "d3/x/f": content,
        "d3/g": content,
        "b4": four,
        "b5": four,
        "b6": four,
        "d7/z": four * 2,
        "out/b8": four * 2 + content,
    }


def without_archive(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in contents.items() if not path.startswith("dist/")}


@contextmanager
def small_disk(place: Path, size_kib: int) -> Iterator[Path]:
    """A small file system in memory; skips the test where none can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs takes root")
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "penstock-test", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
