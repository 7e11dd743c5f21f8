from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.plan import compiled
from penstock.plan.compiled import Overlay, decode_plan, encode_plan, load_plan
from penstock.plan.model import Plan
from penstock.record import fields

TEXT = """\
version: 1
name: x
params: params.yaml
secrets: {T: {}}
ignore: ["*.bak"]
data: {d: {path: d.csv, schema: s.yaml}}
environment: {requirements: r.lock}
stages:
  validate: {uses: validate-data, data: d}
  lint: {uses: lint}
  a: {run: x, params: [n], outputs: {model: o}, variables: {A: "1"}, secrets: [T], timeout: 3}
  b: {run: y, inputs: [o, src], outputs: [metrics.json], accelerator: {cuda: {gpus: 1}}}
gates:
  - {gate: schema, data: d}
  - {gate: threshold, metric: auc, min: 0.5, required: false}
publish: {archive: {}}
profiles: {p: {params: {n: 2}}, tag: {params: {n: 2}}}
"""


@pytest.fixture
def pipeline(root: Path) -> Path:
    (root / "p.yaml").write_text(TEXT)
    (root / "params.yaml").write_text("n: 1\n")
    (root / "r.lock").write_text("a==1\n")
    return root / "p.yaml"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every pipeline file that was really read and checked."""
    from penstock.plan import load as module

    made: list[Path] = []
    original = module.load

    def load(path: Path, overlay: Overlay) -> Any:
        made.append(path)
        return original(path, overlay)

    monkeypatch.setattr(module, "load", load)
    return made


@pytest.mark.parametrize("overlay", [Overlay(), Overlay(profile="p", sets=("n=3",), accelerator="cuda")])
def test_a_kept_plan_is_the_plan(pipeline: Path, compilations: list[Path], overlay: Overlay) -> None:
    root, made = load_plan(pipeline, overlay)
    assert load_plan(pipeline, overlay) == (root, made)
    assert compilations == [pipeline]
    assert isinstance(made.stages[0].outputs, tuple)


def test_a_plan_survives_json(pipeline: Path) -> None:
    _, plan = load_plan(pipeline, Overlay(profile="p", sets=("n=3",), accelerator="cuda"))
    copy = decode_plan(json.loads(json.dumps(encode_plan(plan))))
    assert copy == plan
    assert compiled.plan_digest(copy) == plan.digest


def test_a_kept_plan_is_found_under_another_root(root: Path, compilations: list[Path]) -> None:
    (root / "sub").mkdir()
    path = root / "p.yaml"
    path.write_text("version: 1\nname: x\nroot: sub  # here\nstages: {a: {run: x}}\n")
    for _ in range(2):
        assert load_plan(path, Overlay())[0] == root / "sub"
    assert len(compilations) == 1
    assert not (root / ".penstock").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "p.yaml").write_text(TEXT.replace("run: y", "run: z")),
        lambda root: (root / "params.yaml").write_text("n: 7\n"),
        lambda root: (root / "r.lock").write_text("ruff==1\n"),
        lambda root: (root / "ruff.toml").write_text(""),
        lambda root: (root / "src").mkdir(),
    ],
    ids=["pipeline", "params", "lock", "a configuration file that appears", "a directory that appears"],
)
def test_a_kept_plan_is_not_used_when_what_it_was_made_from_changes(
    pipeline: Path, compilations: list[Path], change: Callable[[Path], object]
) -> None:
    _, before = load_plan(pipeline, Overlay())
    change(pipeline.parent)
    _, after = load_plan(pipeline, Overlay())
    assert len(compilations) == 2
    assert after != before


def test_each_overlay_has_its_own_plan(pipeline: Path, compilations: list[Path]) -> None:
    overlays = (
        Overlay(),
        Overlay(profile="p"),
        Overlay(sets=("n=3",)),
        Overlay(environ={"PENSTOCK_PARAM_N": "4"}),
        Overlay(accelerator="cuda"),
        Overlay(event="tag"),
    )
    found = [load_plan(pipeline, each)[1].params["n"] for each in (*overlays, *overlays)]
    assert found == [1, 2, 3, 4, 1, 2] * 2
    assert len(compilations) == 6


def test_other_variables_do_not_matter(pipeline: Path, compilations: list[Path]) -> None:
    load_plan(pipeline, Overlay(environ={"PATH": "a"}))
    load_plan(pipeline, Overlay(environ={"PATH": "b"}))
    assert len(compilations) == 1


def kept(root: Path) -> Path:
    (path,) = (root / ".penstock" / "plans").iterdir()
    return path


def test_a_damaged_plan_is_made_again_without_a_word(pipeline: Path, compilations: list[Path]) -> None:
    expected = load_plan(pipeline, Overlay())
    path = kept(pipeline.parent)
    whole = path.read_bytes()
    step = max(1, len(whole) // 40)
    damages = [whole[:at] for at in range(0, len(whole), step)]
    damages += [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(0, len(whole), step)]
    damages += [b"", whole + b"x", b"{}", b"sha256:00\n{}"]
    for at, damage in enumerate(damages):
        path.write_bytes(damage)
        assert load_plan(pipeline, Overlay()) == expected, at
    assert len(compilations) == 1 + len(damages)


def test_a_plan_of_another_shape_is_made_again(pipeline: Path, compilations: list[Path]) -> None:
    from penstock import digest

    load_plan(pipeline, Overlay())
    path = kept(pipeline.parent)
    record = json.loads(path.read_bytes().partition(b"\n")[2])
    damages: list[object] = [{}, [], {**record, "plan": {}}, {**record, "read": []}]
    for damage in (*damages, {**record, "read": {"/": 3}}):
        data = json.dumps(damage).encode()
        path.write_bytes(digest.of_bytes(data).encode() + b"\n" + data)
        assert load_plan(pipeline, Overlay())[1].name == "x"
    assert len(compilations) == 6


def test_a_directory_that_cannot_be_written_costs_time_only(pipeline: Path, compilations: list[Path]) -> None:
    (pipeline.parent / ".penstock").write_text("in the way")
    for _ in range(2):
        assert load_plan(pipeline, Overlay())[1].name == "x"
    assert len(compilations) == 2


def test_what_runs_leave_behind_is_ignored_by_git(pipeline: Path) -> None:
    load_plan(pipeline, Overlay())
    assert (pipeline.parent / ".penstock" / ".gitignore").read_text() == "*\n"


def test_plans_do_not_pile_up(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MAX_KEPT", 3)
    for at in range(6):
        load_plan(pipeline, Overlay(sets=(f"n={at}",)))
    assert len(list((pipeline.parent / ".penstock" / "plans").iterdir())) == 3


def test_a_symbolic_link_to_the_file_is_no_trap(pipeline: Path) -> None:
    other = pipeline.parent / "link.yaml"
    other.symlink_to("p.yaml")
    assert load_plan(other, Overlay())[1].stages == load_plan(pipeline, Overlay())[1].stages


def test_finding_a_kept_plan_imports_nothing_heavy(pipeline: Path) -> None:
    load_plan(pipeline, Overlay())
    code = (
        "import sys; from pathlib import Path; from penstock.plan.compiled import Overlay, load_plan\n"
        "from penstock.plan import graph\n"
        "load_plan(Path('p.yaml'), Overlay())\n"
        "print(*sorted({'yaml', 'pydantic', 'anyio', 'asyncio', 'rich', 'subprocess', 'tempfile', 'difflib',"
        " 'logging', 'importlib.metadata'} & sys.modules.keys()))"
    )
    made = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=pipeline.parent,
        env={**os.environ},
    )
    assert made.stdout.strip() == ""


def test_every_field_of_a_plan_is_in_its_document(pipeline: Path) -> None:
    _, plan = load_plan(pipeline, Overlay())
    assert set(encode_plan(plan)) == set(fields(Plan))
