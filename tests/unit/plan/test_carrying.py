"""What a stage is given of the programs of recipes: all that they import, and nothing that they do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from penstock import programs
from penstock.plan import carrying, exchange

PROGRAMS = sorted(path.parent.name for path in Path(programs.__file__).parent.glob("*/main.py"))
PACKAGE = f"{exchange.FOLDER}/penstock_programs/"


def carried(program: str) -> dict[str, str]:
    return dict(carrying.files(program, {}))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_finds_all_that_it_imports_in_its_workspace(program: str, tmp_path: Path) -> None:
    for path, text in carried(program).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    modules = [
        path.removeprefix(f"{exchange.FOLDER}/")
        .removesuffix(".py")
        .removesuffix("/__init__")
        .replace("/", ".")
        for path in carried(program)
        if path.startswith(PACKAGE)
    ]
    start = f"import sys; sys.path.insert(0, {exchange.FOLDER!r}); sys.modules['penstock'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", start + "".join(f"import {module}\n" for module in modules)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_module_of_a_program_is_dead(program: str) -> None:
    folder = Path(programs.__file__).parent / program
    own = {f"{PACKAGE}{program}/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*.py")}
    assert own <= carried(program).keys()


def test_no_common_module_is_dead() -> None:
    folder = Path(programs.__file__).parent / "common"
    used = {path for program in PROGRAMS for path in carried(program)}
    assert {f"{PACKAGE}common/{path.name}" for path in folder.glob("*.py")} <= used


def test_a_program_does_not_carry_what_others_import() -> None:
    assert f"{PACKAGE}common/models.py" not in carried("command")
    assert not [path for path in carried("validate") if "/measure/" in path]


def test_equal_requests_are_equal_text() -> None:
    assert carrying.files("command", {"a": 1, "b": 2}) == carrying.files("command", {"b": 2, "a": 1})
