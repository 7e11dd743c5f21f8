"""What the importer of `dvc.yaml` says, and where; what it makes of files is compared with DVC elsewhere."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from penstock.errors import PipelineError
from penstock.plan.importers import dvc
from penstock.plan.importers.found import Imported, Names
from penstock.plan.problems import Problems
from penstock.plan.reads import Reads


def _read(root: Path, text: str) -> Imported:
    (root / "dvc.yaml").write_text(text, encoding="utf-8")
    problems = Problems()
    found = dvc.read("dvc.yaml", Reads(root=root), problems, Names())
    problems.raise_if_any()
    return found


def _refused(root: Path, text: str) -> str:
    with pytest.raises(PipelineError) as caught:
        _read(root, text)
    return str(caught.value)


STAGE = "stages:\n  a:\n    cmd: python a.py\n"
WRONG = {
    "an unknown key": (STAGE + "    output: [x]\n", "dvc.yaml:4: 'output' is no key of a stage"),
    "an unknown section": (STAGE + "stagez: {}\n", "dvc.yaml:4: 'stagez' is no key of dvc.yaml"),
    "no command": ("stages:\n  a:\n    deps: [x]\n", "dvc.yaml:2: the stage has no `cmd`"),
    "an output outside": (
        STAGE + "    outs: [../x]\n",
        "dvc.yaml:4: stage 'a': output '../x', which is outside",
    ),
    "an output with a star": (STAGE + "    outs: ['x*']\n", "but wildcards cannot be used here"),
    "a folder outside": (STAGE + "    wdir: ..\n", "dvc.yaml:4: stage 'a': it runs in '..', outside of"),
    "a switch that is a text": (STAGE + "    frozen: 'yes'\n", "dvc.yaml:4: `stages.a.frozen` is 'yes'"),
    "a name that has no value": (
        "stages:\n  a:\n    cmd: echo ${b}\n",
        "dvc.yaml:3: stage 'a': Could not find 'b'",
    ),
    "values given twice": (
        "vars: [{b: 1}, {b: 2}]\n" + STAGE,
        "dvc.yaml:1: cannot redefine 'b' from 'vars[1]'",
    ),
    "a file of values that is gone": ("vars: [v.yaml]\n" + STAGE, "dvc.yaml:1: 'v.yaml' does not exist"),
    "a list in a path": (
        "vars: [{b: [1]}]\nstages:\n  a:\n    cmd: ls\n    deps:\n    - ${b}\n",
        "dvc.yaml:5: stage 'a': Cannot interpolate data of type 'list'",
    ),
    "a loop over a number": (
        "vars: [{b: 3}]\nstages:\n  a:\n    foreach: ${b}\n    do: {cmd: ls}\n",
        "dvc.yaml:3: stage 'a': `foreach`: expected list/dictionary, got int",
    ),
    "a parameter that is gone": (STAGE + "    params: [x]\n", "parameter file 'params.yaml' is not there"),
    "a loop without stages": (
        "stages:\n  a:\n    foreach: [1]\n",
        "dvc.yaml:2: there is no `do` beside `foreach`",
    ),
    "an output of two stages": (
        "stages:\n  a: {cmd: ls, outs: [x]}\n  b: {cmd: ls, outs: [x], frozen: true}\n",
        "dvc.yaml:3: output 'x' is specified in: a, b\n  dvc refuses this too",
    ),
    "an output in another one": (
        "stages:\n  a: {cmd: ls, outs: [x]}\n  b: {cmd: ls, outs: [x/y]}\n",
        "dvc.yaml:3: the output paths 'x' and 'x/y' overlap, those of a, b",
    ),
    "an alias to nothing": ("a: *b\n", "dvc.yaml:1: the alias *b names nothing above it"),
    "an alias to itself": ("vars: &b [*b]\n", "dvc.yaml:1: the alias *b stands within what it names"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    assert message in _refused(tmp_path, text)


BOMBS = {
    "nested aliases": "\n".join(
        ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    ),
    "a matrix of many": "stages:\n  a:\n    matrix:\n"
    + "".join(f"      m{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n" for n in range(9))
    + "    cmd: echo ${item.m0}\n",
    "a loop over many": "stages:\n  a:\n    foreach: ["
    + ", ".join(map(str, range(3000)))
    + "]\n    do: {cmd: ls}\n",
    "deep values": "vars: [{a: " + "[" * 200 + "]" * 200 + "}]\n",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_at_once(text: str, tmp_path: Path) -> None:
    began = time.process_time()
    assert "more than" in _refused(tmp_path, text)
    assert time.process_time() - began < 2


NOTED = """\
plots: [x.csv]
artifacts:
  best: {path: m.pkl, type: model}
metrics: [m.json]
stages:
  a:
    cmd: python a.py
    meta: {who: me}
    deps:
    - s3://bucket/x
    - /data/y
    - .git/HEAD
    outs:
    - m.pkl: {remote: r}
    - m.json
    plots:
    - p.csv: {x: a, template: t}
  b:
    cmd: ls
    frozen: true
    outs: [b.txt]
"""


def test_what_is_not_carried_over_is_said_with_its_line(tmp_path: Path) -> None:
    found = _read(tmp_path, NOTED)
    assert [note.split(": ", 1)[0] for note in found.notes] == [
        f"dvc.yaml:{line}" for line in (1, 3, 8, 10, 11, 12, 14, 17, 18)
    ]
    text = "\n".join(found.notes)
    for told in (
        "1: `plots` is not carried over",
        "3: artifact 'best' is not registered by that name",
        "10: dependency 's3://bucket/x' of stage 'a' is outside of the project: a change there goes unnoticed",
        "14: `remote` of output 'm.pkl' is not carried over",
        "17: how it is drawn (template, x) of output 'p.csv' is not carried over",
        "18: stage 'b' is frozen: it is not run, what it wrote is read as it stands",
    ):
        assert told in text
    assert [stage.name for stage in found.stages] == ["a"]
    assert found.stages[0].fields["outputs"] == {"model": "m.pkl", "metrics": "m.json", "p.csv": "p.csv"}


def test_names_that_no_pipeline_can_have_become_some_that_it_can(tmp_path: Path) -> None:
    text = "stages:\n" + "".join(
        f"  {name}: {{cmd: ls}}\n" for name in ("Train_Model", "train-model", "2nd", "ä")
    )
    found = _read(tmp_path, text)
    assert [stage.name for stage in found.stages] == ["train-model", "train-model-2", "stage-2nd", "stage"]
    assert [stage.called for stage in found.stages] == ["Train_Model", "train-model", "2nd", "ä"]


def test_single_parameters_are_named_and_other_files_are_whole_inputs(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: {lr: 1, layers: [{n: 1}]}\n")
    (tmp_path / "more.json").write_text('{"a": 1}')
    stage = _read(tmp_path, STAGE + "    params: [train.lr, train.layers.0.n, more.json: [a]]\n").stages[0]
    assert stage.fields["params"] == ["train.lr", "train.layers"]
    assert stage.fields["inputs"] == ["more.json"]


def test_a_file_of_parameters_that_is_a_dependency_too_is_a_whole_input(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("lr: 1\n")
    stage = _read(tmp_path, STAGE + "    deps: [params.yaml]\n    params: [lr]\n").stages[0]
    assert "params" not in stage.fields
    assert stage.fields["inputs"] == ["params.yaml"]


def test_a_text_in_a_mapping_is_quoted_and_one_by_itself_is_not_as_with_dvc(tmp_path: Path) -> None:
    vars_ = """vars: [{a: {b: "$(touch canary)"}, c: "$(touch canary)"}]\n"""
    first, second = (
        _read(tmp_path, f"{vars_}stages:\n  a:\n    cmd: printf %s ${{{name}}}\n").stages[0].fields["run"]
        for name in ("a", "c")
    )
    for run, made in ((first, False), (second, True)):
        done = subprocess.run(["/bin/sh", "-euc", run], cwd=tmp_path, capture_output=True, check=False)
        assert (tmp_path / "canary").exists() is made, done
        (tmp_path / "canary").unlink(missing_ok=True)


def test_data_that_dvc_keeps_are_fetched(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw.dvc").write_text(
        "outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: raw\n"
    )
    found = _read(tmp_path, STAGE + "    deps: [data/raw/x.csv]\n")
    assert found.data == {"data-raw": {"dvc": "data/raw.dvc"}}
    assert found.stages[0].fields["inputs"] == ["data/raw/x.csv"]
