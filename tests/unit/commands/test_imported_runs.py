"""A repository under `dvc repro` and under `penstock run`: the same outputs, and where DVC is stale Penstock is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dvc_samples import Repository
from penstock.cli import main

DVC = """\
vars:
- names: {first: "a b", second: [x, "$HOME"], deep: {on: true}}
stages:
  prepare:
    cmd: python src/prepare.py ${prepare.rows}
    deps: [src/prepare.py, data/raw.csv]
    params: [prepare]
    outs: [build/rows.csv]
  train_model:
    cmd:
    - python src/train.py ${names}
    - |
      cd build
      echo "done: $DVC_STAGE $UNSET" > ../said.txt
    - python -c "import os; open('root.txt', 'w').write(str(os.path.samefile(os.environ['DVC_ROOT'], '.')))" && true
    deps: [build/rows.csv]
    params: [train.lr]
    outs:
    - build/model.txt
    - said.txt
    - root.txt
    - log.txt: {persist: true}
    metrics:
    - metrics.json: {cache: false}
  count:
    foreach: {de: 1, en: 2}
    do:
      wdir: sub
      cmd:
      - mkdir -p ../build/${key}
      - python ../src/count.py ../build/rows.csv ${key} ${item} > ../build/${key}/n.txt
      deps: [../build/rows.csv]
      outs: ["../build/${key}"]
  sweep:
    matrix: {lr: [0.1, 0.2], kind: [a]}
    cmd: mkdir -p build/sweep && echo ${item.lr} ${item.kind} > build/sweep/${key}.txt
    deps: [build/model.txt]
    outs: ["build/sweep/${key}.txt"]
"""
FILES = {
    "params.yaml": "prepare: {rows: 2}\ntrain: {lr: 1e-3, other: yes}\n",
    "data/raw.csv": "a,b\n1,2\n3,4\n5,6\n",
    "metrics.json": '{"old": true}\n',
    "sub/keep": "",
    "src/helper.py": "FACTOR = 1\n",
    "src/prepare.py": "import sys, os, helper\nrows = open('data/raw.csv').read().split()[1:]\n"
    "os.makedirs('build', exist_ok=True)\n"
    "open('build/rows.csv', 'w').write(f'{helper.FACTOR}\\n'.join(rows[: int(sys.argv[1])]))\n",
    "src/train.py": "import sys, json\n"
    "open('build/model.txt', 'w').write(repr(sys.argv[1:]) + open('params.yaml').read())\n"
    "json.dump({'accuracy': 0.5}, open('metrics.json', 'w'))\nopen('log.txt', 'a').write('again\\n')\n",
    "src/count.py": "import sys, os\nprint(len(open(sys.argv[1]).read()), *sys.argv[2:])\n",
}
OUTPUTS = (
    *("build/rows.csv", "build/model.txt", "said.txt", "root.txt", "log.txt", "metrics.json"),
    *("build/de/n.txt", "build/en/n.txt", "build/sweep/0.1-a.txt", "build/sweep/0.2-a.txt"),
)


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Repository, Path]:
    """A repository for DVC, and a copy of it for Penstock with a pipeline file of three lines."""
    repository = Repository.make(tmp_path / "dvc")
    for name, content in FILES.items():
        repository.write(name, content.encode())
    repository.write("dvc.yaml", DVC.encode())
    repository.commit()
    shutil.copytree(repository.place, tmp_path / "penstock")
    (tmp_path / "penstock/p.yaml").write_text("version: 1\nname: x\nstages: {from: dvc.yaml}\n")
    monkeypatch.chdir(tmp_path / "penstock")
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    return repository, tmp_path / "penstock"


def _contents(place: Path) -> dict[str, str]:
    return {path: (place / path).read_text() for path in OUTPUTS}


def test_a_repository_has_the_same_outputs_and_is_never_stale(
    both: tuple[Repository, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    repository, copy = both
    repository.dvc("repro")
    assert main(["run", "-f", "p.yaml"]) == 0, capsys.readouterr()
    assert _contents(copy) == _contents(repository.place)
    capsys.readouterr()
    assert main(["run", "-f", "p.yaml"]) == 0
    assert "nothing had to run" in capsys.readouterr().out

    for place in (repository.place, copy):  # a module that no dependency names
        (place / "src/helper.py").write_text("FACTOR = 22\n")
    assert "didn't change" in repository.dvc("repro") or "up to date" in repository.dvc("repro")
    assert main(["run", "-f", "p.yaml"]) == 0
    assert "undeclared input src/helper.py changed" in capsys.readouterr().out
    assert "22" in (copy / "build/rows.csv").read_text()
    assert "22" not in (repository.place / "build/rows.csv").read_text()
    repository.dvc("repro", "-f")
    changed = _contents(repository.place)
    assert {**_contents(copy), "log.txt": ""} == {**changed, "log.txt": ""}
