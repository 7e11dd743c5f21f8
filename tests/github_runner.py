"""Enough of a GitHub runner to execute the wrappers: reusable workflow, composite action, their steps.

`actions/checkout`, `actions/cache` and `actions/upload-artifact` are replaced by what they are for, with directories
in the place of GitHub's services; every `run:` is executed as GitHub does it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from github_expressions import expand, holds, shown

SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")


@cache
def _document(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@dataclass
class Step:
    """A step that ran."""

    name: str
    code: int
    output: str


@dataclass
class Job:
    """One job on a machine of its own.

    Attributes:
        source: The repository that the wrappers are in.
        base: Empty; everything that the job writes is below it.
        event: The context `github`.
        caches: Where `actions/cache` keeps what outlives the job.
    """

    source: Path
    base: Path
    event: dict[str, Any]
    repository: Path | None = None
    caches: Path | None = None
    environ: dict[str, str] = field(default_factory=dict)
    status: str = "success"
    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.workspace, self.home, self.temp, self.artifacts):
            folder.mkdir(parents=True)
        self.summary.touch()

    @property
    def workspace(self) -> Path:
        return self.base / "work"

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def temp(self) -> Path:
        return self.base / "temp"

    @property
    def artifacts(self) -> Path:
        return self.base / "artifacts"

    @property
    def summary(self) -> Path:
        return self.temp / "summary"

    @property
    def said(self) -> str:
        return "".join(f"== {step.name} ({step.code})\n{step.output}" for step in self.steps)

    def call_workflow(self, path: str, given: Mapping[str, Any]) -> None:
        """Run the only job of a reusable workflow."""
        workflow = _document(self.source / path)
        declared = workflow[True]["workflow_call"]["inputs"]  # YAML 1.1 takes the key `on` for true
        assert set(given) <= set(declared), f"no input is called {set(given) - set(declared)}"
        inputs = {name: given.get(name, each["default"]) for name, each in declared.items()}
        (job,) = workflow["jobs"].values()
        contexts = self._contexts(inputs)
        assert isinstance(expand(job["runs-on"], contexts), list)
        self.run_steps(job["steps"], contexts, self.source)
        self.outputs = {name: shown(expand(value, contexts)) for name, value in job["outputs"].items()}

    def use_action(self, folder: Path, given: Mapping[str, Any]) -> dict[str, str]:
        """Run a composite action; gives its outputs."""
        action = _document(folder / "action.yml")
        assert set(given) <= set(action["inputs"]), f"no input is called {set(given) - set(action['inputs'])}"
        contexts = self._contexts({})
        inputs = {
            name: shown(expand(given.get(name, each["default"]), contexts))
            for name, each in action["inputs"].items()
        }
        contexts = self._contexts(inputs)
        self.run_steps(action["runs"]["steps"], contexts, folder)
        return {name: shown(expand(each["value"], contexts)) for name, each in action["outputs"].items()}

    def _contexts(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        runner = {"os": "Linux", "arch": "X64", "temp": str(self.temp)}
        return {"github": self.event, "inputs": dict(inputs), "runner": runner, "steps": {}}

    def run_steps(self, steps: list[dict[str, Any]], contexts: dict[str, Any], folder: Path) -> None:
        for step in steps:
            if not holds(step.get("if"), contexts, self.status):
                continue
            outputs = self._run_step(step, contexts, folder)
            if "id" in step:
                contexts["steps"][step["id"]] = {"outputs": outputs}

    def _run_step(self, step: dict[str, Any], contexts: dict[str, Any], folder: Path) -> dict[str, str]:
        given = {name: expand(value, contexts) for name, value in step.get("with", {}).items()}
        uses = step.get("uses", "")
        if uses.startswith("$/"):
            return self.use_action(self.source / uses[2:], given)
        if uses:
            name, _, commit = uses.partition("@")
            assert len(commit) == 40, f"{uses} is not pinned"
            self._replace(name, given)
            self.steps.append(Step(step["name"], 0, f"{name} {given}\n"))
            return {}
        values = {name: shown(expand(value, contexts)) for name, value in step.get("env", {}).items()}
        return self._execute(step, values, folder)

    def _execute(self, step: dict[str, Any], values: dict[str, str], folder: Path) -> dict[str, str]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "expressions do not belong into scripts"
        number = len(self.steps)
        script, output = self.temp / f"{number}.sh", self.temp / f"{number}.out"
        script.write_text(step["run"])
        output.touch()
        done = subprocess.run(
            [*SHELL, str(script)],
            cwd=self.workspace,
            env=self.environ
            | {
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(folder),
                "GITHUB_EVENT_NAME": self.event["event_name"],
                "GITHUB_OUTPUT": str(output),
                "GITHUB_REF": self.event["ref"],
                "GITHUB_REPOSITORY": self.event["repository"],
                "GITHUB_STEP_SUMMARY": str(self.summary),
                "GITHUB_WORKSPACE": str(self.workspace),
                "HOME": str(self.home),
                "RUNNER_TEMP": str(self.temp),
            }
            | values,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        self.steps.append(Step(step["name"], done.returncode, done.stdout.decode("utf-8", "replace")))
        if done.returncode:
            self.status = "failure"
        return dict(line.split("=", 1) for line in output.read_text().splitlines())

    def _replace(self, name: str, given: Mapping[str, Any]) -> None:
        """Do what an action of GitHub's is for."""
        match name:
            case "actions/checkout":
                assert given["persist-credentials"] is False
                assert self.repository
                clone = ["git", "clone", "-q", str(self.repository), str(self.workspace)]
                subprocess.run(clone, check=True)
            case "actions/cache/restore":
                assert self.caches
                kept = sorted(
                    self.caches.glob(f"{given['restore-keys']}*"), key=lambda path: path.stat().st_mtime
                )
                if kept:
                    shutil.copytree(kept[-1], self._expanded(given["path"]), symlinks=True)
            case "actions/cache/save":
                assert self.caches
                if self._expanded(given["path"]).exists():
                    shutil.copytree(self._expanded(given["path"]), self.caches / given["key"], symlinks=True)
            case "actions/upload-artifact":
                if (self.workspace / given["path"]).exists():
                    shutil.copytree(self.workspace / given["path"], self.artifacts / given["name"])
            case _:
                raise AssertionError(name)

    def _expanded(self, path: str) -> Path:
        return Path(path.replace("~", str(self.home), 1))
