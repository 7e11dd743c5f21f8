"""What users are told when something is wrong, and the exit code that they get."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dagger_cli import Called, Repository

pytestmark = pytest.mark.dagger


def changed(repository: Repository, old: str, new: str) -> Repository:
    place = repository.root / "pipelines/default.yaml"
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new))
    return repository


def demand(called: Called, code: int, *texts: str) -> None:
    """One clear text, and that exit code."""
    assert called.code == code, called.log
    assert "Traceback" not in called.log
    assert "Stderr:" not in called.log
    for text in texts:
        assert text in called.error, called.error


@pytest.mark.parametrize(
    ("old", "new", "code", "texts"),
    [
        ("tr a-z A-Z", "exit 7 #", 1, ["✗ train", "stage train: exit code 7", "failed: "]),
        ("tr a-z A-Z", "echo spoken; kill -9 $$ #", 1, ["exit code 137 (killed by signal 9", "spoken"]),
        ("min: 3", "min: 99", 3, ["[fail] threshold-bytes  8.00 < 99", "failed: gate threshold-bytes"]),
        ("metric: bytes, min: 3", "metric: other, min: 3", 3, ["[fail] threshold-other"]),
        (
            "    run: |\n",
            "    timeout: 1\n    run: |\n      echo stuck; sleep 60\n",
            124,
            ["timed out after 1 s", "stuck"],
        ),
        (
            "outputs: {model: build/model}",
            "outputs: {model: build/modle}",
            1,
            ["'build/modle' was not written"],
        ),
    ],
    ids=["stage", "killed", "gate", "metric", "timeout", "output"],
)
def test_what_fails_is_said_with_its_exit_code(
    words: Repository, old: str, new: str, code: int, texts: list[str]
) -> None:
    if "modle" in new:
        changed(words, "inputs: [build/model]", "inputs: [build/modle]")
        changed(words, "contents: [build/model]", "contents: [build/modle]")
    demand(changed(words, old, new).call("full-pipeline"), code, *texts)


@pytest.mark.parametrize("function", ["gate", "publish", "full-pipeline"])
def test_a_failed_gate_fails_what_needs_it(words: Repository, function: str) -> None:
    changed(words, "min: 3", "min: 99")
    demand(words.call(function), 3, "8.00 < 99")


def test_a_run_that_did_not_pass_has_a_report_all_the_same(words: Repository, tmp_path: Path) -> None:
    changed(words, "min: 3", "min: 99")
    called = words.call("run", "report", "export", "--path", str(tmp_path / "report"))
    assert called.code == 0, called.log
    assert (tmp_path / "report/exit-code").read_text().strip() == "3"
    run = json.loads((tmp_path / "report/run.json").read_text())
    assert run["gates"][0]["verdict"] == "fail"
    assert words.call("run", "passed").out.strip() == "false"
    assert words.call("run", "exit-code").out.strip() == "3"
    assert words.call("train", "entries").code == 0


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (
            ["--pipeline", "pipelines/none.yaml", "plan"],
            ["no pipeline file 'pipelines/none.yaml'", "default.yaml"],
        ),
        (["--profile", "none", "plan"], ["profile 'none'"]),
        (["--event", "none", "plan"], ["'none'", "pull-request"]),
        (["--set", "train.none=1", "plan"], ["train.none"]),
        (["--set", "train", "plan"], ["'train'"]),
        (["stage", "--name", "trian"], ["'trian'", "train"]),
    ],
    ids=lambda each: each[0] if each[0].startswith("--") else "",
)
def test_what_is_asked_wrongly_is_said(words: Repository, arguments: list[str], texts: list[str]) -> None:
    called = words.call(*arguments, *(["entries"] if "stage" in arguments else []))
    demand(called, 2, *texts)


def test_an_accelerator_that_is_none_is_refused_by_its_name(words: Repository) -> None:
    called = words.call("--accelerator", "tpu", "plan")
    assert called.code != 0
    assert "Traceback" not in called.log
    assert re.search("CPU.*CUDA|cpu.*cuda", called.error), called.error


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        (
            "version: 1\nname: x\nstages:\n  a: {run: x, inptus: [y]}\n",
            ["pipelines/default.yaml:4: ", "inptus"],
        ),
        ("version: 1\nname: [\n", ["pipelines/default.yaml:3: "]),
        (
            "version: 1\nname: x\nstages:\n  a: {run: x, inputs: [nothing]}\n",
            ["pipelines/default.yaml:4: ", "nothing"],
        ),
        ("version: 1\nname: x\nparams: none.yaml\nstages:\n  a: {run: x}\n", ["none.yaml"]),
        ("", ["pipelines/default.yaml"]),
    ],
    ids=["key", "syntax", "input", "params", "empty"],
)
def test_a_wrong_pipeline_file_is_named_with_its_line(
    repository: Repository, text: str, texts: list[str]
) -> None:
    repository.write({"pipelines/default.yaml": text})
    demand(repository.call("full-pipeline"), 2, *texts)


def test_an_image_that_is_not_there_is_named(words: Repository) -> None:
    changed(words, "image: busybox", "image: 'no-such-image:7'")
    demand(words.call("full-pipeline"), 5, "image 'no-such-image:7' cannot be had")


def test_an_image_without_a_shell_is_said_to_be_that(words: Repository) -> None:
    changed(words, "image: busybox", "image: 'ghcr.io/astral-sh/uv:0.10.3'")
    demand(words.call("train", "entries"), 5, "stage 'train': its image has no /bin/sh")


def test_an_environment_that_cannot_be_installed_is_said(words: Repository) -> None:
    changed(words, "{image: busybox}", "{requirements: requirements.txt}")
    words.write(
        {"requirements.txt": "no-such-package-penstock-test @ file:///nowhere/x-1.0-py3-none-any.whl\n"}
    )
    called = words.call("train", "entries")
    assert called.code in {2, 5}, called.log
    assert "Traceback" not in called.log
    assert "requirements.txt" in called.error
