"""Files of other tools with anything in them end in a sentence, never in a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dvc_cases import Cases
from penstock.errors import PipelineError
from penstock.plan.importers import dvc, mlproject
from penstock.plan.importers.found import Names
from penstock.plan.problems import Problems
from penstock.plan.reads import Reads

_PIECES = (
    *(
        "${",
        "}",
        "${item}",
        "${key}",
        "[",
        "]",
        "{",
        "}",
        "- ",
        ": ",
        "\n",
        "  ",
        "'",
        '"',
        "*a",
        "&a ",
        "<<",
        "!!int ",
    ),
    *(
        "null",
        "true",
        "1e999",
        ".nan",
        "foreach",
        "matrix",
        "do",
        "vars",
        "../",
        "/",
        "@",
        "\0",
        "\u2028",
        "é",
        "%",
    ),
)
PROJECT = """\
name: x
conda_env: conda.yaml
entry_points:
  main:
    parameters: {a: {type: float, default: 0.5}, b: path}
    command: "python train.py {a} {b}"
"""


def _mutated(text: str, draw: random.Random) -> bytes:
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(text) + 1)
        kind = draw.random()
        if kind < 0.5:
            text = text[:at] + draw.choice(_PIECES) + text[at:]
        elif kind < 0.8:
            text = text[:at] + text[at + draw.randint(1, 12) :]
        else:
            other = draw.randrange(len(text) + 1)
            text = text[:at] + text[other : other + 40] + text[at:]
    return text.encode("utf-8", "surrogatepass")


def _read(root: Path, name: str) -> str:
    problems, reads = Problems(), Reads(root=root)
    try:
        if name == dvc.NAME:
            dvc.read(name, reads, problems, Names())
        else:
            mlproject.read(name, reads, problems, Names(), mlproject.Asked(entry_points={"main": {"b": "x"}}))
        problems.raise_if_any()
    except PipelineError as error:
        return str(error)
    return ""


def _attack(tmp_path: Path, seeds: range) -> int:
    refused = 0
    for seed in seeds:
        draw = random.Random(seed)
        root = tmp_path / str(seed)
        Cases(seed).write(root)
        (root / "MLproject").write_text(PROJECT)
        (root / "conda.yaml").write_text("dependencies: [python=3.11, {pip: [six]}]\n")
        for name in ("dvc.yaml", "MLproject", "conda.yaml", "params.yaml"):
            path = root / name
            if not path.exists():
                continue
            before = path.read_text(encoding="utf-8")
            for _ in range(5):
                path.write_bytes(_mutated(before, draw))
                refused += bool(
                    _read(root, "dvc.yaml" if name in ("dvc.yaml", "params.yaml") else "MLproject")
                )
            path.write_text(before, encoding="utf-8")
    return refused


def test_mutated_files_are_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    assert _attack(tmp_path, range(40)) > 100


@pytest.mark.slow
def test_many_mutated_files_are_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    assert _attack(tmp_path, range(1000, 1500)) > 1000
