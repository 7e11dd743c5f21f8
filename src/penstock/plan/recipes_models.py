"""The recipes that look at a model or its predictions; their programs are in `penstock.programs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.plan import carrying
from penstock.plan.asking import Wants
from penstock.plan.model import Environment, Stage
from penstock.plan.overlay import merge
from penstock.plan.reads import ABSENT, DIRECTORY, Reads
from penstock.plan.recipes import ALL_PYTHON, PACKAGE, REPORTS, Recipe, equipped
from penstock.plan.requirements import locked_lines, locked_names, logical_lines, without
from penstock.plan.schema_parts import Record
from penstock.plan.schema_stages import (
    BenchmarkModelStage,
    CommandStage,
    MeasureStage,
    ModelTestsStage,
    PackageModelStage,
)


def measure(
    stage: MeasureStage,
    name: str,
    *,
    table: str,
    wants: Wants,
    confidence: float,
    environment: Environment,
    reads: Reads,
) -> Recipe:
    """Metrics of a predictions table: what the stage lists, and what gates ask for.

    Args:
        stage: As the file has it, or as a gate implied it.
        name: Of the stage.
        table: The predictions table.
        wants: What gates ask for.
        confidence: The policy's.
        environment: Its lock file counts only if a metric of the user's own must be imported, or the stage
            itself declares one.
        reads: Notes what was looked at.
    """
    result = f"{REPORTS}/{name}.measures.json"
    request = _measures(stage, wants, confidence) | {"predictions": table, "result": result}
    asked = (*request["metrics"], *wants.comparisons, *wants.fairness)
    own = any(":" in str(each["metric"]) for each in asked)
    code = _code(stage.inputs, reads) if own or stage.inputs else ()
    declared = stage.environment is not None and stage.environment.requirements is not None
    if not (own or declared):
        environment = Environment(python=environment.python, image=environment.image)
    return Recipe(
        run=f"{carrying.command('measure')}\n",
        inputs=(table, *(str(each["path"]) for each in wants.baselines), *code),
        outputs=((result, "measures"),),
        files=carrying.files("measure", request),
        environment=equipped(environment, "measure", reads),
    )


def _measures(stage: MeasureStage, wants: Wants, confidence: float) -> dict[str, Any]:
    """What is asked of a predictions table: the part of the request that names no file to read or write."""
    confidence = confidence if stage.confidence is None else stage.confidence
    metrics = list(wants.metrics)
    for metric in stage.metrics:
        if all(each["metric"] != metric for each in metrics):
            metrics.append({"metric": metric, "confidence": confidence or None})
    return {
        "task": stage.task,
        "columns": stage.columns.model_dump(exclude_none=True) if stage.columns else {},
        "positive": stage.positive,
        "metrics": metrics,
        "slices": list(dict.fromkeys([*stage.slices, *wants.slices])),
        "baselines": wants.baselines,
        "comparisons": [*wants.comparisons, *_compared(metrics, wants)],
        "fairness": wants.fairness,
        "bins": stage.bins,
        "resamples": stage.resamples,
        "confidence": confidence or None,
    }


def _compared(metrics: Sequence[dict[str, object]], wants: Wants) -> list[dict[str, object]]:
    """The comparisons that no gate asks for, with the baseline that the stage itself names."""
    if wants.compared is None:
        return []
    asked = {each["metric"] for each in wants.comparisons if each["baseline"] == wants.compared}
    return [
        {**each, "baseline": wants.compared, "unpaired": False}
        for each in metrics
        if each["metric"] not in asked
    ]


def model_tests(  # noqa: PLR0917 - what every recipe of a model needs
    stage: ModelTestsStage,
    name: str,
    model: str,
    confidence: float,
    environment: Environment,
    reads: Reads,
) -> Recipe:
    """Tests of a model, in the project's own environment: the model is made of what is in it."""
    result = f"{REPORTS}/{name}.model-tests.json"
    importance = {} if stage.importance is True else _given(stage.importance) if stage.importance else None
    request = _model_request(stage, model, result, confidence) | {
        "positive": stage.positive,
        "task": stage.task,
        "metric": stage.metric,
        "tests": _given(stage.tests),
        "robustness": [_given(each) for each in stage.robustness],
        "importance": importance,
    }
    return _model_recipe("model_tests", request, (result, "model-tests"), stage, environment, reads)


def benchmark_model(  # noqa: PLR0917 - as above
    stage: BenchmarkModelStage,
    name: str,
    model: str,
    confidence: float,
    environment: Environment,
    reads: Reads,
) -> Recipe:
    """How fast and how large a model is, in the project's own environment."""
    result = f"{REPORTS}/{name}.benchmark.json"
    request = _model_request(stage, model, result, confidence) | {
        "batch_sizes": stage.batch_sizes,
        "calls": stage.calls,
        "warmup": stage.warmup,
        "starts": stage.starts,
        "baseline": stage.baseline,
    }
    return _model_recipe("benchmark_model", request, (result, "benchmark"), stage, environment, reads)


def package_model(  # noqa: PLR0917 - as above
    stage: PackageModelStage,
    name: str,
    model: str,
    judged: Mapping[str, Any],
    environment: Environment,
    reads: Reads,
) -> Recipe:
    """The model as an MLflow model directory, made in the project's own environment.

    Args:
        stage: As the file has it, or as a publication implied it.
        name: Of the stage.
        model: Its file or directory.
        judged: `predictions` and `columns` of the request.
        environment: Whose lock file goes into the package.
        reads: Notes what was looked at.
    """
    result = f"{REPORTS}/{name}"
    own = {"format", "loader", "trust", "data", "features", "drop", "target", "id", "task", "positive"}
    request = {
        **stage.model_dump(include=own | {"threshold", "examples"}),
        **judged,
        "model": model,
        "result": result,
        "python": environment.python,
        "requirements": serving_requirements(environment, reads),
    }
    return _model_recipe("package_model", request, (result, "package"), stage, environment, reads)


def serving_requirements(environment: Environment, reads: Reads) -> dict[str, Any]:
    """What an image of the model installs, as the program that packages it is told.

    Returns:
        `lines` of the lock file (null if there is none), `exact` (whether they are what is installed, and no
        choice for many platforms), `tools`: lines of what serves, less what the lock file names.
    """
    text = (PACKAGE / "tools" / "serving.txt").read_text(encoding="utf-8")
    lock = environment.requirements
    if lock is None or reads.presence(lock) == ABSENT:
        return {"lines": None, "exact": False, "tools": [*logical_lines(text)]}
    named = locked_names(lock, reads)
    tools = without(text, named).splitlines()
    return {
        "lines": locked_lines(lock, reads),
        "exact": not lock.endswith((".toml", "uv.lock")),
        "tools": tools,
    }


def command(stage: CommandStage, name: str, environment: Environment) -> Recipe:
    """A command of the user's own that is a gate: how it ended is a finding, not a failure of the stage."""
    result = f"{REPORTS}/{name}.verdict.json"
    return Recipe(
        run=f"{carrying.command('command')}\n",
        inputs=tuple(stage.inputs),
        outputs=((result, "command"),),
        files=carrying.files("command", {"run": stage.run, "result": result}),
        environment=environment,
    )


def repeat(
    name: str, stages: Sequence[Stage], inputs: tuple[str, ...], seeds: dict[str, Any] | None
) -> Recipe:
    """The commands of some stages once more, or once for each seed.

    Args:
        name: Of the stage that repeats.
        stages: In the order in which they run.
        inputs: What they read and do not write themselves.
        seeds: `parameter`, `values`, `metrics` (a file that they write), `metric`; none to repeat as it was.
    """
    result = f"{REPORTS}/{name}.reproducibility.json"
    params: dict[str, Any] = {}
    for stage in stages:
        merge(params, dict(stage.params))
    request = {
        "stages": [{"name": stage.name, "run": stage.run} for stage in stages],
        "outputs": [output.path for stage in stages for output in stage.outputs],
        "params": params,
        "params_file": next((stage.params_file for stage in stages if stage.params_file), None),
        "seeds": seeds,
        "result": result,
    }
    carried = {path: text for stage in stages for path, text in stage.files}
    return Recipe(
        run=f"{carrying.command('repeat')}\n",
        inputs=inputs,
        outputs=((result, "reproducibility"),),
        files=tuple(sorted((carried | dict(carrying.files("repeat", request))).items())),
        environment=stages[0].environment,
    )


def _model_request(
    stage: ModelTestsStage | BenchmarkModelStage, model: str, result: str, confidence: float
) -> dict[str, object]:
    own = {"format", "loader", "trust", "data", "features", "drop", "target", "id"}
    confidence = confidence if stage.confidence is None else stage.confidence
    return {
        **stage.model_dump(include=own),
        "model": model,
        "result": result,
        "confidence": confidence or None,
    }


def _model_recipe(  # noqa: PLR0917 - as above
    program: str,
    request: dict[str, object],
    output: tuple[str, str],
    stage: ModelTestsStage | BenchmarkModelStage | PackageModelStage,
    environment: Environment,
    reads: Reads,
) -> Recipe:
    others = (request.get("baseline"), request.get("predictions"))
    named = (str(request["model"]), stage.data, *(str(each) for each in others if each))
    return Recipe(
        run=f"{carrying.command(program)}\n",
        inputs=tuple(dict.fromkeys((*named, *_code(stage.inputs, reads)))),
        outputs=(output,),
        files=carrying.files(program, request),
        environment=environment,
    )


def _given(options: Record) -> dict[str, Any]:
    """What the file says of options, and no more."""
    return options.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _code(inputs: Sequence[str] | None, reads: Reads) -> tuple[str, ...]:
    """What importing the user's own code reads."""
    if inputs is not None:
        return tuple(inputs)
    return ("src",) if reads.presence("src") == DIRECTORY else (ALL_PYTHON,)
