"""Random `dvc.yaml` files, to real DVC and to the importer: the same stages of both, or both refuse."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import dvc_reference
from dvc_cases import Cases
from dvc_samples import tools
from penstock.errors import PipelineError
from penstock.plan.graph import Declared, Node, link
from penstock.plan.importers import dvc, dvc_file
from penstock.plan.importers.dvc_entries import Entries
from penstock.plan.importers.found import Names
from penstock.plan.problems import Problems
from penstock.plan.reads import Reads

OURS_ALONE = ("but wildcards cannot be used here", "the parameter file 'params.yaml' is not there")
"""Refused by Penstock only: outputs with signs of patterns; DVC misses a file of parameters later."""


def _theirs(directories: list[Path]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [tools("dvc"), dvc_reference.__file__],
        input=json.dumps([str(each) for each in directories]),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _ours(root: Path) -> dict[str, Any]:
    """The same of the importer, or what it says."""
    problems, reads = Problems(), Reads(root=root)
    try:
        found = dvc.read("dvc.yaml", reads, problems, Names())
        nodes = []
        for stage in found.stages:
            inputs = tuple(Declared(path, stage.line) for path in stage.fields["inputs"])
            outputs = tuple(Declared(path, stage.line) for path in _paths(stage.fields.get("outputs", [])))
            nodes.append(Node(stage.called, stage.line, inputs, outputs))
        if nodes:
            link(nodes, {}, "dvc.yaml", problems)
        problems.raise_if_any()
    except PipelineError as error:
        return {"error": str(error)}
    document = dvc_file.read((root / "dvc.yaml").read_bytes(), "dvc.yaml", problems)
    entries = Entries(document=document, reads=reads, problems=problems).all()
    commands = {entry.name: entry.values["cmd"] for entry in entries}
    stages = {}
    for stage in found.stages:
        command = commands[stage.called]
        stages[stage.called] = {
            "cmd": command if isinstance(command, list) else [command],
            "inputs": {re.sub(r"\[([\[*?])\]", r"\1", path) for path in stage.fields["inputs"]},
            "outs": sorted(_paths(stage.fields.get("outputs", []))),
            "persist": sorted(stage.fields.get("persist", [])),
            "always": stage.fields.get("cache", True) is False,
            "params": set(stage.fields.get("params", [])),
        }
    return {"stages": stages, "params": found.params}


def _paths(outputs: Any) -> list[str]:
    return list(outputs.values() if isinstance(outputs, dict) else outputs)


def _compare(ours: dict[str, Any], theirs: dict[str, Any], where: Path) -> None:
    wanted = {name: stage for name, stage in theirs["stages"].items() if not stage["frozen"]}
    assert list(ours["stages"]) == list(wanted), where
    for name, stage in wanted.items():
        mine = ours["stages"][name]
        for key in ("cmd", "outs", "persist", "always"):
            assert mine[key] == stage[key], (where, name, key)
        files = {path for path, keys in stage["params"].items() if not (keys and path == ours["params"])}
        covered = {path for path in stage["params"] if path in mine["inputs"]}
        assert mine["inputs"] == {*stage["deps"], *files, *covered}, (where, name)
        for path, keys in stage["params"].items():
            if path not in mine["inputs"]:
                assert mine["params"] == {key.strip() for key in keys}, (where, name)


def _judge(tmp_path: Path, first: int, count: int) -> dict[str, int]:
    directories = [tmp_path / str(seed) for seed in range(first, first + count)]
    for seed, directory in enumerate(directories, first):
        Cases(seed).write(directory)
    counted = {"accepted": 0, "refused": 0, "stages": 0}
    for directory, theirs in zip(directories, _theirs(directories), strict=True):
        ours = _ours(directory)
        if "error" in ours:
            assert "error" in theirs or any(each in ours["error"] for each in OURS_ALONE), directory
            assert ours["error"].startswith(("dvc.yaml:", "params.yaml", "more.", "sub/")), ours["error"]
            counted["refused"] += 1
        else:
            assert "error" not in theirs, (directory, theirs["error"])
            _compare(ours, theirs, directory)
            counted["accepted"] += 1
            counted["stages"] += len(ours["stages"])
    return counted


def test_random_files_come_to_what_dvc_makes_of_them(tmp_path: Path) -> None:
    counted = _judge(tmp_path, 0, 60)
    assert counted["accepted"] >= 20
    assert counted["refused"] >= 10


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 100))
def test_a_thousand_random_files_come_to_what_dvc_makes_of_them(first: int, tmp_path: Path) -> None:
    counted = _judge(tmp_path, first, 100)
    assert counted["accepted"] >= 35, counted
    assert counted["stages"] >= 70, counted
