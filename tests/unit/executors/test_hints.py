from __future__ import annotations

from pathlib import Path

import pytest

from penstock.executors.hints import inputs_written, nearest_file, undeclared_inputs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in ("src/churn/features.py", "src/churn/train.py", "data/x.csv", "odd.sh"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/x.csv'", ("data/x.csv",)),
        ("cat: data/x.csv: No such file or directory", ("data/x.csv",)),
        (
            "python: can't open file '/penstock/work/src/churn/features.py': [Errno 2]",
            ("src/churn/features.py",),
        ),
        ("ModuleNotFoundError: No module named 'churn.features'", ("src/churn/features.py",)),
        ("sh: 1: ./odd.sh: not found", ("odd.sh",)),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'src/churn/train.py'", ()),
        ("No such file or directory: 'nowhere.csv'", ()),
        ("No such file or directory: '../../etc/passwd'", ()),
        ("No such file or directory: '/etc/passwd'", ()),
        ("all is well with data/x.csv", ()),
        ("No such file: " + "x" * 5000, ()),
    ],
)
def test_a_complaint_about_a_file_of_the_project_names_it(
    root: Path, line: str, found: tuple[str, ...]
) -> None:
    assert undeclared_inputs(line, root, ["src/churn/train.py"], {"PYTHONPATH": "src"}) == found


def test_the_file_that_was_meant_is_offered(root: Path) -> None:
    assert nearest_file(root, "src/churn/feature.py") == ("nearest file: 'src/churn/features.py'",)
    assert nearest_file(root, "od.sh") == ("nearest file: 'odd.sh'",)
    assert nearest_file(root, "src/other/feature.py") == ()
    assert nearest_file(root, "zzz") == ()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("OSError: [Errno 30] Read-only file system: 'data/x.csv'", ("data/x.csv",)),
        (
            "sh: 1: cannot create /penstock/work/data/splits/new.csv: Read-only file system",
            ("data/splits/new.csv",),
        ),
        ("OSError: [Errno 30] Read-only file system: '/etc/passwd'", ()),
        ("read data/x.csv", ()),
    ],
)
def test_an_input_that_could_not_be_changed_is_named(line: str, found: tuple[str, ...]) -> None:
    assert inputs_written(line, ["data/x.csv", "data/splits"]) == found


def test_what_dvc_keeps_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/t.csv.dvc").touch()
    (tmp_path / "data/images.dvc").touch()
    told = "DVC keeps it: declare a data set, `data: {name: {dvc: %s}}`"
    assert nearest_file(tmp_path, "data/t.csv") == (told % "data/t.csv.dvc",)
    assert nearest_file(tmp_path, "data/images/cats/1.png") == (told % "data/images.dvc",)
