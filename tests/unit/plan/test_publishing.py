"""`publish`: which programs run once the gates have passed, and what each is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.plan.compiled import decode_plan, encode_plan, plan_digest
from penstock.plan.exchange import request_of, tracking_uri
from penstock.plan.model import Delivery, Plan
from unit.plan.conftest import Load

PIPELINE = """\
version: 1
name: churn
secrets: {{KEY: {{}}, USER: {{}}, PASSWORD: {{}}}}
stages:
  train:
    run: "true"
    outputs: {{model: build/model, metrics: build/metrics.json, predictions: build/predictions.csv}}
  package: {{uses: package-model, data: rows.csv, predictions: false}}
  other: {{run: "true", outputs: [build/other]}}
publish: {publish}
"""
WHOLE = """\
  mlflow: {model: churn, alias: candidate, tracking_uri: "http://mlflow.example.com"}
  image: {repository: r.example.com/ml/serving, base: "python:3.12-slim", port: 9000}
  evidence: {key: KEY}
  artifact: {repository: r.example.com/ml/churn, tags: [v1], username: USER, password: PASSWORD}
  archive: {}
"""


@pytest.fixture
def plan_of(load_text: Load, root: Path) -> Any:
    def plan_of(publish: str) -> Plan:
        (root / "rows.csv").write_text("a\n1\n")
        return load_text(PIPELINE.format(publish=publish)).plan

    return plan_of


def delivery(plan: Plan, kind: str) -> Delivery:
    (found,) = [each for each in plan.deliveries if each.kind == kind]
    return found


def test_they_come_in_one_order_whatever_the_file_says(plan_of: Any) -> None:
    plan = plan_of(f"\n{WHOLE}")
    assert [each.kind for each in plan.deliveries] == ["evidence", "artifact", "image", "mlflow"]
    assert [stage.name for each in plan.deliveries for stage in each.stages] == [
        *("publish-evidence", "publish-artifact"),
        *("build-image", "publish-image", "publish-mlflow"),
    ]


def test_what_was_judged_is_published_and_no_more(plan_of: Any) -> None:
    plan = plan_of(f"\n{WHOLE}")
    paths = {path for _, path in delivery(plan, "mlflow").contents}
    assert paths == {
        *("build/metrics.json", "build/model", "build/penstock/package", "build/predictions.csv")
    }
    assert {item.path for item in delivery(plan, "mlflow").stage.produced} == paths | {
        "build/penstock/evidence"
    }


def test_evidence_goes_with_all_that_follows_it(plan_of: Any) -> None:
    plan = plan_of(f"\n{WHOLE}")
    for kind in ("artifact", "image", "mlflow"):
        assert request_of(delivery(plan, kind).stage)["evidence"] == "build/penstock/evidence"
    assert request_of(delivery(plan, "evidence").stage)["evidence"] is None
    assert request_of(delivery(plan_of("{mlflow: {model: a}}"), "mlflow").stage)["evidence"] is None


def test_programs_work_outside_and_nothing_of_them_is_reused(plan_of: Any) -> None:
    for each in plan_of(f"\n{WHOLE}").deliveries:
        assert each.stage.outside
        assert not each.stage.cache
        assert each.stage.environment.extra_requirements
        assert each.stage.line > 0


def test_each_gets_the_secrets_that_it_names_and_no_others(plan_of: Any) -> None:
    plan = plan_of(f"\n{WHOLE}")
    assert delivery(plan, "evidence").stage.secrets == ("KEY",)
    assert delivery(plan, "artifact").stage.secrets == ("PASSWORD", "USER")
    assert delivery(plan, "image").stage.secrets == ()
    assert "MLFLOW_TRACKING_TOKEN" in delivery(plan, "mlflow").stage.passes


def test_an_image_is_built_of_the_package_and_pushed(plan_of: Any) -> None:
    image = delivery(plan_of(f"\n{WHOLE}"), "image")
    assert image.before is not None
    assert image.before.serving is not None
    assert image.before.serving.package == "build/penstock/package"
    assert image.before.serving.port == 9000
    assert image.before.environment.image == "python:3.12-slim"
    assert request_of(image.stage)["archive"] == image.before.serving.archive
    assert image.before.serving.archive in {item.path for item in image.stage.produced}


def test_an_image_that_is_not_pushed_is_built(plan_of: Any) -> None:
    image = delivery(plan_of("{image: {repository: r.example.com/a, push: false}}"), "image")
    assert image.before is None
    assert image.stage.serving is not None


def test_a_plan_that_is_kept_publishes_the_same(plan_of: Any) -> None:
    plan = plan_of(f"\n{WHOLE}")
    assert decode_plan(encode_plan(plan)).deliveries == plan.deliveries


def test_where_a_run_is_published_is_no_part_of_what_it_is(plan_of: Any) -> None:
    assert plan_digest(plan_of("{mlflow: {model: a}}")) == plan_digest(
        plan_of("{mlflow: {model: a, tracking_uri: 'http://elsewhere.example.com'}}")
    )


def test_the_registry_is_that_of_the_file(plan_of: Any) -> None:
    assert tracking_uri(plan_of(f"\n{WHOLE}")) == "http://mlflow.example.com"
    assert tracking_uri(plan_of("{mlflow: {model: a}}")) is None
    assert tracking_uri(plan_of("{archive: {}}")) is None


def test_nothing_is_published_with_false(plan_of: Any) -> None:
    assert plan_of("false").deliveries == ()


REGISTERED = """\
version: 1
name: churn
stages:
  train: {run: "true", outputs: {model: build/model, predictions: build/predictions.csv}}
gates:
  - {gate: no-regression, metric: accuracy, margin: 0.01, baseline: {registry: champion%s}}
  - {gate: improvement, metric: f1, by: 0.01, baseline: {registry: champion%s}}
%s
"""


def test_a_baseline_in_the_registry_is_fetched_once_by_a_stage(load_text: Load) -> None:
    plan = load_text(REGISTERED % ("", "", "publish: {mlflow: {model: churn}}")).plan
    fetch = plan.stage("baseline-champion")
    assert [stage.name for stage in plan.stages].count("baseline-champion") == 1
    assert (fetch.outside, fetch.cache) == (True, False)
    request = request_of(fetch)
    assert (request["action"], request["model"], request["alias"]) == ("baseline", "churn", "champion")
    measure = plan.stage("measure")
    assert "baseline-champion" in measure.needs
    assert request_of(measure)["baselines"] == [
        {
            "name": "registry@champion",
            "path": "build/penstock/baselines/baseline-champion",
            "member": None,
            "fetched": True,
        }
    ]
    assert [gate.options["baseline"] for gate in plan.gates] == ["registry@champion"] * 2


def test_a_baseline_of_another_model_is_told_apart(load_text: Load) -> None:
    plan = load_text(REGISTERED % ("", ", model: older", "publish: {mlflow: {model: churn}}")).plan
    assert {stage.name for stage in plan.stages} >= {"baseline-champion", "baseline-champion-2"}
    assert [gate.options["baseline"] for gate in plan.gates] == ["registry@champion", "older@champion"]


def test_evidence_names_what_the_model_was_made_with_and_is_served_with(load_text: Load, root: Path) -> None:
    (root / "rows.csv").write_text("a\n1\n")
    (root / "requirements.lock").write_text("numpy==2.2.0\nscipy==1.15.0\n")
    text = PIPELINE.format(publish="{evidence: {}}") + "environment: {requirements: requirements.lock}\n"
    environments = request_of(delivery(load_text(text).plan, "evidence").stage)["environments"]
    assert environments["training"] == ["numpy==2.2.0\nscipy==1.15.0"]
    served = "\n".join(environments["serving"])
    assert "numpy==2.2.0" in served
    assert "mlflow-skinny==" in served
    assert served.count("numpy==") == 1
