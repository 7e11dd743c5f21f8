"""Commands of other tools do in a stage's shell what they do in shells of their own."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from penstock.plan.importers.shell import script

_WORDS = ("ls", "cat a.txt", "echo hi", "false", "true", "exit 3", "cd sub", "X=1", "export X=2", "echo $X")
_MORE = ("echo $UNSET", "echo 'a b' > out.txt", "cat < a.txt", "false; echo on", "false || echo or", "! true")
_ODD = ("echo {1,2}", "[[ a == a ]] && echo yes", "set -u", "false | cat", "cat a.txt | wc -l", 'echo "$0"')
_FAR = (
    "python3 -c 'print(1)' >> out.txt",
    "pwd",
    "echo \\",
    "(exit 4)",
    "ls *.txt",
    "ls *.nothing",
    "# said",
)


def _by_dvc(commands: list[str], place: Path) -> tuple[int, str]:
    """Each in a shell of its own, until one fails."""
    said = ""
    for command in commands:
        line = ["bash", "--noprofile", "--norc", "-c", command]
        done = subprocess.run(line, cwd=place, capture_output=True, text=True, check=False)
        said += done.stdout
        if done.returncode:
            return done.returncode, said
    return 0, said


def _tree(place: Path) -> dict[str, bytes]:
    return {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()}


def test_random_commands_do_what_they_do_in_shells_of_their_own(tmp_path: Path) -> None:
    draw = random.Random(7)
    for case in range(150):
        commands = [draw.choice((*_WORDS, *_MORE, *_ODD, *_FAR)) for _ in range(draw.randint(1, 4))]
        folder = draw.choice(("", "sub"))
        places = [tmp_path / f"{case}{side}" for side in "ab"]
        for place in places:
            (place / "sub" / "sub").mkdir(parents=True)
            for at in (place, place / "sub"):
                (at / "a.txt").write_text("1\n2\n")
        one = _by_dvc(commands, places[0] / folder)
        line = ["/bin/sh", "-euc", script(commands, folder)]
        done = subprocess.run(line, cwd=places[1], capture_output=True, text=True, check=False)
        said = one[1].replace(str(places[0]), str(places[1]))
        assert (done.returncode, done.stdout) == (one[0], said), commands
        assert _tree(places[0]) == _tree(places[1]), commands


@pytest.mark.parametrize(
    "command", ["python a.py --x 'two words' > out.txt", "./run.sh data/*.csv", "make -C sub"]
)
def test_what_every_shell_reads_alike_stays_as_it_is(command: str) -> None:
    assert script([command], "") == command


def test_nothing_in_a_folder_s_name_is_a_command(tmp_path: Path) -> None:
    name = "$(touch canary); x"
    (tmp_path / name).mkdir()
    subprocess.run(["/bin/sh", "-euc", script(["pwd"], name)], cwd=tmp_path, check=True, capture_output=True)
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path / name / "canary").exists()
