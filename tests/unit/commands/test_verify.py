from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docker_samples
from penstock.report import members

PENSTOCK = (sys.executable, "-m", "penstock")
CHURN = Path(__file__).parents[3]
FILES = {
    "pipelines/default.yaml": """\
version: 1
name: p
params: params.yaml
stages:
  prepare: {run: mkdir splits; sort data/a > splits/train; wc -l < data/b > splits/test, inputs: [data], outputs: [splits]}
  train:
    run: mkdir model; cat splits/* params.yaml > model/weights; echo 1 > model/about
    inputs: [splits]
    params: [train]
    outputs: [model]
  check: {run: test -s model/weights, inputs: [model]}
  evaluate: {run: "printf '{\\"x\\": %s}' $(wc -c < model/weights) > m.json", inputs: [model], outputs: {metrics: m.json}}
gates: [{gate: threshold, metric: x, min: 1}]
""",
    "params.yaml": "train: {n: 1}\n",
    "data/a": "b\na\n",
    "data/b": "1\n",
}


class Clone:
    """A project with a store of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for path, text in FILES.items():
            self.write(path, text)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def penstock(self, *arguments: str, home: str = "home") -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ["PATH"], "PENSTOCK_HOME": str(self.root.parent / home)}
        done = subprocess.run(
            [*PENSTOCK, *arguments], cwd=self.root, env=environ, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        return done

    def run(self, *arguments: str) -> Path:
        done = self.penstock("run", "-q", *arguments, home=f"home-{self.root.name}")
        assert done.returncode in (0, 1, 3), done.stderr
        return self.root / ".penstock" / "runs" / (self.root / ".penstock/runs/latest").readlink()

    def verify(self, *arguments: object, code: int) -> str:
        """What `penstock verify` says where no store knows anything."""
        done = self.penstock("verify", *map(str, arguments), home="nowhere")
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code < 2 else done.stderr


@pytest.fixture
def clones(tmp_path: Path) -> tuple[Clone, Clone]:
    return Clone(tmp_path / "one"), Clone(tmp_path / "two")


def test_two_clones_with_stores_of_their_own_are_the_same(clones: tuple[Clone, Clone]) -> None:
    one, two = (clone.run() for clone in clones)
    said = clones[0].verify(one, two, code=0)
    assert "the same plan, keys, outputs and verdicts (4 stages, 3 outputs, 1 gate)" in said
    assert clones[0].verify(one, two / "run.json", "--strict", code=0) == said


def test_an_edited_file_is_named_with_the_stage_and_the_file_that_follow(clones: tuple[Clone, Clone]) -> None:
    clones[1].write("data/b", "1\n2\n")
    one, two = (clone.run() for clone in clones)
    lines = clones[0].verify(one, two, code=1).splitlines()
    assert "they part at stage prepare, in splits/test" in lines
    causes = lines[lines.index("what differs above it") + 1 :]
    assert causes[0].startswith("  input data/b  sha256:")
    assert causes[1] == ""
    assert any(line.startswith("  stage train  model/weights (reads what prepare made)") for line in lines)


def test_without_lists_of_files_the_directory_is_named(clones: tuple[Clone, Clone]) -> None:
    clones[1].write("data/b", "1\n2\n")
    one, two = (clone.run() for clone in clones)
    (one / members.NAME).unlink()
    assert "they part at stage prepare, in splits\n" in clones[0].verify(one, two, code=1)


def test_the_store_of_this_machine_stands_in_for_lists_of_files(clones: tuple[Clone, Clone]) -> None:
    first = clones[0].run()
    clones[0].write("data/b", "1\n2\n")
    second = clones[0].run()
    for folder in (first, second):
        (folder / members.NAME).unlink()
    said = clones[0].penstock("verify", str(first), str(second), home="home-one").stdout
    assert "they part at stage prepare, in splits/test\n" in said


def test_runs_of_this_project_are_named_by_id_prefix_and_latest(clones: tuple[Clone, Clone]) -> None:
    clone, _ = clones
    first, second = clone.run(), clone.run()
    said = clone.verify(first.name, "latest", code=0)
    assert first.name in said
    assert second.name in said
    assert "both are the report of one run" in clone.verify(second.name[:-1], "latest", code=0)
    assert f"there is no run '{first.name}x'" in clone.verify("latest", f"{first.name}x", code=2)


def test_a_parameter_is_a_difference_of_the_plans(clones: tuple[Clone, Clone]) -> None:
    clone, _ = clones
    said = clone.verify(clone.run(), clone.run("--set", "train.n=2"), code=1)
    assert "they part at stage train, in model/weights\n" in said
    assert "what differs above it\n  parameter train.n  1 | 2\n" in said


def test_a_stage_that_is_not_deterministic_is_named_as_one(clones: tuple[Clone, Clone]) -> None:
    for clone in clones:
        pipeline = (clone.root / "pipelines/default.yaml").read_text()
        pipeline = pipeline.replace("echo 1 >", "od -N 8 -x /dev/urandom >")
        clone.write("pipelines/default.yaml", pipeline)
    said = clones[0].verify(*(clone.run() for clone in clones), code=1)
    assert "they part at stage train, in model/about\n" in said
    assert "what differs above it: nothing that its key holds: this stage is not" in said
    assert "stage check" not in said  # it has no outputs, and passed twice


def test_a_failure_is_no_success(clones: tuple[Clone, Clone]) -> None:
    pipeline = (clones[1].root / "pipelines/default.yaml").read_text()
    clones[1].write("pipelines/default.yaml", pipeline.replace("test -s", "test ! -s"))
    said = clones[0].verify(*(clone.run() for clone in clones), code=1)
    assert "they part at stage check: ran | failed\n" in said
    assert "command run  test -s model/weights | test ! -s model/weights" in said


def changed(path: Path, change: Callable[[Any], None]) -> Path:
    """A copy of a run's folder whose document was changed."""
    other = path.with_name("other")
    shutil.copytree(path, other)
    document = json.loads((path / "run.json").read_bytes())
    change(document)
    (other / "run.json").write_text(json.dumps(document))
    return other


def test_another_environment_with_the_same_outputs_is_a_note_unless_it_counts(
    clones: tuple[Clone, Clone],
) -> None:
    def elsewhere(document: Any) -> None:
        document["executor"] = "dagger"
        for stage in document["stages"]:
            stage["environment"]["platform"] = "image sha256:12"
            stage["key"] = "sha256:" + "1" * 64

    run = clones[0].run()
    other = changed(run, elsewhere)
    said = clones[0].verify(run, other, code=0)
    assert "the same outputs and verdicts (4 stages, 3 outputs, 1 gate)" in said
    assert "  environment platform\n" in said
    assert "| image sha256:12 (prepare, train, check and 1 more)" in said
    said = clones[0].verify(run, other, "--strict", code=1)
    assert "every output and verdict is the same; not so what led to them\n" in said


def test_json_says_all_of_it(clones: tuple[Clone, Clone]) -> None:
    clones[1].write("data/b", "1\n2\n")
    one, two = (clone.run() for clone in clones)
    document = json.loads(clones[0].verify(one, two, "--json", code=1))
    assert document["same"] is False
    assert [run["run_id"] for run in document["runs"]] == [one.name, two.name]
    first = document["partings"][0]
    assert (first["what"], first["name"], first["changes"][0]["name"]) == ("stage", "prepare", "splits/test")
    assert first["above"][0]["name"] == "data/b"
    assert json.loads(clones[0].verify(one, one, "--json", code=0))["partings"] == []


def test_one_run_is_not_enough(clones: tuple[Clone, Clone]) -> None:
    said = clones[0].verify("latest", code=2)
    assert said.startswith("usage: penstock verify ")
    assert "the following arguments are required: B" in said


DEEP = '{"run_id": "x", "version": 1, "params": ' + '{"a":' * 800 + "1" + "}" * 801


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "run.json: there is no such file"),
        (b"", "run.json: is no JSON document"),
        (b"\x00\xff", "run.json: is no JSON document"),
        (b"{}", "run.json: is no report of a run"),
        (b'{"run_id": "x", "version": 2}', "run.json: is a report of version 2"),
        (b'{"run_id": "x", "version": 1, "stages": [null]}', "run.json: is no report of a run"),
        (b"9" * 5000, "run.json: is no JSON document"),
        (DEEP.encode(), "run.json: is no report of a run"),
    ],
    ids=["missing", "empty", "binary", "foreign", "newer", "broken", "digits", "deep"],
)
def test_what_is_no_report_is_refused(
    clones: tuple[Clone, Clone], content: bytes | None, message: str
) -> None:
    folder = clones[0].root / "there"
    folder.mkdir()
    if content is not None:
        (folder / "run.json").write_bytes(content)
    run = clones[1].run()
    for pair in ((folder, run), (run, folder)):
        said = clones[0].verify(*pair, code=2)
        assert said.startswith("penstock: ")
        assert message in said


def test_a_device_is_no_report(clones: tuple[Clone, Clone]) -> None:
    assert "/dev/zero: is no file" in clones[0].verify("/dev/zero", "/dev/zero", code=2)


@pytest.mark.parametrize("depth", [900, 950, 975, 990, 5000])
def test_a_report_that_is_nested_deeply_is_compared_or_refused(
    clones: tuple[Clone, Clone], depth: int
) -> None:
    run = clones[0].run()
    other = changed(run, lambda _: None) / "run.json"
    params = '"params": {"train": {"n": 1}}'
    text = other.read_text()
    assert params in text
    other.write_text(text.replace(params, '"params": ' + '{"a":' * depth + "1" + "}" * depth))
    done = clones[0].penstock("verify", str(run), str(other))  # which must not end in a traceback
    assert done.returncode in ((1, 2) if depth < 1000 else (2,))
    assert done.returncode == 1 or "deep" in done.stderr or "recursion" in done.stderr


def test_a_digest_that_is_a_path_leads_nowhere(clones: tuple[Clone, Clone]) -> None:
    run = clones[0].run()
    home = clones[0].root.parent / "home-one"
    (home / "quarantine").mkdir(exist_ok=True)
    victim = home / "victim"
    victim.write_text("mine")

    def point(document: Any) -> None:
        document["stages"][0]["outputs"][0]["digest"] = "sha256:..victim"

    other = changed(run, point)
    assert clones[0].penstock("verify", str(run), str(other), home="home-one").returncode == 1
    assert victim.is_file(), "it was taken for a damaged entry of the store, and set aside"


def test_a_run_in_containers_is_the_same_as_one_without(clones: tuple[Clone, Clone]) -> None:
    docker_samples.demand_daemon()
    for clone in clones:
        pipeline = (clone.root / "pipelines/default.yaml").read_text()
        environment = f"environment: {{image: '{docker_samples.image()}'}}\nstages:"
        clone.write("pipelines/default.yaml", pipeline.replace("stages:", environment))
    one, two = clones[0].run(), clones[1].run("--executor", "docker")
    said = clones[0].verify(one, two, code=0)
    assert "the same outputs and verdicts (4 stages, 3 outputs, 1 gate)\n" in said
    assert "  environment image\n    (none) | sha256:" in said
    clones[0].verify(one, two, "--strict", code=1)


@pytest.mark.slow
@pytest.mark.network
def test_the_example_is_the_same_in_two_clones_until_a_file_is_edited(tmp_path: Path) -> None:
    clones = []
    for name in ("one", "two"):
        root = tmp_path / name / "deeper" / name
        subprocess.run(["git", "clone", "-q", CHURN, root], check=True)
        clones.append(root)

    def penstock(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PENSTOCK_HOME": str(tmp_path / f"home-{root.name}")}
        environ.pop("PENSTOCK_PIPELINE", None)
        return subprocess.run(
            [*PENSTOCK, *arguments], cwd=root, env=environ, capture_output=True, text=True, check=False
        )

    def run(root: Path) -> Path:
        done = penstock(root, "run", "-q")
        assert done.returncode == 0, done.stdout + done.stderr
        return (root / "examples/churn/.penstock/runs/latest").resolve()

    first = [run(root) for root in clones]
    done = penstock(clones[0], "verify", *map(str, first), "--strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the same plan, keys, outputs and verdicts (11 stages, " in done.stdout

    data = clones[1] / "examples/churn/data/telco-churn.csv"
    lines = data.read_text().splitlines(keepends=True)
    learnt_from = next(line for line in lines if line.startswith("7590-VHVEG,"))  # or there were no baseline
    data.write_text("".join(line for line in lines if line != learnt_from))
    second = run(clones[1])
    done = penstock(clones[0], "verify", str(first[0]), str(second))
    assert done.returncode == 1, done.stderr
    assert "they part at stage prepare, in build/splits/" in done.stdout
    assert "  input data/telco-churn.csv  sha256:" in done.stdout
    assert (
        "  stage validate\n    build/penstock/validate.validation.json (reads what prepare made)\n"
        in done.stdout
    )
