"""`uses: ...`: what is built in, expanded to ordinary commands that a user could have written.

Tools are pinned (`tools/*.txt`), except where the user's lock file names a package: that version wins.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from penstock.plan import carrying
from penstock.plan.model import Environment
from penstock.plan.paths import inside, is_pattern
from penstock.plan.reads import ABSENT, DIRECTORY, FILE, Reads
from penstock.plan.requirements import locked_names, package_name, without
from penstock.plan.schema_parts import DataSet
from penstock.plan.schema_stages import LintStage, PytestStage, ValidateStage
from penstock.record import Record

PACKAGE = Path(__file__).parent
REPORTS = "build/penstock"
ALL_PYTHON = "**/*.py"
ANY_PYTHON = ">=3.11"
"""What programs need that need nothing else."""
# when, where and how fast tests ran is the log's to tell: the report is the same whenever their outcome is
_TIMELESS = r's/ (timestamp|hostname)="[^"]*"//g; s/ time="[^"]*"/ time="0"/g'

_LINT_CONFIGS = ("pyproject.toml", "ruff.toml", ".ruff.toml", "mypy.ini", ".mypy.ini", "setup.cfg")
_MYPY_SECTIONS = {
    "mypy.ini": b"",
    ".mypy.ini": b"",
    "pyproject.toml": b"[tool.mypy",
    "setup.cfg": b"[mypy",
}
_PYTEST_CONFIGS = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "conftest.py")


class Recipe(Record):
    """What a recipe contributes to its stage; the last three are those of `Stage`."""

    run: str
    inputs: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    environment: Environment
    outside: bool = False
    passes: tuple[str, ...] = ()
    pledges: tuple[tuple[str, str], ...] = ()


def lint(stage: LintStage, environment: Environment, reads: Reads) -> Recipe:
    """Ruff and mypy over the inputs; the second is heard even if the first finds something."""
    inputs = _checked(stage.inputs, reads)
    targets = shlex.join(_targets(inputs))
    # who has not set up mypy has not installed stubs for it either
    lenient = "" if _sets_up_mypy(reads) else " --ignore-missing-imports"
    run = (
        "status=0\n"
        f"python -m ruff check --no-cache -- {targets} || status=1\n"
        f"python -m mypy --cache-dir=/dev/null{lenient} -- {targets} || status=1\n"
        'exit "$status"\n'
    )
    return Recipe(
        run=run,
        inputs=_with(inputs, _LINT_CONFIGS, reads),
        environment=equipped(environment, "code", reads),
    )


def _sets_up_mypy(reads: Reads) -> bool:
    for path, section in _MYPY_SECTIONS.items():
        if reads.presence(path) == FILE:
            data = (reads.root / path).read_bytes()
            reads.content(reads.root / path, data)
            if section in data:
                return True
    return False


def pytest(stage: PytestStage, name: str, environment: Environment, reads: Reads) -> Recipe:
    """The test suite, started where the pipeline's root is; its report is an output."""
    report = f"{REPORTS}/{name}.junit.xml"
    command = ["python", "-m", "pytest", f"--junitxml={report}", "-o", "junit_family=xunit2"]
    run = f'{shlex.join(command)} -o "cache_dir=${{TMPDIR:-/tmp}}/pytest" {shlex.join(stage.args)}'.rstrip()
    return Recipe(
        run=f"{run}\n{shlex.join(['sed', '-E', '-i', _TIMELESS, report])}\n",
        inputs=_with(_checked(stage.inputs, reads), _PYTEST_CONFIGS, reads),
        outputs=((report, "junit"),),
        environment=equipped(environment, "code", reads),
    )


def validate_data(
    stage: ValidateStage,
    name: str,
    data: DataSet,
    path: str,
    *,
    environment: Environment,
    reads: Reads,
) -> Recipe:
    """A data set against its schema; data that break it are a finding for a gate, not a failure.

    Args:
        stage: With the tables that the data are compared with.
        name: Of the stage.
        data: What it checks.
        path: Where that lies.
        environment: Its lock file counts only if the stage itself declares one: data are judged by the
            recipe's own tools.
        reads: Notes what was looked at.
    """
    result = f"{REPORTS}/{name}.validation.json"
    if stage.environment is None or stage.environment.requirements is None:
        environment = Environment(python=environment.python, image=environment.image)
    request = {
        "data": path,
        "schema": data.schema_,
        "result": result,
        "reference": stage.reference,
        "splits": stage.splits,
    }
    tables = (path, data.schema_, stage.reference, *(stage.splits or {}).values())
    return Recipe(
        run=f"{carrying.command('validate')}\n",
        inputs=tuple(dict.fromkeys(each for each in tables if each is not None)),
        outputs=((result, "validation"),),
        files=carrying.files("validate", request),
        environment=equipped(environment, "validate-data", reads),
    )


def _checked(inputs: Sequence[str] | None, reads: Reads) -> tuple[str, ...]:
    if inputs is not None:
        return tuple(inputs)
    found = tuple(path for path in ("src", "tests") if reads.presence(path) == DIRECTORY)
    return found or (ALL_PYTHON,)


def _targets(inputs: Sequence[str]) -> list[str]:
    """What a tool is given: files and directories as they are, the workspace for a pattern."""
    if any(is_pattern(path) for path in inputs):
        return ["."]
    return [path for path in inputs if PurePosixPath(path).suffix in ("", ".py", ".pyi")] or ["."]


def _with(inputs: Sequence[str], configs: Sequence[str], reads: Reads) -> tuple[str, ...]:
    """The inputs and those of the user's configuration files that there are."""
    there = [path for path in configs if reads.presence(path) == FILE]
    return (*inputs, *(path for path in there if not any(inside(path, each) for each in inputs)))


def equipped(environment: Environment, tools: str, reads: Reads) -> Environment:
    """The environment with a recipe's tools in it."""
    text = (PACKAGE / "tools" / f"{tools}.txt").read_text(encoding="utf-8")
    lock = environment.requirements
    named = locked_names(lock, reads) if lock and reads.presence(lock) != ABSENT else frozenset()
    own = environment.extra_requirements
    named |= {name for each in own.splitlines() if (name := package_name(each))}
    return Environment(
        python=environment.python,
        requirements=lock,
        extra_requirements=own + without(text, named),
        image=environment.image,
    )
