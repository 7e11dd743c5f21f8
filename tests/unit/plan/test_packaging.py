"""The stage that packages a model: what it is asked, what of the lock goes along, and who implies it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import PipelineError
from penstock.plan.load import Loaded
from penstock.plan.model import Stage
from penstock.plan.reads import Reads
from penstock.plan.requirements import locked_lines

Load = Callable[..., Loaded]

HEAD = """\
version: 1
name: x
environment: {requirements: requirements.lock, python: "3.12"}
stages:
  train: {run: train, inputs: [src], outputs: {model: build/model}}
  evaluate: {run: evaluate, inputs: [build/model], outputs: {predictions: build/predictions.csv}}
"""
PACKAGE = "  package: {uses: package-model, data: d.csv, target: y, id: name, threshold: 0.3}\n"
UV_LOCK = """
version = 1
[[package]]
name = "alpha"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "u", hash = "sha256:b" }
wheels = [{ url = "u", hash = "sha256:a" }]
[[package]]
name = "own"
version = "0"
source = { editable = "." }
"""


@pytest.fixture
def project(root: Path) -> Path:
    (root / "src").mkdir()
    (root / "d.csv").touch()
    (root / "requirements.lock").write_text("numpy==2.4.6 --hash=sha256:0\nscikit-learn==1.9.1\n")
    return root


def request(stage: Stage) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(dict(stage.files)[".penstock-recipe/request.json"])
    return document


def test_a_package_is_held_against_the_judged_table_and_brings_the_lock(
    project: Path, load_text: Load
) -> None:
    stage = load_text(HEAD + PACKAGE).plan.stage("package")
    asked = request(stage)
    assert (asked["model"], asked["predictions"]) == ("build/model", "build/predictions.csv")
    assert (asked["threshold"], asked["id"], asked["python"]) == (0.3, "name", "3.12")
    assert asked["requirements"]["lines"] == ["numpy==2.4.6 --hash=sha256:0", "scikit-learn==1.9.1"]
    tools = [line.partition("==")[0] for line in asked["requirements"]["tools"]]
    assert "mlflow-skinny" in tools
    assert "numpy" not in tools  # the lock's version wins
    assert [(each.path, each.role) for each in stage.outputs] == [("build/penstock/package", "package")]
    assert stage.needs == ("evaluate", "train")
    assert stage.environment.extra_requirements == ""  # it is the project's own environment


def test_a_package_can_be_held_against_another_table_or_none(project: Path, load_text: Load) -> None:
    (project / "other.csv").touch()
    other = load_text(HEAD + PACKAGE.replace("}", ", predictions: other.csv}")).plan.stage("package")
    assert request(other)["predictions"] == "other.csv"
    none = load_text(HEAD + PACKAGE.replace("}", ", predictions: false}")).plan.stage("package")
    assert request(none)["predictions"] is None
    with pytest.raises(PipelineError, match="is neither a path nor false"):
        load_text(HEAD + PACKAGE.replace("}", ", predictions: 3}"))


def test_the_tables_columns_are_called_as_the_measuring_stage_says(project: Path, load_text: Load) -> None:
    measure = "  m: {uses: measure, columns: {id: key, prediction: said}}\n"
    asked = request(load_text(HEAD + PACKAGE + measure).plan.stage("package"))
    assert asked["columns"] == {"id": "key", "prediction": "said"}


def test_an_image_implies_a_package_of_what_is_tested(project: Path, load_text: Load) -> None:
    tests = "  t: {uses: model-tests, data: d.csv, target: y, drop: [z], trust: [a.B]}\n"
    plan = load_text(f"{HEAD}{tests}publish: {{image: {{repository: r.example/x}}}}\n").plan
    asked = request(plan.stage("package-model"))
    assert (asked["data"], asked["target"], asked["drop"], asked["trust"]) == ("d.csv", "y", ["z"], ["a.B"])
    with pytest.raises(
        PipelineError, match=r"`publish.image` packages the model, and no stage says which rows"
    ):
        load_text(f"{HEAD}publish: {{image: {{repository: r.example/x}}}}\n")


def test_included_files_and_constraints_are_followed(root: Path) -> None:
    (root / "locks").mkdir()
    (root / "locks/all.txt").write_text("-r more.txt\n-c limits.txt\nalpha>=1\n--find-links wheels\n")
    (root / "locks/more.txt").write_text("# what more\nbeta==2 \\\n  --hash=sha256:1\n")
    (root / "locks/limits.txt").write_text("alpha==1.5\nunused==3\n")
    assert locked_lines("locks/all.txt", Reads(root)) == [
        "beta==2 --hash=sha256:1",
        "alpha==1.5",
        "--find-links locks/wheels",
    ]


def test_of_a_uv_lock_releases_go_along_with_their_hashes(root: Path) -> None:
    (root / "uv.lock").write_text(UV_LOCK)
    assert locked_lines("uv.lock", Reads(root)) == ["alpha==1.0 --hash=sha256:a --hash=sha256:b"]
    (root / "pyproject.toml").write_text("[project]\nname = 'own'\n")
    assert locked_lines("pyproject.toml", Reads(root)) == ["alpha==1.0 --hash=sha256:a --hash=sha256:b"]
