"""A sound pipeline file with something changed in it: loaded, or refused with its place; never a traceback."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import EXIT_USAGE, PenstockError
from penstock.plan.load import Loaded, load
from penstock.plan.model import Overlay

SOUND: dict[str, Any] = {
    "version": 1,
    "name": "x",
    "environment": {"python": "3.12", "requirements": "r.lock", "image": "i"},
    "params": {"train": {"n": 1, "rate": 0.1}, "seed": 3},
    "variables": {"A": "a"},
    "secrets": {"T": {"env": "X"}, "U": {}},
    "data": {"d": {"path": "d.csv", "schema": "s.yaml"}},
    "ignore": ["*.bak"],
    "stages": {
        "lint": {"uses": "lint", "inputs": ["src"]},
        "test": {"uses": "pytest", "inputs": ["src"], "args": ["-q"]},
        "validate": {"uses": "validate-data", "data": "d"},
        "prepare": {"run": "x", "inputs": ["d.csv"], "outputs": ["build/splits"], "timeout": "5m"},
        "train": {
            "run": "y",
            "inputs": ["build/splits", "src/**/*.py"],
            "params": ["train", "seed"],
            "outputs": {"model": "build/model", "metrics": "build/metrics.json"},
            "secrets": ["T"],
            "accelerator": {"cuda": {"image": "i", "gpus": 1}},
            "retries": 2,
        },
    },
    "gates": [
        {"gate": "schema", "data": "d"},
        {"gate": "threshold", "metric": "auc", "min": 0.5, "required": False},
    ],
    "policy": {"on_inconclusive": "warn"},
    "publish": {"archive": {"path": "dist", "contents": ["model"]}},
    "profiles": {"p": {"params": {"train.n": 2}, "publish": False, "stages": {"train": {"timeout": 3}}}},
}
VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**18, "", " ", "x", "..", "/", ".", "a/b", "*", "**", "[", "~", "build",
    "build/model", "build/splits/x", "src", "d.csv", "dist", "p.yaml", "lint", "train", "3.12", "\n", "é", "-x",
    "{x}", "${x}", "a" * 5000, [], {}, [[]], [{}], {"": 1}, {"a": {"b": {}}}, ["x", "x"], [None], {"uses": []},
    {"run": {}}, {"gate": {}}, [1, "a", None],
]  # fmt: skip

Place = tuple[Any, ...]


def places(value: Any, above: Place = ()) -> list[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(place for key, each in inner for place in places(each, (*above, key)))]


def mutant(chance: random.Random) -> Any:
    """The sound pipeline with one to three values replaced, removed, renamed or moved."""
    made = copy.deepcopy(SOUND)
    for _ in range(chance.randint(1, 3)):
        *way, last = chance.choice(places(made)[1:])
        owner = made
        for key in way:
            owner = owner[key]
        match chance.randrange(4):
            case 0:
                del owner[last]
            case 1 if isinstance(owner, dict):
                owner[str(chance.choice(VALUES))] = owner.pop(last)
            case 2 if isinstance(owner, dict):
                owner[last + "x"] = copy.deepcopy(owner[last])
            case _:
                owner[last] = copy.deepcopy(chance.choice(VALUES))
    return made


def assert_loaded_or_refused(root: Path, data: bytes, profile: str | None) -> bool:
    (root / "p.yaml").write_bytes(data)
    refusal = None
    try:
        load(Path("p.yaml"), Overlay(profile=profile))
    except PenstockError as error:
        refusal = error
    if refusal is not None:
        assert refusal.exit_code == EXIT_USAGE
        assert refusal.where, refusal
    return refusal is None


@pytest.fixture
def project(root: Path) -> Path:
    (root / "src").mkdir()
    (root / "r.lock").write_text("a==1\n")
    return root


def test_the_sound_pipeline_is_loaded(project: Path, load_text: Callable[..., Loaded]) -> None:
    assert len(load_text(json.dumps(SOUND), profile="p").plan.stages) == 5


@pytest.mark.parametrize(
    "count", [pytest.param(400, id="quick"), pytest.param(4_000, id="whole", marks=pytest.mark.slow)]
)
def test_a_mutated_value_is_loaded_or_refused(project: Path, count: int) -> None:
    loaded = 0
    for seed in range(count):
        chance = random.Random(seed)
        data = json.dumps(mutant(chance)).encode()
        loaded += assert_loaded_or_refused(project, data, chance.choice([None, "p"]))
    assert 0 < loaded < count


@pytest.mark.parametrize(
    "count", [pytest.param(400, id="quick"), pytest.param(4_000, id="whole", marks=pytest.mark.slow)]
)
def test_mutated_bytes_are_loaded_or_refused(project: Path, count: int) -> None:
    sound = (Path(__file__).parents[3] / "pipelines" / "default.yaml").read_bytes()
    sound = sound.replace(b"root:", b"# root:").replace(
        b"params: params.yaml", b"params: {prepare: 1, train: 2, evaluate: 3}"
    )
    for seed in range(count):
        chance = random.Random(seed)
        data = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randint(1, 30)]
                case _:
                    data[at:at] = data[at : at + chance.randint(1, 30)]
        assert_loaded_or_refused(project, bytes(data), None)
