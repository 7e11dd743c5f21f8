"""The pipeline of examples/churn as somebody who knows Dagger well would write it: the benchmark's peer.

The same images, lock files, commands and inputs as the plan of `benchmarks/engine.yaml` comes to; verdicts
by a few comparisons. What the stages of that plan run and read is in `plan.json`, which `engine.py` writes.
"""

import json
from pathlib import Path
from typing import Annotated

import anyio
import dagger
from dagger import DefaultPath, Doc, Ignore, dag, function, object_type

PLAN = json.loads((Path(__file__).parent / "plan.json").read_text())
FIXED = {
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": "src",
    "OPENBLAS_NUM_THREADS": "1",
}


@object_type
class ByHand:
    """The pipeline of examples/churn."""

    source: Annotated[
        dagger.Directory, DefaultPath("/"), Ignore([".git", "**/.penstock"]), Doc("The repository")
    ]

    def environment(self, requirements: str) -> dagger.Container:
        """Python with the packages of a requirements file."""
        container = (
            dag.container()
            .from_("python:3.12-slim")
            .with_file("/usr/local/bin/uv", dag.container().from_("ghcr.io/astral-sh/uv:0.10.3").file("/uv"))
            .with_mounted_cache("/uv-cache", dag.cache_volume("by-hand-uv"))
            .with_env_variable("UV_CACHE_DIR", "/uv-cache")
            .with_env_variable("UV_LINK_MODE", "copy")
            .with_env_variable("UV_COMPILE_BYTECODE", "1")
            .with_new_file("/requirements.txt", requirements)
            .with_exec(["uv", "venv", "--quiet", "/env"])
            .with_exec(
                ["uv", "pip", "install", "--quiet", "--python", "/env/bin/python", "-r", "/requirements.txt"]
            )
            .with_env_variable("PATH", "/env/bin:${PATH}", expand=True)
            .with_workdir("/work")
        )
        for name, value in FIXED.items():
            container = container.with_env_variable(name, value)
        return container

    def stage(self, name: str, *made: tuple[str, dagger.Directory | dagger.File]) -> dagger.Container:
        """A stage with its inputs, its command run."""
        stage = PLAN[name]
        project = self.source.directory("examples/churn")
        container = self.environment(stage["requirements"]).with_directory(
            "/work", project.filter(include=stage["sources"], exclude=["**/__pycache__"])
        )
        for path, item in made:
            if isinstance(item, dagger.File):
                container = container.with_file(f"/work/{path}", item)
            else:
                container = container.with_directory(f"/work/{path}", item)
        for path, text in stage["files"].items():
            container = container.with_new_file(f"/work/{path}", text)
        container = container.with_exec(["mkdir", "-p", "build/penstock"])
        return container.with_exec(["/bin/sh", "-euc", stage["run"]])

    @function(cache="never")
    async def full_pipeline(self) -> str:
        """Run everything; fails if a stage or a gate does."""
        prepared = self.stage("prepare").directory("/work/build/splits")
        model = self.stage("train", ("build/splits/train.csv", prepared.file("train.csv"))).directory(
            "/work/build/model"
        )
        evaluated = self.stage(
            "evaluate", ("build/model", model), ("build/splits/test.csv", prepared.file("test.csv"))
        )
        found: dict[str, str] = {}

        async def sync(name: str) -> None:
            await self.stage(name).sync()

        async def read(name: str, file: dagger.File) -> None:
            found[name] = await file.contents()

        async with anyio.create_task_group() as group:
            group.start_soon(sync, "lint")
            group.start_soon(sync, "test")
            group.start_soon(
                read, "schema", self.stage("validate").file("/work/build/penstock/validate.validation.json")
            )
            group.start_soon(read, "metrics", evaluated.file("/work/build/metrics.json"))
        metrics = json.loads(found["metrics"])
        if metrics["roc_auc"] < 0.82 or metrics["log_loss"] > 0.45:
            raise ValueError(f"the model is not good enough: {metrics}")
        return found["metrics"]
