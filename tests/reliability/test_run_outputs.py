"""What stands at an output's path: the user's own is never overwritten, what a run wrote is replaced whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reliability.runs import Project, spread

PIPELINE = """\
stages:
  file: {run: 'cat a > f', inputs: [a], outputs: [f]}
  tree: {run: 'mkdir -p d/e; cat a > d/e/g; cp a d/h', inputs: [a], outputs: [d]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.at(tmp_path, PIPELINE)
    project.write("a", b"1")
    return project


@pytest.mark.parametrize("path", spread(["f", "d", "d/e/g", "d/own", "f/own"], 2))
def test_a_users_own_file_is_not_overwritten_by_a_stage(project: Project, path: str) -> None:
    project.write(path, b"mine")
    done = project.run()
    assert done.code == 2, done.said
    assert f"output '{path[0]}' stands there and was not written by Penstock" in done.err
    assert "--overwrite" in done.err
    assert project.contents() == {"a": b"1", path: b"mine"}
    assert project.runs("--overwrite") == {"file": "ran", "tree": "ran"}
    assert project.contents() == {"a": b"1", "f": b"1", "d/e/g": b"1", "d/h": b"1"}


@pytest.mark.parametrize("path", spread(["f", "d/e/g", "d/own"], 2))
def test_a_users_own_file_is_not_overwritten_on_a_hit(project: Project, path: str) -> None:
    project.runs()
    project.write(path, b"mine")
    before = project.contents()
    done = project.run()
    assert done.code == 2, done.said
    assert f"output '{path[0]}' stands there" in done.err
    assert project.contents() == before
    assert project.runs("--overwrite") == {"file": "cached", "tree": "cached"}
    assert project.contents() == {"a": b"1", "f": b"1", "d/e/g": b"1", "d/h": b"1"}


def test_a_users_own_file_in_a_second_clone_is_not_overwritten_on_a_hit(
    project: Project, tmp_path: Path
) -> None:
    project.runs()
    clone = Project.at(tmp_path, PIPELINE, name="clone")
    clone.write("a", b"1")
    clone.write("d/own", b"mine")
    done = clone.run()
    assert done.code == 2, done.said
    assert clone.contents()["d/own"] == b"mine"
    assert not (clone.root / "d/e").exists()  # the whole directory or nothing of it
    (clone.root / "d/own").unlink()
    (clone.root / "d").rmdir()
    assert clone.runs() == {"file": "cached", "tree": "cached"}
    assert clone.contents() == project.contents()


def test_what_a_run_wrote_is_replaced_whole(project: Project) -> None:
    for content in (b"1", b"2", b"1", b"3"):
        project.write("a", content)
        project.runs()
        assert project.contents() == {"a": content, "f": content, "d/e/g": content, "d/h": content}
    (project.root / "d/h").unlink()
    (project.root / "f").unlink()
    project.write("a", b"1")
    # what is left of the directory is all a run's, so nothing of anybody's is lost
    assert project.runs() == {"file": "cached", "tree": "cached"}
    assert project.contents() == {"a": b"1", "f": b"1", "d/e/g": b"1", "d/h": b"1"}


def test_outputs_that_are_declared_as_one_directory_later_are_no_conflict(tmp_path: Path) -> None:
    apart = "stages:\n  s: {run: 'cp a d/x; cp a d/y', inputs: [a], outputs: [d/x, d/y]}\n"
    project = Project.at(tmp_path, apart)
    project.write("a", b"1")
    assert project.runs() == {"s": "ran"}
    together = apart.replace("cp a d/x", "mkdir d; cp a d/x").replace("[d/x, d/y]", "[d]")
    project.write("p.yaml", f"version: 1\nname: p\n{together}".encode())
    assert project.runs() == {"s": "ran"}
    assert project.contents() == {"a": b"1", "d/x": b"1", "d/y": b"1"}


@pytest.mark.parametrize("again", spread(["file", "directory"], 1))
def test_an_output_may_be_a_file_now_and_a_directory_then(tmp_path: Path, again: str) -> None:
    pipeline = (
        "stages:\n"
        "  s: {run: 'case $(cat a) in file) cat a > b;; *) mkdir -p b/c; cat a > b/c/d;; esac',"
        " inputs: [a], outputs: [b]}\n"
    )
    project = Project.at(tmp_path, pipeline)
    other = "directory" if again == "file" else "file"
    wanted = {"file": {"b": b"file"}, "directory": {"b/c/d": b"directory"}}
    for kind, state in ((again, "ran"), (other, "ran"), (again, "cached"), (other, "cached")):
        project.write("a", kind.encode())
        assert project.runs() == {"s": state}
        assert project.contents() == {"a": kind.encode(), **wanted[kind]}
        assert project.leftovers() == []


def test_modes_and_links_of_outputs_come_back_as_they_were(tmp_path: Path) -> None:
    pipeline = (
        "stages:\n"
        "  s: {run: 'mkdir -p d/empty; echo 1 > d/x; chmod 755 d/x; ln -s x d/l; cp d/x x', outputs: [d, x]}\n"
    )
    project = Project.at(tmp_path, pipeline)

    def seen() -> object:
        return (
            os.access(project.root / "d/x", os.X_OK),
            os.access(project.root / "x", os.X_OK),
            (project.root / "d/l").readlink(),
            (project.root / "d/empty").is_dir(),
        )

    project.runs()
    assert seen() == (True, True, Path("x"), True)
    (project.root / "x").unlink()
    (project.root / "d").rename(tmp_path / "away")
    assert project.runs() == {"s": "cached"}
    assert seen() == (True, True, Path("x"), True)


def test_a_link_at_the_place_of_an_output_is_not_followed(project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/h").write_bytes(b"mine")
    (project.root / "d").symlink_to(tmp_path / "elsewhere")
    (project.root / "f").symlink_to(tmp_path / "elsewhere/h")
    done = project.run()
    assert done.code == 2, done.said
    project.runs("--overwrite")
    assert not (project.root / "d").is_symlink()
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["h"]
    assert (tmp_path / "elsewhere/h").read_bytes() == b"mine"


def test_an_output_whose_directory_leads_out_of_the_project_is_refused(tmp_path: Path) -> None:
    project = Project.at(tmp_path, "stages:\n  s: {run: 'echo 1 > out/f', outputs: [out/f]}\n")
    (tmp_path / "elsewhere").mkdir()
    (project.root / "out").symlink_to(tmp_path / "elsewhere")
    done = project.run("--overwrite")
    assert done.code == 2, done.said
    assert "leads out of the project" in done.said
    assert list((tmp_path / "elsewhere").iterdir()) == []
