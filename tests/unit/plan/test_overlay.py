from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import PipelineError, UsageError
from penstock.plan.load import Loaded
from penstock.plan.model import Setting

Load = Callable[..., Loaded]

PIPELINE = """\
version: 1
name: x
params: params.yaml
environment: {python: "3.12"}
stages:
  train:
    run: x
    params: [train, seed]
    outputs: {model: m}
    variables: {A: a, B: b}
    timeout: 1h
gates:
  - {gate: threshold, metric: auc, min: 0.5, metrics: m}
publish: {archive: {}}
profiles:
  quick:
    params: {train.n: 2, train: {rate: 0.2}}
    stages: {train: {timeout: 5m, variables: {B: c}}}
    gates: []
    publish: false
    environment: {image: i}
  other: {}
"""
PARAMS = "seed: 1\ntrain:\n  n: 1\n  rate: 0.1\n  layers: [1, 2]\n  extra: {}\n"


@pytest.fixture
def loaded(root: Path, load_text: Load) -> Load:
    (root / "params.yaml").write_text(PARAMS, encoding="utf-8")

    def loaded(**overlay: Any) -> Loaded:
        return load_text(PIPELINE, **overlay)

    return loaded


def setting(loaded: Loaded, name: str) -> Setting:
    return next(each for each in loaded.plan.settings if each.name == name)


def test_a_stage_gets_its_sections_nested_as_in_the_file(loaded: Load) -> None:
    stage = loaded().plan.stage("train")
    assert stage.params == {
        "seed": 1,
        "train": {"n": 1, "rate": 0.1, "layers": [1, 2], "extra": {}},
    }
    assert stage.params_file == "params.yaml"


def test_each_layer_overrides_those_before_it_and_remembers_them(loaded: Load) -> None:
    found = setting(
        loaded(
            profile="quick",
            sets=("train.n=4", "train.n=5"),
            environ={"PENSTOCK_PARAM_TRAIN__N": "3", "PATH": "x"},
        ),
        "params.train.n",
    )
    assert found == Setting(
        name="params.train.n",
        value=5,
        origin="--set",
        overridden=(
            (1, "params.yaml:3"),
            (2, "profile quick (p.yaml:17)"),
            (3, "PENSTOCK_PARAM_TRAIN__N"),
            (4, "--set"),
        ),
    )


def test_a_profile_changes_fields_of_a_stage_and_leaves_the_others(loaded: Load) -> None:
    plan = loaded(profile="quick").plan
    stage = plan.stage("train")
    assert stage.timeout_s == 300
    assert stage.variables == (("A", "a"), ("B", "c"))
    assert stage.params["train"] == {"n": 2, "rate": 0.2, "layers": [1, 2], "extra": {}}
    assert (stage.environment.python, stage.environment.image) == ("3.12", "i")
    assert (plan.gates, plan.archive, plan.profile) == ((), None, "quick")


def test_without_the_profile_nothing_of_it_applies(loaded: Load) -> None:
    plan = loaded(profile="other").plan
    assert plan.stage("train").timeout_s == 3600
    assert len(plan.gates) == 1
    assert plan.archive is not None
    assert plan.archive.contents == (("train", "m"),)


def test_what_a_profile_changed_is_a_setting_with_both_places(loaded: Load) -> None:
    found = setting(loaded(profile="quick"), "stages.train.timeout")
    assert found == Setting(
        name="stages.train.timeout",
        value="5m",
        origin="profile quick (p.yaml:18)",
        overridden=(("1h", "p.yaml:11"),),
    )


def test_defaults_are_settings_too(loaded: Load) -> None:
    assert setting(loaded(), "policy.on_inconclusive").origin == "default"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("[3]", [3]), ("adam", "adam"), ("'7'", "7"), ("a=b", "a=b"), ("null", None)],
)
def test_a_value_on_the_command_line_is_yaml(loaded: Load, text: str, value: object) -> None:
    params: Any = loaded(sets=(f"train.rate={text}",)).plan.params
    assert params["train"]["rate"] == value


def test_a_mapping_sets_the_named_parameters_of_a_section(loaded: Load) -> None:
    params: Any = loaded(sets=("train={n: 8, rate: 0.5}",)).plan.params
    assert (params["train"]["n"], params["train"]["rate"], params["train"]["layers"]) == (8, 0.5, [1, 2])


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            {"sets": ("train.m=1",)},
            r"--set train\.m: there is no parameter 'train\.m'\n  nearest: 'train\.n'",
        ),
        ({"sets": ("train.n",)}, r"--set: 'train\.n' has no `=`"),
        ({"sets": ("train=1",)}, r"'train' is a section of parameters, 1 a single value"),
        ({"sets": ("train.n={a: 1}",)}, r"'train\.n' is a single value"),
        ({"sets": ("train.n=[1",)}, r"--set train\.n: is not YAML"),
        ({"sets": ("train.n=.nan",)}, r"--set train\.n: \.nan is not a number"),
        ({"sets": ("train.n=*a",)}, r"--set train\.n: the alias"),
        ({"sets": ("train.n=no",)}, r"'no' means different things"),
        ({"sets": ("=1",)}, r"there is no parameter ''"),
        ({"environ": {"PENSTOCK_PARAM_TRAIN__M": "1"}}, r"PENSTOCK_PARAM_TRAIN__M: there is no parameter"),
        (
            {"environ": {"PENSTOCK_PARAM_SEED": "1", "PENSTOCK_PARAM_seed": "2"}},
            r"PENSTOCK_PARAM_seed: sets 'seed', and so does PENSTOCK_PARAM_SEED",
        ),
    ],
)
def test_a_wrong_overlay_is_named(loaded: Load, overlay: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        loaded(**overlay)


def test_an_unknown_profile_is_refused_with_the_nearest(loaded: Load) -> None:
    with pytest.raises(PipelineError, match=r"p\.yaml:15: there is no profile 'quik'\n  nearest: 'quick'"):
        loaded(profile="quik")


def test_a_profile_cannot_make_up_parameters(load_text: Load) -> None:
    text = "version: 1\nname: x\nparams: {n: 1}\nstages: {a: {run: x}}\nprofiles:\n  p: {params: {m: 1}}\n"
    with pytest.raises(PipelineError, match=r"p\.yaml:6: profile 'p': there is no parameter 'm'"):
        load_text(text, profile="p")


def test_a_profile_that_makes_a_stage_wrong_is_refused_where_it_says_so(load_text: Load) -> None:
    text = "version: 1\nname: x\nstages: {a: {run: x}}\nprofiles:\n  p:\n    stages:\n      a: {args: [q]}\n"
    with pytest.raises(PipelineError, match=r"p\.yaml:7: stage 'a': has an unknown key 'args'"):
        load_text(text, profile="p")


def test_names_that_differ_in_case_only_cannot_be_set_by_a_variable(load_text: Load) -> None:
    with pytest.raises(UsageError, match=r"stands for each of N, n"):
        load_text(
            "version: 1\nname: x\nparams: {N: 1, n: 2}\nstages: {a: {run: x}}\n",
            environ={"PENSTOCK_PARAM_N": "3"},
        )


def test_a_wrong_parameter_file_is_named_with_its_own_line(root: Path, load_text: Load) -> None:
    (root / "params.yaml").write_text("a: 1\nb: .nan\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"^params\.yaml:2: \.nan"):
        load_text("version: 1\nname: x\nparams: params.yaml\nstages: {a: {run: x}}\n")


EVENTS = "version: 1\nname: x\nstages: {a: {run: x}}\nprofiles: {main: {}, release: {}, pull-request: {}}\n"


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ({"event": "pull-request"}, "pull-request"),
        ({"event": "main"}, "main"),
        ({"event": "tag"}, "release"),
        ({"event": "schedule"}, None),
        ({"event": "main", "profile": "release"}, "release"),
        ({}, None),
    ],
)
def test_an_event_chooses_the_profile_that_the_file_has_for_it(
    load_text: Load, asked: dict[str, str], chosen: str | None
) -> None:
    assert load_text(EVENTS, **asked).plan.profile == chosen


def test_for_a_tag_a_profile_of_that_name_comes_before_release(load_text: Load) -> None:
    assert load_text(EVENTS.replace("main: {}", "tag: {}"), event="tag").plan.profile == "tag"


@pytest.mark.parametrize("profile", [None, "main"])
def test_an_unknown_event_is_refused_with_the_choices(load_text: Load, profile: str | None) -> None:
    with pytest.raises(UsageError, match=r"there is no event 'push'\n(.*\n)*.*pull-request") as caught:
        load_text(EVENTS, event="push", profile=profile)
    assert caught.value.exit_code == 2
