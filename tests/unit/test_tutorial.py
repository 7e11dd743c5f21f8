from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from penstock.cli import COMMANDS
from tutorial import Step, follow, steps

DOCUMENT = Path(__file__).parents[2] / "docs" / "tutorial.md"
STEPS = list(steps(DOCUMENT.read_text(encoding="utf-8")))
NETWORK = re.compile(r"(?i)proxy|INDEX|^UV_|^SSL_CERT_FILE$|^REQUESTS_CA_BUNDLE$")


def test_steps_are_commands_with_what_they_say_and_files() -> None:
    document = "`a/b.txt`:\n\n```text\nx\n```\n\n```sh\nnot this\n```\n\n```console\n$ one\n$ two <<E\n> 2\nsaid\n> so\n[3]\n```\n"
    assert list(steps(document)) == [
        Step("x\n", path="a/b.txt"),
        Step("one"),
        Step("two <<E\n2", code=3, said="said\n> so\n"),
    ]


def test_every_command_of_the_tutorial_is_one_of_penstock() -> None:
    used = {name for step in STEPS for name in re.findall(r"\bpenstock ([a-z]+)", step.text) if not step.path}
    assert {"init", "run", "explain", "verify"} <= used <= {*COMMANDS}


def shape(said: str) -> list[str]:
    """The words of an output, less what differs from one run to the next: digests, times, what a stage printed."""
    text = re.sub(r"(?m)^  │.*\n", "", said)
    text = re.sub(r"\b[0-9a-f]{6,}\b", "#", text)
    text = re.sub(r"\d[\d.,:TZ-]*", "#", text)
    return re.sub(r"(# h )?(# min )?# s\b", "# s", text).split()


@pytest.mark.slow
@pytest.mark.network
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "start"
    folder.mkdir()
    person = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "LC_ALL": "C.UTF-8",
        **person,
        **{name: value for name, value in os.environ.items() if NETWORK.search(name)},
    }
    for step in STEPS:
        folder, code, said = follow(step, folder, environ)
        assert (code, shape(said)) == (step.code, shape(step.said)), step.text
