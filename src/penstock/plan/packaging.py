"""The stage that packages a model: which table it must agree with, and where a publication implies it."""

from __future__ import annotations

from typing import Any

from penstock.plan.asking import Asking
from penstock.plan.schema_publish import Publish
from penstock.plan.schema_stages import (
    BenchmarkModelStage,
    MeasureStage,
    ModelTestsStage,
    PackageModelStage,
)

RECIPE = "package-model"
_SHARED = (
    *("model", "format", "loader", "trust", "data", "features", "drop", "target", "id", "inputs"),
    *("environment", "variables", "secrets"),
)


def judged(asking: Asking, stage: PackageModelStage) -> dict[str, Any]:
    """The part of a request that names the table of judged predictions, and what its columns are called."""
    if stage.predictions is False:
        return {"predictions": None, "columns": {}}
    measuring = [each for each in asking.stages.values() if isinstance(each, MeasureStage)]
    table = stage.predictions or asking.table_of(MeasureStage(uses="measure"))
    columns = [each.columns for each in measuring if each.columns and asking.table_of(each) == table]
    return {"predictions": table, "columns": columns[0].model_dump(exclude_none=True) if columns else {}}


def imply_packages(asking: Asking) -> None:
    """Imply the stage that packages the model, where something is published that needs it.

    An image cannot be without it; MLflow keeps other models too, but cannot load or serve them.
    """
    publish = asking.pipeline.publish
    if not isinstance(publish, Publish):
        return
    if publish.image is not None:
        imply_package(asking, "image")
    elif publish.mlflow is not None and any(
        isinstance(stage, ModelTestsStage | BenchmarkModelStage) for stage in asking.stages.values()
    ):
        imply_package(asking, "mlflow")


def imply_package(asking: Asking, kind: str) -> str | None:
    """The name of the stage that packages the model, for a publication that needs it.

    If the file has none, one is implied, with what the stage that tests the model, or else the one that
    measures its speed, says of model and rows.

    Args:
        asking: After `ask`; the stage is added to `implied`.
        kind: Of the publication: the key below `publish`.

    Returns:
        None if it cannot be told which rows the model takes; `problems` says so.
    """
    known = asking.stages.items()
    own = next((name for name, stage in known if isinstance(stage, PackageModelStage)), None)
    if own is not None:
        return own
    line = asking.document.line("publish", kind)
    tests = [stage for _, stage in known if isinstance(stage, ModelTestsStage)]
    timed = [stage for _, stage in known if isinstance(stage, BenchmarkModelStage)]
    like = next(iter((*tests, *timed)), None)
    if like is None:
        what = f"`publish.{kind}` packages the model, and no stage says which rows it takes"
        notes = (f"add one: `{RECIPE}: {{uses: {RECIPE}, data: <table>, target: <column>, id: <column>}}`",)
        asking.problems.add(asking.document.file, line, what, notes)
        return None
    given = {name: getattr(like, name) for name in _SHARED}
    if isinstance(like, ModelTestsStage):
        given |= {"task": like.task, "positive": like.positive}
    name = next(
        name for name in (RECIPE, *(f"{RECIPE}-{at}" for at in range(2, 1000))) if name not in asking.stages
    )
    asking.implied[name] = PackageModelStage(uses="package-model", **given)
    asking.lines[name] = line
    return name
