"""What the tools are given to do: stages with trivial commands, and their files, in each tool's words."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FINAL = "report"  # the stage that needs all others, in every workload
NONCE = (
    "/proc/sys/kernel/random/uuid"  # new at each reading: an output that holds it tells one run from another
)
PENSTOCK_FILE = "pipeline.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One command.

    Attributes:
        sources: Files and directories that no stage writes.
        needs: Stages whose output it reads.
        params: The section of params.yaml that it depends on.
    """

    name: str
    run: str
    output: str
    sources: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    params: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Stages, producers first, and what writes the files that they read.

    Attributes:
        untracked: Files that git does not get.
        nonces: Whether each output tells one run of its stage from another.
    """

    stages: tuple[Stage, ...]
    write_files: Callable[[Path], None]
    untracked: tuple[str, ...] = ()
    nonces: bool = True

    def output(self, stage: str) -> str:
        """What the stage of this name writes."""
        return next(each.output for each in self.stages if each.name == stage)

    def reads(self, stage: Stage) -> list[str]:
        """All paths that a stage reads, except parameters."""
        return [*stage.sources, *(self.output(name) for name in stage.needs)]


def seven() -> Workload:
    """Lint, test, validate, prepare, train, evaluate and report."""
    stages = (
        _concatenation("lint", sources=("src",)),
        _concatenation("test", sources=("src", "tests")),
        _concatenation("validate", sources=("data/input.csv",)),
        _concatenation("prepare", sources=("src/prepare.py", "data/input.csv")),
        _concatenation("train", sources=("src/train.py",), needs=("prepare",)),
        _concatenation("evaluate", sources=("src/evaluate.py",), needs=("prepare", "train")),
        _concatenation(FINAL, needs=("lint", "test", "validate", "evaluate")),
    )
    return Workload(stages, _write_project)


def fan(width: int) -> Workload:
    """So many independent stages, and one that joins them."""
    names = [f"part-{number:03}" for number in range(width)]
    parts = tuple(
        Stage(
            name=name, run=f"cp in/{name}.txt {name}.out", output=f"{name}.out", sources=(f"in/{name}.txt",)
        )
        for name in names
    )
    join = Stage(name=FINAL, run="cat part-*.out > report.out", output="report.out", needs=tuple(names))

    def write(tree: Path) -> None:
        (tree / "in").mkdir(parents=True)
        for name in names:
            (tree / "in" / f"{name}.txt").write_text(name)

    return Workload((*parts, join), write, nonces=False)


def directory(files: int, size: int, *, tracked: bool = True) -> Workload:
    """One stage that has a directory of so many files of so many bytes as its input, in git or not."""
    run = f"cat data/{data_file(0)} {NONCE} > report.out"
    stage = Stage(name=FINAL, run=run, output="report.out", sources=("data",))

    def write(tree: Path) -> None:
        content = random.Random(files).randbytes(size)
        for number in range(files):
            path = tree / "data" / data_file(number)
            if number % 100 == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"%8d" % number + content[8:])

    return Workload((stage,), write, untracked=() if tracked else ("/data",))


def data_file(number: int) -> str:
    """Where `directory` has its so-and-so-manieth file, below `data`."""
    return f"d{number // 100:04}/f{number:06}.bin"


def big(file: Path) -> Workload:
    """One stage with one big file as its input, hard-linked into each tree: it is there only once."""
    run = f"head -c 64 big.bin | cat - {NONCE} > report.out"
    stage = Stage(name=FINAL, run=run, output="report.out", sources=("big.bin",))

    def write(tree: Path) -> None:
        tree.mkdir(parents=True, exist_ok=True)
        os.link(file, tree / "big.bin")

    return Workload((stage,), write, untracked=("big.bin",))


def write_big(file: Path, size: int) -> None:
    """A file of so many bytes, a multiple of a MiB, no two MiB of which are the same."""
    block = random.Random(size).randbytes((1 << 20) - 8)
    with file.open("wb") as target:
        for number in range(size >> 20):
            target.write(number.to_bytes(8, "big"))
            target.write(block)


def lay_out(tree: Path, workload: Workload, tool: str, store: Path) -> None:
    """A git repository with the files of a workload and the tool's own, committed."""
    tree.mkdir(parents=True)
    workload.write_files(tree)
    WRITERS[tool](tree, workload, store)
    git(tree, "init", "-q", "-b", "main")
    exclude(tree, workload)
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "Begin")


def exclude(tree: Path, workload: Workload) -> None:
    """Have git ignore outputs and the tools' own state, as every project does."""
    outputs = [f"/{stage.output}" for stage in workload.stages]
    state = [".penstock", ".doit.db*", ".snakemake", ".turbo", "node_modules", ".moon/cache", "dvc.lock"]
    lines = [*outputs, *workload.untracked, *state, ".dvc/tmp", ".dvc/cache"]
    (tree / ".git/info").mkdir(exist_ok=True)
    (tree / ".git/info/exclude").write_text("\n".join(lines) + "\n")


def git(tree: Path, *arguments: str, date: int = 1_700_000_000) -> str:
    """Run git with a name and a date of its own, so that the same content has the same commit."""
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "bench"), ("EMAIL", "bench@localhost"), ("DATE", f"{date} +0000"))
    }
    environ = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = [
        "git",
        "-c",
        "gc.auto=0",
        "-c",
        "core.fsync=none",
        "-c",
        "advice.detachedHead=false",
        *arguments,
    ]
    return subprocess.run(
        command, cwd=tree, env=environ, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _concatenation(name: str, *, sources: tuple[str, ...] = (), needs: tuple[str, ...] = ()) -> Stage:
    files = [f"{path}/*" if path in {"src", "tests"} else path for path in sources]
    read = " ".join([*files, *(f"{need}.out" for need in needs), NONCE])
    return Stage(
        name=name, run=f"cat {read} > {name}.out", output=f"{name}.out", sources=sources, needs=needs
    )


def _write_project(tree: Path) -> None:
    for folder, names in {
        "src": ("prepare.py", "train.py", "evaluate.py"),
        "tests": ("test_train.py",),
        "data": ("input.csv",),
    }.items():
        (tree / folder).mkdir(parents=True)
        for name in names:
            (tree / folder / name).write_text(f"# {name}\n")


def _penstock(tree: Path, workload: Workload, _store: Path) -> None:
    stages = {
        stage.name: {
            "run": stage.run,
            "inputs": workload.reads(stage),
            "outputs": [stage.output],
            **({"params": [stage.params]} if stage.params else {}),
        }
        for stage in workload.stages
    }
    document: dict[str, object] = {"version": 1, "name": "bench", "stages": stages, "publish": False}
    if _has_params(workload):
        document["params"] = "params.yaml"
    (tree / PENSTOCK_FILE).write_text(json.dumps(document, indent=1))  # JSON is YAML


def _make(tree: Path, workload: Workload, _store: Path) -> None:
    rules = []
    for stage in workload.stages:
        reads = [
            f"$(shell find {path} -type f)" if _is_directory(path) else path
            for path in _files(workload, stage)
        ]
        rules.append(f"{stage.output}: {' '.join(reads)}\n\t@{stage.run}\n")
    (tree / "Makefile").write_text(f".DELETE_ON_ERROR:\nall: {workload.output(FINAL)}\n" + "\n".join(rules))


def _doit(tree: Path, workload: Workload, _store: Path) -> None:
    tasks = [
        {"name": s.name, "run": s.run, "reads": workload.reads(s), "output": s.output, "params": s.params}
        for s in workload.stages
    ]
    (tree / "dodo.py").write_text(DODO.replace("@TASKS@", repr(tasks)).replace("@FILES@", FILES))


def _dvc(tree: Path, workload: Workload, store: Path) -> None:
    stages = {
        stage.name: {
            "cmd": stage.run,
            "deps": workload.reads(stage),
            "outs": [stage.output],
            **({"params": [stage.params]} if stage.params else {}),
        }
        for stage in workload.stages
    }
    (tree / "dvc.yaml").write_text(json.dumps({"stages": stages}, indent=1))
    (tree / ".dvc").mkdir()
    core = "[core]\n    no_scm = True\n    analytics = false\n    check_update = false\n"
    (tree / ".dvc/config").write_text(f"{core}[cache]\n    dir = {store}\n")


def _snakemake(tree: Path, workload: Workload, _store: Path) -> None:
    # of a directory it would look at the directory's own time only, so the files are listed
    head = FILES + ('configfile: "params.yaml"\n' if _has_params(workload) else "")
    rules = [f"rule all:\n    input: {workload.output(FINAL)!r}\n"]
    for stage in workload.stages:
        reads = repr(workload.reads(stage))
        if any(_is_directory(path) for path in stage.sources):
            reads = f"list(files({reads}))"
        lines = [f"rule {stage.name.replace('-', '_')}:", f"input: {reads}", f"output: {stage.output!r}"]
        if stage.params:
            lines.append(f"params: config[{stage.params!r}]")
        rules.append("\n    ".join([*lines, f"shell: {stage.run!r}"]) + "\n")
    (tree / "Snakefile").write_text(head + "\n".join(rules))


def _turbo(tree: Path, workload: Workload, _store: Path) -> None:
    # an empty list would mean every file; what earlier stages write is known by their own hashes
    tasks = {
        stage.name: {
            "dependsOn": list(stage.needs),
            "inputs": _globs(_sources(stage)) or ["package.json"],
            "outputs": [stage.output],
        }
        for stage in workload.stages
    }
    scripts = {stage.name: stage.run for stage in workload.stages}
    package = {"name": "bench", "private": True, "packageManager": "npm@10.0.0", "scripts": scripts}
    lock = {"name": "bench", "lockfileVersion": 3, "packages": {"": {"name": "bench"}}}
    (tree / "turbo.json").write_text(json.dumps({"tasks": tasks}, indent=1))
    (tree / "package.json").write_text(json.dumps(package, indent=1))
    (tree / "package-lock.json").write_text(json.dumps(lock))


def _moon(tree: Path, workload: Workload, _store: Path) -> None:
    tasks = {
        stage.name: {
            "script": stage.run,
            "deps": [f"~:{name}" for name in stage.needs],
            "inputs": _globs(_sources(stage)),
            "outputs": [stage.output],
        }
        for stage in workload.stages
    }
    (tree / ".moon").mkdir()
    workspace = {
        "projects": {"bench": "."},
        "telemetry": False,
        "vcs": {"client": "git", "defaultBranch": "main"},
    }
    (tree / ".moon/workspace.yml").write_text(json.dumps(workspace))
    (tree / "moon.yml").write_text(json.dumps({"language": "unknown", "tasks": tasks}, indent=1))


FILES = """
import os


def files(paths):
    for path in paths:
        if os.path.isdir(path):
            for folder, _, names in os.walk(path):
                yield from (os.path.join(folder, name) for name in names)
        else:
            yield path
"""

DODO = """
import json
from doit.tools import config_changed
@FILES@

TASKS = @TASKS@
DOIT_CONFIG = {"dep_file": ".doit.db", "verbosity": 0}


def creator(task):
    def create():
        section = task["params"]
        return {
            "actions": [task["run"]],
            "file_dep": list(files(task["reads"])),
            "targets": [task["output"]],
            "uptodate": [config_changed(str(PARAMS[section]))] if section else [],
        }
    return create


if any(task["params"] for task in TASKS):
    PARAMS = json.load(open("params.yaml"))
for task in TASKS:
    globals()["task_" + task["name"]] = creator(task)
"""


def _has_params(workload: Workload) -> bool:
    return any(stage.params for stage in workload.stages)


def _is_directory(path: str) -> bool:
    return path in {"src", "tests", "data"}


def _sources(stage: Stage) -> list[str]:
    # where a tool cannot depend on one section of a file, it depends on the file
    return [*stage.sources, *(["params.yaml"] if stage.params else [])]


def _files(workload: Workload, stage: Stage) -> list[str]:
    return [*workload.reads(stage), *(["params.yaml"] if stage.params else [])]


def _globs(paths: Sequence[str]) -> list[str]:
    return [f"{path}/**/*" if _is_directory(path) else path for path in paths]


WRITERS: dict[str, Callable[[Path, Workload, Path], None]] = {
    "penstock": _penstock,
    "make": _make,
    "doit": _doit,
    "dvc": _dvc,
    "snakemake": _snakemake,
    "turbo": _turbo,
    "moon": _moon,
}
