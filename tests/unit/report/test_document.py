from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import report_samples as samples
from penstock.errors import PipelineError, StoreError
from penstock.record import replace
from penstock.report.document import (
    encode,
    from_document,
    read_json,
    schema,
    schema_text,
    to_document,
    write_whole,
)
from penstock.results import Reason, StageResult, StageState

VALIDATOR = jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("kind", samples.KINDS)
def test_a_document_holds_all_of_a_report(kind: str) -> None:
    report = samples.KINDS[kind]()
    assert from_document(to_document(report)) == report


@pytest.mark.parametrize("kind", samples.KINDS)
def test_a_document_fits_the_schema(kind: str) -> None:
    VALIDATOR.validate(json.loads(encode(samples.KINDS[kind]())))


def test_the_committed_schema_is_current() -> None:
    committed = files("penstock.report").joinpath("run.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "write schema_text() to src/penstock/report/run.schema.json"


def test_the_schema_is_one_and_says_what_the_fields_are() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    attempt = schema()["$defs"]["Attempt"]
    assert attempt["properties"]["exit_code"]["description"].startswith("Of the command; 124 after a timeout")
    assert attempt["additionalProperties"] is False


@pytest.mark.parametrize("kind", samples.KINDS)
def test_the_schema_refuses_what_the_reader_refuses(kind: str) -> None:
    document = to_document(samples.KINDS[kind]())
    for broken in ({**document, "more": 1}, {**document, "stages": "none"}, {**document, "version": 2}):
        assert not VALIDATOR.is_valid(broken)
        with pytest.raises(PipelineError, match=r"run\.json: is (no|a) report of"):
            from_document(broken)


def _at(document: Any, path: str, value: Any) -> Any:
    *names, last = [int(name) if name.isdecimal() else name for name in path.split(".")]
    for name in names:
        document = document[name]
    if value is KeyError:
        del document[last]
    else:
        document[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("run_id", 5, "run_id is 5, not text"),
        ("exit_code", "0", "exit_code is '0', not a whole number"),
        ("exit_code", True, "exit_code is True, not a whole number"),
        ("wall_s", None, "wall_s is None, not a number"),
        ("stages", {}, "stages is {}, not a list"),
        ("stages.1", [], r"stages\[1\] is \[\], not a mapping"),
        ("stages.1.state", "done", r"stages\[1\]\.state is 'done', not one of ran, cached"),
        ("stages.1.name", KeyError, r"stages\[1\]\.name is None, not there"),
        (
            "stages.0.attempts.0.usage.colour",
            1,
            r"stages\[0\]\.attempts\[0\]\.usage\.colour is 1, not a field",
        ),
        ("gates.0.required", "yes", r"gates\[0\]\.required is 'yes', not true or false"),
        ("gates.0.interval", [1.0], r"gates\[0\]\.interval is \[1\.0\], not a list of 2"),
        (
            "gates.0.evidence",
            [],
            r"gates\[0\] is 'schema', not a GateResult: gate 'schema': pass without evid",
        ),
        ("stages.0.environment", "linux", r"stages\[0\]\.environment is 'linux', not a mapping"),
        ("stages.0.environment.python", 3.12, r"stages\[0\]\.environment\.python is 3\.12, not text"),
        ("params", [], r"params is \[\], not a mapping"),
        ("plan", None, "plan is None, not text"),
    ],
)
def test_a_changed_document_is_refused_by_field(path: str, value: Any, message: str) -> None:
    document = to_document(samples.passed())
    _at(document, path, value)
    with pytest.raises(PipelineError, match=message) as caught:
        from_document(document, where="a/run.json")
    assert str(caught.value).startswith("a/run.json: is no report of a run: ")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.5])
def test_a_document_of_another_version_is_refused(version: object) -> None:
    document = {**to_document(samples.passed()), "version": version}
    with pytest.raises(
        PipelineError, match=f"version {re.escape(repr(version))}; this Penstock reads version 1"
    ):
        from_document(document)


@pytest.mark.parametrize("document", [None, [], 3, {}, {"version": 1}])
def test_something_else_is_no_report(document: object) -> None:
    with pytest.raises(PipelineError, match="is no report of a run"):
        from_document(document)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON document"),
        (b"\xff\xfe", "is no JSON document"),
        (b"[" * 100_000, "is no JSON document"),
        (b'{"run_id": NaN}', "is no JSON document: NaN is no JSON number"),
        (b'{"run_id": 1e999}', "is no JSON document: 1e999 is out of range"),
    ],
)
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=message):
        read_json(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"none\.json: cannot be read: No such file"):
        read_json(tmp_path / "none.json")


def test_a_written_report_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "r" / "run.json"
    write_whole(path, encode(samples.failed()))
    assert read_json(path) == samples.failed()
    assert [entry.name for entry in path.parent.iterdir()] == ["run.json"]


def test_a_report_that_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    path.write_text("before")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match=r"run\.json: the report cannot be written: No space left"):
        write_whole(path, encode(samples.passed()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]
    assert path.read_text() == "before"


def test_numbers_that_json_cannot_write_become_null() -> None:
    gate = samples.gate(value=math.nan, maximum=math.inf)
    document = json.loads(encode(samples.report(gates=(gate,))))
    assert document["gates"][0]["value"] is None
    assert document["gates"][0]["maximum"] is None


def test_names_that_are_no_unicode_survive() -> None:
    report = samples.report(replace(samples.stage("train"), run="cat caf\udce9"))
    assert from_document(json.loads(encode(report))) == report


def test_each_stage_and_gate_has_a_line_of_its_own() -> None:
    lines = encode(samples.passed()).decode().splitlines()
    assert len([line for line in lines if line.startswith('  {"name": ')]) == 6
    assert len([line for line in lines if line.startswith('  {"gate": ')]) == 2


def test_200_stages_are_written_in_20_milliseconds(tmp_path: Path) -> None:
    stages = (
        StageResult(
            name=f"stage-{number}",
            state=StageState.CACHED,
            reason=Reason(code="unchanged", sentence="nothing that it reads changed"),
            run="python -m work",
            inputs=samples.stage("a").inputs * 3,
            outputs=samples.stage("a").outputs,
            attempts=(samples.attempt(log="done\n"),),
        )
        for number in range(200)
    )
    report = samples.report(*stages)
    assert (
        _best(lambda: write_whole(tmp_path / "run.json", encode(report))) < 0.06
    )  # 0.013 s on an idle machine


def _best(work: Callable[[], None]) -> float:
    times = []
    for _ in range(5):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)
