from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from penstock.plan import schema
from penstock.plan.schema import schema_document

REPOSITORY = Path(__file__).parents[3]
PUBLISHED = Path(schema.__file__).with_name("pipeline.schema.json")


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == json.dumps(schema_document(), indent=2) + "\n", (
        "write it anew: penstock schema > src/penstock/plan/pipeline.schema.json"
    )


def test_the_published_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema_document())


def test_the_default_pipeline_keeps_to_the_schema() -> None:
    document = yaml.safe_load((REPOSITORY / "pipelines" / "default.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema_document())


@pytest.mark.parametrize(
    "document",
    [
        {"version": 1, "name": "x"},
        {"version": 2, "name": "x", "stages": {"a": {"run": "x"}}},
        {"version": 1, "name": "x", "stages": {"a": {"run": "x", "timout": 3}}},
        {"version": 1, "name": "x", "stages": {"a": {"uses": "lint", "run": "x"}}},
        {"version": 1, "name": "x", "stages": {"a": {"run": "x"}}, "gates": [{"gate": "schema"}]},
        {"version": 1, "name": "x", "stages": {"a": {"run": "x"}}, "publish": True},
        {"version": 1, "name": "x", "stages": {"a": {"timeout": "1h"}}},
        {"version": 1, "name": "x", "stages": {"from": "Makefile"}},
    ],
)
def test_an_editor_marks_what_the_loader_refuses(document: object) -> None:
    with pytest.raises(jsonschema.ValidationError, match=r"\S"):
        jsonschema.validate(document, schema_document())


@pytest.mark.parametrize(
    "stages",
    [
        {"from": "dvc.yaml"},
        {"from": ["dvc.yaml", "sub/dvc.yaml"], "train": {"timeout": "2h"}, "lint": {"uses": "lint"}},
        {"from": "MLproject", "entry_points": {"main": {"alpha": 1}, "validate": None}},
        {"from": "MLproject", "entry_points": ["main"]},
    ],
)
def test_an_editor_knows_stages_of_other_files(stages: object) -> None:
    jsonschema.validate({"version": 1, "name": "x", "stages": stages}, schema_document())


def test_every_key_of_a_stage_says_what_it_is() -> None:
    properties = schema_document()["$defs"]["RunStage"]["properties"]
    silent = [key for key, value in properties.items() if "description" not in value and "anyOf" not in value]
    assert silent == []
