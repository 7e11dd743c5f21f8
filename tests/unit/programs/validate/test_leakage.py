"""Leakage: rows and ids in two splits, and features that give the target away."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from validation_runs import Runs, failures, said

SHARED = Path("/work/shared/data/wine-quality-white.csv")
IDS = "columns: [{name: id, type: string}, {name: x, type: integer}]\nid: id\n"


def table(*rows: str) -> str:
    return "id,x\n" + "".join(f"{row}\n" for row in rows)


def test_splits_that_share_nothing_pass(runs: Runs) -> None:
    splits = {"train": table("a,1", "b,1"), "test": table("c,1")}
    result = runs(table("a,1", "b,1", "c,1"), IDS, splits=splits)
    assert result["passed"]
    assert [split["rows"] for split in result["leakage"]["splits"]] == [2, 1]
    assert [(each["splits"], each["by"], each["rows"]) for each in result["leakage"]["overlaps"]] == [
        (["train", "train"], "row", 0),
        (["test", "test"], "row", 0),
        (["train", "test"], "row", 0),
        (["train", "test"], "id", 0),
    ]


def test_the_same_row_in_two_splits_is_found(runs: Runs) -> None:
    splits = {"train": table("a,1", "b,2"), "test": table("c,1", "b,2", "b,2")}
    result = runs(table("a,1"), IDS, splits=splits)
    assert failures(result) == {"no row of train in test": [2, 3], "no id of train in test": [2, 3]}
    assert said(result, "no row of train in test") == ["the same row as in row 2 of train"] * 2
    within, across = result["leakage"]["overlaps"][1], result["leakage"]["overlaps"][2]
    assert (within["splits"], within["rows"]) == (["test", "test"], 1)
    assert (across["rows"], across["share"]) == (2, pytest.approx(2 / 3))


def test_the_same_id_with_another_row_is_found_as_such(runs: Runs) -> None:
    splits = {"train": table("a,1", ",2"), "test": table("a,3", ",4")}
    assert failures(runs(table("a,1"), IDS, splits=splits)) == {"no id of train in test": [1]}
    without = IDS.replace("id: id\n", "")
    assert runs(table("a,1"), without, splits=splits)["passed"]


def test_columns_that_are_ignored_do_not_tell_rows_apart(runs: Runs) -> None:
    splits = {"train": table("a,1"), "test": table("b,1")}
    schema = IDS + "leakage: {ignore: [id]}"
    assert failures(runs(table("a,1"), schema, splits=splits)) == {"no row of train in test": [1]}


def test_a_share_of_rows_may_be_in_both(runs: Runs) -> None:
    splits = {"train": table("a,1"), "test": table("a,1", "b,1")}
    assert runs(table("a,1"), IDS + "leakage: {max_share: 0.5}", splits=splits)["passed"]
    result = runs(table("a,1"), IDS + "leakage: {max_share: 0.49}", splits=splits)
    assert said(result, "no row of train in test") == [
        "50 % of test; at most 49 % may be",
        "the same row as in row 1 of train",
    ]


def test_three_splits_are_compared_two_by_two(runs: Runs) -> None:
    splits = {"train": table("a,1"), "validation": table("b,1"), "test": table("b,1")}
    result = runs(table("a,1"), IDS, splits=splits)
    assert set(failures(result)) == {"no row of test in validation", "no id of test in validation"}


def test_what_is_learnt_from_comes_first_whatever_its_place(runs: Runs) -> None:
    splits = {"a test": table("a,1", "b,1", "c,1"), "my Train": table("a,1")}
    result = runs(table("a,1"), IDS, splits=splits)
    assert said(result, "no row of my Train in a test") == ["the same row as in row 1 of my Train"]
    assert result["leakage"]["overlaps"][2]["share"] == pytest.approx(1 / 3)


def test_splits_of_other_columns_are_compared_by_what_they_share(runs: Runs) -> None:
    splits = {"train": "x,z\n1,2\n", "test": "y,x\n5,1\n"}
    result = runs(table("a,1"), IDS, splits=splits)
    assert failures(result) == {"no row of train in test": [1]}
    assert result["warnings"][0] == "the splits differ in their columns: rows are compared by x"
    assert "has no column 'id': its ids are not compared" in result["warnings"][1]


def test_splits_without_a_common_column_are_refused(refused: Callable[..., str]) -> None:
    line = refused(table("a,1"), IDS, train="x\n1\n", test="y\n1\n")
    assert (
        line == "train.csv, test.csv: no column is in all of these splits, so their rows cannot be compared"
    )


def test_a_split_that_cannot_be_read_is_refused(refused: Callable[..., str]) -> None:
    assert (
        refused(table("a,1"), IDS, train="x,y\n1\n", test="x,y\n")
        == "train.csv:2: 1 values, but the header names 2 columns"
    )


def test_a_split_may_have_a_delimiter_of_its_own(runs: Runs) -> None:
    schema = IDS + "delimiter: ';'"
    splits = {"train": "id,x\na,1\n", "test": "id;x\na;1\n"}
    assert set(failures(runs("id;x\na;1\n", schema, splits=splits))) == {
        "no row of train in test",
        "no id of train in test",
    }


@pytest.mark.skipif(not SHARED.exists(), reason="needs wine-quality-white.csv in /work/shared/data")
def test_the_937_duplicates_of_the_wine_data_leak_when_they_are_split(runs: Runs) -> None:
    rows = list(csv.reader(io.StringIO(SHARED.read_text(), newline="")))
    names, wines = rows[0], rows[1:]
    random.Random(0).shuffle(wines)
    parts = {"train": wines[:3673], "test": wines[3673:]}
    written = {
        name: "\n".join(",".join(row) for row in [names, *part]) + "\n" for name, part in parts.items()
    }
    schema = "columns:\n" + "".join(f"- {{name: {json.dumps(name)}, type: number}}\n" for name in names)
    result = runs(SHARED.read_text(), schema + "duplicates: forbid\ntarget: quality\n", splits=written)
    found = {check["name"]: check["failures"] for check in result["checks"] if not check["passed"]}
    learnt = set(map(tuple, parts["train"]))
    shared = sum(tuple(row) in learnt for row in parts["test"])
    assert found == {"duplicate rows": 937, "no row of train in test": shared}
    assert shared > 300
    overlaps = {tuple(each["splits"]): each["rows"] for each in result["leakage"]["overlaps"]}
    of_both = len(learnt & set(map(tuple, parts["test"])))
    assert overlaps["train", "train"] + overlaps["test", "test"] + of_both == 937
    assert result["leakage"]["telling"] == []  # no property of a wine gives its quality away

    unique = list(dict.fromkeys(map(tuple, wines)))
    written = {
        name: "\n".join(",".join(row) for row in [names, *part]) + "\n"
        for name, part in {"train": unique[:3000], "test": unique[3000:]}.items()
    }
    assert runs(SHARED.read_text(), schema, splits=written)["passed"]


# Features that give the target away

NUMBERS = np.random.default_rng(5)
ROWS = 2000
CHANCE = NUMBERS.normal(size=ROWS)
NOISE = NUMBERS.normal(size=ROWS)
CLASS = (NUMBERS.random(ROWS) < 0.3).astype(int)
AMOUNT = np.exp(3 * NUMBERS.normal(size=ROWS))


def telling(
    runs: Runs, feature: list[object], target: list[object], kinds: str, options: str = ""
) -> list[dict[str, object]]:
    feature_kind, target_kind = kinds.split()
    schema = (
        f"columns: [{{name: f, type: {feature_kind}, nullable: true}}, {{name: y, type: {target_kind}, nullable: true}},"
        f" {{name: noise, type: number}}]\ntarget: y\n{options}"
    )
    rows = "".join(f"{f},{y},{z}\n" for f, y, z in zip(feature, target, NOISE, strict=True))
    result = runs("f,y,noise\n" + rows, schema)
    assert result["passed"] is (result["leakage"]["telling"] == [])
    return list(result["leakage"]["telling"])


@pytest.mark.parametrize(("feature", "target", "kinds"), [
    ([f"c{value}" for value in CLASS], CLASS, "string integer"),
    (["because" + str(i) if value else "" for i, value in enumerate(CLASS)], CLASS, "string integer"),
    (CLASS * 10 + CHANCE, CLASS, "number integer"),
    ([["yes", "no"][value] for value in CLASS], [["true", "false"][value] for value in CLASS], "string boolean"),
    (np.abs(CHANCE), ["ab"[int(value > 0.6)] for value in np.abs(CHANCE)], "number string"),
    (AMOUNT * 2 + 1, AMOUNT, "number number"),
    (-AMOUNT, AMOUNT, "number number"),
    (AMOUNT.round(), AMOUNT + 0.1 * CHANCE, "number number"),
])  # fmt: skip
def test_a_feature_that_gives_the_target_away_is_found(
    runs: Runs, feature: list[object], target: list[object], kinds: str
) -> None:
    found = telling(runs, list(feature), list(target), kinds)
    assert [each["column"] for each in found] == ["f"]
    assert found[0]["score"] > 0.92  # type: ignore[operator]


@pytest.mark.parametrize(("feature", "target", "kinds"), [
    (range(ROWS), CLASS, "string integer"),  # an id is different in every row, and so explains nothing
    ([f"id{i}" for i in range(ROWS)], AMOUNT, "string number"),
    (CHANCE, CLASS, "number integer"),
    (CLASS + CHANCE, CLASS, "number integer"),
    (np.log(AMOUNT) + 3 * CHANCE, AMOUNT, "number number"),
    ([""] * ROWS, CLASS, "string integer"),
])  # fmt: skip
def test_a_feature_that_only_helps_or_is_an_id_gives_nothing_away(
    runs: Runs, feature: list[object], target: list[object], kinds: str
) -> None:
    assert telling(runs, list(feature), list(target), kinds) == []


def test_the_bound_can_be_moved_and_the_search_switched_off(runs: Runs) -> None:
    weak = CLASS * 2 + CHANCE
    assert telling(runs, list(weak), list(CLASS), "number integer") == []
    found = telling(runs, list(weak), list(CLASS), "number integer", "leakage: {telling: 0.2}")
    assert [each["column"] for each in found] == ["f"]
    assert telling(runs, list(CLASS), list(CLASS), "integer integer", "leakage: {telling: null}") == []


def test_too_few_rows_tell_nothing_and_that_is_said(runs: Runs) -> None:
    result = runs("id,x\n" + "a,1\nb,2\n" * 5, IDS + "target: x")
    assert result["leakage"]["telling"] == []
    assert result["warnings"] == [
        "whether a feature gives x away was not looked at: too few rows, or a single value"
    ]
