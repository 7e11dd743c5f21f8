"""The Dagger module as users call it: by the real CLI, on a repository of theirs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

WORDS = """\
version: 1
name: words
environment: {image: busybox}
variables: {MARK: none}
params: {train: {suffix: "!"}}
stages:
  lint: {run: "true"}
  test: {run: test -s words.txt, inputs: [words.txt]}
  validate: {run: grep -q abc words.txt, inputs: [words.txt]}
  train:
    run: |
      mkdir -p build/model
      tr a-z A-Z < words.txt > build/model/upper.txt
      sed -n 's/.*suffix: //p' params.yaml >> build/model/upper.txt
    inputs: [words.txt]
    params: [train]
    outputs: {model: build/model}
  evaluate:
    run: printf '{"bytes":%d}' "$(wc -c < build/model/upper.txt)" > build/metrics.json
    inputs: [build/model]
    outputs: {metrics: build/metrics.json}
gates:
  - {gate: threshold, metric: bytes, min: 3}
publish: {archive: {path: dist, contents: [build/model]}}
"""


@dataclass
class Called:
    """What a command of Dagger's came to."""

    code: int
    out: str
    log: str

    @property
    def error(self) -> str:
        """What a user is told at the end, without the mark that the engine adds."""
        return re.sub(r" \[traceparent:[0-9a-f-]+\]", "", self.log.rpartition("\nError: ")[2]).strip()


@dataclass
class Repository:
    """A repository that uses the module from elsewhere."""

    root: Path
    module: str
    cli: str
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, files: Mapping[str, str]) -> Repository:
        for path, text in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return self

    def call(self, *arguments: str, source: str | None = ".") -> Called:
        """`dagger call`; arguments of the constructor go before the function's name."""
        given = ["--source", source] if source else []
        return self.dagger("call", "-m", self.module, *given, *arguments)

    def dagger(self, *arguments: str) -> Called:
        done = subprocess.run(
            [self.cli, "--progress", "plain", *arguments],
            cwd=self.root,
            env={**os.environ, "NO_COLOR": "1", **self.environ},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        return Called(done.returncode, done.stdout, done.stderr)
