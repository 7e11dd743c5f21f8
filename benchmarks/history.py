"""History replay: 40 seeded commits in a real git repository, and how often each tool trains."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import workloads
from cases import Bench, Check, Site, Trainings
from measure import CommandFailedError
from workloads import FINAL, NONCE, Stage, Workload, git

SEED = 20_26
PATH_FILTER = re.compile(r"(src|data)/|params\.yaml$")  # what a CI configuration would list under `paths:`
KINDS = {  # what 39 commits after the first are made of, in a random order; a merge is three commits
    "documentation": 5,
    "tests": 4,
    "training code": 4,
    "preparation code": 2,
    "evaluation code": 2,
    "data": 4,
    "data, rows in another order": 1,
    "training parameters": 2,
    "other parameters": 2,
    "revert": 4,
    "merge": 3,
}
REVERTED = ("src/train.py", "data/input.csv", "params.yaml")


@dataclass(slots=True)
class Project:
    """The files of the project as the generator last wrote them, and each version that was committed."""

    tree: Path
    chance: random.Random
    files: dict[str, str] = field(default_factory=dict)
    versions: list[dict[str, str]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    commits: int = 0

    def commit(self, kind: str) -> None:
        """Commit the files as they are now."""
        self._write()
        self.commits += 1
        self.kinds[kind] += 1
        git(self.tree, "add", "-A")
        git(self.tree, "commit", "-q", "-m", f"{self.commits}: {kind}", date=1_700_000_000 + self.commits)
        self.versions.append(dict(self.files))

    def merge(self) -> None:
        """Commit on a branch and on the main line, and merge the two: three commits."""
        before = dict(self.files)
        git(self.tree, "checkout", "-q", "-b", "topic")
        self.files["src/train.py"] += f"# tried on a branch {self.commits}\n"
        self.commit("training code")
        changed = self.files["src/train.py"]
        git(self.tree, "checkout", "-q", "main")
        self.files = before
        self.files["docs/guide.md"] += f"meanwhile {self.commits}\n"
        self.commit("documentation")
        self.commits += 1
        date = 1_700_000_000 + self.commits
        git(self.tree, "merge", "-q", "--no-ff", "-m", f"{self.commits}: merge", "topic", date=date)
        git(self.tree, "branch", "-q", "-d", "topic")
        self.kinds["merge"] += 1
        self.files["src/train.py"] = changed
        self.versions.append(dict(self.files))

    def edit(self, kind: str) -> None:
        """Change what a commit of this kind changes."""
        number = self.commits
        line = {
            "documentation": "docs/guide.md",
            "tests": "tests/test_train.py",
            "training code": "src/train.py",
            "preparation code": "src/prepare.py",
            "evaluation code": "src/evaluate.py",
        }
        if kind in line:
            self.files[line[kind]] += f"# {kind} {number}\n"
        elif kind == "data":
            self.files["data/input.csv"] += f"{self.chance.randrange(10**6)},{number}\n"
        elif kind == "data, rows in another order":
            rows = self.files["data/input.csv"].splitlines()
            self.files["data/input.csv"] = "\n".join([*rows[1:], rows[0]]) + "\n"
        elif kind == "revert":
            self._revert()
        else:
            self._set_parameter("train" if kind == "training parameters" else "evaluate", number)

    def _revert(self) -> None:
        earlier = {(name, files[name]) for files in self.versions for name in REVERTED}
        candidates = sorted(earlier - set(self.files.items()))
        if candidates:
            name, text = self.chance.choice(candidates)
            self.files[name] = text

    def _set_parameter(self, section: str, value: int) -> None:
        pattern = rf'("{section}": )\d+'
        self.files["params.yaml"] = re.sub(pattern, rf"\g<1>{value}", self.files["params.yaml"])

    def _write(self) -> None:
        for name, text in self.files.items():
            path = self.tree / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def workload() -> Workload:
    """Prepare (sorts the data, so the order of its rows does not reach train), train, and report."""
    stages = (
        Stage(
            name="prepare",
            run="sort -u data/input.csv > splits.csv",
            output="splits.csv",
            sources=("src/prepare.py", "data/input.csv"),
            params="prepare",
        ),
        Stage(
            name="train",
            run=f"cat src/train.py splits.csv {NONCE} > model.txt",
            output="model.txt",
            sources=("src/train.py",),
            needs=("prepare",),
            params="train",
        ),
        Stage(
            name=FINAL,
            run="cat src/evaluate.py model.txt > metrics.txt",
            output="metrics.txt",
            sources=("src/evaluate.py",),
            needs=("train",),
            params="evaluate",
        ),
    )
    return Workload(stages, lambda _tree: None)


def generate(tree: Path, count: int) -> Project:
    """A repository with so many commits, the same for the same count."""
    tree.mkdir(parents=True)
    git(tree, "init", "-q", "-b", "main")
    project = Project(tree, random.Random(SEED))
    names = ("docs/guide.md", "tests/test_train.py", "src/prepare.py", "src/train.py", "src/evaluate.py")
    project.files = {name: f"# {name}\n" for name in names}
    project.files["data/input.csv"] = "".join(f"{number},{number * number}\n" for number in range(100))
    # JSON is YAML, and can be read without a library
    project.files["params.yaml"] = '{\n "prepare": 1000,\n "train": 1000,\n "evaluate": 1000\n}\n'
    project.commit("beginning")
    kinds: list[str] = []
    while project.commits < count:
        kinds = kinds or project.chance.sample(list(KINDS), sum(KINDS.values()), counts=list(KINDS.values()))
        kind = kinds.pop()
        before = dict(project.files)
        if kind != "merge":
            project.edit(kind)
        elif project.commits + 3 <= count:
            project.merge()
        if project.files != before and kind != "merge":
            project.commit(kind)
    return project


def true_inputs(files: dict[str, str]) -> str:
    """What train depends on, by content: its code, the sorted data, and its section of the parameters."""
    data = "\n".join(sorted(set(files["data/input.csv"].splitlines())))
    section = re.search(r'"train": \d+', files["params.yaml"])
    text = "\0".join([files["src/train.py"], data, section.group() if section else ""])
    return hashlib.sha256(text.encode()).hexdigest()


def replay(bench: Bench) -> None:
    """Check out each commit in turn, in one work tree for each tool, and count the trainings."""
    count = 12 if bench.quick else 40
    project = generate(bench.folder / "history" / "origin", count)
    commits = git(project.tree, "rev-list", "--reverse", "--date-order", "main").split()
    wanted = len({true_inputs(files) for files in project.versions})
    counted: dict[str, int | str] = {
        "no cache": len(commits),
        "path filter": path_filter(project.tree, commits),
    }
    for tool in bench.tools:
        try:
            counted[tool], stale = trainings(bench, project.tree, tool, commits)
            if stale:
                counted[tool] = f"{counted[tool]}, but {stale} commits were left with a stale model"
        except (CommandFailedError, OSError) as error:
            counted[tool] = f"failed: {error}"
    bench.trainings = Trainings(len(commits), wanted, dict(project.kinds), counted)
    ours = counted.get("penstock", "absent")
    goal = "history replay: train runs as often as its true inputs have distinct contents"
    if isinstance(ours, int):
        bench.checks.append(
            Check(goal, f"{ours} trainings, {wanted} contents, {len(commits)} commits", ours == wanted)
        )
    else:
        bench.checks.append(Check(goal, f"not measured: {ours}", None))


def path_filter(tree: Path, commits: list[str]) -> int:
    """How many commits change a path that CI's filter for training names; the first one counts."""
    changed = 1
    for commit in commits[1:]:
        names = git(tree, "diff", "--name-only", f"{commit}^1", commit).splitlines()
        changed += any(PATH_FILTER.match(name) for name in names)
    return changed


def trainings(bench: Bench, origin: Path, tool: str, commits: list[str]) -> tuple[int, int]:
    """How many nonces the model has had, and after how many commits it was not made of what they hold.

    A nonce that comes back from a store is no training.
    """
    place = bench.folder / "history" / tool
    place.mkdir()
    site = Site(bench, bench.tools[tool], workload(), place / "tree", place / "store")
    git(place, "clone", "-q", str(origin), str(site.tree))
    workloads.exclude(site.tree, site.workload)
    workloads.WRITERS[tool](site.tree, site.workload, site.store)
    nonces, stale = set(), 0
    for commit in commits:
        git(site.tree, "checkout", "-q", commit)
        site.run()
        *lines, nonce = (site.tree / "model.txt").read_text().splitlines()
        nonces.add(nonce)
        read = [(site.tree / name).read_text().splitlines() for name in ("src/train.py", "data/input.csv")]
        stale += set(lines) != {line for each in read for line in each}
    return len(nonces), stale
