"""Gates imply the stages that answer them, and ask those stages for what they need and no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import PipelineError
from penstock.plan.load import Loaded
from penstock.plan.model import GateSpec, Plan, Stage

Load = Callable[..., Loaded]

HEAD = """\
version: 1
name: x
data: {d: {path: d.csv, schema: d.yaml}}
stages:
  train: {run: train, inputs: [src], params: [train], outputs: {model: build/model}}
  evaluate:
    run: evaluate
    inputs: [build/model]
    outputs: {metrics: build/metrics.json, predictions: build/predictions.csv}
"""
PARAMS = "params: {train: {seed: 1, rate: 0.5}}\n"


@pytest.fixture
def planned(root: Path, load_text: Load) -> Callable[..., Plan]:
    (root / "src").mkdir()

    def planned(gates: str, more: str = "", stages: str = "") -> Plan:
        return load_text(f"{HEAD}{stages}gates:\n{gates}{PARAMS}{more}").plan

    return planned


def request(stage: Stage) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(dict(stage.files)[".penstock-recipe/request.json"])
    return document


def only_gate(plan: Plan) -> GateSpec:
    (gate,) = plan.gates
    return gate


def test_a_threshold_on_a_known_metric_is_measured_from_the_predictions(planned: Callable[..., Plan]) -> None:
    plan = planned("  - {gate: threshold, metric: roc_auc, min: 0.8}\n")
    gate, stage = only_gate(plan), plan.stage("measure")
    assert gate.reads == (("measure", "build/penstock/measure.measures.json"),)
    assert gate.options == {"metric": "roc_auc", "min": 0.8, "confidence": 0.95}
    assert stage.needs == ("evaluate",)
    assert stage.uses == "measure"
    assert request(stage)["metrics"] == [{"metric": "roc_auc", "confidence": 0.95}]
    assert stage.environment.requirements is None


def test_what_a_gate_demands_does_not_enter_the_stage_that_measures(planned: Callable[..., Plan]) -> None:
    one, two = (
        planned(f"  - {{gate: no-regression, metric: recall, margin: {margin}, baseline: b.csv}}\n")
        for margin in (0.01, 0.02)
    )
    assert one.stage("measure").files == two.stage("measure").files
    assert one.gates != two.gates


def test_an_unknown_metric_is_looked_for_in_the_metrics_file_as_a_point(planned: Callable[..., Plan]) -> None:
    plan = planned("  - {gate: threshold, metric: profit, min: 0}\n")
    assert only_gate(plan).reads == (("evaluate", "build/metrics.json"),)
    assert only_gate(plan).options["confidence"] is None
    assert [stage.name for stage in plan.stages] == ["train", "evaluate"]


def test_no_confidence_asks_for_the_bare_number(planned: Callable[..., Plan]) -> None:
    plan = planned("  - {gate: threshold, metric: recall, min: 0, confidence: none}\n")
    assert only_gate(plan).options["confidence"] is None
    assert request(plan.stage("measure"))["metrics"] == [{"metric": "recall", "confidence": None}]


def test_the_policy_says_what_confidence_gates_have(planned: Callable[..., Plan]) -> None:
    gates = "  - {gate: threshold, metric: recall, min: 0}\n  - {gate: calibration, max_ece: 0.1, confidence: 0.9}\n"
    plan = planned(gates, "policy: {confidence: 0.99, first_version: skip, holdout_budget: 7}\n")
    assert [gate.options["confidence"] for gate in plan.gates] == [0.99, 0.9]
    assert plan.holdout_budget == 7
    assert request(plan.stage("measure"))["confidence"] == 0.99


def test_a_stage_of_the_file_answers_gates_and_keeps_what_it_asks_itself(
    root: Path, planned: Callable[..., Plan]
) -> None:
    (root / "b.csv").write_text("")
    stages = "  look: {uses: measure, metrics: [f1, recall], slices: [plan], baseline: b.csv}\n"
    gates = "  - {gate: threshold, metric: recall, min: 0, slice: {gender: Female}}\n"
    plan = planned(gates, stages=stages)
    asked = request(plan.stage("look"))
    assert [each["metric"] for each in asked["metrics"]] == ["recall", "f1"]
    assert asked["slices"] == ["plan", "gender"]
    assert [each["metric"] for each in asked["comparisons"]] == ["recall", "f1"]
    assert only_gate(plan).options["column"] == "gender"
    assert only_gate(plan).name == "threshold-recall-gender-Female"
    assert "b.csv" in plan.stage("look").sources


def test_a_baseline_that_is_not_there_is_left_to_the_gate(root: Path, planned: Callable[..., Plan]) -> None:
    gates = "  - {gate: no-regression, metric: recall, margin: 0.01, baseline: {file: b.csv}}\n"
    plan = planned(gates, "policy: {first_version: skip}\n")
    assert only_gate(plan).options["baseline_missing"] is True
    assert only_gate(plan).options["first_version"] == "skip"
    assert request(plan.stage("measure"))["baselines"] == []
    (root / "b.csv").write_text("")
    plan = planned(gates)
    assert only_gate(plan).options["baseline_missing"] is False
    assert request(plan.stage("measure"))["comparisons"] == [
        {"metric": "recall", "baseline": "b.csv", "confidence": 0.95, "unpaired": False}
    ]


def test_a_baseline_within_an_archive_is_the_table_that_is_measured(
    root: Path, planned: Callable[..., Plan]
) -> None:
    (root / "old.tar").write_text("")
    plan = planned("  - {gate: improvement, metric: f1, by: 0.01, baseline: {run: old.tar}}\n")
    (baseline,) = request(plan.stage("measure"))["baselines"]
    assert baseline == {"name": "old.tar", "path": "old.tar", "member": "build/predictions.csv"}


def test_fairness_asks_for_its_criterion_in_every_group(planned: Callable[..., Plan]) -> None:
    plan = planned(
        "  - {gate: fairness, criterion: equalized-odds, by: [gender, age], max_difference: 0.1}\n"
    )
    assert [each["metric"] for each in request(plan.stage("measure"))["fairness"]] == [
        "recall",
        "false_positive_rate",
    ]
    assert only_gate(plan).options["metrics"] == ["recall", "false_positive_rate"]
    assert only_gate(plan).name == "fairness-equalized-odds"


def test_a_metric_of_ones_own_is_measured_in_the_projects_environment(
    root: Path, planned: Callable[..., Plan]
) -> None:
    (root / "r.txt").write_text("pandas==2.2.3\n")
    gates = "  - {gate: threshold, metric: 'churn.money:profit', min: 0}\n"
    plan = planned(gates, "environment: {requirements: r.txt}\n")
    stage = plan.stage("measure")
    assert stage.environment.requirements == "r.txt"
    assert "pandas==" not in stage.environment.extra_requirements
    assert "pyarrow==" in stage.environment.extra_requirements
    assert "src" in stage.sources
    assert only_gate(plan).name == "threshold-profit"


def test_data_gates_read_what_validation_found(planned: Callable[..., Plan]) -> None:
    stages = "  v: {uses: validate-data, data: d, reference: ref.csv, splits: {a: a.csv, b: b.csv}}\n"
    gates = "".join(
        f"  - {gate}\n"
        for gate in (
            "{gate: schema, data: d}",
            "{gate: drift, data: d}",
            "{gate: freshness, data: d, max_age: 2d}",
        )
    )
    plan = planned(gates, stages=stages)
    assert {gate.reads for gate in plan.gates} == {(("v", "build/penstock/v.validation.json"),)}
    assert plan.gates[2].options == {"data": "d", "max_age": 172800.0}
    assert plan.stage("v").sources == ("a.csv", "b.csv", "d.csv", "d.yaml", "ref.csv")
    assert request(plan.stage("v"))["splits"] == {"a": "a.csv", "b": "b.csv"}


def test_model_gates_read_what_their_recipes_found(planned: Callable[..., Plan]) -> None:
    stages = "  t: {uses: model-tests, data: d.csv, target: y}\n  s: {uses: benchmark-model, data: d.csv}\n"
    gates = "  - {gate: latency, p99_ms: 50}\n  - {gate: model-tests}\n  - {gate: explainability, forbidden: [sex]}\n"
    plan = planned(gates, stages=stages)
    assert [gate.reads[0][0] for gate in plan.gates] == ["s", "t", "t"]
    assert request(plan.stage("t"))["model"] == "build/model"
    assert plan.stage("s").needs == ("train",)
    assert plan.gates[2].options == {"forbidden": ["sex"]}


def test_a_command_is_a_stage_whose_end_is_a_finding(planned: Callable[..., Plan]) -> None:
    plan = planned("  - {gate: command, name: Price_check, run: ./check, inputs: [build/metrics.json]}\n")
    stage = plan.stage("gate-price-check")
    assert request(stage)["run"] == "./check"
    assert stage.needs == ("evaluate",)
    assert only_gate(plan).reads == (("gate-price-check", "build/penstock/gate-price-check.verdict.json"),)


def test_training_again_is_judged_by_the_digests_of_both(planned: Callable[..., Plan]) -> None:
    plan = planned("  - {gate: reproducible, stage: train}\n")
    stage = plan.stage("repeat-train")
    assert stage.sources == plan.stage("train").sources
    assert request(stage)["params"] == {"train": {"seed": 1, "rate": 0.5}}
    assert only_gate(plan).reads == (
        ("repeat-train", "build/penstock/repeat-train.reproducibility.json"),
        ("train", "build/model"),
    )


def test_seeds_repeat_everything_up_to_the_metric(planned: Callable[..., Plan]) -> None:
    seeds = "{parameter: train.seed, values: [1, 2, 3]}"
    gate = f"  - {{gate: reproducible, stage: train, seeds: {seeds}, metric: auc, max_spread: 0.01}}\n"
    plan = planned(gate)
    asked = request(plan.stage("repeat-train"))
    assert [each["name"] for each in asked["stages"]] == ["train", "evaluate"]
    assert asked["seeds"]["metrics"] == "build/metrics.json"
    assert plan.stage("repeat-train").produced == ()
    assert only_gate(plan).options == {"stage": "train", "metric": "auc", "max_spread": 0.01}


@pytest.mark.parametrize(
    ("gates", "stages", "message"),
    [
        (
            "{gate: no-regression, metric: recall, margin: 0.1}",
            "",
            r"p\.yaml:11: gate 1: names no baseline\n  add `baseline: <predictions table>` to it",
        ),
        (
            "{gate: latency, p99_ms: 5}",
            "",
            r"gate 1: no stage uses `benchmark-model`\n  add one: `benchmark-model: {uses: benchmark-model",
        ),
        (
            "{gate: latency, p99_ms: 5, stage: tran}",
            "b: {uses: benchmark-model, data: d.csv}",
            r"gate 1: `stage` is 'tran', which does not use `benchmark-model`",
        ),
        ("{gate: drift, data: d}", "v: {uses: validate-data, data: d}", "no stage compares data set 'd' with a reference"),
        ("{gate: reproducible, stage: trian}", "", r"there is no stage 'trian'.*\n  nearest: 'train'"),
        (
            "{gate: reproducible, stage: train, seeds: {parameter: seed, values: [1, 2]}, metric: a, max_spread: 1}",
            "",
            "no stage that runs again declares the parameter 'seed'",
        ),
        ("{gate: reproducible, stage: train, metric: a}", "", "`seeds`, `metric` and `max_spread` belong together"),
        ("{gate: threshold, metric: recall, min: 0, confidence: 95}", "", "`confidence` is 95, which is no confidence"),
        ("{gate: fairness, metric: recall, by: [sex]}", "", "gate 1: has no bound"),
        ("{gate: threshold, metric: f1, min: 0, slice: {a: 1, b: 2}}", "", "`slice` is a mapping .*which is no slice"),
        ("{gate: threshold, metric: f1, min: 0, predictions: p.csv, metrics: m.json}", "", "keep the one that holds"),
    ],
)  # fmt: skip
def test_a_gate_that_cannot_be_answered_is_refused(
    planned: Callable[..., Plan], gates: str, stages: str, message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        planned(f"  - {gates}\n", stages=f"  {stages}\n" if stages else "")


def test_several_predictions_tables_must_be_told_apart(planned: Callable[..., Plan]) -> None:
    stages = "  more: {run: x, outputs: {predictions: other.csv}}\n"
    with pytest.raises(PipelineError, match="several predictions tables could be meant"):
        planned("  - {gate: threshold, metric: recall, min: 0}\n", stages=stages)
    plan = planned("  - {gate: threshold, metric: recall, min: 0, predictions: other.csv}\n", stages=stages)
    assert plan.stage("measure").needs == ("more",)


def test_two_tables_have_a_stage_each(planned: Callable[..., Plan]) -> None:
    gates = "".join(
        f"  - {{gate: threshold, name: {name}, metric: recall, min: 0, predictions: {path}}}\n"
        for name, path in (("a", "build/predictions.csv"), ("b", "old.csv"), ("c", "old.csv"))
    )
    plan = planned(gates)
    assert [gate.reads[0][0] for gate in plan.gates] == ["measure", "measure-2", "measure-2"]
    assert plan.stage("measure-2").sources == ("old.csv",)


MODEL_TESTS = """\
  t:
    uses: model-tests
    data: d.csv
"""


def test_tests_of_a_model_reach_the_program_as_they_are_written(planned: Callable[..., Plan]) -> None:
    options = """\
    tests:
      collapse: true
      determinism: false
      validity: {classes: ["No", "Yes"]}
      direction: [{change: {add: {tenure: 6}, set: {plan: null}}, must_not: rise, class: "Yes"}]
    robustness: [{missing: 0.05}]
    importance: {repeats: 3}
"""
    asked = request(planned("  - {gate: model-tests}\n", stages=MODEL_TESTS + options).stage("t"))
    assert asked["tests"] == {
        "collapse": True,
        "determinism": False,
        "validity": {"classes": ["No", "Yes"]},
        "direction": [
            {"change": {"add": {"tenure": 6}, "set": {"plan": None}}, "must_not": "rise", "class": "Yes"}
        ],
    }
    assert isinstance(asked["tests"]["direction"][0]["change"]["add"]["tenure"], int)
    assert (asked["robustness"], asked["importance"]) == ([{"missing": 0.05}], {"repeats": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "tests: {colapse: true}",
            r"p\.yaml:\d+: .*`tests` has an unknown key 'colapse'\n  nearest: 'collapse'",
        ),
        ("tests: {collapse: 3}", "`tests.collapse` is neither true, nor false, nor a mapping of options"),
        ("tests: {invariance: [{change: {swp: {a: [1, 2]}}}]}", "unknown key 'swp'\n  nearest: 'swap'"),
        ("tests: {invariance: [{change: {}}]}", "changes nothing"),
        ("tests: {direction: [{change: {add: {a: x}}, must_not: fall}]}", "is 'x', which is no number"),
        ("tests: {direction: [{change: {add: {a: 1}}}]}", "needs `must_not`"),
        ("tests: {slices: [{by: [a]}]}", "has no bound"),
        ("robustness: [{noise: 0.1, missing: 0.2}]", "disturbs in no way, or in several"),
        ("importance: 3", "`importance` is neither true, nor false"),
    ],
)
def test_wrong_tests_of_a_model_are_refused_by_line(
    planned: Callable[..., Plan], options: str, message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        planned("  - {gate: model-tests}\n", stages=f"{MODEL_TESTS}    {options}\n")
