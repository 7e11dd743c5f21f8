"""The tools that Penstock is compared with: how they are had, which version, and how they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from measure import Command
from workloads import FINAL, PENSTOCK_FILE

PYTHON_PEERS = {"doit": "0.37.0", "dvc": "3.67.1", "snakemake": "9.27.1"}
NPM_PEERS = {"turbo": "2.11.11", "@moonrepo/cli": "2.5.5"}
BAZEL = (
    "the npm package is a launcher that downloads Bazel itself at first use, from where it could not be had"
)
DEFAULT_HOME = Path("/var/tmp/penstock-peers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that walks a plan of stages.

    Attributes:
        argv: Brings everything up to date; `{store}` stands for the folder that clones may share.
        state: Patterns of what it keeps in a work tree, to be removed for a cold run.
        shares: Whether another clone can use its store.
        by_content: Whether it looks into its inputs; otherwise at their times only.
    """

    name: str
    version: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    state: tuple[str, ...] = ()
    shares: bool = False
    by_content: bool = True

    def command(self, tree: Path, store: Path, home: Path) -> Command:
        """The command for a work tree, with an empty HOME of the benchmark's own."""
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        own = {key: value.format(store=store) for key, value in self.environ.items()}
        argv = tuple(each.format(store=store) for each in self.argv)
        return Command(argv, tree, {**kept, "HOME": str(home), "DO_NOT_TRACK": "1", **own})


@dataclass(frozen=True, slots=True)
class Absent:
    """A tool that could not be had, and why."""

    name: str
    reason: str


def find(home: Path) -> tuple[dict[str, Tool], list[Absent]]:
    """Penstock and every peer that is installed or can be, in a fixed order."""
    tools: dict[str, Tool] = {}
    absent: list[Absent] = []
    finders: dict[str, Callable[[Path], Tool]] = {
        "penstock": _penstock,
        "make": _make,
        "doit": _doit,
        "dvc": _dvc,
        "snakemake": _snakemake,
        "turbo": _turbo,
        "moon": _moon,
    }
    for name, finder in finders.items():
        try:
            tools[name] = finder(home)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            absent.append(Absent(name, " ".join(said.split())[-300:]))
    return tools, [*absent, Absent("bazel", BAZEL)]


def _penstock(_home: Path) -> Tool:
    # beside the interpreter that runs this: the one of the project's environment
    program = Path(sys.executable).parent / "penstock"
    return Tool(
        name="penstock",
        version=_said(str(program), "version"),
        argv=(str(program), "run", "--pipeline", PENSTOCK_FILE),
        environ={"PENSTOCK_HOME": "{store}"},
        state=(".penstock",),
        shares=True,
    )


def _make(_home: Path) -> Tool:
    program = shutil.which("make")
    if program is None:
        raise FileNotFoundError("not installed: apt-get install make")
    argv = (program, "-s", f"-j{os.cpu_count() or 1}")
    return Tool(name="make", version=_said(program, "--version"), argv=argv, by_content=False)


def _doit(home: Path) -> Tool:
    program = _python_program(home, "doit")
    return Tool(name="doit", version=PYTHON_PEERS["doit"], argv=(program,), state=(".doit.db*",))


def _dvc(home: Path) -> Tool:
    return Tool(
        name="dvc",
        version=PYTHON_PEERS["dvc"],
        argv=(_python_program(home, "dvc"), "repro", "-q"),
        environ={"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": "{store}/site"},
        state=("dvc.lock", ".dvc/tmp"),
        shares=True,
    )


def _snakemake(home: Path) -> Tool:
    argv = (_python_program(home, "snakemake"), "--cores", str(os.cpu_count() or 1), "--quiet", "all")
    return Tool(name="snakemake", version=PYTHON_PEERS["snakemake"], argv=argv, state=(".snakemake",))


def _turbo(home: Path) -> Tool:
    program = next(_npm(home).glob("@turbo/*/bin/turbo"))  # the program itself: node would only start it
    return Tool(
        name="turbo",
        version=NPM_PEERS["turbo"],
        argv=(
            str(program),
            "run",
            FINAL,
            "--cache-dir={store}",
            "--no-update-notifier",
            "--output-logs=errors-only",
        ),
        environ={"TURBO_TELEMETRY_DISABLED": "1"},
        state=(".turbo", "node_modules"),
        shares=True,
    )


def _moon(home: Path) -> Tool:
    program = next(_npm(home).glob("@moonrepo/core-*/moon"))
    argv = (str(program), "run", f"bench:{FINAL}", "--quiet")
    return Tool(name="moon", version=NPM_PEERS["@moonrepo/cli"], argv=argv, state=(".moon/cache",))


def _python_program(home: Path, name: str) -> str:
    environment = home / f"{name}-{PYTHON_PEERS[name]}"
    program = environment / "bin" / name
    if not program.exists():
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        _said(
            uv, "venv", "-q", "--clear", "--no-python-downloads", "--python", sys.executable, str(environment)
        )
        requirement = f"{name}=={PYTHON_PEERS[name]}"
        _said(uv, "pip", "install", "-q", "--python", str(environment / "bin/python"), requirement)
    return str(program)


def _npm(home: Path) -> Path:
    folder = home / "npm"
    if not (folder / "node_modules" / "installed").exists():
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError("npm is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [f"{name}@{version}" for name, version in NPM_PEERS.items()]
        _said(npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *wanted)
        (folder / "node_modules" / "installed").touch()
    return folder / "node_modules"


def _said(*command: str) -> str:
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return result.stdout.strip().partition("\n")[0]
