"""Scans of projects that tests write, and git repositories to scan; secrets that no scan of this file finds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock.programs.security import main as security

Document = dict[str, Any]
TODAY = "2026-11-21"
GITHUB = "ghp_" + "R4nd0mT0kenWithout9Meaning7xZ2q4Wv8kLmN"[:36]
PASSWORD = "hunter" + "2xyzzy"
KEY = "\n".join(
    (
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEAx4UbaDzY5xjW6hc9jwN0mX33XpTDVW3GkqVJ2tF1aTn0Dk6b",
        "q8cF2mLQ3yvHq7yXlZ9rT5dXoPZk4N8sUe1hVbRw6gCjI0fYtKaSxMnBpOuErDvG",
        "-----END RSA " + "PRIVATE KEY-----",
    )
)
FILES = ("result", "sarif", "code_quality", "secret_detection")


class Project:
    """A directory that is scanned."""

    def __init__(self, root: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.out = root, out
        root.mkdir(parents=True, exist_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("PENSTOCK_ROOT", str(root))
        monkeypatch.delenv("PENSTOCK_GIT", raising=False)

    def write(self, path: str, content: str | bytes = "") -> Path:
        """A file of the project."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return place

    def start(self, *checks: str, **options: Any) -> int:
        """Run the program; its exit code."""
        request = {
            "checks": list(checks) or ["secrets"],
            "history": False,
            "paths": None,
            "exclude": [],
            "requirements": [],
            "database": None,
            "service": "pypi",
            "service_url": None,
            "baseline": None,
            "pipeline": "pipelines/default.yaml",
            "date": TODAY,
            **{name: str(self.out / name) for name in FILES},
            **options,
        }
        place = self.out / "request.json"
        place.write_text(json.dumps(request), encoding="utf-8")
        return security.main([str(place)])

    def scan(self, *checks: str, **options: Any) -> Document:
        """The document of a scan."""
        assert self.start(*checks, **options) == 0
        document: Document = self.read("result")
        return document

    def read(self, name: str) -> Any:
        """What the last scan wrote."""
        return json.loads((self.out / name).read_text(encoding="utf-8"))

    def texts(self) -> str:
        """All that the last scan wrote, as text."""
        return "".join((self.out / name).read_text(encoding="utf-8") for name in FILES)

    def git(self, *arguments: str, **variables: str) -> str:
        """A command of git in the project."""
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false", *arguments],
            cwd=self.root, env={**_git_environment(), **variables}, capture_output=True, check=True,
        )  # fmt: skip
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, message: str = "change") -> str:
        """Commit everything; the commit's name."""
        if not (self.root / ".git").exists():
            self.git("init", "-q")
        self.git("add", "--all", "--force")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


def _git_environment() -> Mapping[str, str]:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.com"))
    }
    return {**kept, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def named(document: Document, check: str) -> Document:
    """What a document says of one of its checks."""
    return next(each for each in document["checks"] if each["name"] == check)


def places(document: Document, check: str = "secrets") -> list[tuple[str, int | None]]:
    """Where findings of a check are."""
    return [(each["path"], each["line"]) for each in document["findings"] if each["check"] == check]
