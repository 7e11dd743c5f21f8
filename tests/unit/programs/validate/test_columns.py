"""What the schema file can demand of a column's values and of the table, beyond types and bounds."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.programs.validate import csv_files, sampling, table_checks
from penstock.programs.validate.repeats import Hashes, hashes
from penstock.programs.validate.sampling import Sample
from penstock.programs.validate.summaries import ExactSum, bin_edges
from validation_runs import Runs, failures, said

AB = "columns: [{name: a, type: %s}, {name: b, type: integer}]\n"


def rows(*values: object) -> str:
    return "a,b\n" + "".join(f"{value},{number}\n" for number, value in enumerate(values))


# Missing values, lengths, balance


@pytest.mark.parametrize(("share", "passed"), [(0, False), (0.49, False), (0.5, True), (1, True)])
def test_a_share_of_values_may_be_missing(runs: Runs, share: float, *, passed: bool) -> None:
    result = runs(rows("x", "", "", "y"), AB % f"string, max_nulls: {share}")
    assert result["passed"] is passed
    if not passed:
        assert failures(result) == {"a null share": [None, 2, 3]}
        assert said(result, "null share")[0].startswith("50 % of the rows hold nothing; at most ")


def test_no_value_is_missing_in_no_rows(runs: Runs) -> None:
    assert runs("a,b\n", AB % "string, max_nulls: 0" + "rows: {min: 0}")["passed"]


def test_lengths_are_counted_in_characters(runs: Runs) -> None:
    result = runs(rows("é", "éé", "éééé", ""), AB % "string, nullable: true, length: {min: 2, max: 3}")
    assert failures(result) == {"a min length": [1], "a max length": [3]}


@pytest.mark.parametrize(("bounds", "note"), [
    ("min_mean: 2, max_mean: 2", None),
    ("min_mean: 2.5", "2 characters, at least 2.5 wanted"),
    ("max_mean: 1.9", "2 characters, at most 1.9 wanted"),
])  # fmt: skip
def test_the_mean_length_is_bounded(runs: Runs, bounds: str, note: str | None) -> None:
    result = runs(rows("x", "xxx", ""), AB % f"string, nullable: true, length: {{{bounds}}}")
    assert said(result, "mean length") == ([note] if note else [])


def test_a_mean_length_of_no_texts_is_no_pass(runs: Runs) -> None:
    result = runs(rows(""), AB % "string, nullable: true, length: {max_mean: 3}")
    assert said(result, "mean length") == ["no text, so no mean length"]


@pytest.mark.parametrize(("values", "bounds", "note"), [
    ("xxxy", "min_share: 0.25, max_ratio: 3", None),
    ("xxxy", "min_share: 0.26", "'y' is 25 % of the values, at least 26 % wanted"),
    ("xxxy", "max_ratio: 2.9", "3 of 'x' to 1 of 'y', at most 2.9 to 1 wanted"),
    ("xxxx", "min_share: 0.1", "'y' is 0 % of the values, at least 10 % wanted"),
    ("xxxx", "max_ratio: 100", "4 of 'x' to 0 of 'y', at most 100 to 1 wanted"),
])  # fmt: skip
def test_classes_are_as_even_as_wanted(runs: Runs, values: str, bounds: str, note: str | None) -> None:
    result = runs(rows(*values), AB % f"category, allowed: [x, y], balance: {{{bounds}}}")
    assert said(result, "class balance") == ([note] if note else [])


def test_numbers_and_truth_values_can_be_classes(runs: Runs) -> None:
    assert said(runs(rows("1", "01", "2"), AB % "integer, balance: {max_ratio: 1}"), "class balance") == [
        "2 of '1' to 1 of '2', at most 1 to 1 wanted"
    ]
    assert runs(rows("true", "TRUE", "false", "False"), AB % "boolean, balance: {max_ratio: 1}")["passed"]


def test_too_many_classes_are_no_classes(runs: Runs) -> None:
    result = runs(rows(*range(51)), AB % "integer, balance: {min_share: 0.001}")
    assert said(result, "class balance") == ["more classes than are counted; is it one?"]
    result = runs(rows(""), AB % "integer, nullable: true, balance: {min_share: 0.001}")
    assert said(result, "class balance") == ["no value, so no class"]


# Rows that repeat


def test_rows_may_not_repeat(runs: Runs) -> None:
    data = "a,b\nx,1\ny,1\nx,1\nx,2\nx,1\n"
    schema = AB % "string"
    assert runs(data, schema)["passed"]
    result = runs(data, schema + "duplicates: forbid")
    assert failures(result) == {"duplicate rows": [3, 5]}
    assert said(result, "duplicate rows") == ["the same as row 1", "the same as row 1"]


def test_a_share_of_rows_may_repeat(runs: Runs) -> None:
    data = "a,b\nx,1\ny,1\nx,1\nx,2\nx,1\n"
    assert runs(data, AB % "string" + "duplicates: {max_share: 0.4}")["passed"]
    result = runs(data, AB % "string" + "duplicates: {max_share: 0.39}")
    assert failures(result) == {"duplicate rows": [None, 3, 5]}
    assert said(result, "duplicate rows")[0] == "40 % of the rows repeat another; at most 39 % may"


def test_values_that_join_to_the_same_text_are_not_the_same_row(runs: Runs) -> None:
    schema = "columns: [{name: a, type: string, nullable: true}, {name: b, type: string, nullable: true}]\n"
    assert runs("a,b\nx,\n,x\nxy,z\nx,yz\n", schema + "duplicates: forbid\nunique: [[a, b]]")["passed"]


def test_extra_columns_tell_rows_apart(runs: Runs) -> None:
    schema = AB % "string" + "extra_columns: allow\nduplicates: forbid"
    assert runs("a,b,c\nx,1,1\nx,1,2\n", schema)["passed"]


def test_values_with_nul_in_them_are_not_the_same_row() -> None:
    import pyarrow as pa

    left, right = pa.array(["a\0", "a", "a\0\1"]), pa.array(["b", "\0b", "b"])
    assert len({tuple(pair) for pair in hashes([left, right]).tolist()}) == 3


@given(st.lists(st.integers(0, 30), max_size=200), st.sampled_from([4096, 7]))
@settings(max_examples=60, deadline=None)
def test_repeats_are_the_same_on_disk_as_in_memory(values: list[int], limit: int) -> None:
    import pyarrow as pa

    store = Hashes()
    store._limit = limit
    for begin in range(0, len(values), 13):
        piece = values[begin : begin + 13]
        store.add(hashes([pa.array(map(str, piece), pa.string())]), np.arange(begin, begin + len(piece)))
    found, folder = store.repeats(), store.folder
    seen: dict[int, int] = {}
    again = [(row, seen[value]) for row, value in enumerate(values) if seen.setdefault(value, row) != row]
    assert (found.count, list(found.first)) == (len(again), again[:5])
    assert (folder is not None) is (limit == 7 and len(values) > 7)
    store.close()
    assert folder is None or not folder.exists()


@given(
    first=st.lists(st.integers(0, 20), max_size=60),
    second=st.lists(st.integers(0, 20), max_size=60),
    spilled=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_rows_of_one_set_in_another_are_found(first: list[int], second: list[int], *, spilled: bool) -> None:
    import pyarrow as pa

    stores = []
    for values, limit in ((first, 5 if spilled else 99), (second, 99)):
        store = Hashes()
        store._limit = limit
        store.add(hashes([pa.array(map(str, values), pa.string())]), np.arange(len(values)))
        stores.append(store)
    found = stores[1].found_in(stores[0])
    shared = [(row, first.index(value)) for row, value in enumerate(second) if value in first]
    assert (found.count, list(found.first)) == (len(shared), shared[:5])
    for store in stores:
        store.close()


def test_nothing_is_left_on_disk_when_reading_fails(
    refused: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spill"))
    (tmp_path / "spill").mkdir()
    monkeypatch.setattr(csv_files, "CHUNK_BYTES", 1 << 14)
    monkeypatch.setattr(table_checks, "LIMIT", 1)
    made: list[Path | None] = []
    spill = Hashes._spill

    def noted(store: Hashes) -> None:
        spill(store)
        made.append(store.folder)

    monkeypatch.setattr(Hashes, "_spill", noted)
    data = "a,b\n" + "".join(f"{number},1\n" for number in range(20_000)) + "1\n"
    assert refused(data, AB % "integer, unique: true").startswith("t.csv:20002: 1 values")  # type: ignore[operator]
    assert made
    assert not list((tmp_path / "spill").iterdir())


# Freshness, and what columns hold


def test_the_newest_date_is_noted_in_utc(runs: Runs) -> None:
    data = rows("2024-01-01", "2024-01-02T01:00+03:00", "2024-01-01T21:59:59.5Z", "2024-01-01T23:00Z", "soon")
    result = runs(data, AB % "date" + "freshness: a")
    assert result["newest"] == {"column": "a", "value": "2024-01-01T23:00:00Z"}
    assert failures(result) == {"a type": [5]}


def test_no_date_is_said_to_be_none(runs: Runs) -> None:
    result = runs(rows(""), AB % "date, nullable: true" + "freshness: a")
    assert result["newest"] == {"column": "a", "value": None, "problem": "no row holds a date there"}
    assert runs("b\n1\n", AB % "date" + "freshness: a")["newest"]["value"] is None
    assert runs(rows("2024-01-01"), AB % "date")["newest"] is None


def test_columns_are_summed_up(runs: Runs) -> None:
    schema = "columns: [{name: a, type: number, nullable: true}, {name: c, type: category, allowed: [x, y]}, {name: t, type: string}, {name: d, type: date}, {name: f, type: boolean}]"
    result = runs(
        "a,c,t,d,f\n1,x,aa,2024-01-01,true\n,x,b,2024-01-03,FALSE\n4.5,y,cccc,2024-01-02,True\nq,z,dd,2024-01-02,true\n",
        schema,
    )
    a, c, t, d, f = result["columns"]
    assert a == {"column": "a", "type": "number", "nulls": 1, "distinct": 2, "min": 1.0, "max": 4.5, "mean": 2.75,
                 "histogram": {"values": ["1", "4.5"], "counts": [1, 1]}}  # fmt: skip
    assert c["histogram"] == {"values": ["x", "y", "z"], "counts": [2, 1, 1]}
    assert t["length"] == {"min": 1, "max": 4, "mean": 2.25}
    assert (d["min"], d["max"], d["mean"]) == ("2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z", None)
    assert f["histogram"] == {"values": ["true", "false"], "counts": [3, 1]}


def test_many_numbers_are_counted_by_ranges(runs: Runs) -> None:
    result = runs(rows(*range(200)), AB % "integer")
    picture = result["columns"][0]["histogram"]
    assert picture["counts"] == [10] * 20
    assert (picture["edges"][0], picture["edges"][-1]) == (0, 199)


def test_rare_texts_are_counted_together(runs: Runs) -> None:
    values = [f"v{number:02d}" for number in range(30)] + ["v00"] * 3
    picture = runs(rows(*values), AB % "string")["columns"][0]["histogram"]
    assert picture["values"][0] == "v00"
    assert (len(picture["values"]), picture["others"]) == (20, 10)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=50), st.integers(1, 7))
def test_a_sum_is_exact_in_any_pieces(values: list[float], size: int) -> None:
    total = ExactSum()
    for begin in range(0, len(values), size):
        total.add(np.array(values[begin : begin + size]))
    assert total.total() == sum(map(Fraction, values), Fraction())


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=50))
def test_a_sum_of_integers_is_exact(values: list[int]) -> None:
    total = ExactSum()
    total.add(np.array(values, np.int64))
    assert total.total() == sum(values)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_ranges_hold_all_values(first: float, second: float) -> None:
    edges = bin_edges(np.array([first, second]))
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    assert np.histogram([first, second], edges)[0].sum() == 2


# The sample


def sample(total: int, size: int, *, limit: int) -> np.ndarray:
    chosen = Sample(1)
    chosen.size = limit
    for begin in range(0, total, size):
        count = min(size, total - begin)
        numbers = np.arange(begin, begin + count, dtype=float)
        chosen.add(begin, count, functools.partial(lambda held, places: {"x": held[places]}, numbers))
    return chosen.values("x")


@pytest.mark.parametrize("size", [1, 9, 100, 5000])
def test_a_sample_is_the_same_in_any_pieces(size: int) -> None:
    assert sample(5000, size, limit=300).tolist() == sample(5000, 777, limit=300).tolist()
    assert len(set(sample(5000, size, limit=300).tolist())) == 300


def test_a_small_table_is_its_own_sample() -> None:
    assert sorted(sample(300, 7, limit=300).tolist()) == list(range(300))
    assert len(Sample(1).values("x")) == 0


def test_a_sample_is_spread_as_the_table_is() -> None:
    """The Dvoretzky-Kiefer-Wolfowitz bound with δ = 10⁻⁶."""
    chosen = np.sort(sample(200_000, 50_000, limit=10_000)) / 200_000
    distance = np.abs(chosen - (np.arange(10_000) + 0.5) / 10_000).max()
    assert distance < math.sqrt(math.log(2 / 1e-6) / (2 * 10_000))


def test_a_table_of_many_columns_is_sampled_more_thinly() -> None:
    assert Sample(1).size == sampling.ROWS
    assert Sample(300).size == 10_000
    assert Sample(10_000).size == sampling.LEAST_ROWS


@pytest.mark.parametrize(("schema", "message"), [
    (AB % "integer, length: {min: 1}", "1: columns.0: a length means nothing for type integer"),
    (AB % "string, length: {min: 3, max: 2}", "1: columns.0.length: min 3 is greater than max 2"),
    (AB % "string, length: {mean: 3}", "1: unknown key 'columns.0.length.mean'"),
    (AB % "string, max_nulls: 5", "1: columns.0.max_nulls: input should be less than or equal to 1"),
    (AB % "string, max_nulls: .nan", "1: columns.0.max_nulls: input should be less than or equal to 1"),
    (AB % "date, balance: {}", "1: columns.0: balance means nothing for type date"),
    (AB % "string, balance: {max_ratio: 0.5}", "1: columns.0.balance.max_ratio: input should be greater than or equal to 1"),
    (AB % "string" + "duplicates: {max_share: 2}", "2: duplicates.max_share: input should be less than"),
    (AB % "string" + "duplicates: yes", "2: duplicates: input should be a valid dictionary or instance of Duplicates"),
    (AB % "string" + "freshness: a", "1: freshness: column 'a' is no date"),
    (AB % "string" + "target: c", "1: target: no column is called 'c'"),
    (AB % "string" + "id: bb", "1: id: no column is called 'bb'; did you mean 'b'?"),
    (AB % "string" + "drift: {ignore: [c]}", "1: drift: no column is called 'c'"),
    (AB % "string" + "drift: {treshold: 1}", "2: unknown key 'drift.treshold'; did you mean 'threshold'?"),
    (AB % "string" + "drift: {confidence: 1}", "2: drift.confidence: input should be less than 1"),
    (AB % "string" + "leakage: {max_share: -1}", "2: leakage.max_share: input should be greater than or equal to 0"),
])  # fmt: skip
def test_a_wrong_demand_is_refused_with_its_line(refused: object, schema: str, message: str) -> None:
    assert refused(rows(1), schema).startswith(f"t.yaml:{message}")  # type: ignore[operator]
