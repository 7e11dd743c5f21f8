"""Predictions tables that are broken, by hand and by chance: a message or a `problem`, never a guess."""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from penstock.programs.measure import main

Run = tuple[int, str, dict[str, Any] | None]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(capsys: pytest.CaptureFixture[str], content: bytes, name: str = "p.csv", **request: Any) -> Run:
    """Exit code, standard error and the document."""
    Path(name).write_bytes(content)
    Path("out.json").unlink(missing_ok=True)
    Path("request.json").write_text(
        json.dumps({"predictions": name, "result": "out.json", "resamples": 200, **request})
    )
    code = main.main(["request.json"])
    error = capsys.readouterr().err
    result = Path("out.json")
    return code, error, json.loads(result.read_text()) if result.exists() else None


def rows(count: int = 60, seed: int = 0) -> list[str]:
    """id, truth, prediction, score, group."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.5
    score = np.round(np.clip(truth * 0.3 + rng.random(count) * 0.7, 0, 1), 3)
    words = {True: "yes", False: "no"}
    return [
        f"r{place},{words[bool(t)]},{words[bool(s > 0.5)]},{s},{'ab'[place % 2]}"
        for place, (t, s) in enumerate(zip(truth, score, strict=True))
    ]


HEADER = "id,truth,prediction,score,group"


def table(*lines: str, header: str = HEADER) -> bytes:
    return ("\n".join([header, *lines]) + "\n").encode()


def changed(place: int, line: str) -> bytes:
    lines = rows()
    lines[place] = line
    return table(*lines)


REFUSED: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "nothing at all": (b"", {}, "p.csv:1: empty"),
    "only a newline": (b"\n\n", {}, "p.csv:1: empty"),
    "only a header": (table(), {}, "p.csv:1: there is a header but no row"),
    "no id": (table("yes,no", header="truth,prediction"), {}, "p.csv:1: there is no column 'id'"),
    "no truth": (table("1,no", header="id,prediction"), {}, "p.csv:1: there is no column 'truth'"),
    "neither prediction nor score": (table("1,2", "2,3", header="id,truth"), {}, "neither a column 'prediction'"),
    "a column twice": (table("1,1,1", header="id,truth,truth"), {}, "2 columns are called 'truth'"),
    "no header": (("\n".join(rows()) + "\n").encode(), {}, "p.csv:1: 2 columns are called 'no'"),
    "a short row": (changed(3, "r3,yes,no"), {}, "p.csv:5: 3 values, but the header names 5 columns"),
    "a long row": (changed(3, "r3,yes,no,0.5,a,b"), {}, "p.csv:5: 6 values"),
    "an id twice": (changed(7, "r3,yes,no,0.5,a"), {}, "p.csv:9: id 'r3' is that of p.csv:5, too"),
    "an empty id": (changed(7, ",yes,no,0.5,a"), {}, "p.csv:9: the id is empty"),
    "a blank id": (changed(7, "  ,yes,no,0.5,a"), {}, "p.csv:9: the id is empty"),
    "an empty truth": (changed(7, "r7,,no,0.5,a"), {}, "p.csv:9: the truth is empty"),
    "an empty prediction": (changed(7, "r7,yes,,0.5,a"), {}, "p.csv:9: the prediction is empty"),
    "an empty score": (changed(7, "r7,yes,no,,a"), {}, "p.csv:9: the score is empty"),
    "a NaN score": (changed(7, "r7,yes,no,nan,a"), {}, "p.csv:9: the score is NaN"),
    "a NaN truth": (changed(7, "r7,NaN,no,0.4,a"), {}, "p.csv:9: the truth is NaN"),
    "an infinite score": (changed(7, "r7,yes,no,inf,a"), {}, "p.csv:9: score 'inf' is no finite number"),
    "an infinitely small score": (changed(7, "r7,yes,no,-Infinity,a"), {}, "score '-Infinity' is no finite"),
    "a score beyond numbers": (changed(7, "r7,yes,no,1e999,a"), {}, "score '1e999' is no finite number"),
    "a score of text": (changed(7, "r7,yes,no,high,a"), {}, "p.csv:9: score 'high' is no finite number"),
    "a score with a comma": (changed(7, 'r7,yes,no,"0,5",a'), {}, "score '0,5' is no finite number"),
    "a score in per cent": (changed(7, "r7,yes,no,50%,a"), {}, "score '50%' is no finite number"),
    "a score with underscores": (changed(7, "r7,yes,no,1_0,a"), {}, "score '1_0' is no finite number"),
    "a score in hexadecimal": (changed(7, "r7,yes,no,0x1p3,a"), {}, "score '0x1p3' is no finite number"),
    "a score that is a list": (changed(7, 'r7,yes,no,"[0.1, 0.9]",a'), {}, "is no finite number"),
    "an open quote": (changed(7, 'r7,"yes,no,0.5,a'), {}, "p.csv:"),
    "text behind a quote": (changed(7, 'r7,"yes"x,no,0.5,a'), {}, "p.csv:9: no CSV"),
    "a NUL": (changed(7, "r7,ye\0s,no,0.5,a"), {}, "NUL"),
    "Latin-1": (changed(7, "r7,yes,no,0.5,ü").replace("ü".encode(), b"\xfc"), {}, "p.csv:9: not UTF-8: byte 0xfc"),
    "UTF-16": (table(*rows()).decode().encode("utf-16"), {}, "p.csv: holds NUL characters"),
    "an image": (b"\x89PNG\r\n\x1a\n\x00\x00", {}, "p.csv:"),
    "an archive": (b"PK\x03\x04\x14\x00\x08", {}, "p.csv:"),
    "compressed": (b"\x1f\x8b\x08\x00abc", {}, "p.csv:"),
    "a pickle": (b"\x80\x04\x95\x10\x00", {}, "p.csv:"),
    "JSON": (b'{"id": 1, "truth": 1}\n', {}, "p.csv:1: there is no column 'id'"),
    "JSON lines": (b'{"id": 1}\n{"id": 2}\n', {}, "p.csv:1: there is no column 'id'"),
    "semicolons": (table(*rows()).replace(b",", b";"), {}, "p.csv:1: there is no column 'id'"),
    "tabs": (table(*rows()).replace(b",", b"\t"), {}, "p.csv:1: there is no column 'id'"),
    "HTML": (b"<html><body>404</body></html>\n", {}, "p.csv:1: there is no column 'id'"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", {}, "p.csv:"),
    "a name in other letters": (table(*rows(), header="ID,Truth,prediction,score,group"), {}, "no column 'id'"),
    "a class in other letters": (changed(7, "r7,yes,Yes,0.5,a"), {}, "p.csv:9: prediction 'Yes' and truth 'yes'"),
    "a class with a blank": (changed(7, "r7,yes,yes ,0.5,a"), {}, "prediction 'yes ' and truth 'yes' look like"),
    "1 and 1.0": (
        table(*(f"{i},{i % 2},{i % 2}.0,0.5,a" for i in range(20))), {}, "prediction '0.0' and truth '0' look like",
    ),
    "true and True": (
        table(*(f"{i},{'true' if i % 2 else 'false'},{bool(i % 2)},0.5,a" for i in range(20))), {}, "look like one class",
    ),
    "predictions of another world": (
        table(*(f"{i},{'ab'[i % 2]},{'xy'[i % 2]},0.5,a" for i in range(20))), {}, "is no class",
    ),
    "probabilities called predictions": (
        table(*(f"{i},{i % 2},0.{i + 1},a" for i in range(20)), header="id,truth,prediction,group"),
        {},
        "call that column 'score'",
    ),
    "a third class in a binary task": (
        changed(7, "r7,maybe,no,0.5,a"), {"task": "binary"}, "p.csv:9: truth 'maybe' is a third class",
    ),
    "a third class in binary predictions": (
        changed(7, "r7,no,maybe,0.5,a"), {"task": "binary"}, "p.csv:9: prediction 'maybe' is a third class",
    ),
    "text in a regression": (table(*rows()), {"task": "regression"}, "is no finite number"),
    "a hole in a regression": (
        table(*(f"{i},{i * 1.5},{i * 1.4}" for i in range(30)), "x,NA,3", header="id,truth,prediction"),
        {},
        "p.csv:32: truth 'NA' is no number, but 30 others are",
    ),
    "a hole in predicted numbers": (
        table(*(f"{i},{i * 1.5},{i * 1.4}" for i in range(30)), "x,7,None", header="id,truth,prediction"),
        {},
        "p.csv:32: prediction 'None' is no number",
    ),
    "a hole among classes that are numbers": (
        table(*(f"{i},{i % 2},{i % 2}" for i in range(30)), "x,null,1", header="id,truth,prediction"),
        {},
        "truth 'null' is no number",
    ),
    "an infinite truth": (
        table(*(f"{i},{i * 1.5},{i * 1.4}" for i in range(30)), "x,inf,3", header="id,truth,prediction"),
        {"task": "regression"},
        "p.csv:32: truth 'inf' is no finite number",
    ),
    "a regression of scores": (
        table("1,2.5,1", "2,2,2", header="id,truth,score"), {"task": "regression"}, "regression needs it",
    ),
    "a ranking without scores": (
        table("1,2.5", "2,2", header="id,truth"), {"task": "ranking"}, "a ranking needs it",
    ),
    "negative relevance": (
        table("1,2,1", "2,-2,2", header="id,truth,score"), {"task": "ranking"}, "p.csv:3: truth -2 is negative",
    ),
    "grades and scores without a task": (
        table(*(f"{i},{i % 5},{i}" for i in range(9)), header="id,truth,score"), {}, "say `task: ranking`",
    ),
    "a class without probabilities": (
        table("1,a,a,1,0", "2,b,b,0,1", "3,c,a,1,0", header="id,truth,prediction,score_a,score_b"),
        {},
        "class 'c' has no column of probabilities",
    ),
    "a probability that is none": (
        table("1,a,a,1,x", "2,b,b,0,1", header="id,truth,prediction,score_a,score_b"), {}, "is no finite number",
    ),
    "an unknown positive class": (table(*rows()), {"positive": "Yes"}, "positive 'Yes' is no class of the truth"),
    "a column that is not there": (
        table(*rows()), {"columns": {"score": "probability"}}, "no column for `score` 'probability'",
    ),
    "a slice that is not there": (table(*rows()), {"slices": ["grup"]}, "'grup'; did you mean 'group'?"),
    "an unknown metric": (
        table(*rows()), {"metrics": [{"metric": "acuracy", "confidence": 0.95}]}, "did you mean 'accuracy'",
    ),
    "a metric of a module that is not there": (
        table(*rows()), {"metrics": [{"metric": "nowhere:profit", "confidence": 0.95}]}, "no module named 'nowhere'",
    ),
    "a confidence of 95": (
        table(*rows()), {"metrics": [{"metric": "accuracy", "confidence": 95}]}, "confidence 95 is not between",
    ),
    "no bins": (table(*rows()), {"bins": -1}, "bins"),
    "a folder for resamples": (table(*rows()), {"resamples": 3}, "resamples are too few"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_says_nothing_is_refused_in_one_line(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, request, message = REFUSED[case]
    code, error, document = measure(capsys, content, **request)
    assert (code, document) == (2, None)
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize("name", ["absent.csv", "p.txt", "p.json", "p", "p.csv.gz"])
def test_a_file_of_another_kind_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name != "absent.csv":
        Path(name).write_bytes(table(*rows()))
    Path("request.json").write_text(json.dumps({"predictions": name, "result": "out.json"}))
    assert main.main(["request.json"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(name)
    assert error.count("\n") == 1


# Tables of which something can be said, and something cannot

PROBLEMS: dict[str, tuple[bytes, dict[str, Any], dict[str, str]]] = {
    "one class": (
        table(*(f"{i},no,{'yes' if i % 3 else 'no'},0.{i}1,a" for i in range(10))),
        {"metrics": ["accuracy", "recall", "roc_auc", "average_precision", "f1"]},
        {"recall": "no row is truly 'yes'", "roc_auc": "all rows are truly of one class", "average_precision": "no row"},
    ),
    "one class only, whose opposite nobody names": (
        table(*(f"{i},spam,spam,0.{i}1,a" for i in range(10))),
        {"metrics": ["accuracy", "recall"]},
        {"recall": "it is not known which class is positive"},
    ),
    "nobody is predicted positive": (
        table(*(f"{i},{'yes' if i % 3 else 'no'},no,0.{i}1,a" for i in range(10))),
        {"metrics": ["precision", "matthews_corrcoef"]},
        {"precision": "no row is predicted as 'yes'", "matthews_corrcoef": "all rows are of one class"},
    ),
    "scores that are no probabilities": (
        changed(4, "r4,yes,no,1.7,a"),
        {"metrics": ["log_loss", "brier_score", "expected_calibration_error", "roc_auc"]},
        dict.fromkeys(("log_loss", "brier_score", "expected_calibration_error"), "p.csv:6 has 1.7"),
    ),
    "negative scores": (
        changed(4, "r4,yes,no,-0.001,a"), {"metrics": ["log_loss"]}, {"log_loss": "p.csv:6 has -0.001"},
    ),
    "probabilities that do not add up": (
        table(
            *(f"{i},{'abc'[i % 3]},{'abc'[i % 2]},0.5,0.4,0.3" for i in range(12)),
            header="id,truth,prediction,score_a,score_b,score_c",
        ),
        {"metrics": ["log_loss", "accuracy"]},
        {"log_loss": "add up to 1.2, not to 1"},
    ),
    "no scores": (
        table(*(f"{i},{i % 2},{i % 2}" for i in range(12)), header="id,truth,prediction"),
        {"metrics": ["roc_auc", "accuracy"]},
        {"roc_auc": "no column of scores"},
    ),
    "no predictions": (
        table(*(f"{i},{i % 2},0.{i}1" for i in range(12)), header="id,truth,score"),
        {"metrics": ["accuracy", "roc_auc"]},
        {"accuracy": "no column of predictions"},
    ),
    "a metric of numbers for classes": (
        table(*rows()), {"metrics": ["r2", "ndcg"]}, {"r2": "no metric of a binary task", "ndcg": "no metric of"},
    ),
    "truths that are all the same": (
        table(*(f"{i},5,{i}.5" for i in range(12)), header="id,truth,prediction"),
        {"task": "regression", "metrics": ["r2", "spearman", "mean_absolute_error"]},
        {"r2": "all truths are the same", "spearman": "are the same"},
    ),
    "a truth of 0": (
        table(*(f"{i},{i}.0,{i}.5" for i in range(12)), header="id,truth,prediction"),
        {"task": "regression", "metrics": ["mean_absolute_percentage_error"]},
        {"mean_absolute_percentage_error": "a truth is 0"},
    ),
    "a ranking without queries": (
        table(*(f"{i},{i % 2},{i}.5" for i in range(12)), header="id,truth,score"),
        {"task": "ranking", "metrics": ["ndcg", "roc_auc"]},
        {"ndcg": "no column `query`"},
    ),
    "a ranking with nothing relevant": (
        table(*(f"{i},0,{i}.5,q" for i in range(12)), header="id,truth,score,query"),
        {"task": "ranking", "metrics": ["ndcg", "average_precision"]},
        {"ndcg": "no query has a relevant row", "average_precision": "no row is truly positive"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_has_no_value_is_null_with_a_problem(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, request, problems = PROBLEMS[case]
    names = request["metrics"]
    asked = [{"metric": name, "confidence": 0.95} for name in names]
    code, error, document = measure(capsys, content, **{**request, "metrics": asked})
    assert (code, error) == (0, "")
    assert document is not None
    found = {each["metric"]: each for each in document["measures"]}
    for name, problem in problems.items():
        assert problem in found[name]["problem"]
        assert (found[name]["value"], found[name]["interval"]) == (None, None)
    assert all(found[name]["value"] is not None for name in names if name not in problems)


@pytest.mark.parametrize(
    ("lines", "metric", "problem"),
    [
        (["1,yes,yes,0.9,a", "2,no,no,0.1,a"], "log_loss", "too few"),
        ([f"{i},{'yes' if i else 'no'},yes,0.5,a" for i in range(30)], "cohen_kappa", "only 1 row is truly 'no'"),
        ([f"{i},{'yes' if i % 2 else 'no'},yes,0.5,a" for i in range(30)], "cohen_kappa", "same value"),
    ],
)  # fmt: skip
def test_a_number_without_an_interval_says_why(
    lines: list[str], metric: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [{"metric": metric, "confidence": 0.95}]
    _, _, document = measure(capsys, table(*lines), metrics=asked)
    assert document is not None
    assert document["measures"][0]["interval"] is None
    assert problem in document["measures"][0]["problem"]


# Parquet

FRAME = pd.DataFrame(
    {"id": range(12), "truth": [0, 1] * 6, "prediction": [0, 1, 1] * 4, "score": np.linspace(0, 1, 12)}
)


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


PARQUET: dict[str, tuple[bytes, str]] = {
    "nothing at all": (b"", "p.parquet: no Parquet"),
    "a CSV file": (table(*rows()), "p.parquet: no Parquet"),
    "the first half": (parquet(FRAME)[:400], "p.parquet: no Parquet"),
    "only the ends": (b"PAR1PAR1", "p.parquet: no Parquet"),
    "no row": (parquet(FRAME.head(0)), "there is a header but no row"),
    "no id": (parquet(FRAME.drop(columns="id")), "there is no column 'id'"),
    "a missing truth": (
        parquet(FRAME.assign(truth=[None, *FRAME.truth[1:]])),
        "p.parquet: row 1: the truth is",
    ),
    "a missing score": (
        parquet(FRAME.assign(score=[*FRAME.score[1:], None])),
        "p.parquet: row 12: the score is",
    ),
    "an infinite score": (parquet(FRAME.assign(score=np.inf)), "score 'inf' is no finite number"),
    "an id twice": (parquet(FRAME.assign(id=1)), "p.parquet: row 2: id '1' is that of p.parquet: row 1"),
    "scores in lists": (parquet(FRAME.assign(score=[[0.1]] * 12)), "is no finite number"),
}


@pytest.mark.parametrize("case", PARQUET)
def test_a_broken_parquet_file_is_refused_in_one_line(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = PARQUET[case]
    code, error, document = measure(capsys, content, "p.parquet")
    assert (code, document) == (2, None)
    assert message in error
    assert error.count("\n") == 1


# By chance


def mutations(count: int, seed: int) -> Iterator[bytes]:
    """A good table with bytes changed, cut out, doubled, swapped or put in."""
    dice = random.Random(seed)
    good = table(*rows())
    snippets = (
        b",",
        b'"',
        b"\n",
        b"nan",
        b"\0",
        b"\xff",
        b"1e400",
        b"-",
        b"yes",
        b"\r",
        b"inf",
        b"",
        b"\xef\xbb\xbf",
    )
    for _ in range(count):
        content = bytearray(good)
        for _ in range(dice.choice([1, 1, 2, 8])):
            start = dice.randrange(len(content) or 1)
            stop = start + dice.choice([0, 1, 1, 5, 200])
            match dice.randrange(4):
                case 0:
                    content[start:stop] = dice.choice(snippets)
                case 1:
                    content[start:start] = content[start:stop]
                case 2:
                    content[start : start + 1] = bytes([dice.randrange(256)])
                case _:
                    del content[start:stop]
        yield bytes(content)


def check_document(document: dict[str, Any]) -> None:
    """Every entry has a finite number or says why not, and every number is within its own interval."""
    assert document["measures"]
    for entry in document["measures"]:
        assert (entry["value"] is None) <= (entry["problem"] is not None)
        assert (entry["interval"] is None) <= (entry["problem"] is not None)
        if entry["value"] is not None:
            assert math.isfinite(entry["value"])
        if entry["interval"] is not None:
            low, high = entry["interval"]
            assert low <= entry["value"] <= high
            assert low < high


@pytest.mark.parametrize("seed", range(10))
def test_damage_by_chance_is_refused_or_leaves_a_table(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    refused = 0
    for content in mutations(30, seed):
        code, error, document = measure(capsys, content, slices=["group"] if seed % 2 else [])
        assert "Traceback" not in error
        if code == 2:
            refused += 1
            assert document is None
            assert error.count("\n") == 1
            assert error.startswith("p.csv")
        else:
            assert (code, error) == (0, "")
            assert document is not None
            check_document(document)
    assert refused >= 10


def test_random_bytes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    dice = random.Random(1)
    for length in range(1, 200, 2):
        for name in ("p.csv", "p.parquet"):
            code, error, document = measure(capsys, dice.randbytes(length), name)
            assert (code, document) == (2, None)
            assert error.count("\n") == 1
