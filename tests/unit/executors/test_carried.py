from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock.executors.carried import LAUNCH, STAGE, SURVEY, carried
from penstock.executors.in_container import ATTEMPT, RUN, TIMEOUT

PYTHON = getattr(sys, "_base_executable", None) or sys.executable


def lay_out(place: Path, modules: tuple[str, ...]) -> Path:
    for path, text in carried(modules).items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    return place


class Container:
    """A directory that stands for a container."""

    def __init__(self, top: Path) -> None:
        self.library = lay_out(top / "lib", STAGE)
        self.work = top / "work"
        self.work.mkdir(parents=True)
        self.top = top
        self.runs = 0
        self.out = ""

    def run(
        self, command: str, *, environ: Mapping[str, str] | None = None, **spec: object
    ) -> dict[str, Any]:
        whole = {
            "work": str(self.work),
            "variables": {},
            "path": [],
            "archives": {},
            "files": {},
            "outputs": [],
            "secrets": [],
        }
        self.runs += 1
        (self.top / "spec.json").write_text(json.dumps(whole | spec))
        result = self.top / f"result{self.runs}"
        done = subprocess.run(
            [
                PYTHON,
                "-I",
                "-S",
                self.library,
                "run",
                self.top / "spec.json",
                result,
                "/bin/sh",
                "-euc",
                command,
            ],
            env={"PATH": os.environ["PATH"], RUN: "this-run", **(environ or {})},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.out = done.stdout
        found: dict[str, Any] = json.loads((result / ATTEMPT).read_bytes())
        return found


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


@pytest.mark.parametrize("modules", [STAGE, SURVEY], ids=["stage", "survey"])
def test_what_is_carried_needs_nothing_else(tmp_path: Path, modules: tuple[str, ...]) -> None:
    place = lay_out(tmp_path / "lib", modules)
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(place)!r});"
        f"import {', '.join('penstock.' + name[:-3].replace('/', '.') for name in modules)};"
        "names = {n.partition('.')[0] for n in sys.modules};"
        "print(sorted(names - set(sys.stdlib_module_names) - {'penstock', '__main__'}))"
    )
    done = subprocess.run(
        [PYTHON, "-I", "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_launcher_is_a_shell_script_that_names_a_mounted_python() -> None:
    text = carried(STAGE)[LAUNCH]
    assert subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=False).returncode == 0
    assert "at=/penstock/runtime\n" in text


def test_a_command_gets_its_variables_and_not_those_of_the_watcher(container: Container) -> None:
    found = container.run(
        'echo "$A ${PENSTOCK_RUN-no} ${PENSTOCK_TIMEOUT_S-no} $PATH"; pwd',
        environ={TIMEOUT: "30"},
        variables={"A": "it's"},
        path=["/first"],
    )
    first, second = found["log"].splitlines()
    assert first.startswith("it's no no /first:")
    assert second == str(container.work)
    assert (found["run"], found["exit_code"], found["timed_out"]) == ("this-run", 0, False)
    assert container.out == found["log"]


@pytest.mark.parametrize(
    ("command", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("nothing-there", 127)]
)
def test_it_ends_with_0_however_the_command_ends(container: Container, command: str, code: int) -> None:
    assert container.run(command)["exit_code"] == code


def test_a_command_that_takes_too_long_is_ended_with_all_its_children(container: Container) -> None:
    began = time.monotonic()
    found = container.run("echo a; sleep 301.25 & setsid sleep 301.25", environ={TIMEOUT: "0.5"})
    assert (found["exit_code"], found["timed_out"], found["log"]) == (124, True, "a\n")
    assert time.monotonic() - began < 20
    running = subprocess.run(["pgrep", "-f", "sleep 301.25"], capture_output=True, check=False)
    assert running.stdout == b""


def test_outputs_are_described_and_directories_archived(container: Container) -> None:
    found = container.run(
        "mkdir -p d/e; echo 1 > d/a; ln -s a d/l; echo 2 > f; chmod +x f", outputs=["d", "f"]
    )
    directory, file = found["outputs"]
    assert (directory["kind"], directory["files"], directory["archive"]) == ("directory", 1, "0.tar")
    assert (file["kind"], file["size_bytes"]) == ("executable", 2)
    archive = container.top / "result1/0.tar"
    first = archive.read_bytes()
    again = Container(container.top / "again")
    again.run('test "$(cat in/d/a)" = 1; test -L in/d/l; test -d in/d/e', archives={"in/d": str(archive)})
    other = Container(container.top / "other")
    other.run("mkdir -p d/e; ln -s a d/l; echo 1 > d/a; touch -d @5 d/a", outputs=["d"])
    assert (other.top / "result1/0.tar").read_bytes() == first, "no times, no order of the disk"


@pytest.mark.parametrize(
    ("command", "changed"),
    [
        ("echo 2 > in/a", "in/a"),
        ("rm in/a", "in"),
        ("touch in/b", "in"),
        ("chmod +x in/a", "in/a"),
        ("true", None),
    ],
)
def test_changed_inputs_are_noticed(container: Container, command: str, changed: str | None) -> None:
    (container.work / "in").mkdir()
    (container.work / "in/a").write_text("1")
    time.sleep(0.02)
    found = container.run(f"{command}; echo > out", outputs=["out"])
    assert found["changed"][:1] == ([changed] if changed else [])
    assert bool(found["outputs"]) is (changed is None)


def test_files_are_put_there_and_may_be_written_over(container: Container) -> None:
    found = container.run(
        "cat deep/params.yaml; echo > deep/params.yaml; echo > deep/out",
        files={"deep/params.yaml": "a: ü\n"},
        outputs=["deep/out"],
    )
    assert found["log"] == "a: ü\n"
    assert found["changed"] == []


def test_what_was_written_instead_is_listed(container: Container) -> None:
    (container.work / "in").write_text("x")
    found = container.run("mkdir -p d/e; : > d/e/f; : > g", outputs=["d/out", "o"], files={"p": "x"})
    assert found["missing"] == ["d/out", "o"]
    assert found["written"] == ["d/e/f", "g"]


def test_a_secret_is_masked_and_refused(container: Container) -> None:
    found = container.run(
        'echo "$TOKEN"; echo "$TOKEN" > out',
        environ={"TOKEN": "hunter-2-hunter-2"},
        secrets=["TOKEN"],
        outputs=["out"],
    )
    assert found["log"] == "***\n"
    assert "holds the value of secret 'TOKEN'" in found["problem"]
    assert found["outputs"] == []
    assert "hunter-2" not in container.out


def test_a_survey_tells_what_paths_hold(tmp_path: Path) -> None:
    library = lay_out(tmp_path / "lib", SURVEY)
    root = tmp_path / "root"
    (root / "in/__pycache__").mkdir(parents=True)
    (root / "in/a").write_text("1")
    (root / "in/__pycache__/x").write_text("1")
    (root / "in/out").write_text("made")
    (root / "l").symlink_to("in/a")
    (root / "bad").symlink_to("../../etc")
    request = {"paths": ["in", "l", "*.x", "none", "in/*", "bad"], "outputs": ["in/out"], "ignore": []}
    (tmp_path / "request").write_text(json.dumps(request))
    done = subprocess.run(
        [PYTHON, "-I", "-S", library, tmp_path / "request", root, tmp_path / "result"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "result").read_bytes())
    assert found["in"]["files"] == 1
    assert sorted(found["in"]["masked"]) == ["in/__pycache__", "in/out"]
    assert found["l"]["real"] == "in/a"
    assert found["none"] is None
    assert found["*.x"] is None
    assert found["in/*"]["members"] == ["in/a"]
    assert "leads out of the root" in found["bad"]["error"][0]
    assert not (root / ".penstock").exists()
