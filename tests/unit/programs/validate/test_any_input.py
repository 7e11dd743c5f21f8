"""Whatever the input: the same document at any chunk size, or one line and exit code 2."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.programs.validate import csv_files, parquet_files, sampling, table_checks
from validation_runs import Runs, start

Refused = Callable[..., str]
SCHEMA = """\
columns:
- {name: n, type: number, nullable: true, min: -5, max: 1000000, balance: {min_share: 0.01}}
- {name: i, type: integer, max_nulls: 0.2, unique: true}
- {name: t, type: string, nullable: true, blank_as_null: true, pattern: "[a-z ]*", length: {max: 4, max_mean: 3}}
- {name: c, type: category, allowed: [x, y], balance: {max_ratio: 2}}
- {name: d, type: date, nullable: true}
unique: [[t, c]]
duplicates: {max_share: 0.1}
rules: [n < i, {name: named, rule: "t is null or len(t) > 1 and d > date('2024-02-01')"}]
id: i
target: c
freshness: d
"""
CELL = {
    "n": st.one_of(
        st.just(""), st.floats(-10, 10).map(str), st.sampled_from(["1", "1.0", "1e7", "nan", "x"])
    ),
    "i": st.one_of(st.just(""), st.integers(-3, 30).map(str), st.just("007")),
    "t": st.text("ab \té", max_size=6),
    "c": st.sampled_from(["x", "y", "z"]),
    "d": st.sampled_from(["", "2024-01-01", "2024-03-01T10:00+02:00", "soon"]),
}
ROW = st.tuples(*CELL.values())


def quoted(text: str) -> str:
    return f'"{text}"' if text.strip() != text or not text else text


def table(rows: list[tuple[str, ...]]) -> str:
    return "n,i,t,c,d\n" + "".join(",".join(map(quoted, row)) + "\n" for row in rows)


def document(data: str, reference: str, size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_files, "CHUNK_BYTES", size)
        patch.setattr(table_checks, "LIMIT", 1 << 20 if size > 100 else 1)
        result = Runs(Path(folder))(
            data, SCHEMA, reference=reference, splits={"train": reference, "test": data}
        )
        text: dict[str, Any] = json.loads(json.dumps(result).replace(folder, ""))
        return text


@given(st.lists(ROW, max_size=25), st.lists(ROW, max_size=12), st.sampled_from([1, 5, 17, 60]))
@settings(max_examples=25, deadline=None)
def test_any_chunk_size_gives_the_same_document(
    rows: list[tuple[str, ...]], others: list[tuple[str, ...]], size: int
) -> None:
    assert document(table(rows), table(others), size) == document(table(rows), table(others), 1 << 22)


def test_a_sampled_table_gives_the_same_document_at_any_chunk_size(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "ROWS", 200)
    monkeypatch.setattr(sampling, "LEAST_ROWS", 200)
    data = "x,t,y\n" + "".join(f"{math.sin(i)},{'a' * (i % 13)}b{i},{i % 3}\n" for i in range(3000))
    schema = (
        "columns: [{name: x, type: number}, {name: t, type: string}, {name: y, type: integer}]\ntarget: y\n"
    )
    whole = runs(data, schema, reference=data)
    assert "rest on 200 rows, chosen at random, of 3,000" in whole["warnings"][0]
    for size in (64, 999, 20_000):
        monkeypatch.setattr(csv_files, "CHUNK_BYTES", size)
        assert runs(data, schema, reference=data) == whole


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_row_groups_of_a_parquet_file_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    content = pa.table({"a": [*range(50), 3], "b": [None, "x"] * 25 + ["y"]})
    found = []
    for size, chunk in ((rows, 1), (1000, 1 << 20)):
        pq.write_table(content, tmp_path / "t.parquet", row_group_size=size)
        monkeypatch.setattr(parquet_files, "CHUNK_BYTES", chunk)
        (tmp_path / "t.yaml").write_text(
            "columns: [{name: a, type: integer, unique: true}, {name: b, type: string}]"
        )
        assert start(tmp_path / "t.parquet", tmp_path / "t.yaml", tmp_path / "r.json") == 0
        result = json.loads((tmp_path / "r.json").read_text())
        found.append({name: value for name, value in result.items() if name != "data"})
    assert found[0] == found[1]
    assert not found[0]["passed"]


HOSTILE = ["", " ", "'", '"', "\t", "\x1b[31m", "<script>alert(1)</script>", "::error::x", "$(touch x)", "${{ github.token }}",
           "a\nb", "\u202egnp", "é", "e\u0301", "💥", "-", "--help", "__class__", "null", "true", "lambda", "n" * 300, "{}", "%s",
           "\ufeff", "\u2028", "=1+1", "../x", "NaN", "1"]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_of_a_column_stays_text(runs: Runs, name: str) -> None:
    written = f'"{name}"'.replace('"""', '""""') if name == '"' else f'"{name}"'
    data = f"{written},other\n1,2\n2,3\n1,2\n"
    assert [each["column"] for each in runs(data, None, reference=data)["columns"]] == [name, "other"]
    if name and name != "\ufeff":
        columns = [{"name": name, "type": "integer", "unique": True}, {"name": "other", "type": "integer"}]
        result = runs(data, yaml.safe_dump({"columns": columns, "rules": [f"column({name!r}) > 1"]}))
        assert [check["column"] for check in result["checks"] if not check["passed"]] == [name, None]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_stays_text(runs: Runs, value: str) -> None:
    data = "a,b\n" + '"{}",1\n'.format(value.replace('"', '""')) * 2
    result = runs(
        data,
        "columns: [{name: a, type: string, nullable: true, max_nulls: 1, unique: true}, {name: b, type: integer}]",
    )
    shown = [item["value"] for check in result["checks"] for item in check["examples"]]
    assert shown == ([value if len(value) <= 80 else value[:79] + "…"] if value else [])


@pytest.mark.parametrize(("field", "content"), [
    ("data", b""), ("data", b"\xff\xfe"), ("data", b"a\n\0"), ("data", b'"'), ("data", b"a,a\n"),
    ("reference", b""), ("reference", b"a,b\n1\n"), ("reference", b'a,b\n"1"2,3\n'), ("reference", b"a,b\n\xff,1\n"),
    ("train", b""), ("train", b'a,b\n"'), ("test", b"a,b\n1,2,3\n"), ("test", b"\0"),
])  # fmt: skip
def test_any_file_that_cannot_be_used_is_named_in_one_line(
    refused: Refused, field: str, content: bytes
) -> None:
    files: dict[str, Any] = {
        "data": "a,b\n1,2\n",
        "reference": "a,b\n1,2\n",
        "train": "a,b\n1,2\n",
        "test": "a,b\n3,4\n",
    }
    files[field] = content
    line = refused(files.pop("data"), None, **files)
    assert line.startswith("t.csv:" if field == "data" else f"{field}.csv:")


@pytest.mark.parametrize("field", ["reference", "splits"])
def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    missing = tmp_path / "none.csv"
    given_: dict[str, Any] = (
        {"reference": missing} if field == "reference" else {"splits": {"train": missing, "test": missing}}
    )
    assert start(tmp_path / "t.csv", None, tmp_path / "r.json", **given_) == 2
    assert capsys.readouterr().err == f"{missing}: No such file or directory\n"


def test_a_directory_is_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").mkdir()
    assert start(tmp_path / "t.csv", None, tmp_path / "r.json") == 2
    assert capsys.readouterr().err == f"{tmp_path / 't.csv'}: Is a directory\n"


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A 60 MB file is checked, rows and ids hashed, in no more than 400 MiB, libraries included."""
    path = tmp_path / "big.csv"
    with path.open("w") as file:
        file.write("id,x,t\n")
        for begin in range(0, 1_200_000, 10_000):
            file.write(
                "".join(
                    f"{i},{i * 0.37:.6f},some text that is {i % 977} long enough\n"
                    for i in range(begin, begin + 10_000)
                )
            )
    (tmp_path / "t.yaml").write_text(
        "columns: [{name: id, type: integer, unique: true}, {name: x, type: number, min: 0}, {name: t, type: string}]\n"
        "duplicates: forbid\nrules: [x >= 0]\n"
    )
    request = {"data": str(path), "schema": str(tmp_path / "t.yaml"), "result": str(tmp_path / "r.json")}
    (tmp_path / "request.json").write_text(json.dumps(request))
    program = (
        "import re, sys; from penstock.programs.validate.main import main; code = main(sys.argv[1:]);"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "request.json")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["passed"]
    assert int(done.stdout.split()[-1]) < 400 << 10
