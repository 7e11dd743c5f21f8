"""The files that make CI systems run a pipeline: what a user commits, and what calls the wrappers."""

from __future__ import annotations

import json
import os
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import penstock
from penstock.errors import UsageError
from penstock.record import Record

SYSTEMS = {
    "github": (".github/workflows/penstock.yml", "github.yml"),
    "gitlab": (".gitlab-ci.yml", "gitlab.yml"),
    "circleci": (".circleci/config.yml", "circleci.yml"),
    "jenkins": ("Jenkinsfile", "Jenkinsfile"),
    "azure": ("azure-pipelines.yml", "azure.yml"),
    "buildkite": (".buildkite/pipeline.yml", "buildkite.yml"),
}
"""Name → where the file goes in a repository, and its text in `ci/`."""

_TEXTS = Path(__file__).parent / "ci"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Reference(Record):
    """Which Penstock a CI job is to run.

    Attributes:
        name: A commit, or a tag where no commit is known.
        version: What the commit is called, for people; empty for a tag.
        reason: How it is known, for people.
    """

    name: str
    version: str = ""
    reason: str = ""

    @property
    def text(self) -> str:
        """As it stands behind an `@`, with a comment that names the version."""
        return f"{self.name} # {self.version}" if self.version else self.name


def systems(text: str) -> tuple[str, ...]:
    """The CI systems in `github,gitlab`.

    Raises:
        UsageError: There is no such system.
    """
    names = tuple(dict.fromkeys(name for each in text.split(",") if (name := each.strip())))
    wrong = [name for name in names if name not in SYSTEMS]
    if wrong or not names:
        raise UsageError(
            f"there is no CI system {wrong[0] if wrong else text!r}",
            where="--ci",
            notes=(f"there are {', '.join(SYSTEMS)}; several are separated by commas",),
        )
    return names


def render(system: str, reference: Reference, branch: str = "main") -> str:
    """The text of a user's file; `branch` is the one whose runs are for the event `main`."""
    text = (_TEXTS / SYSTEMS[system][1]).read_text(encoding="utf-8")
    values = {
        "OWNER": penstock.REPOSITORY.partition("/")[2],
        "REPOSITORY": penstock.REPOSITORY,
        "REF": reference.text,
        "COMMIT": reference.name,
        "BRANCH": branch,
    }
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text)


def reference() -> Reference:
    """The Penstock that this is, by its commit if that is known."""
    version = f"v{penstock.__version__}"
    if commit := _installed_commit():
        return Reference(name=commit, version=version, reason="the commit that it was installed from")
    if commit := _checked_out_commit():
        return Reference(name=commit, version=version, reason="the commit that is checked out")
    return Reference(name=version, reason="its version, as no commit is known: it was installed without git")


def _installed_commit() -> str | None:
    """What pip or uv noted when they installed from a repository (PEP 610)."""
    try:
        noted = json.loads(distribution("penstock").read_text("direct_url.json") or "{}")
        commit = noted.get("vcs_info", {}).get("commit_id")
    except (PackageNotFoundError, OSError, ValueError, AttributeError):
        return None
    return commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else None


def main_branch(root: Path) -> str:
    """The main branch of a repository, as its clone remembers it; `main` where that cannot be known."""
    found = (_git(root, "symbolic-ref", "--short", "refs/remotes/origin/HEAD") or "").removeprefix("origin/")
    if not found and not _git(root, "rev-parse", "--verify", "main"):
        found = "master" if _git(root, "rev-parse", "--verify", "master") else ""
    # the name is put into YAML: of another kind, it is left to the user
    return found if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", found) else "main"


def _checked_out_commit() -> str | None:
    """The commit of the clone that this file is in, if it is in one."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists() or not (root / "ci-wrappers").is_dir():
        return None
    commit = _git(root, "rev-parse", "--verify", "HEAD") or ""
    return commit if _COMMIT.fullmatch(commit) else None


def _git(root: Path, *words: str) -> str | None:
    """What git says in a clone; None if it fails."""
    import subprocess

    # not those of a git that started this, such as a hook
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        said = subprocess.run(  # noqa: S603 - the words of this module
            ["git", "-C", str(root), *words],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() if said.returncode == 0 else None
