"""`penstock init` on miniature repositories: every file that it writes must be one that `plan` takes."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from penstock.cli import main
from penstock.commands import init
from penstock.errors import EXIT_OK, EXIT_USAGE
from penstock.plan.compiled import Overlay
from penstock.plan.load import load
from penstock.plan.model import Plan

PREPARE = """
import pandas as pd
def main():
    rows = pd.read_csv("data/raw.csv")
    rows.to_csv("build/clean.csv")
if __name__ == "__main__":
    main()
"""
TRAIN = """
import argparse, joblib, pandas as pd
parser = argparse.ArgumentParser()
parser.add_argument("--data", default="build/clean.csv")
parser.add_argument("--model-path", default="build/model.pkl")
if __name__ == "__main__":
    args = parser.parse_args()
    rows = pd.read_csv(args.data)
    joblib.dump(rows, args.model_path)
"""
EVALUATE = """
import json, joblib
if __name__ == "__main__":
    model = joblib.load("build/model.pkl")
    with open("build/metrics.json", "w") as file:
        json.dump({"roc_auc": 1, "log_loss": 0}, file)
"""
CHAIN = {
    "prepare.py": PREPARE,
    "train.py": TRAIN,
    "evaluate.py": EVALUATE,
    "data/raw.csv": "a,b\n1,2\n",
}


def repository(root: Path, files: Mapping[str, str], *, git: bool = True) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text))
    if git:
        for command in (("init", "-q"), ("add", "-A", "-f")):
            subprocess.run(("git", *command), cwd=root, check=True)
    return root


def drafted(root: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> Plan:
    """The plan of the file that `init` writes for a repository."""
    monkeypatch.chdir(root)
    assert main(["init", *options]) == EXIT_OK
    return load(root / "pipelines/default.yaml", Overlay(environ={})).plan


def stages(plan: Plan) -> list[str]:
    return sorted(stage.name for stage in plan.stages)


def reads(plan: Plan, name: str) -> set[str]:
    stage = plan.stage(name)
    return {*stage.sources, *(item.path for item in stage.produced)}


def writes(plan: Plan, name: str) -> dict[str, str | None]:
    return {output.path: output.role for output in plan.stage(name).outputs}


def test_scripts_in_the_root_become_a_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = drafted(repository(tmp_path / "my Project_1", CHAIN), monkeypatch)
    assert plan.name == "my-project-1"
    assert stages(plan) == ["evaluate", "lint", "prepare", "train"]
    assert plan.stage("train").run == "python train.py"
    assert reads(plan, "prepare") == {"prepare.py", "data/raw.csv"}
    assert writes(plan, "prepare") == {"build/clean.csv": None}
    assert reads(plan, "train") == {"train.py", "build/clean.csv"}
    assert writes(plan, "train") == {"build/model.pkl": "model"}
    assert reads(plan, "evaluate") == {"evaluate.py", "build/model.pkl"}
    assert writes(plan, "evaluate") == {"build/metrics.json": "metrics"}


def test_bounds_for_the_metrics_that_a_script_writes_are_proposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = repository(tmp_path / "p", CHAIN)
    drafted(root, monkeypatch)
    text = (root / "pipelines/default.yaml").read_text()
    assert "#   - {gate: threshold, metric: roc_auc, min: 0.8}" in text
    assert "#   - {gate: threshold, metric: log_loss, max: 0.5}" in text


def test_a_package_below_src_is_run_as_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "pyproject.toml": '[project]\nname = "Shop.Churn"\nrequires-python = ">=3.11"\n[tool.ruff]\n',
        "requirements.lock": "six==1.17.0\n",
        "src/churn/__init__.py": "",
        "src/churn/config.py": 'from pathlib import Path\nROOT = Path(__file__).parent.parent.parent\nRAW = ROOT / "data" / "raw.csv"\n'
        'BUILD = ROOT / "build" / "splits"\n',
        "src/churn/helper.py": "def f(): pass\n",
        "src/churn/unused.py": "",
        "src/churn/prepare.py": "from churn import config\nfrom churn.helper import f\nimport pandas\n"
        "if __name__ == '__main__':\n    for name in ('a', 'b'):\n"
        "        pandas.read_csv(config.RAW).to_csv(config.BUILD / f'{name}.csv')\n",
        "src/churn/train_model.py": "import churn.config as settings\n"
        "if __name__ == '__main__':\n    text = (settings.BUILD / 'a.csv').read_text()\n"
        "    open('models/m.onnx', mode='wb').write(text)\n",
        "data/raw.csv": "x\n",
        "tests/test_it.py": "def test_it():\n    open('data/raw.csv')\n",
    }
    plan = drafted(repository(tmp_path / "p", files), monkeypatch)
    assert plan.name == "shop-churn"
    prepare, train = plan.stage("prepare"), plan.stage("train-model")
    assert prepare.run == "python -m churn.prepare"
    assert dict(prepare.variables)["PYTHONPATH"] == "src"
    assert prepare.environment.python == ">=3.11"
    assert prepare.environment.requirements == "requirements.lock"
    modules = {f"src/churn/{name}.py" for name in ("__init__", "config", "helper", "prepare")}
    assert reads(plan, "prepare") == {*modules, "data/raw.csv"}
    assert writes(plan, "prepare") == {"build/splits": None}
    assert [(item.path, item.stage) for item in train.produced] == [("build/splits/a.csv", "prepare")]
    assert writes(plan, "train-model") == {"models/m.onnx": "model"}
    assert reads(plan, "test") >= {"tests", "src", "data/raw.csv"}


def test_each_stage_gets_the_sections_of_the_parameters_that_its_script_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "params.yaml": "split:\n  seed: 1\ntrain:\n  lr: 0.1\n",
        "settings.py": "import yaml\ndef read(name):\n    return yaml.safe_load(open('params.yaml'))[name]\n",
        "split.py": "from settings import read\nread('split')\nopen('out/train', 'w')\n",
        "train.py": "import yaml\nlr = yaml.safe_load(open('params.yaml'))['train']['lr']\nopen('out/m', 'w')\n",
    }
    plan = drafted(repository(tmp_path / "p", files), monkeypatch)
    assert plan.stage("split").params == {"split": {"seed": 1}}
    assert plan.stage("train").params == {"train": {"lr": 0.1}}
    assert reads(plan, "split") == {"split.py", "settings.py"}


def test_parameters_that_cannot_be_read_become_an_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"params.yaml": "a: &x 1\nb: *x\n", "train.py": "open('params.yaml'); open('m.pkl', 'w')\n"}
    plan = drafted(repository(tmp_path / "p", files), monkeypatch)
    assert plan.params == {}
    assert reads(plan, "train") == {"train.py", "params.yaml"}
    assert "params.yaml:1" in capsys.readouterr().out


def test_an_empty_repository_gets_an_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = drafted(repository(tmp_path / "123", {}), monkeypatch)
    assert stages(plan) == ["example"]
    assert plan.name == "pipeline"
    assert "an example of a stage" in capsys.readouterr().out


def test_notebooks_are_named_as_what_cannot_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = drafted(repository(tmp_path / "p", {"train.ipynb": "{}"}), monkeypatch)
    assert stages(plan) == ["example"]
    assert "jupyter nbconvert --to script train.ipynb" in " ".join(capsys.readouterr().out.split())


DVC = """
vars: [{a: 1}]
stages:
  get_Data:
    cmd: python scripts/get.py --out data/raw.csv
    deps: [scripts/get.py]
    outs:
      - data/raw.csv:
          cache: false
          persist: true
          remote: here
  train:
    desc: fits it
    cmd:
      - python scripts/fit.py
      - 'echo "done: # all"'
    deps: [scripts/fit.py, data/raw.csv]
    params: [train.lr, other.yaml: [x]]
    outs: [model.pkl]
    metrics:
      - scores.json:
          cache: false
    always_changed: true
  each:
    foreach: [a, b]
    do: {cmd: "echo ${item}"}
  templated:
    cmd: echo ${a}
  elsewhere:
    wdir: sub
    cmd: pwd
  lost:
    cmd: cat gone.txt
    deps: [gone.txt]
    outs: [lost.txt]
"""


def test_a_pipeline_refers_to_the_stages_of_dvc_and_says_what_is_not_carried_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "dvc.yaml": DVC,
        "params.yaml": "train:\n  lr: 1\n",
        "other.yaml": "x: 1\n",
        "scripts/get.py": "import common\n",
        "scripts/common.py": "",
        "scripts/fit.py": "",
        "tests/test_it.py": "def test_it(): pass\n",
        "sub/x": "",
    }
    root = repository(tmp_path / "p", files)
    plan = drafted(root, monkeypatch)
    imported = ["get-data", "train", "each-a", "each-b", "templated", "elsewhere", "lost"]
    assert sorted(stages(plan)) == sorted([*imported, "lint", "test"])
    train = plan.stage("train")
    assert train.file == "dvc.yaml"
    assert train.params == {"train": {"lr": 1}}
    assert not train.cache
    assert reads(plan, "train") == {"scripts/fit.py", "data/raw.csv", "other.yaml"}
    assert "PYTHONPATH" not in dict(train.variables)
    assert plan.stage("templated").run == "bash --noprofile --norc -c 'echo 1'"
    text = (root / "pipelines/default.yaml").read_text()
    assert "\n  from: dvc.yaml\n" in text
    assert "threshold, metric: accuracy" in text
    told = "dvc.yaml:8: `remote` of output 'data/raw.csv' is not carried over"
    assert told in " ".join(capsys.readouterr().out.split())
    assert told in " ".join(text.replace("#", "").split())


@pytest.mark.parametrize("text", ["stages: [", "a: &a 1", "- 1\n", "stages: 3\n", "stages:\n  a: 3\n", "\0"])
def test_a_dvc_file_that_cannot_be_read_does_no_harm(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = drafted(repository(tmp_path / "p", {**CHAIN, "dvc.yaml": text}), monkeypatch)
    assert "lint" in stages(plan)


@pytest.mark.parametrize(
    ("files", "named", "said"),
    [
        ({"requirements.txt": "six==1.17.0\n"}, "requirements.txt", None),
        ({"requirements.txt": "six\n"}, "requirements.txt", "uv pip compile --universal requirements.txt"),
        ({"requirements.txt": "six\n", "uv.lock": "version = 1\n"}, "uv.lock", None),
        (
            {"pyproject.toml": '[project]\nname = "p"\ndependencies = ["six"]\n'},
            "pyproject.toml",
            "uv lock, and then name uv.lock here",
        ),
        ({"poetry.lock": ""}, None, "poetry export"),
        ({"requirements.txt": "-e .\n", "requirements-dev.txt": "a==1\n"}, "requirements-dev.txt", None),
    ],
)
def test_the_nearest_thing_to_a_lock_file_is_named(
    files: dict[str, str],
    named: str | None,
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # what a lock file resolves to may need an index
    monkeypatch.setattr(init, "environment_complaints", lambda root, plan: iter(()))
    root = repository(tmp_path / "p", {"train.py": "print()\n", **files})
    plan = drafted(root, monkeypatch)
    assert plan.stage("train").environment.requirements == named
    text = " ".join((root / "pipelines/default.yaml").read_text().replace("#", "").split())
    assert ("is no lock" in text or "cannot be read" in text) is (said is not None)
    assert said is None or said in text


def test_a_python_version_that_is_not_here_is_a_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "p", {".python-version": "3.99.1\n", "train.py": "print()\n"})
    drafted(root, monkeypatch)
    text = (root / "pipelines/default.yaml").read_text()
    assert '  # python: "3.99"' in text
    assert "python '3.99' is not on this machine" in " ".join(capsys.readouterr().out.split())


HOSTILE = [
    "quo'te",
    'dou"ble',
    "new\nline",
    "col: on",
    "ha #sh",
    "ü\u202e\N{SNOWMAN}",
    "- dash",
    "{brace}",
    "st*r[1]?",
    "tab\tbed",
    "back\\slash",
    "%percent",
    "null",
    "no",
    "3.10",
    " space ",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_breaks_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        f"{name}/train.py": f"open({name + '/in.csv'!r})\nopen({name + '/model.pkl'!r}, 'w')\n",
        f"{name}/in.csv": "x\n",
        f"{name}.py": "",
        f"tests/{name}/test_a.py": "def test_a(): pass\n",
        "params.yaml": f"{json.dumps(name)}: 1\n",
        "dvc.yaml": "",
    }
    root = repository(tmp_path / name, files)
    plan = drafted(root, monkeypatch)
    assert "lint" in stages(plan) or "\n" in name or "\t" in name or "\u202e" in name


def test_a_hostile_name_cannot_leave_its_comment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "x\nstages: {evil: {run: id}}\n#"
    plan = drafted(
        repository(tmp_path / "p", {f"{name}.ipynb": "", f"{name}/train.py": f"open({name!r} + '/a.csv')"}),
        monkeypatch,
    )
    assert "evil" not in stages(plan)


def test_names_that_are_no_text_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository(tmp_path / "p", {"train.py": "print()\n"})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe.py")).write_text("")
    Path(os.fsdecode(os.fsencode(root) + b"/train_\xff.py")).write_text("print()\n")
    plan = drafted(root, monkeypatch)
    assert "train" in stages(plan)


def test_without_git_the_directory_itself_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {**CHAIN, "env/pyvenv.cfg": "", "env/lib/train.py": "print()\n"}
    plan = drafted(repository(tmp_path / "p", files, git=False), monkeypatch)
    assert stages(plan) == ["evaluate", "lint", "prepare", "train"]


def test_in_a_monorepo_the_project_around_the_directory_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = {f"services/churn/{path}": text for path, text in CHAIN.items()}
    files = {**inner, "services/churn/requirements.txt": "six==1\n", "train.py": "print()\n"}
    root = repository(tmp_path / "p", files) / "services/churn"
    monkeypatch.chdir(root / "data")
    assert main(["init"]) == EXIT_OK
    plan = load(root / "pipelines/default.yaml", Overlay(environ={})).plan
    assert plan.name == "churn"
    assert reads(plan, "train") == {"train.py", "build/clean.csv"}


def test_a_script_with_a_syntax_error_is_told_and_no_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"train.py": "def (:\n", "evaluate.py": "print(1)\n", "predict.py": "\0"}
    plan = drafted(repository(tmp_path / "p", files), monkeypatch)
    assert stages(plan) == ["evaluate", "lint"]
    assert "train.py: it cannot be parsed (line 1:" in capsys.readouterr().out


def test_nothing_of_the_repository_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = "import pathlib; pathlib.Path(__file__).with_name('ran').touch()\n"
    files = dict.fromkeys(("train.py", "conftest.py", "setup.py", "pkg/__init__.py", "prepare.py"), bomb)
    root = repository(tmp_path / "p", files)
    hook = root / ".git/hook"
    hook.write_text(f"#!/bin/sh\ntouch {root}/ran\n")
    hook.chmod(0o755)
    subprocess.run(("git", "config", "core.fsmonitor", str(hook)), cwd=root, check=True)
    drafted(root, monkeypatch)
    assert not (root / "ran").exists()


def test_a_file_that_is_there_is_not_overwritten_without_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "p", {**CHAIN, "pipelines/default.yaml": "mine\n"})
    monkeypatch.chdir(root)
    assert main(["init"]) == EXIT_USAGE
    assert "is there already" in capsys.readouterr().err
    assert (root / "pipelines/default.yaml").read_text() == "mine\n"
    drafted(root, monkeypatch, "--force")
    assert sorted(path.name for path in (root / "pipelines").iterdir()) == ["default.yaml"]


def test_a_link_that_leads_nowhere_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = repository(tmp_path / "p", CHAIN)
    (root / "pipelines").mkdir()
    (root / "pipelines/default.yaml").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(root)
    assert main(["init"]) == EXIT_USAGE
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_elsewhere_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository(tmp_path / "p", CHAIN)
    monkeypatch.chdir(root)
    assert main(["init", "--output", "ci/here/p.yaml"]) == EXIT_OK
    loaded = load(root / "ci/here/p.yaml", Overlay(environ={}))
    assert loaded.root == root
    assert "train" in stages(loaded.plan)


def test_a_directory_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "p", {**CHAIN, "pipelines": "a file"})
    monkeypatch.chdir(root)
    assert main(["init"]) == EXIT_USAGE
    assert "cannot be written" in capsys.readouterr().err


def test_what_stands_where_a_stage_writes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "p", {**CHAIN, ".gitignore": "build\n"}, git=False)
    subprocess.run(("git", "init", "-q"), cwd=root, check=True)
    (root / "build").mkdir()
    (root / "build/model.pkl").write_text("old")
    drafted(root, monkeypatch)
    assert "penstock run --overwrite" in capsys.readouterr().out


def test_a_link_out_of_the_repository_is_a_comment_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.csv").write_text("x\n")
    files = {"train.py": "open('data/in.csv'); open('m.pkl', 'w')\n", "evaluate.py": "print()\n"}
    root = repository(tmp_path / "p", files)
    (root / "data").mkdir()
    (root / "data/in.csv").symlink_to(tmp_path / "secret.csv")
    plan = drafted(root, monkeypatch)
    assert stages(plan) == ["evaluate", "lint"]
    assert "Not taken" in (root / "pipelines/default.yaml").read_text()


def test_data_with_a_schema_are_checked_and_gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"data/a.csv": "x\n1\n", "data/a.schema.yaml": "columns:\n  x: {type: integer}\n"}
    plan = drafted(repository(tmp_path / "p", files), monkeypatch)
    assert stages(plan) == ["validate"]
    assert [gate.gate for gate in plan.gates] == ["schema"]


def test_a_requirements_file_that_cannot_be_used_is_a_comment_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path / "p", {"train.py": "print()\n", "requirements.txt": "-e .\n"})
    plan = drafted(root, monkeypatch)
    assert plan.stage("train").environment.requirements is None
    assert "'-e .' installs a directory of this machine" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("layout", ["flat", "package"])
def test_what_was_drafted_runs(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """End to end, with the standard library only, so that nothing has to be installed."""
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    flat = {
        "data/raw.csv": "a,b\n1,2\n",
        "params.yaml": "train:\n  factor: 3\n",
        "prepare.py": "rows = open('data/raw.csv').read()\nwith open('build/rows.txt', 'w') as out:\n    out.write(rows)\n",
        "common.py": "def factor():\n    return [l for l in open('params.yaml') if 'factor' in l][0].split()[-1]\n",
        "train.py": "import common, pathlib\nname = 'train'\nrows = open('build/rows.txt').read()\n"
        "def main(out='build/model.bin'):\n    pathlib.Path(out).write_text(rows * int(common.factor()))\nmain()\n",
        "evaluate.py": "import json\nmodel = open('build/model.bin').read()\n"
        "with open('build/metrics.json', 'w') as out:\n    json.dump({'accuracy': len(model)}, out)\n",
    }
    package = {
        path if path.endswith((".csv", ".yaml")) else f"src/pkg/{path}": text.replace(
            "import common", "from pkg import common\nimport common_"
        )
        for path, text in flat.items()
    }
    package = {path: text.replace("\nimport common_,", "\nimport") for path, text in package.items()}
    root = repository(tmp_path / "p", flat if layout == "flat" else {**package, "src/pkg/__init__.py": ""})
    plan = drafted(root, monkeypatch)
    assert plan.stage("train").params == {"train": {"factor": 3}}
    assert main(["run", "--until", "evaluate"]) == EXIT_OK, capsys.readouterr()
    assert json.loads((root / "build/metrics.json").read_text()) == {"accuracy": 24}
    capsys.readouterr()
    assert main(["run", "--until", "evaluate"]) == EXIT_OK
    assert "nothing had to run" in capsys.readouterr().out


def test_many_files_are_named_by_a_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = drafted(
        repository(tmp_path / "p", {f"module{number}.py": "" for number in range(20)}), monkeypatch
    )
    assert reads(plan, "lint") == {"*.py"}
