from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from engine import require_engine
from penstock.cli import COMMANDS
from tutorial import Step, follow, steps

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
STEPS = list(steps(DOCUMENT))
# each section, by its heading
SECTIONS = {part.partition("\n")[0]: list(steps(part)) for part in DOCUMENT.split("\n## ")}
UNDER_DAGGER = "Under Dagger"
NETWORK = re.compile(r"(?i)proxy|INDEX|^UV_|^SSL_CERT_FILE$|^REQUESTS_CA_BUNDLE$|DAGGER|^DO_NOT_TRACK$")


def test_steps_are_commands_with_what_they_say_and_files() -> None:
    document = "`a/b.txt`:\n\n```text\nx\n```\n\n```sh\nnot this\n```\n\n```console\n$ one\n$ two <<E\n> 2\nsaid\n> so\n[3]\n```\n"
    assert list(steps(document)) == [
        Step("x\n", path="a/b.txt"),
        Step("one"),
        Step("two <<E\n2", code=3, said="said\n> so\n"),
    ]


def test_every_command_of_the_tutorial_is_one_of_penstock() -> None:
    typed = [step.text for step in STEPS if not step.path and not step.text.startswith("dagger ")]
    used = {name for text in typed for name in re.findall(r"(?<!/)\bpenstock ([a-z]+)", text)}
    assert {"init", "run", "explain", "verify"} <= used <= {*COMMANDS}


def shape(said: str) -> list[str]:
    """The words of an output, less what differs from one run to the next: digests, times, what a stage printed."""
    text = re.sub(r"(?m)^  │.*\n", "", said)
    text = re.sub(r"/\S*/wine\b", "/wine", text)
    text = re.sub(r"\b[0-9a-f]{6,}\b", "#", text)
    text = re.sub(r"\d[\d.,:TZ-]*", "#", text)
    return re.sub(r"(# h )?(# min )?# s\b", "# s", text).split()


def environ_of(tmp_path: Path) -> dict[str, str]:
    """What a newcomer's shell holds."""
    person = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "LC_ALL": "C.UTF-8",
        **person,
        **{name: value for name, value in os.environ.items() if NETWORK.search(name)},
    }


@pytest.mark.slow
@pytest.mark.network
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "start"
    folder.mkdir()
    environ = environ_of(tmp_path)
    for step in (step for name, part in SECTIONS.items() if name != UNDER_DAGGER for step in part):
        folder, code, said = follow(step, folder, environ)
        assert (code, shape(said)) == (step.code, shape(step.said)), step.text


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.dagger
@pytest.mark.timeout(1200)  # both kinds of environment are installed
def test_the_tutorial_does_under_dagger_what_it_says(tmp_path: Path) -> None:
    cli = require_engine()
    folder = tmp_path / "start"
    folder.mkdir()
    environ = environ_of(tmp_path)
    environ["PATH"] = f"{environ['PATH']}:{Path(cli).resolve().parent}"
    subprocess.run(["git", "clone", "--quiet", ROOT, tmp_path / "home" / "src" / "penstock"], check=True)
    unheard_of = f"# {uuid.uuid4()}\n"  # or the engine knows the results from another time
    for step in [*SECTIONS["The code"], *SECTIONS["The pipeline"], *SECTIONS["The first run"]]:
        folder, code, _ = follow(step, folder, environ)
        assert code == step.code, step.text
        if step.text.startswith("touch "):
            (folder / "src" / "wine" / "__init__.py").write_text(unheard_of)
    committed = [
        step for step in SECTIONS["Another machine"] if step.text.startswith(("git add", "git commit"))
    ]
    for step in [*committed, Step("penstock run -q")]:  # so that the report names a commit
        folder, code, _ = follow(step, folder, environ)
        assert code == 0, step.text
    for step in SECTIONS[UNDER_DAGGER]:
        folder, code, said = follow(step, folder, environ)
        assert (code, shape(said)) == (step.code, shape(step.said)), step.text
