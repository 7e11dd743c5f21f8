"""What the tests of plans share: a directory to stand in, and messages that are compared whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock.plan.load import Loaded, load
from penstock.plan.model import Overlay

GOLDEN = Path(__file__).parents[2] / "golden" / "plan"
JUDGE = """
import json, re, sys, time
from pathlib import Path
from penstock.errors import PenstockError
from penstock.plan.load import load
from penstock.plan.model import Overlay

for title, document in json.load(sys.stdin).items():
    Path("p.yaml").write_bytes(document.encode("latin-1"))
    began = time.process_time()
    try:
        load(Path("p.yaml"), Overlay())
        message, code = "accepted", 0
    except PenstockError as error:
        message, code = str(error), error.exit_code
    took = time.process_time() - began
    # not ru_maxrss, which begins with the peak of the process that started this one
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    print(json.dumps([title, message, code, took, peak]))
"""

Load = Callable[..., Loaded]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def load_text(root: Path) -> Load:
    """Loads a pipeline file `p.yaml` of this text."""

    def load_text(text: str, **overlay: Any) -> Loaded:
        (root / "p.yaml").write_text(text, encoding="utf-8")
        return load(Path("p.yaml"), Overlay(**overlay))

    return load_text


@pytest.fixture
def assert_refused(root: Path) -> Callable[[Mapping[str, bytes], str], None]:
    """Asserts that each document is refused: exit code 2, its place named, 2 s, 256 MiB, these words.

    The words are those of a golden file; with PENSTOCK_UPDATE_GOLDEN set it is written anew, and the
    difference is for a person to read.
    """

    def assert_refused(documents: Mapping[str, bytes], golden: str) -> None:
        made = subprocess.run(
            [sys.executable, "-c", JUDGE],
            input=json.dumps({title: each.decode("latin-1") for title, each in documents.items()}),
            capture_output=True,
            text=True,
            check=False,
            cwd=root,
        )
        assert made.returncode == 0, made.stderr[-3000:]
        judged = [json.loads(line) for line in made.stdout.splitlines()]
        assert [title for title, *_ in judged] == list(documents)
        for title, message, code, took_s, peak_kib in judged:
            assert code == 2, f"{title}: {message}"
            assert message.startswith("p.yaml:"), title
            assert "Traceback" not in message, title
            assert took_s < 2, title
            assert peak_kib < 256 << 10, title
        found = "".join(f"== {title}\n{message}\n\n" for title, message, *_ in judged)
        path = GOLDEN / golden
        if "PENSTOCK_UPDATE_GOLDEN" in os.environ:
            path.write_text(found, encoding="utf-8")
        assert found == path.read_text(encoding="utf-8")

    return assert_refused
