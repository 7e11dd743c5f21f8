"""Inputs that change while their stage runs, whose times lie, and whose names are odd."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reliability.runs import Project, ended, spread
from stage_samples import MODES, found

COPY = "stages:\n  copy: {run: 'cat a > b', inputs: [a], outputs: [b]}\n"


def written(project: Project) -> bool:
    """Whether the slow stage has written its output, in a workspace that may just be going away."""
    try:
        return bool(list(project.root.glob(".penstock/work/*/slow-*/b")))
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("mode", spread(MODES, 1))
def test_an_input_that_is_edited_while_its_stage_runs_fails_it_by_name(tmp_path: Path, mode: str) -> None:
    found(mode)
    pipeline = "stages:\n  slow: {run: 'cat a > b; sleep 0.6', inputs: [a], outputs: [b]}\n"
    project = Project.at(tmp_path, pipeline, sandbox=mode)
    project.write("a", b"before")
    process = project.start("run", "-f", "p.yaml", "-v")
    while not written(project):
        time.sleep(0.005)
    project.write("a", b"after!")
    done = ended(process)
    assert done.code == 1, done.said
    assert "slow" in done.said
    assert "input 'a' changed while the stage ran" in done.said
    assert not (project.root / "b").exists()
    project.write("a", b"before")
    assert project.runs() == {"slow": "ran"}  # nothing of the spoilt run was kept
    assert project.contents()["b"] == b"before"
    project.verify()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "deed", spread(["echo x >> in/f", "rm in/f", "echo x > in/new", "chmod 755 in/f", "mv in/f in/g"], 1)
)
def test_a_stage_that_changes_its_input_fails_and_the_input_stays_as_it_was(
    tmp_path: Path, mode: str, deed: str
) -> None:
    found(mode)
    pipeline = (
        "stages:\n"
        "  make: {run: 'mkdir in; cat a > in/f', inputs: [a], outputs: [in]}\n"
        f"  spoil: {{run: '{deed}; touch b', inputs: [in], outputs: [b]}}\n"
    )
    project = Project.at(tmp_path, pipeline, sandbox=mode)
    project.write("a", b"content")
    for _ in range(2):
        done = project.run()
        assert done.code == 1, done.said
        assert project.states() == {
            "make": "ran" if "make: ran" in done.err else "cached",
            "spoil": "failed",
        }
        assert "spoil" in done.said
        assert "in" in done.said
        assert project.contents() == {"a": b"content", "in/f": b"content"}
    project.verify()


def test_an_edit_is_noticed_whatever_the_clock_says(tmp_path: Path) -> None:
    project = Project.at(tmp_path, COPY)
    target = project.write("a", b"00")
    project.runs()
    times = [0, 1, 10**9, int(time.time()), int(time.time()) + 10 * 365 * 86400, 2**33]
    for number in range(1, 7):
        about = target.stat()
        content = b"%02d" % number
        target.write_bytes(content)
        if number % 2:  # the same size and the same time as before
            os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
        else:
            os.utime(target, (times[number // 2 - 1],) * 2)
        assert project.runs() == {"copy": "ran"}
        assert project.contents()["b"] == content


def test_a_touch_makes_nothing_run(tmp_path: Path) -> None:
    project = Project.at(tmp_path, COPY)
    target = project.write("a", b"1")
    project.runs()
    for moment in (0, 10**9, 2**33):
        os.utime(target, (moment, moment))
        assert project.runs() == {"copy": "cached"}


def test_another_file_of_the_same_size_and_time_in_its_place_is_noticed(tmp_path: Path) -> None:
    project = Project.at(tmp_path, COPY)
    target = project.write("a", b"1")
    os.utime(target, (10**9, 10**9))
    project.runs()
    for content in (b"2", b"3", b"1"):
        other = project.write("other", content)
        os.utime(other, (10**9, 10**9))
        other.replace(target)
        project.runs()
        assert project.contents()["b"] == content


NAMES = [
    b"new\nline",
    b"tab\tand\x01control",
    b"not utf-8 \xff\xfe",
    b"-rf",
    b"--help",
    b" spaces ",
    b"quotes'\"`$(x)\\",
    "caf\u00e9".encode(),
    "cafe\u0301".encode(),
    "\u202eright to left".encode(),
    b"x" * 255,
    b"*",
    b"[a]?",
    b"{run}",
    b"#",
    b"~",
]


@pytest.mark.parametrize("mode", MODES)
def test_odd_names_in_directories_come_out_as_they_went_in(tmp_path: Path, mode: str) -> None:
    found(mode)
    pipeline = (
        "stages:\n"
        "  copy: {run: 'cp -a in out', inputs: [in], outputs: [out]}\n"
        "  again: {run: 'cp -a out out2', inputs: [out], outputs: [out2]}\n"
    )
    project = Project.at(tmp_path, pipeline, sandbox=mode)
    for number, name in enumerate(NAMES):
        project.write(f"in/{os.fsdecode(name)}", b"%d" % number)
        if len(name) < 200:
            project.write(f"in/sub{number}/{os.fsdecode(name)}.d/f", b"%d" % number)
    (project.root / "in/link").symlink_to("sub0")
    wanted = {path: content for path, content in project.contents().items() if path.startswith("in/")}
    for _ in range(2):
        project.runs()
        contents = project.contents()
        for path, content in wanted.items():
            assert contents["out" + path[2:]] == contents["out2" + path[2:]] == content
        assert len(contents) == 3 * len(wanted)
        assert (project.root / "out2/link").readlink() == Path("sub0")
        shutil.rmtree(project.root / "out")
        shutil.rmtree(project.root / "out2")
    assert project.runs() == {"copy": "cached", "again": "cached"}
    project.verify()


DECLARABLE = [name.decode() for name in NAMES if b"\xff" not in name and name not in (b"*", b"[a]?", b"#")]


@pytest.mark.parametrize("name", spread(DECLARABLE, 3))
def test_an_odd_name_may_be_declared_or_is_refused_by_line(tmp_path: Path, name: str) -> None:
    project = Project.at(
        tmp_path,
        "stages:\n"
        "  copy:\n"
        f"    inputs: [{json.dumps(name)}]\n"
        "    outputs: [out]\n"
        '    run: |\n      mkdir out; for f in ./*; do if [ -f "$f" ]; then cp -- "$f" out/; fi; done\n',
    )
    project.write(name, b"content")
    done = project.run()
    assert done.code in (0, 2), done.said
    if done.code == 0:
        assert project.contents()[f"out/{name}"] == b"content"
    else:
        assert "p.yaml:5" in done.err


def _fifo(place: Path) -> None:
    os.mkfifo(place / "odd")


def _link_out(place: Path) -> None:
    (place / "odd").symlink_to("/etc/passwd")


def _link_up(place: Path) -> None:
    (place / "odd").symlink_to("../../secret")


def _dangling(place: Path) -> None:
    (place / "odd").symlink_to("../nothing")


@pytest.mark.parametrize("make", [_fifo, _link_out, _link_up, _dangling])
@pytest.mark.parametrize("declared", spread(["in", "in/odd", "in/*"], 1))
def test_what_cannot_be_an_input_is_named_and_waited_for_by_nobody(
    tmp_path: Path, make: object, declared: str
) -> None:
    project = Project.at(tmp_path, f"stages:\n  s: {{run: 'true', inputs: [\"{declared}\"]}}\n")
    project.write("in/f", b"1")
    (tmp_path / "secret").write_text("secret")
    assert callable(make)
    make(project.root / "in")
    done = project.run(timeout_s=10)
    assert done.code == 2, done.said
    assert "in/odd" in done.err
    assert "p.yaml:4: stage 's'" in done.err


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "deed",
    spread(
        [
            "mkdir out; ln -s /etc/passwd out/odd",
            "mkdir out; ln -s ../../up out/odd",
            "mkdir out; mkfifo out/odd",
            "ln -s /etc/passwd out",
            "mkfifo out",
            "ln -s /etc out",
        ],
        1,
    ),
)
def test_what_cannot_be_an_output_fails_the_stage_by_name(tmp_path: Path, mode: str, deed: str) -> None:
    found(mode)
    project = Project.at(tmp_path, f"stages:\n  s: {{run: '{deed}', outputs: [out]}}\n", sandbox=mode)
    done = project.run(timeout_s=20)
    assert done.code == 1, done.said
    assert "out" in done.said
    assert "odd" in done.said or "odd" not in deed
    assert project.contents() == {}
    assert project.leftovers() == []


@pytest.fixture
def ordinary(tmp_path: Path) -> Iterator[Path]:
    """A directory of a user who is not root, whom no mode bit lets pass."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("becoming another user takes root and setpriv")
    with tempfile.TemporaryDirectory(prefix="penstock-test-") as place:
        os.chown(place, 65534, 65534)
        yield Path(place)


BECOME = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.mark.parametrize("unreadable", spread(["in", "in/f", "in/d"], 1))
def test_an_input_that_may_not_be_read_is_named(ordinary: Path, unreadable: str) -> None:
    project = Project.at(ordinary, "stages:\n  s: {run: 'cp -r in out', inputs: [in], outputs: [out]}\n")
    project.write("in/f", b"1")
    project.write("in/d/g", b"1")
    subprocess.run(["chown", "-R", "65534:65534", str(ordinary)], check=True)
    (project.home).mkdir()
    os.chown(project.home, 65534, 65534)
    mode = (project.root / unreadable).stat().st_mode
    (project.root / unreadable).chmod(0)
    done = project.run(before=BECOME, timeout_s=20)
    assert done.code == 2, done.said
    assert re.search(f"{unreadable}/?: Permission denied", done.err)
    (project.root / unreadable).chmod(mode)
    assert project.runs(before=BECOME) == {"s": "ran"}


def test_an_output_without_permissions_does_not_stop_the_next_run(ordinary: Path) -> None:
    project = Project.at(
        ordinary, "stages:\n  s: {run: 'mkdir -p out/d; echo 1 > out/d/f; chmod 0 out/d', outputs: [out]}\n"
    )
    project.home.mkdir()
    subprocess.run(["chown", "-R", "65534:65534", str(ordinary)], check=True)
    for _ in range(2):
        done = project.run(before=BECOME, timeout_s=20)
        assert done.code == 1, done.said
        assert "Permission denied" in done.said
        assert project.leftovers() == []
