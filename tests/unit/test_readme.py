from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock import errors
from penstock.cli import COMMANDS, EPILOG

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CODES = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}


def test_every_command_is_in_the_readme_and_no_other() -> None:
    named = set(re.findall(r"(?:`|\$ \./dev |^    )penstock (\w+)", README, re.MULTILINE))
    assert named == set(COMMANDS) - {"version"}


@pytest.mark.parametrize(
    "text", [README.partition("| exit code |")[2].partition("\n## ")[0], EPILOG], ids=["readme", "help"]
)
def test_every_exit_code_is_explained(text: str) -> None:
    assert {int(number) for number in re.findall(r"\b\d{1,3}\b", text)} == CODES


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parents[2] / target).exists(), target
