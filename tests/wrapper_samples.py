"""What the tests of the CI wrappers share: a copy of this repository, stand-ins for programs, a small pipeline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "ci-wrappers" / "penstock-ci.sh"

RECORDER = """\
#!/bin/sh
# stands for a program: writes down its name and arguments, and leaves the report that it is told to leave
{ printf '%s' "${0##*/}"; for each; do printf '\\037%s' "$each"; done; printf '\\036'; } >>"$RECORD"
report=
for each; do
  case $each in --path=*) report=${each#--path=} ;; esac
  [ "${before:-}" != --report ] || report=$each
  before=$each
done
if [ -n "$report" ] && [ -n "${LEAVE_CODE:-}" ]; then
  mkdir -p "$report"
  printf '%s\\n' "$LEAVE_CODE" >"$report/exit-code"
  printf '## passed\\n' >"$report/summary.md"
fi
exit "${END_WITH:-0}"
"""
DEV = """\
import os, sys
with open(os.environ["RECORD"], "a") as file:
    file.write("\\x1f".join(["dev", *sys.argv[1:]]) + "\\x1e")
"""

PIPELINE = r"""
version: 1
name: tiny
params: {auc: 0.9}
stages:
  prepare:
    run: printf 'a,b\n1,2\n' > rows.csv
    outputs: [rows.csv]
  measure:
    run: |
      test -s rows.csv
      printf '{"auc": %s}' "$(sed -n 's/^auc. //p' params.yaml)" > metrics.json
    inputs: [rows.csv]
    params: [auc]
    outputs: {metrics: metrics.json}
gates:
  - {gate: threshold, metric: auc, min: 0.8}
profiles:
  main: {}
  pull-request:
    gates: [{gate: threshold, metric: auc, min: 0.95}]
  release:
    stages:
      prepare: {run: "echo no; exit 7"}
"""


def repository(folder: Path, files: Mapping[str, str]) -> Path:
    """A git repository with these files in its only commit."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    commit(folder)
    return folder


def commit(folder: Path) -> str:
    """Put all files into a commit on `main`; gives its name."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    for words in (
        ("init", "-q", "-b", "main"),
        ("add", "-A"),
        (*identity, "commit", "-q", "--allow-empty", "-m", "all"),
    ):
        subprocess.run(["git", "-C", str(folder), *words], check=True, env=clean_environ())
    asked = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def snapshot(folder: Path) -> Path:
    """A copy of this repository as it is now, without what git ignores."""
    asked = ["git", "-C", str(ROOT), "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(asked, check=True, capture_output=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def clean_environ() -> dict[str, str]:
    """What a CI job starts with: this machine's package index and cache, and nothing of the tests or of git."""
    kept = ("PATH", "LANG", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    found = {name: value for name in kept if (value := os.environ.get(name))}
    found |= {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_")) and value}
    # of the PATH, not what the tests' own environment put there
    own = str(ROOT / ".venv")
    found["PATH"] = os.pathsep.join(
        each for each in found["PATH"].split(os.pathsep) if not each.startswith(own)
    )
    found.setdefault("UV_CACHE_DIR", str(Path(os.environ.get("HOME", "/"), ".cache", "uv")))
    return found | {"GIT_CONFIG_GLOBAL": os.devnull, "HOME": os.environ.get("HOME", "/")}


@dataclass
class StandIns:
    """A Penstock beside the real script that does nothing but say what it was told, and such a `dagger`."""

    base: Path

    def __post_init__(self) -> None:
        self.source.joinpath("ci-wrappers").mkdir(parents=True)
        self.source.joinpath("src").mkdir()
        shutil.copy2(SCRIPT, self.source / "ci-wrappers")
        shutil.copytree(ROOT / "ci-wrappers" / "github", self.source / "ci-wrappers" / "github")
        self.source.joinpath("dev").write_text(DEV)
        for path in (
            self.source / ".venv" / "bin" / "penstock",
            self.source / ".venv" / "bin" / "python",
            self.programs / "dagger",
            self.programs / "git",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(RECORDER)
            path.chmod(0o755)
        self.work.mkdir()

    @property
    def source(self) -> Path:
        return self.base / "source"

    @property
    def programs(self) -> Path:
        return self.base / "bin"

    @property
    def work(self) -> Path:
        return self.base / "work"

    @property
    def record(self) -> Path:
        return self.base / "record"

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.base),
            "RECORD": str(self.record),
            "PENSTOCK_DAGGER": str(self.programs / "dagger"),
            "LEAVE_CODE": "0",
        }

    def calls(self) -> list[list[str]]:
        """What was called with what since the last question."""
        text = self.record.read_text() if self.record.exists() else ""
        self.record.unlink(missing_ok=True)
        return [each.split("\x1f") for each in text.split("\x1e")[:-1]]


def verdicts(report: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs of the same plan must agree on."""
    return {
        "plan": report["plan"],
        "profile": report["profile"],
        "exit_code": report["exit_code"],
        "keys": {stage["name"]: stage["key"] for stage in report["stages"]},
        "outputs": {part["path"]: part["digest"] for stage in report["stages"] for part in stage["outputs"]},
        "gates": {gate["name"]: (gate["verdict"], gate["value"]) for gate in report["gates"]},
    }


def run_directly(penstock: Path, repository: Path, base: Path, event: str) -> dict[str, Any]:
    """The report of `penstock run` in a clean clone with an empty store."""
    clone = base / "clone"
    subprocess.run(["git", "clone", "-q", str(repository), str(clone)], check=True)
    subprocess.run(
        [str(penstock), "run", "--event", event, "--report", str(base / "report")],
        cwd=clone,
        env=clean_environ() | {"HOME": str(base), "PENSTOCK_HOME": str(base / "store")},
        capture_output=True,
        check=False,
    )
    found: dict[str, Any] = json.loads((base / "report" / "run.json").read_text())
    return found
