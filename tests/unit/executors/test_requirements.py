from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import PipelineError
from penstock.executors.requirements import Requirements, read


def parsed(text: str, directory: Path = Path("/nowhere")) -> Requirements:
    wanted = Requirements()
    wanted.add_text(text, where="requirements.txt", directory=directory)
    return wanted


def test_comments_blank_lines_and_continuations_say_nothing() -> None:
    one = parsed(
        "# a\n\na==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11  # why\nb==2;python_version>'3'\r\n"
    )
    assert one.lines == ["a==1 --hash=sha256:00 --hash=sha256:11", "b==2;python_version>'3'"]
    assert one.digest == parsed("a==1 --hash=sha256:00 --hash=sha256:11\nb==2;python_version>'3'").digest


@pytest.mark.parametrize("text", ["a==2", "a==1\nb==1", "a==1 --hash=sha256:00", "--pre\na==1", "b==1\na==1"])
def test_anything_else_changes_the_digest(text: str) -> None:
    assert parsed(text).digest != parsed("a==1").digest


def test_a_url_with_a_fragment_is_no_comment() -> None:
    assert parsed("a @ https://x/a-1-py3-none-any.whl#sha256=00").lines == [
        "a @ https://x/a-1-py3-none-any.whl#sha256=00"
    ]


@pytest.mark.parametrize(
    "form", ["-r more/b.txt", "-rmore/b.txt", "--requirement more/b.txt", "--requirement=more/b.txt"]
)
def test_included_files_stand_where_they_are_included(tmp_path: Path, form: str) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.txt").write_text("b==1\n-r c.txt\n")
    (tmp_path / "more/c.txt").write_text("c==1\n-r b.txt\n-r ../a.txt\n")
    (tmp_path / "a.txt").write_text("last==1")
    assert parsed(f"a==1\n{form}\nd==1", tmp_path).lines == ["a==1", "b==1", "c==1", "last==1", "d==1"]


def test_constraints_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "limits.txt").write_text("b<2\n-r more.txt\n")
    (tmp_path / "more.txt").write_text("c<3\n")
    wanted = parsed("-c limits.txt\na==1", tmp_path)
    assert (wanted.lines, wanted.constraints) == (["a==1"], ["b<2", "c<3"])
    assert wanted.digest != parsed("a==1").digest


def test_a_directory_of_wheels_is_found_from_anywhere_and_its_place_is_no_part_of_the_digest(
    tmp_path: Path,
) -> None:
    wanted = parsed("--find-links ./wheels\n-f https://x/y\na==1", tmp_path)
    assert wanted.installable == [f"--find-links {tmp_path}/wheels", "-f https://x/y", "a==1"]
    assert wanted.digest == parsed("--find-links ./wheels\n-f https://x/y\na==1").digest


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-e .", r"'-e \.' installs a directory of this machine"),
        ("--editable=git+https://x/y", r"installs a directory of this machine"),
        ("./pkg", r"'\./pkg' is a path on this machine"),
        ("../pkg", r"is a path on this machine"),
        ("/opt/pkg", r"is a path on this machine"),
        ("~/pkg", r"is a path on this machine"),
        ("file:///opt/a.whl", r"is a path on this machine"),
        ("a @ file:///opt/a.whl", r"is a path on this machine"),
        ("wheels/a-1-py3-none-any.whl", r"is a path on this machine"),
        ("a-1.tar.gz ; python_version > '3'", r"is a path on this machine"),
        ("git+https://x/y", r"'git\+https://x/y' names no commit"),
        ("a @ git+https://x/y@main", r"names no commit, so what it installs can change\n  name one"),
        ("a @ git+ssh://git@host/y@v1.0#egg=a", r"names no commit"),
        ("hg+https://x/y@0123456789012345678901234567890123456789", r"names no commit"),
        ("-r https://x/requirements.txt", r"is not on this machine, so what it asks for can change unseen"),
        ("-r missing.txt", r"requirements file 'missing.txt' cannot be read: No such file"),
    ],
)
def test_a_line_that_does_not_determine_what_is_installed_is_refused_by_its_number(
    line: str, why: str
) -> None:
    with pytest.raises(PipelineError, match=rf"^requirements.txt:3: .*{why}"):
        parsed(f"a==1\n# comment\n{line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "a @ git+https://x/y@0123456789012345678901234567890123456789",
        "a @ git+ssh://git@host/y@0123456789012345678901234567890123456789#subdirectory=z",
        "a[extra]==1.0",
        "--index-url https://user:word@host/simple",
        "a @ https://x/a-1-py3-none-any.whl",
        "zip-thing==1",
    ],
)
def test_a_line_that_determines_what_is_installed_is_taken(line: str) -> None:
    assert parsed(line).lines == [line]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_bytes(b"a==1\n\xff\xfe")
    with pytest.raises(
        PipelineError, match=r"pipeline.yaml:3: requirements file 'r.txt' is not UTF-8 \(byte 5\)"
    ):
        read(tmp_path / "r.txt", "r.txt", "pipeline.yaml:3")


def test_the_mark_that_some_editors_put_in_front_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_bytes(b"\xef\xbb\xbfa==1\n")
    assert read(tmp_path / "r.txt", "r.txt", "x") == "a==1\n"
