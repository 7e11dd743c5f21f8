from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.errors import PipelineError
from penstock.plan.load import Loaded
from penstock.plan.model import Output, Stage
from penstock.plan.reads import Reads
from penstock.plan.requirements import locked_names, logical_lines, without

Load = Callable[..., Loaded]

HEAD = "version: 1\nname: x\n"


def expand(load_text: Load, stage: str, top: str = "") -> Stage:
    return load_text(f"{HEAD}{top}stages: {{s: {stage}}}\n").plan.stage("s")


def test_lint_checks_src_and_tests_with_the_configuration_that_is_there(root: Path, load_text: Load) -> None:
    for name in ("src", "tests"):
        (root / name).mkdir()
    for name in ("pyproject.toml", "mypy.ini"):
        (root / name).write_text("")
    stage = expand(load_text, "{uses: lint}")
    assert stage.sources == ("mypy.ini", "pyproject.toml", "src", "tests")
    assert "ruff check --no-cache -- src tests ||" in stage.run
    assert "mypy --cache-dir=/dev/null -- src tests ||" in stage.run
    assert (stage.outputs, stage.uses) == ((), "lint")
    assert "ruff==" in stage.environment.extra_requirements
    assert "mypy==" in stage.environment.extra_requirements


def test_lint_checks_every_python_file_where_there_is_no_src(load_text: Load) -> None:
    stage = expand(load_text, "{uses: lint}")
    assert stage.sources == ("**/*.py",)
    assert "ruff check --no-cache -- . ||" in stage.run


def test_lint_gives_the_tools_only_what_they_can_check(load_text: Load) -> None:
    stage = expand(load_text, "{uses: lint, inputs: [a.py, pkg, notes.md, '-x y.py']}")
    assert "-- a.py pkg '-x y.py' ||" in stage.run


@pytest.mark.parametrize(("first", "second", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (2, 2, 1)])
def test_both_tools_are_heard_whatever_the_first_says(
    root: Path, load_text: Load, first: int, second: int, code: int
) -> None:
    stage = expand(load_text, "{uses: lint, inputs: [a.py]}")
    python = root / "python"
    python.write_text(f'#!/bin/sh\necho "$2"\ncase "$2" in ruff) exit {first};; *) exit {second};; esac\n')
    python.chmod(0o755)
    made = subprocess.run(
        ["/bin/sh", "-euc", stage.run],
        env={"PATH": f"{root}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stdout) == (code, "ruff\nmypy\n")


def test_pytest_writes_a_report_and_takes_arguments_as_they_are(load_text: Load) -> None:
    stage = expand(load_text, "{uses: pytest, inputs: [t], args: ['-k', 'not slow; rm -rf /']}")
    assert stage.outputs == (Output("build/penstock/s.junit.xml", "junit"),)
    assert stage.run.splitlines()[0].endswith(" -k 'not slow; rm -rf /'")
    assert "--junitxml=build/penstock/s.junit.xml" in stage.run
    assert "pytest==" in stage.environment.extra_requirements


@pytest.mark.parametrize(("outcome", "code"), [("pass", 0), ("assert False", 1)])
def test_the_report_of_tests_does_not_say_when_or_where_they_ran(
    tmp_path: Path, load_text: Load, outcome: str, code: int
) -> None:
    stage = expand(load_text, "{uses: pytest, inputs: [t], args: ['-p', 'no:xdist']}")
    reports = []
    for name, pause in (("one", 0.0), ("two", 0.05)):
        root = tmp_path / name
        (root / "t").mkdir(parents=True)
        test = f"import os, time\ndef test_it():\n    time.sleep(float(os.environ['PAUSE']))\n    {outcome}\n"
        (root / "t" / "test_it.py").write_text(test)
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        made = subprocess.run(
            ["/bin/sh", "-euc", stage.run], cwd=root, env={"PATH": path, "PAUSE": str(pause)}, check=False
        )
        assert made.returncode == code
        reports.append((root / "build/penstock/s.junit.xml").read_bytes())
    assert b'<testcase classname="t.test_it" name="test_it" time="' in reports[0]
    assert (reports[0] == reports[1]) is (code == 0)  # what failed is no result, and is left as it was


def test_validation_has_its_own_tools_and_not_the_lock_of_the_pipeline(root: Path, load_text: Load) -> None:
    (root / "r.lock").write_text("pandas==1.0\n")
    top = (
        "environment: {python: '3.12', requirements: r.lock}\ndata: {d: {path: 'a b.csv', schema: s.yaml}}\n"
    )
    stage = expand(load_text, "{uses: validate-data, data: d}", top)
    assert stage.sources == ("a b.csv", "s.yaml")
    assert (stage.environment.python, stage.environment.requirements) == ("3.12", None)
    assert "pyarrow" in stage.environment.extra_requirements
    assert stage.run == "python .penstock-recipe/start.py validate .penstock-recipe/request.json\n"
    files = dict(stage.files)
    assert json.loads(files[".penstock-recipe/request.json"])["data"] == "a b.csv"
    assert "def main" in files[".penstock-recipe/penstock_programs/validate/main.py"]
    assert stage.outputs == (Output("build/penstock/s.validation.json", "validation"),)


def test_validation_of_data_that_a_stage_makes_needs_that_stage(load_text: Load) -> None:
    plan = load_text(
        f"{HEAD}data: {{d: {{path: o/d.csv, schema: s}}}}\n"
        "stages: {v: {uses: validate-data, data: d}, m: {run: x, outputs: [o]}}\n"
        "gates: [{gate: schema, data: d}]\n"
    ).plan
    assert plan.stage("v").needs == ("m",)
    assert plan.gates[0].reads == (("v", "build/penstock/v.validation.json"),)


def test_the_versions_of_the_user_win_over_those_of_a_recipe(root: Path, load_text: Load) -> None:
    (root / "base.txt").write_text("Typing_Extensions==4.0\n")
    (root / "r.lock").write_text("-r base.txt\nmypy==1.0 \\\n    --hash=sha256:aa\n")
    stage = expand(load_text, "{uses: lint, inputs: [a.py]}", "environment: {requirements: r.lock}\n")
    tools = stage.environment.extra_requirements
    assert "mypy==" not in tools
    assert "typing-extensions==" not in tools
    assert "ruff==" in tools


def test_a_stage_may_replace_a_recipe_s_environment(root: Path, load_text: Load) -> None:
    (root / "lint.lock").write_text("ruff==0.1\n")
    stage = expand(load_text, "{uses: lint, inputs: [a.py], environment: {requirements: lint.lock}}")
    assert stage.environment.requirements == "lint.lock"
    assert "ruff==" not in stage.environment.extra_requirements


def test_tools_are_pinned_with_hashes_and_hold_no_comments(load_text: Load) -> None:
    tools = expand(load_text, "{uses: pytest, inputs: [t]}").environment.extra_requirements
    assert tools
    for line in tools.splitlines():
        assert "==" in line
        assert "--hash=sha256:" in line
        assert "#" not in line


def test_logical_lines_join_what_is_continued_and_drop_comments() -> None:
    text = "# head\na==1 \\\n    --hash=x \\\n    --hash=y  # via z\n\n-r b.txt\nc @ https://h/c.whl#sha256=0\nd \\"
    assert list(logical_lines(text)) == [
        "a==1 --hash=x --hash=y",
        "-r b.txt",
        "c @ https://h/c.whl#sha256=0",
        "d",
    ]


def test_names_are_compared_in_their_normal_form() -> None:
    assert without("Foo.Bar==1\nbaz==2\n", {"foo-bar"}) == "baz==2\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", 'version = 1\n[[package]]\nname = "Ruff"\nversion = "1"\n'),
        ("pyproject.toml", "[project]\ndependencies = [\"ruff>=1; python_version > '3'\"]\n"),
        ("requirements.txt", "ruff[x]>=1 ; python_version > '3'\n-c other.txt\n--index-url https://x\n"),
    ],
)
def test_every_kind_of_lock_file_names_its_packages(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text)
    assert locked_names(name, Reads(root)) == {"ruff"}


def test_files_that_include_each_other_are_read_once(root: Path) -> None:
    (root / "a.txt").write_text("-r b.txt\na\n")
    (root / "b.txt").write_text("--requirement=a.txt\nb\n")
    assert locked_names("a.txt", Reads(root)) == {"a", "b"}


def test_a_missing_include_is_an_error_of_the_lock_file(root: Path) -> None:
    (root / "a.txt").write_text("-r nope.txt\n")
    with pytest.raises(PipelineError, match=r"nope\.txt"):
        locked_names("a.txt", Reads(root))
