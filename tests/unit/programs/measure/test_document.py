"""The measures document: what it says of a table, of slices, of functions of the user's own, and its plots."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import calibration
from sklearn import metrics as sk

from penstock.programs.common.program import UnusableError
from penstock.programs.measure import bootstrap, main, own

Document = dict[str, Any]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def binary(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.random(rows) < 0.4
    score = np.round(1 / (1 + np.exp(-rng.normal(size=rows) - 1.5 * truth + 0.5)), 3)
    return pd.DataFrame(
        {
            "id": [f"r{place}" for place in range(rows)],
            "truth": np.where(truth, "yes", "no"),
            "prediction": np.where(score > 0.5, "yes", "no"),
            "score": score,
            "region": rng.choice(["north", "south"], rows),
            "age": rng.integers(18, 90, rows),
        }
    )


def multiclass(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, rows)
    probabilities = rng.dirichlet(np.ones(3), rows) * 0.7 + 0.3 * np.eye(3)[truth]
    frame = pd.DataFrame(probabilities, columns=["score_a", "score_b", "score_c"])
    return frame.assign(
        id=range(rows),
        truth=np.array(list("abc"))[truth],
        prediction=np.array(list("abc"))[probabilities.argmax(1)],
    )


def regression(rows: int = 700) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    truth = rng.gamma(2, size=rows)
    return pd.DataFrame({"id": range(rows), "truth": truth, "prediction": truth + rng.normal(size=rows) / 3})


def document(frame: pd.DataFrame, **request: Any) -> Document:
    frame.to_csv("p.csv", index=False)
    return main.document({"predictions": "p.csv", "resamples": 300, **request})


def asked(*names: str, confidence: float | None = 0.95) -> list[dict[str, Any]]:
    return [{"metric": name, "confidence": confidence} for name in names]


def values(found: Document, column: str | None = None, group: str | None = None) -> dict[str, float]:
    return {
        each["metric"]: each["value"]
        for each in found["measures"]
        if (each["column"], each["group"]) == (column, group)
    }


# What the table says


def test_a_document_says_what_it_was_made_of() -> None:
    frame = binary()
    found = document(frame, slices=["region"])
    content = Path("p.csv").read_bytes()
    assert found["version"] == 1
    assert found["kind"] == "measures"
    assert found["predictions"] == {
        "path": "p.csv",
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "rows": 300,
        "columns": {
            "id": "id", "truth": "truth", "prediction": "prediction", "score": "score", "query": None,
            "probabilities": None,
        },
    }  # fmt: skip
    assert (found["task"], found["classes"], found["positive"]) == ("binary", ["no", "yes"], "yes")
    assert found["warnings"] == []
    assert found["slices"] == [
        {
            "column": "region",
            "groups": [{"value": v, "rows": int(sum(frame.region == v))} for v in ("north", "south")],
        }
    ]


def test_the_same_request_gives_the_same_bytes_on_any_number_of_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    binary(3000).to_csv("p.csv", index=False)
    request = {"predictions": "p.csv", "result": "out.json", "slices": ["region", "age"], "resamples": 200}
    Path("request.json").write_text(json.dumps(request))
    contents = []
    for count in (1, 2, 5):
        monkeypatch.setattr(bootstrap, "cores", lambda count=count: count)
        assert main.main(["request.json"]) == 0
        contents.append(Path("out.json").read_bytes())
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize(
    "frame", [binary(), multiclass(), regression()], ids=["binary", "multiclass", "regression"]
)
def test_parquet_gives_the_numbers_that_csv_gives(frame: pd.DataFrame) -> None:
    from_csv = document(frame)
    frame.to_parquet("p.parquet")
    from_parquet = main.document({"predictions": "p.parquet", "resamples": 300})
    for key in ("task", "classes", "measures", "plots", "evaluation_set"):
        assert from_csv[key] == from_parquet[key], key


def test_the_evaluation_set_is_that_of_ids_and_truths_in_any_order() -> None:
    frame = binary(50)
    first = document(frame)["evaluation_set"]
    other = frame.sample(frac=1, random_state=1).assign(prediction="no", score=0.5)
    assert document(other)["evaluation_set"] == first
    assert document(frame.assign(truth=frame.truth.replace("no", "never")))["evaluation_set"] != first
    assert document(frame.assign(id=frame.id + "x"))["evaluation_set"] != first
    assert document(frame.head(49))["evaluation_set"] != first


def test_no_two_sets_of_texts_share_a_digest_by_where_they_are_cut() -> None:
    one = pd.DataFrame({"id": ["a", "b"], "truth": ["1:x", "y"], "prediction": ["y", "y"]})
    two = pd.DataFrame({"id": ["a1:", "b"], "truth": ["x", "y"], "prediction": ["y", "y"]})
    assert document(one)["evaluation_set"] != document(two)["evaluation_set"]


@pytest.mark.parametrize(
    ("frame", "task", "sure"),
    [
        (binary(), "binary", True),
        (
            binary().assign(truth=(binary().truth == "yes").astype(int)).drop(columns="prediction"),
            "binary",
            True,
        ),
        (multiclass(), "multiclass", True),
        (multiclass().drop(columns=["score_a", "score_b", "score_c"]), "multiclass", True),
        (regression(), "regression", True),
        (regression().round(), "regression", False),
        (
            pd.DataFrame({"id": range(9), "truth": [3, 4, 5] * 3, "prediction": [3, 4, 5] * 3}),
            "multiclass",
            False,
        ),
        (
            pd.DataFrame({"id": range(9), "truth": [3, 4, 5] * 3, "prediction": [3, 4, 5.5] * 3}),
            "regression",
            True,
        ),
        (
            pd.DataFrame({"id": range(9), "truth": [0, 1, 2] * 3, "score": range(9), "query": [1] * 9}),
            "ranking",
            True,
        ),
    ],
)
def test_a_task_is_inferred_and_said_where_it_could_be_another(
    frame: pd.DataFrame, task: str, *, sure: bool
) -> None:
    found = document(frame)
    assert found["task"] == task
    assert any(each.startswith(f"task: {task}, because ") for each in found["warnings"]) is not sure
    assert found["measures"]
    assert (
        not document(frame, task=task)["warnings"][:1]
        or "task" not in document(frame, task=task)["warnings"][0]
    )


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UnusableError, match="there is no task 'clustering'"):
        document(binary(), task="clustering")


@pytest.mark.parametrize(
    ("classes", "positive", "said"),
    [
        (("no", "yes"), "yes", False),
        (("0", "1"), "1", False),
        (("1", "-1"), "1", False),
        (("True", "False"), "True", False),
        (("stay", "churn"), "stay", True),
    ],
)
def test_the_positive_class_is_known_by_its_name_or_said(
    classes: tuple[str, str], positive: str, *, said: bool
) -> None:
    frame = binary(60)
    frame["truth"] = np.where(frame.truth == "yes", classes[1], classes[0])
    frame["prediction"] = np.where(frame.prediction == "yes", classes[1], classes[0])
    found = document(frame, task="binary")
    assert found["positive"] == positive
    assert any(warning.startswith("positive class: ") for warning in found["warnings"]) == said
    asked_for = document(frame, task="binary", positive=classes[0])
    assert (asked_for["positive"], asked_for["warnings"]) == (classes[0], [])


def test_a_class_can_be_measured_among_more() -> None:
    frame = multiclass()
    found = document(frame, positive="b", metrics=asked("recall", "precision", "selection_rate"))
    assert values(found)["recall"] == pytest.approx(
        sk.recall_score(frame.truth == "b", frame.prediction == "b")
    )
    assert values(found)["selection_rate"] == pytest.approx(np.mean(frame.prediction == "b"))


@pytest.mark.parametrize("name", ["score_yes", "probability_no"])
def test_one_column_of_probabilities_is_the_score_of_two_classes(name: str) -> None:
    frame = binary()
    expected = document(frame, task="binary", metrics=asked("log_loss", "roc_auc"))
    score = frame.score if name.endswith("yes") else 1 - frame.score
    found = document(
        frame.drop(columns="score").assign(**{name: score}),
        task="binary",
        metrics=asked("log_loss", "roc_auc"),
    )
    assert values(found) == pytest.approx(values(expected))


def test_columns_can_be_called_as_one_likes() -> None:
    frame = binary()
    expected = values(document(frame))
    renamed = frame.rename(columns={"id": "row", "truth": "y", "prediction": "y_hat", "score": "p"})
    columns = {"id": "row", "truth": "y", "prediction": "y_hat", "score": "p"}
    assert values(document(renamed, columns=columns)) == expected


def test_a_feature_called_query_is_no_part_of_the_id_of_a_class() -> None:
    frame = binary(40).assign(query=["", *["x"] * 39])
    assert document(frame)["evaluation_set"] == document(frame.drop(columns="query"))["evaluation_set"]


def test_rows_of_several_queries_may_share_an_id() -> None:
    frame = pd.DataFrame(
        {"id": [1, 2, 1, 2], "query": ["a", "a", "b", "b"], "truth": [1, 0, 0, 1], "score": [2, 1, 2, 1]}
    )
    found = document(frame, task="ranking", metrics=asked("ndcg", "mean_reciprocal_rank"))
    assert values(found)["mean_reciprocal_rank"] == pytest.approx(0.75)
    with pytest.raises(UnusableError, match="that of"):
        document(frame.assign(query="a"), task="ranking")


# Measures


def test_proportions_name_their_hits_and_the_rows_that_they_rest_on() -> None:
    frame = binary()
    found = {
        each["metric"]: each
        for each in document(frame, metrics=asked("recall", "accuracy", "f1"))["measures"]
    }
    truly = frame.truth == "yes"
    hits = int(sum(truly & (frame.prediction == "yes")))
    assert (found["recall"]["rows"], found["recall"]["hits"]) == (int(truly.sum()), hits)
    assert (found["recall"]["proportion"], found["recall"]["method"]) == (True, "wilson")
    assert found["accuracy"]["rows"] == 300
    assert (found["f1"]["proportion"], found["f1"]["hits"]) == (False, None)


def test_without_confidence_there_is_a_point_and_no_problem() -> None:
    for name in ("accuracy", "roc_auc", "matthews_corrcoef", "expected_calibration_error", "log_loss"):
        (entry,) = document(binary(), metrics=asked(name, confidence=None))["measures"]
        assert (entry["interval"], entry["confidence"], entry["method"], entry["problem"]) == (
            None,
            None,
            None,
            None,
        )
        assert entry["value"] is not None


def test_two_confidences_of_a_metric_are_nested() -> None:
    wanted = [*asked("matthews_corrcoef", confidence=0.99), *asked("matthews_corrcoef", confidence=0.8)]
    wide, narrow = (each["interval"] for each in document(binary(), metrics=wanted)["measures"])
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_every_slice_is_measured_as_a_table_of_its_rows_would_be() -> None:
    frame = binary(800)
    found = document(frame, slices=["region"], task="binary")
    for group in ("north", "south"):
        alone = document(frame[frame.region == group], task="binary")
        assert values(found, "region", group) == pytest.approx(values(alone))
    assert len(found["measures"]) == 3 * len(values(found))


def test_numbers_are_cut_at_their_quartiles() -> None:
    frame = binary(401)
    found = document(frame, slices=["age"])
    low, middle, high = np.quantile(frame.age, (0.25, 0.5, 0.75))
    assert [group["value"] for group in found["slices"][0]["groups"]] == [
        f"up to {low:g}", f"over {low:g} to {middle:g}", f"over {middle:g} to {high:g}", f"over {high:g}",
    ]  # fmt: skip
    assert found["slices"][0]["groups"][0]["rows"] == int(sum(frame.age <= low))
    assert sum(group["rows"] for group in found["slices"][0]["groups"]) == 401


def test_few_numbers_are_groups_in_their_order_and_blanks_are_one_of_their_own() -> None:
    frame = binary(60).assign(size=[10, 9, None] * 20, width=[*np.arange(59) / 7, None])
    found = document(frame, slices=["size", "width"])
    assert [group["value"] for group in found["slices"][0]["groups"]] == ["9.0", "10.0", ""]
    assert [group["rows"] for group in found["slices"][1]["groups"]] == [15, 15, 14, 15, 1]
    assert found["slices"][1]["groups"][-1]["value"] == ""


def test_a_column_of_too_many_values_is_left_out_with_a_warning() -> None:
    found = document(binary(), slices=["id", "region"])
    assert [each["column"] for each in found["slices"]] == ["region"]
    assert "slices: column 'id' is left out: it has 300 values, more than 50" in found["warnings"]


# Functions of the user's own


def write_module(text: str, name: str) -> None:
    Path(f"{name}.py").write_text(f"import numpy as np\n{text}")


def test_a_function_of_the_users_is_measured_and_bounded() -> None:
    write_module("def right(rows):\n    return np.mean(rows['truth'] == rows['prediction'])\n", "gain_plain")
    found = document(
        binary(), metrics=asked("gain_plain:right", "accuracy"), slices=["region"], resamples=2000
    )
    for column, group in ((None, None), ("region", "north")):
        mine, known = (
            each for each in found["measures"] if (each["column"], each["group"]) == (column, group)
        )
        assert mine["value"] == pytest.approx(known["value"])
        assert mine["interval"] == pytest.approx(known["interval"], abs=0.02)
        assert (mine["method"], mine["better"]) == ("bca", "higher")


def test_a_function_sees_numbers_as_numbers_and_text_as_text() -> None:
    write_module(
        "def check(rows):\n"
        "    assert rows['age'].dtype == float and rows['region'][0] in ('north', 'south')\n"
        "    return rows['age'].mean()\n"
        "check.better = 'lower'\n",
        "gain_typed",
    )
    frame = binary()
    (entry,) = document(frame, metrics=asked("gain_typed:check"))["measures"]
    assert entry["value"] == pytest.approx(frame.age.mean())
    assert entry["better"] == "lower"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("raise ValueError('no\\nway')", "gain_broken_0:f failed: ValueError: no way"),
        ("return float('nan')", "gain_broken_1:f gave nan, which is no number to judge by"),
        ("return 'good'", "gain_broken_2:f failed: ValueError: could not convert string to float: 'good'"),
        ("return None", "gain_broken_3:f failed: TypeError"),
        ("return rows['absent']", "gain_broken_4:f failed: KeyError: 'absent'"),
    ],
)
def test_a_function_that_gives_no_number_is_a_problem(
    body: str, problem: str, request: pytest.FixtureRequest
) -> None:
    name = problem.split(":", maxsplit=1)[0]
    write_module(f"def f(rows):\n    {body}\n", name)
    (entry,) = document(binary(), metrics=asked(f"{name}:f"))["measures"]
    assert entry["value"] is None
    assert problem in entry["problem"]


def test_a_slow_function_gets_fewer_resamples_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    write_module("def mean(rows):\n    return rows['score'].mean()\n", "gain_slow")
    monkeypatch.setattr(own, "ROWS_SEEN", 300 * 250)
    found = document(binary(), metrics=asked("gain_slow:mean"))
    assert "gain_slow:mean: its interval is from 250 resamples, since it may be slow" in found["warnings"]
    assert found["measures"][0]["interval"] is not None


# Plots


def test_the_confusion_matrix_is_that_of_scikit_learn() -> None:
    frame = multiclass()
    plot = document(frame)["plots"]["confusion"]
    assert plot["labels"] == ["a", "b", "c"]
    assert plot["counts"] == sk.confusion_matrix(frame.truth, frame.prediction).tolist()


@pytest.mark.parametrize("rows", [60, 5000])
def test_curves_are_those_of_scikit_learn_in_at_most_200_points(rows: int) -> None:
    frame = binary(rows)
    plots = document(frame, metrics=asked("accuracy"))["plots"]
    truth = frame.truth == "yes"
    false, true, _ = sk.roc_curve(truth, frame.score, drop_intermediate=False)
    precision, recall, _ = sk.precision_recall_curve(truth, frame.score)
    for key, across, up in (("roc", false, true), ("precision_recall", recall[::-1], precision[::-1])):
        (curve,) = plots[key]
        points = np.array(curve["points"])
        assert len(points) <= 200
        everything = set(zip(across.round(12).tolist(), up.round(12).tolist(), strict=True))
        assert {tuple(point) for point in points.round(12).tolist()} <= everything
        assert (np.diff(points[:, 0]) >= 0).all()
        assert points[-1, 0] == 1
    points = np.array(plots["roc"][0]["points"])
    area = float(np.trapezoid(points[:, 1], points[:, 0]))
    assert area == pytest.approx(sk.roc_auc_score(truth, frame.score), abs=2e-3)


def test_calibration_bins_are_those_of_scikit_learn_with_intervals() -> None:
    frame = binary(2000)
    (plot,) = document(frame)["plots"]["calibration"]
    shares, means = calibration.calibration_curve(frame.truth == "yes", frame.score, n_bins=10)
    used = [each for each in plot["bins"] if each["rows"]]
    assert [each["observed"] for each in used] == pytest.approx(list(shares), abs=0.02)
    assert [each["mean_score"] for each in used] == pytest.approx(list(means), abs=0.02)
    assert sum(each["rows"] for each in plot["bins"]) == 2000
    assert all(each["interval"][0] <= each["observed"] <= each["interval"][1] for each in used)


def test_scores_of_each_true_class_are_counted() -> None:
    frame = binary()
    plots = document(frame)["plots"]["scores"]
    assert [(each["class"], sum(each["counts"])) for each in plots] == [
        (name, int(sum(frame.truth == name))) for name in ("no", "yes")
    ]


def test_residuals_are_counted_and_at_most_500_are_shown() -> None:
    frame = regression()
    plots = document(frame)["plots"]
    assert list(plots) == ["residuals"]
    assert sum(plots["residuals"]["counts"]) == 700
    assert len(plots["residuals"]["points"]) == 500
    pairs = {(round(p, 9), round(t - p, 9)) for t, p in zip(frame.truth, frame.prediction, strict=True)}
    assert {(round(x, 9), round(y, 9)) for x, y in plots["residuals"]["points"]} <= pairs


@pytest.mark.parametrize("make", [binary, multiclass, regression])
def test_the_usual_metrics_of_a_task_have_values_and_intervals(make: Callable[[], pd.DataFrame]) -> None:
    for entry in document(make())["measures"]:
        assert entry["problem"] is None, entry
        low, high = entry["interval"]
        assert low < entry["value"] < high
        assert entry["standard_error"] > 0
