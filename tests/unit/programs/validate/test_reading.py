"""Files become texts: CSV as Python's strict reader has them, at any chunk size; Parquet as Python writes values."""

from __future__ import annotations

import csv
import io
import re
import sys
import tempfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.programs.common.program import UnusableError
from penstock.programs.validate import csv_files
from penstock.programs.validate.cells import WHITE
from penstock.programs.validate.column_checks import as_re2
from penstock.programs.validate.csv_files import CsvFile
from penstock.programs.validate.kinds import KINDS, read
from penstock.programs.validate.opening import likely_delimiter
from penstock.programs.validate.parquet_files import ParquetFile
from validation_runs import Runs, failures

Refused = Callable[..., str]
PIECES = ["a", "1", ",", ",", "\n", "\n", "\r\n", "\r", '"', '"', '""', " ", "é", "\ufeff", "\u2028"]


def strictly(text: str) -> list[list[str]] | None:
    """Rows as Python's csv module reads them; None for what the program refuses."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        return None
    if not rows or len(set(rows[0])) < len(rows[0]) or any(len(row) != len(rows[0]) for row in rows):
        return None
    return rows


def in_chunks(text: str, size: int) -> list[list[str]] | None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_files, "CHUNK_BYTES", size)
        path = Path(folder) / "t.csv"
        path.write_bytes(text.encode())
        try:
            table = CsvFile(str(path), ",")
            batches = list(table.batches())
        except UnusableError as error:
            return None if str(error).startswith(f"{path}:") else [[str(error)]]
        found = [
            list(row)
            for batch in batches
            for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)
        ]
        assert [batch.first for batch in batches] == [
            sum(b.rows for b in batches[:i]) for i in range(len(batches))
        ]
        return [table.names, *found]


@given(
    st.lists(st.sampled_from(PIECES), max_size=40).map(lambda pieces: "a,b\n" + "".join(pieces)),
    st.sampled_from([1, 2, 3, 7, 16, 1 << 22]),
)
@settings(max_examples=500, deadline=None)
@example('a,b\n"x""y","p\nq"\n1,2\n', 3)
@example('a,b\n1,5" pipe\n2,"3"\n', 1 << 22)
@example("a,b\r1,2\r\n3,4\r", 1)
@example('a,b\n1,""\n"",2', 2)
def test_any_text_in_chunks_of_any_size_reads_as_python_reads_it(text: str, size: int) -> None:
    assert in_chunks(text, size) == strictly(text.removeprefix("\ufeff"))


def test_a_row_that_spans_chunks_keeps_its_number_and_line(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "CHUNK_BYTES", 16)
    rows = "".join(f'{number},"line\n{number}"\n' for number in range(200))
    assert refused(f"a,b\n{rows}1\n", None).startswith("t.csv:402: 1 values")
    assert refused(f'a,b\n{rows}1,"2"3\n', None).startswith("t.csv:402: no CSV: ',' expected")
    assert refused(f"a,b\n{rows}".encode() + b"1,\xff\n", None).startswith(
        "t.csv:402: not UTF-8: byte 0xff at offset"
    )


def test_chunks_that_only_python_reads_do_not_end_fast_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "SLOW_BYTES", 100)
    monkeypatch.setattr(csv_files, "CHUNK_BYTES", 1000)
    rows = [[str(number), 'five" pipe' if number == 300 else "x"] for number in range(1000)]
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(",".join(row) + "\n" for row in rows))
    slow: list[int] = []
    read = CsvFile._slow

    def noted(self: CsvFile, rows: object, until: int) -> list[pa.StringArray]:
        slow.append(until)
        return read(self, rows, until)  # type: ignore[arg-type]

    monkeypatch.setattr(CsvFile, "_slow", noted)
    batches = list(CsvFile(str(tmp_path / "t.csv"), ",").batches())
    assert [
        row for batch in batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)
    ] == [tuple(row) for row in rows]
    assert 1 <= len(slow) < 15


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "ROW_LIMIT_BYTES", 1000)
    monkeypatch.setattr(csv_files, "CHUNK_BYTES", 100)
    assert refused("a,b\n" + "1" * 5000, None) == "t.csv:2: a line of more than 1,000 bytes"
    assert refused("a" * 5000, None) == "t.csv:1: a line of more than 1,000 bytes"


def test_a_table_of_too_many_columns_is_refused(refused: Refused) -> None:
    header = ",".join(f"c{number}" for number in range(10_001))
    assert refused(header, None) == "t.csv:1: 10,001 columns; at most 10,000 can be checked"


@pytest.mark.parametrize(
    ("text", "delimiter"), [("a;b,c;d\n1", ";"), ("a\tb\n", "\t"), ("a", ","), ("", ","), ("a|b", "|")]
)
def test_without_a_schema_the_delimiter_is_the_most_frequent_one(
    tmp_path: Path, text: str, delimiter: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert likely_delimiter(str(tmp_path / "t.csv")) == delimiter


def test_a_delimiter_beyond_ascii_is_read_too(runs: Runs) -> None:
    result = runs(
        "a§b\n1§2\n", "columns: [{name: a, type: integer}, {name: b, type: integer}]\ndelimiter: '§'\n"
    )
    assert result["passed"]


def test_white_space_is_what_python_takes_for_it() -> None:
    assert set(WHITE) == {letter for letter in map(chr, range(sys.maxunicode + 1)) if letter.isspace()}


# Types: one text at a time, and many at once

LETTERS = "0123456789-+.eEx_ TZ:/truefalsnAN٣"
ODD = ["", "007", "+5", "9223372036854775808", "-9223372036854775808", "0" * 50 + "1", "1e5", "1e999", ".5", "5.", "0x10",
       "9" * 400, "1e0000000000001", "-0", "true", "False", "2024-02-29", "2023-02-29", "0000-01-01", "0001-01-01T00:00+02:00",
       "9999-12-31T23:59:59.999999", "2024-01-01T24:00", "2024-01-01T10", "2024-01-01 10:00Z", "2024-01-01T10:00:00.1-23:59",
       "2024-01-01T10:00+24:00", "-5.", "nan", "inf", " 1"]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(ODD),
    st.text(LETTERS, min_size=1, max_size=12),
    st.integers(-(1 << 65), 1 << 65).map(str),
    st.floats().map(repr),
    st.datetimes().map(lambda value: value.isoformat()),
    st.dates().map(lambda value: value.isoformat()),
)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.many])
@given(texts=st.lists(TEXTS, min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_whole_column_is_read_as_each_of_its_texts_is(name: str, texts: list[str]) -> None:
    kind = KINDS[name]
    assert kind.many is not None
    values, fits = kind.many(pa.array(texts, pa.string()))
    alone = [read(kind, text) for text in texts]
    assert [bool(fit) for fit in fits] == [value is not None for value in alone]
    assert [value for value, fit in zip(values.tolist(), fits, strict=True) if fit] == [
        v for v in alone if v is not None
    ]


@given(
    st.text("ab0- .*+?{}()[]|\\dw^$,1\n", max_size=10),
    st.lists(st.text("ab0- .1\n", max_size=6), min_size=1, max_size=5),
)
@settings(max_examples=500, deadline=None)
@example("[0-9]{4}-[A-Z]{5}", ["0000-AAAAA"])
def test_a_pattern_that_goes_to_the_fast_engine_says_what_python_says(pattern: str, texts: list[str]) -> None:
    try:
        compiled = re.compile(pattern)
    except (re.error, FutureWarning):
        return
    if (quick := as_re2(pattern)) is None:
        return
    found = pa.compute.match_substring_regex(pa.array(texts), quick).to_pylist()
    assert found == [compiled.fullmatch(text) is not None for text in texts]


def test_an_everyday_pattern_goes_to_the_fast_engine() -> None:
    assert as_re2("[0-9]{4}-[A-Z]{5}")
    assert as_re2(r"\d+\.\d*")
    assert not as_re2(r"a++")
    assert not as_re2(r"x\s")
    assert not as_re2(r"x$")


# Parquet


def parquet(path: Path, **columns: pa.Array) -> ParquetFile:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return ParquetFile(str(path))


def test_values_of_a_parquet_file_are_judged_by_their_text(tmp_path: Path) -> None:
    table = parquet(
        tmp_path / "t.parquet",
        integer=pa.array([1, None, -3]),
        number=pa.array([1.0, float("nan"), 1e300]),
        truth=pa.array([True, None, False]),
        text=pa.array(["007", "", None]),
        coded=pa.array(["x", "y", None]).dictionary_encode(),
        day=pa.array([date(2024, 1, 2), None, None]),
        instant=pa.array([datetime.fromisoformat("2024-01-02T03:04:05.000600"), None, None]),
        exact=pa.array([Decimal("1.50"), None, None]),
        nested=pa.array([[1, 2], None, []]),
    )
    found: dict[str, list[str | None]] = {name: [] for name in table.names}
    for batch in table.batches():
        for name, column in zip(table.names, batch.columns, strict=True):
            found[name] += column.to_pylist()
    assert found == {
        "integer": ["1", None, "-3"],
        "number": ["1.0", "nan", "1e+300"],
        "truth": ["True", None, "False"],
        "text": ["007", "", None],
        "coded": ["x", "y", None],
        "day": ["2024-01-02", None, None],
        "instant": ["2024-01-02T03:04:05.000600", None, None],
        "exact": ["1.50", None, None],
        "nested": ["[1, 2]", None, "[]"],
    }


def test_a_parquet_file_is_checked_like_a_csv_file(runs: Runs) -> None:
    from validation_runs import start

    table = pa.table({"a": [5, 6, None], "b": ["x", "x", "y"], "n": [0.5, float("inf"), 1.0]})
    pq.write_table(table, runs.folder / "t.parquet")
    schema = runs.file(
        "t.yaml",
        "columns: [{name: a, type: integer, max: 5}, {name: b, type: string, unique: true}, {name: n, type: number}]",
    )
    assert start(runs.folder / "t.parquet", schema, runs.folder / "r.json") == 0
    import json

    result = json.loads((runs.folder / "r.json").read_text())
    assert failures(result) == {"a not nullable": [3], "a max": [2], "b unique": [2], "n type": [2]}


def test_a_parquet_file_that_repeats_a_long_text_is_read_in_pieces(tmp_path: Path) -> None:
    long = "x" * (1 << 20)
    pq.write_table(pa.table({"a": [long] * 200, "b": range(200)}), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 2 << 20
    batches = list(ParquetFile(str(tmp_path / "t.parquet")).batches())
    assert sum(batch.rows for batch in batches) == 200
    assert max(batch.columns[0].nbytes for batch in batches) < 40 << 20
    assert [batch.columns[1][0].as_py() for batch in batches] == [str(batch.first) for batch in batches]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"PAR1" * 50, "cut", "flipped"])
def test_a_broken_parquet_file_is_refused_in_one_line(
    refused: Refused, tmp_path: Path, damage: bytes | str
) -> None:
    pq.write_table(pa.table({"a": list(range(1000))}), tmp_path / "good")
    whole = (tmp_path / "good").read_bytes()
    middle = len(whole) - 60
    content = {
        "cut": whole[:-20],
        "flipped": whole[:middle]
        + bytes(b ^ 0xFF for b in whole[middle : middle + 30])
        + whole[middle + 30 :],
    }
    data = content[damage] if isinstance(damage, str) else damage
    assert refused(data, None, "t.parquet").startswith("t.parquet: no Parquet: ")


def test_text_that_is_not_utf8_in_a_parquet_file_is_refused(refused: Refused, tmp_path: Path) -> None:
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe"))
    pq.write_table(pa.table({"a": broken}), tmp_path / "broken")
    assert "UTF" in refused((tmp_path / "broken").read_bytes(), None, "t.parquet")
