"""Comparisons with baselines, end to end, against scipy, statsmodels and definitions."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats import proportion

from penstock.programs.common.program import UnusableError
from penstock.programs.measure import differences, main
from penstock.programs.measure.metrics import METRICS

ROWS = 400
Compared = Callable[..., dict[str, Any]]


def classes(seed: int, noise: float, rows: int = ROWS) -> pd.DataFrame:
    """The same rows and truth for every seed; `noise` makes a model worse."""
    shared = np.random.default_rng(99)
    truth = shared.random(rows) < 0.4
    signal = truth * 1.5 + shared.normal(size=rows)
    region = shared.choice(["north", "south"], rows)
    score = 1 / (1 + np.exp(1 - 1.4 * (signal + noise * np.random.default_rng(seed).normal(size=rows))))
    return pd.DataFrame(
        {
            "id": [f"row {number}" for number in range(rows)],
            "truth": truth.astype(int),
            "prediction": (score > 0.5).astype(int),
            "score": score,
            "region": region,
        }
    )


def numbers(seed: int, noise: float, rows: int = ROWS) -> pd.DataFrame:
    truth = np.random.default_rng(99).gamma(3, size=rows)
    error = np.random.default_rng(98).normal(size=rows) + noise * np.random.default_rng(seed).standard_t(
        4, rows
    )
    return pd.DataFrame({"id": range(rows), "truth": truth, "prediction": truth + error})


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compared:
    """The document of a comparison with one baseline."""
    monkeypatch.chdir(tmp_path)

    def run(
        ours: pd.DataFrame, theirs: pd.DataFrame | str | None, *names: str, **asked: Any
    ) -> dict[str, Any]:
        ours.to_csv("ours.csv", index=False)
        path = theirs if isinstance(theirs, str) else "theirs.csv"
        if isinstance(theirs, pd.DataFrame):
            theirs.to_csv(path, index=False)
        member = asked.pop("member", None)
        task = asked.pop("task", None)
        every = {"confidence": 0.95, "baseline": "old", **asked}
        return main.document(
            {
                "predictions": "ours.csv",
                "positive": "1" if "score" in ours and task is None else None,
                "task": task,
                "baselines": [{"name": "old", "path": path, "member": member}],
                "comparisons": [{"metric": name, **every} for name in names],
                "metrics": [],
                "resamples": 2000,
                "result": "m.json",
            }
        )

    return run


def changes(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["metric"]: each for each in document["comparisons"]}


def test_accuracy_and_recall_change_as_paired_proportions(compared: Compared) -> None:
    ours, theirs = classes(1, 0.2), classes(2, 0.5)
    found = changes(compared(ours, theirs, "accuracy", "recall", "false_positive_rate"))
    right, before = ours.prediction == ours.truth, theirs.prediction == theirs.truth
    for name, counted in (("accuracy", right | True), ("recall", ours.truth == 1)):
        this, other = int((right & ~before & counted).sum()), int((before & ~right & counted).sum())
        entry = found[name]
        assert entry["rows"] == counted.sum()
        assert entry["change"] == pytest.approx((this - other) / counted.sum())
        assert entry["interval"] == differences.paired_proportions(this, other, int(counted.sum()), 0.95)
        assert (entry["paired"], entry["method"], entry["better"]) == (True, "tango", "higher")
    this, other = int((right & ~before).sum()), int((before & ~right).sum())
    assert found["accuracy"]["mcnemar"] == {
        "only_this_right": this,
        "only_baseline_right": other,
        "p_value": pytest.approx(stats.binomtest(this, this + other).pvalue),
        "method": "exact",
    }
    assert found["recall"]["mcnemar"] is None
    assert found["false_positive_rate"]["better"] == "lower"


def delong(truth: Any, one: Any, other: Any) -> tuple[float, float]:
    """Difference of two AUCs and its standard error by the definition, from every pair of rows."""
    areas, positive_parts, negative_parts = [], [], []
    for score in (one, other):
        above = score[truth == 1][:, None] - score[truth == 0][None, :]
        won = (above > 0) + 0.5 * (above == 0)
        areas.append(won.mean())
        positive_parts.append(won.mean(axis=1))
        negative_parts.append(won.mean(axis=0))
    covariance = np.cov(positive_parts) / (truth == 1).sum() + np.cov(negative_parts) / (truth == 0).sum()
    return areas[0] - areas[1], float(np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))


def test_the_spread_of_a_change_of_auc_is_delongs(compared: Compared) -> None:
    ours, theirs = classes(1, 0.2).round(2), classes(2, 0.5).round(2)  # with ties
    entry = changes(compared(ours, theirs, "roc_auc"))["roc_auc"]
    change, error = delong(*(np.asarray(each) for each in (ours.truth, ours.score, theirs.score)))
    assert (entry["change"], entry["standard_error"]) == (pytest.approx(change), pytest.approx(error))
    assert entry["interval"] == pytest.approx((change - 1.96 * error, change + 1.96 * error), abs=0.1 * error)
    assert entry["method"] == "delong"


def _cells(truth: Any, predicted: Any, axis: int) -> tuple[Any, ...]:
    pairs = ((1, 1), (0, 1), (1, 0), (0, 0))
    return tuple(((truth == one) & (predicted == other)).sum(axis=axis) for one, other in pairs)


def _f1(truth: Any, predicted: Any, axis: int) -> Any:
    hit, false, missed, _ = _cells(truth, predicted, axis)
    return 2 * hit / (2 * hit + false + missed)


def _precision(truth: Any, predicted: Any, axis: int) -> Any:
    hit, false, _, _ = _cells(truth, predicted, axis)
    return hit / (hit + false)


def _balanced_accuracy(truth: Any, predicted: Any, axis: int) -> Any:
    hit, false, missed, rest = _cells(truth, predicted, axis)
    return (hit / (hit + missed) + rest / (rest + false)) / 2


def _rmse(truth: Any, predicted: Any, axis: int) -> Any:
    return np.sqrt(((truth - predicted) ** 2).mean(axis=axis))


def _median_error(truth: Any, predicted: Any, axis: int) -> Any:
    return np.median(np.abs(truth - predicted), axis=axis)


def _r2(truth: Any, predicted: Any, axis: int) -> Any:
    return 1 - ((truth - predicted) ** 2).sum(axis=axis) / (truth.var(axis=axis) * truth.shape[axis])


@pytest.mark.parametrize(
    ("name", "function", "table"),
    [
        ("f1", _f1, classes),
        ("precision", _precision, classes),
        ("balanced_accuracy", _balanced_accuracy, classes),
        ("root_mean_squared_error", _rmse, numbers),
        ("median_absolute_error", _median_error, numbers),
        ("r2", _r2, numbers),
    ],
)
def test_other_metrics_change_as_scipys_paired_bootstrap_says(
    compared: Compared, name: str, function: Callable[..., Any], table: Callable[..., pd.DataFrame]
) -> None:
    ours, theirs = table(1, 0.2), table(2, 0.5)
    entry = changes(compared(ours, theirs, name))[name]
    arrays = (ours.truth.to_numpy(), ours.prediction.to_numpy(), theirs.prediction.to_numpy())
    expected = stats.bootstrap(
        arrays,
        lambda truth, one, other, axis=-1: function(truth, one, axis) - function(truth, other, axis),
        paired=True,
        n_resamples=5000,
        method="BCa",
        batch=500,
        rng=np.random.default_rng(1),
    )
    truth, one, other = arrays
    assert entry["change"] == pytest.approx(function(truth, one, 0) - function(truth, other, 0))
    # four rows are added to tables of counts, which makes their intervals a little wider
    assert entry["method"] == ("adjusted-delta" if table is classes else "bca")
    assert entry["standard_error"] == pytest.approx(expected.standard_error, rel=0.15)
    ends = (expected.confidence_interval.low, expected.confidence_interval.high)
    assert entry["interval"] == pytest.approx(ends, abs=0.5 * expected.standard_error)


def test_a_mean_of_losses_changes_by_the_mean_of_the_changes(compared: Compared) -> None:
    ours, theirs = numbers(1, 0.3), numbers(2, 0.6)
    entry = changes(compared(ours, theirs, "mean_absolute_error"))["mean_absolute_error"]
    change = (ours.prediction - ours.truth).abs() - (theirs.prediction - theirs.truth).abs()
    students = stats.ttest_1samp(change, 0).confidence_interval()
    assert entry["change"] == pytest.approx(change.mean())
    assert entry["standard_error"] == pytest.approx(stats.sem(change))
    assert entry["interval"] == pytest.approx(students, abs=0.1 * stats.sem(change))  # less its skewness


def test_pairing_sees_what_independent_samples_do_not(compared: Compared) -> None:
    ours, theirs = numbers(1, 0.1), numbers(2, 0.1)
    paired = changes(compared(ours, theirs, "mean_absolute_error"))["mean_absolute_error"]
    apart = changes(compared(ours, theirs.iloc[1:], "mean_absolute_error", unpaired=True))[
        "mean_absolute_error"
    ]
    widths = [entry["interval"][1] - entry["interval"][0] for entry in (paired, apart)]
    assert widths[0] < widths[1] / 3


def test_the_order_of_the_baselines_rows_does_not_matter(compared: Compared) -> None:
    ours, theirs = classes(1, 0.2), classes(2, 0.5)
    names = ("accuracy", "f1", "roc_auc", "log_loss", "average_precision")
    found = compared(ours, theirs, *names)["comparisons"]
    assert compared(ours, theirs.sample(frac=1, random_state=3), *names)["comparisons"] == found


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "ranking"])
def test_every_metric_can_be_compared_and_turned_round(compared: Compared, task: str) -> None:
    names = [name for name, metric in METRICS.items() if task in metric.tasks]
    ours, theirs = (_table(task, seed) for seed in (1, 2))
    forward = changes(compared(ours, theirs, *names, task=task))
    backward = changes(compared(theirs, ours, *names, task=task))
    without = {name for name, entry in forward.items() if entry["interval"] is None}
    assert without <= {"max_error", "precision", "recall", "specificity", "selection_rate", "jaccard", "f1"} | {
        "false_positive_rate", "false_negative_rate", "negative_predictive_value",
    }  # fmt: skip
    assert all(forward[name]["problem"] for name in without)
    for name in set(names) - without:
        entry, other = forward[name], backward[name]
        assert entry["change"] == pytest.approx(entry["value"] - entry["baseline_value"])
        assert entry["interval"][0] <= entry["change"] <= entry["interval"][1]
        width = entry["interval"][1] - entry["interval"][0]
        assert 0 < width < np.inf
        assert entry["interval"] == pytest.approx(
            (-other["interval"][1], -other["interval"][0]), abs=0.25 * width
        )


def _table(task: str, seed: int) -> pd.DataFrame:
    if task == "binary":
        return classes(seed, 0.4).assign(positive="1")
    if task == "regression":
        return numbers(seed, 0.5)
    shared, own = np.random.default_rng(99), np.random.default_rng(seed)
    if task == "ranking":
        truth = shared.integers(0, 3, ROWS)
        score = truth + own.normal(size=ROWS)
        table = pd.DataFrame(
            {"id": range(ROWS), "query": shared.integers(0, 60, ROWS), "truth": truth, "score": score}
        )
        return table.sample(frac=1, random_state=seed)
    truth = shared.integers(0, 3, ROWS)
    odds = np.eye(3)[truth] * 1.2 + own.normal(size=(ROWS, 3))
    shares = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    named = {f"score_{'abc'[place]}": shares[:, place] for place in range(3)}
    predicted = np.array(list("abc"))[shares.argmax(axis=1)]
    return pd.DataFrame(
        {"id": range(ROWS), "truth": np.array(list("abc"))[truth], "prediction": predicted, **named}
    )


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (classes, ["log_loss", "roc_auc", "false_positive_rate", "f1", "balanced_accuracy"]),
        (numbers, ["mean_absolute_error", "root_mean_squared_error"]),
    ],
)
def test_a_metric_with_its_sign_turned_changes_the_other_way(
    compared: Compared, table: Callable[..., pd.DataFrame], names: list[str]
) -> None:
    found = changes(compared(table(1, 0.2), table(2, 0.5), *names, *(f"neg_{name}" for name in names)))
    for name in names:
        plain, turned = found[name], found[f"neg_{name}"]
        low, high = plain["interval"]
        assert turned["change"] == -plain["change"]
        assert turned["interval"] == pytest.approx((-high, -low), abs=0.1 * (high - low))


def test_a_model_against_itself_has_bounds_that_say_how_little_that_shows(compared: Compared) -> None:
    table = classes(1, 0.2)
    found = changes(compared(table, table, "accuracy", "f1", "balanced_accuracy", "roc_auc", "log_loss"))
    assert {entry["change"] for entry in found.values()} == {0}
    for name in ("accuracy", "f1", "balanced_accuracy"):
        low, high = found[name]["interval"]
        assert low == pytest.approx(-high, rel=1e-4)
        assert 3.8 / (ROWS + 4) <= high < 0.03
    for name in ("roc_auc", "log_loss"):  # the same numbers, not only the same side of a threshold
        assert (found[name]["interval"], found[name]["method"]) == ((0, 0), "identical")


def test_two_perfect_rankings_differ_by_no_more_than_few_rows_can_hide(compared: Compared) -> None:
    ours = classes(1, 0.2)
    ours["score"] = 0.5 + 0.4 * (ours.truth - 0.5) + 0.1 * ours.score
    theirs = ours.assign(score=ours.score**2)
    found = changes(compared(ours, theirs, "roc_auc", "average_precision"))
    low, high = found["roc_auc"]["interval"]
    assert found["roc_auc"]["change"] == 0
    assert -0.05 < low < 0 < high < 0.05
    assert found["average_precision"]["interval"] is None
    assert "same value" in found["average_precision"]["problem"]


def test_two_models_that_are_always_right_differ_by_no_more_than_few_rows_can_hide(
    compared: Compared,
) -> None:
    ours = classes(1, 0.2).assign(prediction=lambda table: table.truth)
    found = changes(compared(ours, ours.assign(score=ours.score**2), "accuracy", "f1", "balanced_accuracy"))
    for name in ("accuracy", "f1", "balanced_accuracy"):
        low, high = found[name]["interval"]
        assert -0.03 < low < -0.005 < 0.005 < high < 0.03


def test_other_rows_are_not_compared(compared: Compared) -> None:
    ours, theirs = classes(1, 0.2), classes(2, 0.5).iloc[50:]
    document = compared(ours, theirs, "accuracy")
    (entry,), (baseline,) = document["comparisons"], document["baselines"]
    assert (entry["change"], entry["baseline_value"], entry["paired"], entry["interval"]) == (
        None,
        None,
        False,
        None,
    )
    assert (
        entry["problem"]
        == "the baseline was measured on a different evaluation set (350 rows in common of 400)"
    )
    assert entry["value"] == pytest.approx((ours.prediction == ours.truth).mean())
    assert (baseline["same"], baseline["shared_rows"], baseline["rows"]) == (False, 350, 350)
    assert baseline["evaluation_set"] != document["evaluation_set"]


def test_another_truth_of_the_same_rows_is_another_evaluation_set(compared: Compared) -> None:
    theirs = classes(2, 0.5)
    theirs.loc[7, "truth"] = 1 - theirs.loc[7, "truth"]
    (entry,) = compared(classes(1, 0.2), theirs, "accuracy")["comparisons"]
    assert (entry["change"], entry["paired"]) == (None, False)
    assert "400 rows in common of 400" in entry["problem"]


def test_other_rows_are_compared_unpaired_if_asked_for(compared: Compared) -> None:
    ours, theirs = classes(1, 0.2), classes(2, 0.5).iloc[50:]
    found = changes(compared(ours, theirs, "accuracy", "log_loss", "balanced_accuracy", unpaired=True))
    entry = found["accuracy"]
    hits = [int((each.prediction == each.truth).sum()) for each in (ours, theirs)]
    expected = proportion.confint_proportions_2indep(
        hits[0], 400, hits[1], 350, method="newcomb", compare="diff"
    )
    assert entry["interval"] == pytest.approx(expected, abs=1e-9)
    assert (entry["paired"], entry["method"], entry["mcnemar"]) == (False, "independent (wilson)", None)
    for name in ("log_loss", "balanced_accuracy"):
        low, high = found[name]["interval"]
        assert low < found[name]["change"] < high
        assert found[name]["standard_error"] == pytest.approx((high - low) / 3.92, rel=0.1)


def test_the_same_rows_are_paired_even_where_unpaired_would_do(compared: Compared) -> None:
    (entry,) = compared(classes(1, 0.2), classes(2, 0.5), "accuracy", unpaired=True)["comparisons"]
    assert (entry["paired"], entry["method"]) == (True, "tango")


def test_a_group_is_compared_with_itself(compared: Compared) -> None:
    ours, theirs = classes(1, 0.2), classes(2, 0.5)
    (entry,) = compared(ours, theirs, "accuracy", column="region", group="south")["comparisons"]
    there = ours.region == "south"
    right, before = (each[there].prediction == each[there].truth for each in (ours, theirs))
    assert (entry["column"], entry["group"], entry["rows"]) == ("region", "south", there.sum())
    assert entry["change"] == pytest.approx(right.mean() - before.mean())
    assert entry["mcnemar"]["only_this_right"] == (right & ~before).sum()


def test_every_group_is_compared_where_none_is_named(compared: Compared) -> None:
    document = compared(classes(1, 0.2), classes(2, 0.5), "accuracy", column="region")
    assert [each["group"] for each in document["comparisons"]] == ["north", "south"]


def test_a_group_that_nobody_has_is_a_problem(compared: Compared) -> None:
    (entry,) = compared(classes(1, 0.2), classes(2, 0.5), "accuracy", column="region", group="east")[
        "comparisons"
    ]
    assert (entry["value"], entry["change"], entry["problem"]) == (
        None,
        None,
        "there are no rows with region 'east'",
    )


def test_a_group_that_the_baseline_lacks_is_a_problem(compared: Compared) -> None:
    theirs = classes(2, 0.5).assign(region="north").iloc[5:]
    (entry,) = compared(classes(1, 0.2), theirs, "accuracy", column="region", group="south", unpaired=True)[
        "comparisons"
    ]
    assert entry["problem"] == "the baseline has no rows with region 'south'"


def test_a_baseline_without_the_metrics_columns_is_a_problem(compared: Compared) -> None:
    theirs = classes(2, 0.5).drop(columns="score")
    found = changes(compared(classes(1, 0.2), theirs, "accuracy", "roc_auc"))
    assert found["accuracy"]["change"] is not None
    assert found["roc_auc"]["change"] is None
    assert found["roc_auc"]["problem"] == "baseline: the table has no column of scores"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, r"theirs\.csv"),
        ("id,truth\n", r"theirs\.csv:1"),
        ("id,truth,prediction\n1,0,0\n1,0,0\n", r"theirs\.csv:3: id '1'"),
        ("id,truth,prediction\n1,0,maybe\n", r"theirs\.csv:2: prediction 'maybe'"),
        ("\x00\x01\x02", r"theirs\.csv"),
    ],
)
def test_a_baseline_that_cannot_be_read_is_a_problem_of_its_comparisons(
    compared: Compared, tmp_path: Path, content: str | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "theirs.csv").write_text(content)
    document = compared(classes(1, 0.2), None, "accuracy", "roc_auc")
    (baseline,) = document["baselines"]
    assert (baseline["digest"], baseline["rows"], baseline["same"]) == (None, None, False)
    for entry in (baseline, *document["comparisons"]):
        with pytest.raises(ValueError, match=problem):
            raise ValueError(entry["problem"])
    assert {(each["change"], each["interval"]) for each in document["comparisons"]} == {(None, None)}


def test_the_problem_of_an_archive_names_the_archive(compared: Compared, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "old.tar", "w"):
        pass
    (entry,) = compared(classes(1, 0.2), "old.tar", "accuracy", member="build/p.csv")["comparisons"]
    assert entry["problem"] == "old.tar holds no manifest.json: it is no archive of Penstock"


def test_a_folder_of_a_run_is_a_baseline(compared: Compared, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "build"
    folder.mkdir(parents=True)
    classes(2, 0.5).to_csv(folder / "p.csv", index=False)
    from penstock.digest import of_file

    stage = {"outputs": [{"path": "build/p.csv", "digest": of_file(folder / "p.csv")}]}
    (tmp_path / "run" / "run.json").write_text(pd.Series({"stages": [stage]}).to_json())
    document = compared(classes(1, 0.2), "run", "accuracy", member="build/p.csv")
    assert document["baselines"][0]["same"]
    assert document["comparisons"][0]["change"] is not None


def test_without_a_confidence_there_is_a_bare_change(compared: Compared) -> None:
    for entry in compared(classes(1, 0.2), classes(2, 0.5), "accuracy", "f1", confidence=None)["comparisons"]:
        assert entry["change"] == pytest.approx(entry["value"] - entry["baseline_value"])
        assert (entry["interval"], entry["method"], entry["problem"]) == (None, None, None)


def test_a_comparison_with_nothing_is_refused(compared: Compared) -> None:
    with pytest.raises(UnusableError, match="there is no baseline 'new'"):
        compared(classes(1, 0.2), classes(2, 0.5), "accuracy", baseline="new")
    with pytest.raises(UnusableError, match="there is no metric 'acuracy'"):
        compared(classes(1, 0.2), classes(2, 0.5), "acuracy")
