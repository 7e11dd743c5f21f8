"""Stages of other tools' files in a pipeline file: beside own ones, changed, with parameters laid over."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import PipelineError
from penstock.plan.load import load
from penstock.plan.model import Overlay, Produced
from penstock.plan.reads import Reads

DVC = """\
stages:
  prepare:
    cmd: python prepare.py ${split}
    deps: [prepare.py]
    outs: [build/rows.csv]
  train:
    cmd: python train.py
    deps: [build/rows.csv]
    params: [model.lr]
    outs:
    - build/model.pkl
    - log.txt: {persist: true}
    metrics:
    - metrics.json: {cache: false}
"""
PARAMS = "split: 0.2\nmodel: {lr: 1, depth: 3}\n"


@pytest.fixture
def project(root: Path) -> Path:
    (root / "dvc.yaml").write_text(DVC)
    (root / "params.yaml").write_text(PARAMS)
    return root


def test_stages_of_dvc_are_the_pipeline_s_own(project: Path, load_text: Any) -> None:
    plan = load_text("version: 1\nname: x\nstages: {from: dvc.yaml}\n").plan
    assert [stage.name for stage in plan.stages] == ["prepare", "train"]
    prepare, train = plan.stages
    assert prepare.run == "python prepare.py 0.2"
    assert train.observe
    assert train.overwrite
    assert train.produced == (Produced("build/rows.csv", "prepare", "build/rows.csv"),)
    assert {each.path: (each.role, each.persist) for each in train.outputs} == {
        "build/model.pkl": ("model.pkl", False),
        "log.txt": ("log.txt", True),
        "metrics.json": ("metrics", False),
    }
    assert train.params == {"model": {"lr": 1}}
    assert train.params_file is None  # it sees the file itself, as it is
    assert (train.file, train.line) == ("dvc.yaml", 6)
    assert plan.place(train) == "dvc.yaml:6: stage 'train'"


def test_values_that_are_laid_over_parameters_reach_templates_and_stages(
    project: Path, load_text: Any
) -> None:
    text = "version: 1\nname: x\nstages: {from: dvc.yaml}\nprofiles: {quick: {params: {model.depth: 1}}}\n"
    plan = load_text(text, sets=("split=0.5",), profile="quick").plan
    prepare, train = plan.stages
    assert prepare.run == "python prepare.py 0.5"
    assert train.params == {"split": 0.5, "model": {"lr": 1, "depth": 1}}
    assert train.params_file == "params.yaml"


def test_own_stages_stand_beside_imported_ones_and_change_them(project: Path, load_text: Any) -> None:
    text = """\
version: 1
name: x
stages:
  from: dvc.yaml
  train: {timeout: 2h, variables: {A: b}}
  report: {run: cat metrics.json > report.txt, inputs: [metrics.json], outputs: [report.txt]}
gates:
  - {gate: threshold, metric: accuracy, min: 0.5}
profiles: {slow: {stages: {train: {timeout: 3h}}}}
"""
    plan = load_text(text, profile="slow").plan
    assert [stage.name for stage in plan.stages] == ["prepare", "train", "report"]
    train = plan.stage("train")
    assert train.timeout_s == 3 * 3600
    assert dict(train.variables) == {"A": "b", "DVC_ROOT": ".", "DVC_STAGE": "train"}
    assert plan.stage("report").produced[0].stage == "train"
    assert plan.gates[0].reads == (("train", "metrics.json"),)


def test_several_files_can_be_imported_and_their_names_kept_apart(project: Path, load_text: Any) -> None:
    (project / "sub").mkdir()
    (project / "sub/dvc.yaml").write_text(
        "stages:\n  train: {cmd: pwd, deps: [../build/model.pkl], outs: [x.txt]}\n"
    )
    (project / "MLproject").write_text("entry_points: {main: {command: python main.py}}\n")
    text = "version: 1\nname: x\nstages: {from: [dvc.yaml, sub/dvc.yaml, MLproject], entry_points: [main]}\n"
    plan = load_text(text).plan
    assert [stage.name for stage in plan.stages] == ["prepare", "train", "sub-train", "main"]
    other = plan.stage("sub-train")
    assert other.run.startswith("cd sub\n")
    assert [output.path for output in other.outputs] == ["sub/x.txt"]
    assert dict(other.variables) == {"DVC_ROOT": "..", "DVC_STAGE": "sub/dvc.yaml:train"}
    assert plan.notes


WRONG = {
    "an unknown file": ("{from: Makefile}", "p.yaml:3: `from` is 'Makefile', which is none of the files"),
    "a path outside": ("{from: ../dvc.yaml}", "p.yaml:3: `from` is '../dvc.yaml', which may lead out"),
    "entry points of none": ("{from: dvc.yaml, entry_points: [a]}", "p.yaml:3: `entry_points` belongs to"),
    "a file that is gone": ("{from: no/dvc.yaml}", "no/dvc.yaml: does not exist"),
    "an unknown entry point": (
        "{from: MLproject, entry_points: [b]}",
        "p.yaml:3: MLproject has no entry point 'b'",
    ),
    "a change of no stage": ("{from: dvc.yaml, tune: {timeout: 1h}}", "p.yaml:3: stage 'tune'"),
    "an output twice": (
        "{from: dvc.yaml, own: {run: ls, outputs: [build]}}",
        "dvc.yaml:5: stage 'prepare': output 'build/rows.csv' lies in 'build', which stage 'own' writes already",
    ),
}


@pytest.mark.parametrize(("stages", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_where_it_stands(
    stages: str, message: str, project: Path, load_text: Any
) -> None:
    (project / "MLproject").write_text("entry_points: {main: {command: python main.py}}\n")
    with pytest.raises(PipelineError) as caught:
        load_text(f"version: 1\nname: x\nstages: {stages}\n")
    assert message in str(caught.value)


def test_a_changed_dvc_file_makes_a_kept_plan_stale(project: Path, load_text: Any) -> None:
    read = load_text("version: 1\nname: x\nstages: {from: dvc.yaml}\n").read
    for name in ("dvc.yaml", "params.yaml", "p.yaml"):
        assert read[str(project / name)].startswith("sha256:")
    assert read[str(project / ".dvc/config")] == "absent"


def test_the_environment_of_a_project_gives_way_to_the_pipeline_s(root: Path, load_text: Any) -> None:
    (root / "MLproject").write_text("conda_env: c.yaml\nentry_points: {main: {command: python main.py}}\n")
    (root / "c.yaml").write_text("dependencies: [python=3.9, pip: [six==1.16.0]]\n")
    text = 'version: 1\nname: x\nenvironment: {python: ">=3.11"}\nstages: {from: MLproject}\n'
    environment = load_text(text).plan.stages[0].environment
    assert environment.python == ">=3.11"
    assert environment.extra_requirements == "six==1.16.0\n"


def test_a_plan_from_afar_learns_which_files_it_lacks(root: Path) -> None:
    text = "version: 1\nname: x\nstages: {from: [dvc.yaml, MLproject]}\n"
    (root / "p.yaml").write_text(text)
    for name in ("dvc.yaml", "params.yaml", "vars.json", "MLproject", "c.yaml"):
        reads = Reads(root)
        with suppress(PipelineError):
            load(root / "p.yaml", Overlay(), reads)
        assert reads.seen[str(root / name)] == "absent", name
        (root / name).write_text(
            {
                "dvc.yaml": "vars: [vars.json]\nstages:\n  a: {cmd: ls, params: [b], deps: [big.csv]}\n",
                "params.yaml": "b: 1\n",
                "vars.json": "{}",
                "MLproject": "conda_env: c.yaml\nentry_points: {main: {command: ls}}\n",
                "c.yaml": "dependencies: []\n",
            }[name]
        )
    reads = Reads(root)
    assert load(root / "p.yaml", Overlay(), reads).plan.stages[0].sources == ("big.csv",)
    assert str(root / "big.csv") not in reads.seen


def test_packages_beside_the_lock_are_there_for_recipes_too(root: Path, load_text: Any) -> None:
    text = "version: 1\nname: x\nenvironment: {packages: [six==1.16.0, pytest==8.0.0]}\nstages: {test: {uses: pytest}}\n"
    requirements = load_text(text).plan.stages[0].environment.extra_requirements
    assert requirements.startswith("six==1.16.0\npytest==8.0.0\n")
    assert requirements.count("\npytest==") == 1
