"""`MLproject` as stages, and its environments as ones that uv can make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.errors import PipelineError
from penstock.plan.importers import mlproject
from penstock.plan.importers.found import Imported, Names
from penstock.plan.problems import Problems
from penstock.plan.reads import Reads

PROJECT = """\
name: wine
conda_env: conda.yaml
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      tol: {type: float, default: 1e-3}
      data: {type: path, default: data/x.csv}
      flag: {default: yes}
      note: {type: string, default: None}
    command: "python train.py {alpha} {tol} {data} {flag} {note}"
  validate:
    parameters:
      data: path
    command: "python validate.py {data}"
"""


def _read(root: Path, text: str, entry_points: Any = None, **files: str) -> Imported:
    for name, content in {"MLproject": text, **files}.items():
        path = root / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    problems = Problems()
    asked = mlproject.Asked(entry_points=entry_points)
    found = mlproject.read("MLproject", Reads(root=root), problems, Names(), asked)
    problems.raise_if_any()
    return found


def test_main_is_run_with_its_defaults_as_mlflow_writes_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.csv").write_text("a\n")
    found = _read(tmp_path, PROJECT, conda__yaml="dependencies: []\n")
    assert [stage.name for stage in found.stages] == ["main"]
    fields = found.stages[0].fields
    assert fields["run"] == "python train.py 0.5 1e-3 data/x.csv True None\nmkdir -p build/mlflow/main"
    assert fields["inputs"] == ["data/x.csv"]
    assert fields["outputs"] == {"mlruns": "build/mlflow/main"}
    assert any("MLproject:12: entry point 'validate' is not run" in note for note in found.notes)


def test_parameters_are_given_by_name_and_further_ones_become_options(tmp_path: Path) -> None:
    asked = {"validate": {"data": "a b.csv", "more": "x y"}}
    run = _read(tmp_path, PROJECT, asked, conda__yaml="").stages[0].fields["run"]
    assert run.startswith("python validate.py 'a b.csv' --more 'x y'\n")


def test_a_required_parameter_that_is_not_given_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(
        PipelineError, match=r"MLproject:14: entry point 'validate': parameter 'data' has no"
    ) as caught:
        _read(tmp_path, PROJECT, ["validate"], conda__yaml="")
    assert "write `entry_points: {validate: {data: ...}}`" in str(caught.value)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("python {nothing}", "MLproject:4: entry point 'main': `{nothing}` in its command is none of"),
        ("python {a:9999999999}", "`{a}` in its command is none of its parameters"),
        ("python {a.__class__}", "`{a.__class__}` in its command is none of its parameters"),
        ("python {a", "its command cannot be filled in"),
    ],
)
def test_only_parameters_can_stand_in_a_command(command: str, message: str, tmp_path: Path) -> None:
    text = f"entry_points:\n  main:\n    parameters: {{a: {{default: 1}}}}\n    command: '{command}'\n"
    with pytest.raises(PipelineError) as caught:
        _read(tmp_path, text)
    assert message in str(caught.value)


CONDA = """\
name: x
channels: [conda-forge]
dependencies:
  - python=3.11.4
  - pip
  - scikit-learn=1.2
  - conda-forge::numpy=1.24.3=py311_0
  - pytorch>=2.0
  - cudatoolkit=11.8
  - pip:
    - mlflow==2.9.2
    - pandas>=2
    - -r more.txt
    - --index-url https://example.org
"""


def test_packages_of_conda_are_taken_from_pypi_where_they_are_there(tmp_path: Path) -> None:
    found = _read(tmp_path, PROJECT, conda__yaml=CONDA)
    assert found.environment == {
        "python": "3.11",
        "packages": ["scikit-learn==1.2.*", "numpy==1.24.3", "torch>=2.0", "mlflow==2.9.2", "pandas>=2"],
        "requirements": "more.txt",
    }
    text = "\n".join(found.notes)
    for told in (
        "conda.yaml:4: Python 3.11.4 is taken as 3.11, whichever of it there is",
        "conda.yaml:8: conda's 'pytorch>=2.0' is taken from PyPI: torch>=2.0",
        "conda.yaml:9: 'cudatoolkit=11.8' is a package of conda's only: install it in the image",
        "conda.yaml:12: 'pandas>=2' is not pinned",
        "conda.yaml:14: option '--index-url https://example.org' of pip is not carried over",
    ):
        assert told in text


def test_an_environment_of_python_alone_names_its_requirements(tmp_path: Path) -> None:
    text = "python_env: env.yaml\nentry_points: {main: {command: python a.py}}\n"
    env = 'python: "3.11"\nbuild_dependencies: [pip]\ndependencies: [-r requirements.txt]\n'
    found = _read(tmp_path, text, env__yaml=env)
    assert found.environment == {"python": "3.11", "requirements": "requirements.txt"}


def test_an_image_is_for_executors_that_have_images(tmp_path: Path) -> None:
    docker = 'docker_env:\n  image: base:1\n  volumes: ["/a:/b"]\n  environment: [[A, b], HOME]\n'
    found = _read(tmp_path, docker + "entry_points: {main: {command: python a.py}}\n")
    assert found.environment == {"image": "base:1"}
    assert found.stages[0].fields["variables"]["A"] == "b"
    assert [note.split(":")[1] for note in found.notes] == ["2", "3", "4"]


def test_data_that_mlflow_would_download_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="which MLflow would download"):
        _read(tmp_path, PROJECT, {"validate": {"data": "s3://b/x.csv"}}, conda__yaml="")
