"""A document of commands and files, step by step: what to type, and what it says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([^`\n]+)`:\n\n\Z")
_CODE = re.compile(r"\[(\d+)\]")


class Step(NamedTuple):
    """A command, or a file to be written.

    Attributes:
        text: What to type, or what the file holds.
        path: Of the file; empty for a command.
        code: What the command ends with.
        said: What it prints on standard output.
    """

    text: str
    path: str = ""
    code: int = 0
    said: str = ""


def steps(document: str) -> Iterator[Step]:
    """What a document tells to do: `console` blocks, and blocks behind a line with the name of a file."""
    for block in _BLOCK.finditer(document):
        named = _FILE.search(document[: block.start()])
        if named:
            yield Step(block[2], path=named[1])
        elif block[1] == "console":
            yield from _commands(block[2].splitlines())


def _commands(lines: list[str]) -> Iterator[Step]:
    text, said, code = "", "", 0
    for line in lines:
        if line.startswith("$ "):
            if text:
                yield Step(text, code=code, said=said)
            text, said, code = line[2:], "", 0
        elif line.startswith("> ") and not said:
            text += "\n" + line[2:]
        elif _CODE.fullmatch(line):
            code = int(line[1:-1])
        else:
            said += line + "\n"
    yield Step(text, code=code, said=said)


def follow(step: Step, folder: Path, environ: Mapping[str, str]) -> tuple[Path, int, str]:
    """Do a step; gives the directory that one is in then, the exit code and what was printed."""
    if step.path:
        (folder / step.path).write_text(step.text)
        return folder, 0, ""
    place = folder / ".." / ".place"
    done = subprocess.run(
        ["/bin/bash", "-c", f"{step.text}\ncode=$?; pwd > '{place}'; exit $code"],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return Path(place.read_text().strip()), done.returncode, done.stdout
