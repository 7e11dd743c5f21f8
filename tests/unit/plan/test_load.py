from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.errors import PipelineError
from penstock.plan.load import Loaded, load
from penstock.plan.model import Archive, Overlay, Secret
from penstock.plan.problems import PipelineErrors
from penstock.results import Accelerator

Load = Callable[..., Loaded]

HEAD = "version: 1\nname: x\n"


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_the_root_is_beside_pipelines(root: Path) -> None:
    write(root, pipelines__x_dot_yaml=f"{HEAD}stages: {{a: {{run: x}}}}\n")
    loaded = load(Path("pipelines/x.yaml"), Overlay())
    assert loaded.root == root
    assert loaded.plan.pipeline_file == "pipelines/x.yaml"


def test_the_root_is_where_the_file_says(root: Path) -> None:
    write(root, pipelines__x_dot_yaml=f"{HEAD}root: ../sub\nstages: {{a: {{run: x}}}}\n", sub__f="")
    loaded = load(Path("pipelines/x.yaml"), Overlay())
    assert loaded.root == root / "sub"
    assert loaded.plan.pipeline_file == "../pipelines/x.yaml"


def test_a_missing_pipeline_file_is_named(root: Path) -> None:
    with pytest.raises(PipelineError, match=r"^nope\.yaml: does not exist$"):
        load(Path("nope.yaml"), Overlay())


def test_a_directory_is_no_pipeline_file(root: Path) -> None:
    with pytest.raises(PipelineError, match=r"^\.: is a directory$"):
        load(Path(), Overlay())


def test_a_stage_overrides_the_environment_field_by_field(root: Path, load_text: Load) -> None:
    write(root, l_dot_lock="a==1\n")
    plan = load_text(
        f"{HEAD}environment: {{python: '3.12', requirements: l.lock, image: i}}\n"
        "stages:\n  a: {run: x}\n  b: {run: x, environment: {python: '3.13', requirements: null}}\n"
    ).plan
    a, b = plan.stage("a").environment, plan.stage("b").environment
    assert (a.python, a.requirements, a.image) == ("3.12", "l.lock", "i")
    assert (b.python, b.requirements, b.image) == ("3.13", None, "i")


def test_variables_of_a_stage_win_over_those_of_the_pipeline(load_text: Load) -> None:
    plan = load_text(
        f"{HEAD}variables: {{B: 1, A: x}}\nstages: {{a: {{run: x, variables: {{A: y}}}}}}\n"
    ).plan
    assert plan.stage("a").variables == (("A", "y"), ("B", "1"))


def test_an_accelerator_is_taken_only_when_it_is_asked_for(load_text: Load) -> None:
    text = f"{HEAD}stages:\n  a: {{run: x, accelerator: {{cuda: {{image: i, gpus: 2}}}}}}\n  b: {{run: x}}\n"
    assert load_text(text).plan.stage("a").accelerator is None
    plan = load_text(text, accelerator="cuda").plan
    assert plan.stage("a").accelerator == Accelerator(kind="cuda", image="i", gpus=2)
    assert plan.stage("b").accelerator is None


def test_an_accelerator_that_no_stage_can_use_is_refused(load_text: Load) -> None:
    with pytest.raises(PipelineError, match=r"no stage can use the accelerator 'cuda'"):
        load_text(f"{HEAD}stages: {{a: {{run: x}}}}\n", accelerator="cuda")


def test_secrets_come_from_where_the_file_says(load_text: Load) -> None:
    plan = load_text(
        f"{HEAD}secrets: {{A: {{}}, B: {{env: X}}, C: {{file: /run/c}}, D: null}}\n"
        "stages: {a: {run: x, secrets: [C, A]}}\n"
    ).plan
    assert plan.secrets == (
        Secret(name="A", env="A"),
        Secret(name="B", env="X"),
        Secret(name="C", file="/run/c"),
        Secret(name="D", env="D"),
    )
    assert plan.stage("a").secrets == ("A", "C")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("2h", 7200), ("30m", 1800), ("1h30m", 5400), ("0.5s", 0.5), ("1d", 86400)],
)
def test_a_timeout_is_seconds_or_has_units(load_text: Load, text: str, seconds: float) -> None:
    plan = load_text(f"{HEAD}stages: {{a: {{run: x, timeout: {text}}}}}\n").plan
    assert plan.stage("a").timeout_s == seconds


@pytest.mark.parametrize(
    "outputs",
    ["{metrics: a/b.json}", "[a/metrics.json]", "{metrics: r, other: a/metrics.json}"],
)
def test_a_threshold_finds_its_metrics_by_role_then_by_name(load_text: Load, outputs: str) -> None:
    plan = load_text(
        f"{HEAD}stages: {{a: {{run: x, outputs: {outputs}}}}}\n"
        "gates: [{gate: threshold, metric: auc, min: 0, max: 1}]\n"
    ).plan
    (gate,) = plan.gates
    first = next(each for each in plan.stage("a").outputs if each.role == "metrics" or not each.role)
    assert gate.reads == (("a", first.path),)
    assert gate.options == {"metric": "auc", "min": 0.0, "max": 1.0, "confidence": None}
    assert gate.name == "threshold-auc"


def test_a_threshold_may_read_a_file_within_an_output(load_text: Load) -> None:
    plan = load_text(
        f"{HEAD}stages: {{a: {{run: x, outputs: [r]}}}}\n"
        "gates: [{gate: threshold, metric: auc, min: 0, metrics: r/m.json}]\n"
    ).plan
    assert plan.gates[0].reads == (("a", "r/m.json"),)


def test_an_archive_holds_models_and_metrics_unless_told(load_text: Load) -> None:
    stages = "stages: {a: {run: x, outputs: {model: m, metrics: n, log: o}}, b: {run: x, outputs: [q/model.bin]}}\n"
    plan = load_text(f"{HEAD}{stages}publish: {{archive: {{}}}}\n").plan
    assert plan.archive == Archive(path="dist", contents=(("a", "m"), ("a", "n"), ("b", "q/model.bin")))
    plan = load_text(f"{HEAD}{stages}publish: {{archive: {{path: p, contents: [log, m, m]}}}}\n").plan
    assert plan.archive == Archive(path="p", contents=(("a", "m"), ("a", "o")))


@pytest.mark.parametrize("publish", ["publish: false\n", "publish: {}\n", "publish:\n", ""])
def test_nothing_is_published_unless_asked_for(load_text: Load, publish: str) -> None:
    assert load_text(f"{HEAD}stages: {{a: {{run: x, outputs: [model]}}}}\n{publish}").plan.archive is None


def test_the_digest_of_a_plan_ignores_layout_and_notices_content(load_text: Load) -> None:
    one = load_text(f"{HEAD}stages: {{a: {{run: x}}}}\n").plan
    same = load_text(
        f"# a comment\n{HEAD}policy: {{on_inconclusive: fail}}\nstages:\n  a:\n    run: x\n"
    ).plan
    other = load_text(f"{HEAD}stages: {{a: {{run: y}}}}\n").plan
    assert one.digest == same.digest
    assert one.stage("a").line != same.stage("a").line
    assert one.digest != other.digest


def test_problems_are_told_in_the_order_of_their_lines_and_at_most_ten(load_text: Load) -> None:
    wrong = "".join(f"  a{at}: {{run: x, retries: -1}}\n" for at in range(14))
    with pytest.raises(PipelineErrors, match=r"and 4 more$") as caught:
        load_text(f"{HEAD}stages:\n{wrong}")
    assert [problem.where for problem in caught.value.problems] == [f"p.yaml:{at}" for at in range(4, 14)]
    assert caught.value.exit_code == 2


def test_a_value_below_secrets_is_never_repeated(load_text: Load) -> None:
    with pytest.raises(PipelineError, match=r"secret 'T'") as caught:
        load_text(f"{HEAD}secrets: {{T: hunter2}}\nstages: {{a: {{run: x}}}}\n")
    assert "hunter2" not in str(caught.value)
