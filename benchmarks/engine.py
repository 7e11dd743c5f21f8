"""Measure the Dagger module against one that is written by hand, on the engine that `dagger` finds.

    python benchmarks/engine.py             # about ten minutes; writes engine.md
    python benchmarks/engine.py --rounds 3

All calls are `dagger call --source=. full-pipeline` on copies of one repository, in turn: Penstock's module,
the hand-written module of the same stages (`by_hand`), and one that does nothing (`nothing`). Images and
environments are in the engine before anything is timed, so that no figure is one of the network.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from penstock.executors.environments import Environments
from penstock.plan.compiled import Overlay, load_plan

ROOT = Path(__file__).parent.parent
MODULES = ("penstock", "by_hand", "nothing")
CHURN = Path("examples/churn")


@dataclasses.dataclass
class Case:
    """What is done to a repository before a call is timed.

    Attributes:
        limit: How much slower than the hand-written module is allowed: a share, or seconds if that is more.
        against: The peer.
    """

    name: str
    change: Callable[[Path, str], None]
    against: str = "by_hand"
    limit: tuple[float, float] = (0.1, 1.0)


def _comment(path: Path, salt: str) -> None:
    with path.open("a") as file:
        file.write(f"# {salt}\n")


def _nothing(_repository: Path, _salt: str) -> None:
    pass


def _readme(repository: Path, salt: str) -> None:
    _comment(repository / "README.md", salt)


def _evaluate(repository: Path, salt: str) -> None:
    _comment(repository / CHURN / "src/churn/evaluate.py", salt)


def _everything(repository: Path, salt: str) -> None:
    churn = repository / CHURN
    for path in ("src/churn/__init__.py", "pyproject.toml", "data/churn.schema.yaml"):
        _comment(churn / path, salt)


CASES = (
    Case("nothing changed", _nothing),
    Case("nothing changed, against a module that does nothing", _nothing, "nothing", (0.0, 1.0)),
    Case("README changed", _readme),
    Case("evaluate.py changed", _evaluate),
    Case("every stage must run", _everything),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "engine.md")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="penstock-engine-", dir="/var/tmp"))
    try:
        repositories = {name: _repository(folder, name) for name in MODULES}
        for name, repository in repositories.items():
            print(
                f"first call of {name}: {_call(folder, name, repository):.1f} s", file=sys.stderr, flush=True
            )
        times = {case.name: _measure(folder, repositories, case, options.rounds) for case in CASES}
    finally:
        shutil.rmtree(folder)
    text = _report(times, options.rounds)
    options.out.write_text(text)
    print(text)
    return 0


def _repository(folder: Path, name: str) -> Path:
    """A repository of a user, and beside it the module that it calls."""
    module = folder / "modules" / name
    repository = folder / "users" / name
    if name == "penstock":
        for path in ("dagger.json", "pyproject.toml", "uv.lock", "LICENSE"):
            module.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, module / path)
        shutil.copytree(ROOT / "src", module / "src", ignore=shutil.ignore_patterns("__pycache__"))
    else:
        ignored = shutil.ignore_patterns("__pycache__", ".venv", "sdk")
        shutil.copytree(ROOT / "benchmarks" / name, module, ignore=ignored)
    ignored = shutil.ignore_patterns(".penstock", "build", "dist", "__pycache__")
    shutil.copytree(ROOT / CHURN, repository / CHURN, ignore=ignored)
    (repository / "pipelines").mkdir()
    shutil.copy(ROOT / "benchmarks" / "engine.yaml", repository / "pipelines" / "default.yaml")
    (repository / "README.md").write_text("# A repository\n")
    for argv in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *argv], cwd=repository, check=True)
    if name == "by_hand":
        (module / "src" / "main" / "plan.json").write_text(json.dumps(_plan(repository)))
    return repository


def _plan(repository: Path) -> dict[str, object]:
    """What the stages of the plan run, read and need, for the module that is written by hand."""
    root, plan = load_plan(repository / "pipelines" / "default.yaml", Overlay(environ={}))
    environments = Environments(Path(tempfile.gettempdir()), root)
    return {
        stage.name: {
            "run": stage.run,
            "sources": list(stage.sources),
            "files": {
                **dict(stage.files),
                **({stage.params_file: json.dumps(stage.params)} if stage.params else {}),
            },
            "requirements": "\n".join(environments.requirements(stage.environment).installable) + "\n",
        }
        for stage in plan.stages
    }


def _call(folder: Path, name: str, repository: Path) -> float:
    argv = ["dagger", "-s", "-m", str(folder / "modules" / name), "call", "--source=.", "full-pipeline"]
    start = time.monotonic()
    ended = subprocess.run(argv, cwd=repository, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    if ended.returncode:
        raise SystemExit(f"{name}: {ended.stdout}\n{ended.stderr}")
    return seconds


def _measure(
    folder: Path, repositories: dict[str, Path], case: Case, rounds: int
) -> tuple[Case, dict[str, list[float]]]:
    taken: dict[str, list[float]] = {"penstock": [], case.against: []}
    for number in range(rounds):
        salt = f"{time.time()} {number}"
        for name, seconds in taken.items():
            case.change(repositories[name], salt + name)
            seconds.append(_call(folder, name, repositories[name]))
            print(f"{case.name}: {name} {seconds[-1]:.2f} s", file=sys.stderr, flush=True)
    return case, taken


def _report(times: dict[str, tuple[Case, dict[str, list[float]]]], rounds: int) -> str:
    said = subprocess.run(["dagger", "version"], capture_output=True, text=True, check=True).stdout
    machine = f"engine {said.split()[1]}, {os.cpu_count()} cores, {platform.machine()}"
    lines = [
        "# The Dagger module against one that is written by hand",
        "",
        f"`python benchmarks/engine.py --rounds {rounds}` on {machine}, {time.strftime('%Y-%m-%d')}.",
        "Seconds of `dagger call --source=. full-pipeline`: median (least to most).",
        "",
        "| what changed before the call | Penstock | peer | ratio | difference | goal |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case, taken in times.values():
        ours, theirs = (statistics.median(taken[name]) for name in ("penstock", case.against))
        allowed = max(case.limit[0] * theirs, case.limit[1])
        verdict = "met" if ours - theirs <= allowed else "missed"
        lines.append(
            f"| {case.name} | {_shown(taken['penstock'])} | {case.against} {_shown(taken[case.against])} "
            f"| {ours / theirs:.2f} | {ours - theirs:+.2f} s | at most +{allowed:.1f} s: {verdict} |"
        )
    return "\n".join(lines) + "\n"


def _shown(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    sys.exit(main())
