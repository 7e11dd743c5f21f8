"""The Dagger module: `dagger call full-pipeline`, and every step of it alone.

Each function is a few lines over the same runner that `penstock run` uses. What a function needs is imported
when it is called: the engine starts this module in every session, and a user waits for its imports.
"""

import dataclasses
import enum
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, TypeVar

import dagger
from dagger import DefaultPath, Doc, Ignore, Name, check, enum_type, field, function, object_type

if TYPE_CHECKING:
    from penstock.dagger_outside import Served
    from penstock.dagger_session import Outside, Session
    from penstock.publish.moves import Move

T = TypeVar("T")

NEVER_SOURCE = [".git", ".penstock", ".venv", "**/.venv", "**/__pycache__", "**/node_modules"]


@enum_type
class Accelerator(enum.Enum):
    """What stages run on that can use an accelerator."""

    CPU = "cpu"
    """The processor"""
    CUDA = "cuda"
    """GPUs, which the engine must have been started with"""
    AUTO = "auto"
    """GPUs if the engine has one, else the processor"""


@object_type
class PipelineRun:
    """A run of the pipeline, whatever its verdict."""

    report: Annotated[dagger.Directory, Doc("run.json, summary.md, junit.xml, exit-code and more")] = field()
    artifacts: Annotated[dagger.Directory, Doc("What stages wrote and what was published, by path")] = field()
    summary: Annotated[str, Doc("What ran, what the gates say and what was published")] = field()
    passed: Annotated[bool, Doc("Whether every stage succeeded and every required gate passed")] = field()
    exit_code: Annotated[int, Doc("What `penstock run` would end with; 0 if it passed")] = field()

    @function
    def run_json(self) -> dagger.File:
        """The whole run as JSON."""
        return self.report.file("run.json")

    @function
    def junit(self) -> dagger.File:
        """Stages and gates as test cases, for CI systems."""
        return self.report.file("junit.xml")


@object_type
class Moved:
    """A move of a registered model's alias."""

    summary: Annotated[str, Doc("What the alias means now")] = field()
    audit: Annotated[dagger.File, Doc("The audit log with this move")] = field()


@object_type
class Penstock:
    """One gated pipeline for machine learning, from a commit to a published model."""

    source: Annotated[
        dagger.Directory,
        DefaultPath("/"),
        Ignore(NEVER_SOURCE),
        Doc("The repository: a directory, or an address such as https://github.com/someone/repo#branch"),
    ]
    pipeline: Annotated[str, Doc("The pipeline file, relative to the source")] = "pipelines/default.yaml"
    profile: Annotated[str | None, Doc("Lay this profile of the pipeline file over it")] = None
    event: Annotated[
        str | None,  # no enum: the engine would call its members otherwise than `penstock run` does
        Doc("pull-request, main, tag, schedule or manual: chooses a profile where none is named"),
    ] = None
    settings: Annotated[list[str], Name("set"), Doc("Set parameters, such as train.epochs=3")] = (
        dataclasses.field(default_factory=list)
    )
    accelerator: Annotated[Accelerator, Doc("What stages run on that can use an accelerator")] = (
        Accelerator.CPU
    )
    secrets: Annotated[
        list[dagger.Secret], Doc("Secrets that stages declare, by their names: env://HF_TOKEN")
    ] = dataclasses.field(default_factory=list)
    commit: Annotated[str | None, Doc("The commit that the source is of, for the report")] = None
    release: Annotated[
        str | None, Doc("What is released is called, such as v1.2: a tag of what is pushed")
    ] = None
    tracking_uri: Annotated[str | None, Doc("The MLflow server; else one of the engine's own volumes")] = None
    git: Annotated[dagger.Directory | None, Doc("The repository's .git, for scans of its history")] = None
    audit: Annotated[dagger.File | None, Doc("The audit log so far: it goes on in the report")] = None
    mlflow: Annotated[
        dagger.Service | None,
        Doc("An MLflow server that only this machine reaches: tcp://localhost:5000"),
    ] = None
    registry: Annotated[
        dagger.Service | None,
        Doc("A registry that only this machine reaches: tcp://localhost:5001; in the file, registry:5001"),
    ] = None

    @function(cache="never")
    async def full_pipeline(self) -> str:
        """Run everything: stages, gates, publications. Fails with the exit code of `penstock run`."""
        return await self._do(lambda session: session.verdict())

    @function(cache="never")
    async def run(
        self,
        force: Annotated[bool, Doc("Run every stage although its result is known")] = False,  # noqa: FBT002 - named in the API
    ) -> PipelineRun:
        """Run everything, and return the run also where it did not pass: its report, artifacts, verdict."""

        async def work(session: "Session") -> PipelineRun:
            finished = await session.run(force=force)
            return PipelineRun(
                report=finished.reports(),
                artifacts=finished.artifacts(session.plan),
                summary=finished.summary,
                passed=finished.report.exit_code == 0,
                exit_code=finished.report.exit_code,
            )

        return await self._do(work)

    @function(cache="never")
    @check
    async def lint(self) -> str:
        """Run the stages that use the recipe `lint`, or the one called so."""
        return await self._do(lambda session: session.checked("lint", "lint"))

    @function(cache="never")
    @check
    async def test(self) -> str:
        """Run the stages that use the recipe `pytest`, or the one called `test`."""
        return await self._do(lambda session: session.checked("pytest", "test"))

    @function(cache="never")
    @check
    async def validate_data(self) -> str:
        """Run the stages that use the recipe `validate-data`, or the one called `validate`."""
        return await self._do(lambda session: session.checked("validate-data", "validate"))

    @function(cache="never")
    async def train(self) -> dagger.Directory:
        """Run the stage `train` and all that it needs; gives its model."""
        return await self._do(lambda session: session.made("train", role="model"))

    @function(cache="never")
    async def evaluate(self) -> dagger.Directory:
        """Run the stage `evaluate` and all that it needs; gives what it wrote."""
        return await self._do(lambda session: session.made("evaluate"))

    @function(cache="never")
    async def stage(self, name: Annotated[str, Doc("As the pipeline file calls it")]) -> dagger.Directory:
        """Run one stage and all that it needs; gives what it wrote."""
        return await self._do(lambda session: session.made(name))

    @function(cache="never")
    async def gate(self) -> str:
        """Run what gates read, and judge; fails with 3 if a required gate fails, 4 if one cannot decide."""
        return await self._do(lambda session: session.verdict(session.judged()))

    @function(cache="never")
    async def publish(self) -> dagger.Directory:
        """Run everything; gives what was published, if every required gate passed."""
        return await self._do(lambda session: session.published())

    @function(cache="never")
    async def evidence(self) -> dagger.Directory:
        """Run and publish everything; gives what was signed: provenance, verdicts, SBOMs, the model."""
        return await self._do(lambda session: _doing().evidence(session))

    @function(cache="never")
    async def security(self) -> dagger.Directory:
        """Run the stages that use the recipe `security`; gives their reports, whatever they found."""
        return await self._do(lambda session: _doing().security(session))

    @function(cache="never")
    async def models(self, model: Annotated[str | None, Doc("Its versions instead")] = None) -> str:
        """The registered models."""
        return await self._do(lambda session: _doing().listed(session, model))

    @function(cache="never")
    async def promote(  # noqa: PLR0917 - named in the API
        self,
        version: Annotated[str, Doc("NAME@ALIAS or NAME/VERSION, such as churn@candidate")],
        who: Annotated[str, Doc("Who asks; is recorded")],
        why: Annotated[str, Doc("Is recorded")],
        to: Annotated[str, Doc("The alias that shall mean it")] = "champion",
        key: Annotated[dagger.File | None, Doc("Public keys in PEM, one of which must have signed")] = None,
        override: Annotated[str | None, Doc("Who answers for a version that did not pass")] = None,
        reason: Annotated[str | None, Doc("Why they do")] = None,
    ) -> Moved:
        """Let an alias mean a registered version that passed its gates and is what they judged."""
        from penstock.publish.moves import Move

        return await self._moved(lambda: Move.promotion(version, to, why, override, reason), who, key)

    @function(cache="never")
    async def rollback(  # noqa: PLR0917 - named in the API
        self,
        model: Annotated[str, Doc("Its name in the registry")],
        who: Annotated[str, Doc("Who asks; is recorded")],
        why: Annotated[str, Doc("Is recorded")],
        steps: Annotated[int, Doc("How many champions back")] = 1,
        champion: Annotated[str | None, Doc("Only if this version is the champion: safe to repeat")] = None,
        key: Annotated[dagger.File | None, Doc("Public keys in PEM, one of which must have signed")] = None,
    ) -> Moved:
        """Go back to the champion before, and to those before it."""
        from penstock.publish.moves import Move

        return await self._moved(lambda: Move.rollback(model, steps, why, champion), who, key)

    @function(cache="never")
    async def serve(
        self,
        version: Annotated[
            str | None, Doc("NAME@ALIAS or NAME/VERSION; the pipeline's own if absent")
        ] = None,
        key: Annotated[dagger.File | None, Doc("Public keys in PEM, one of which must have signed")] = None,
        port: Annotated[int, Doc("That it listens on")] = 8080,
    ) -> dagger.Service:
        """A server of a model that its gates passed, once it answers as was judged: `... serve up`."""

        async def work(session: "Session") -> dagger.Service:
            served: Served = await _doing().served(session, version, key, port)
            await served.tried()
            return served.service()

        return await self._do(work)

    @function(cache="never")
    async def smoke_test(
        self,
        version: Annotated[
            str | None, Doc("NAME@ALIAS or NAME/VERSION; the pipeline's own if absent")
        ] = None,
        key: Annotated[dagger.File | None, Doc("Public keys in PEM, one of which must have signed")] = None,
    ) -> str:
        """Build the serving image, start it, and hold what it answers against what was judged."""

        async def work(session: "Session") -> str:
            served: Served = await _doing().served(session, version, key, 8080)
            return await served.tried()

        return await self._do(work)

    @function
    async def plan(self) -> str:
        """The stages with their commands, inputs and outputs, and the gates. Runs nothing."""
        return await self._do(lambda session: session.describe())

    async def _do(self, work: "Callable[[Session], Awaitable[T]]") -> T:
        """Do something with the plan; whatever a user can cause ends with one message and its exit code."""
        from penstock.dagger_session import Session, fail
        from penstock.errors import PenstockError
        from penstock.plan.model import Overlay

        overlay = Overlay(
            profile=self.profile,
            event=self.event,
            sets=tuple(self.settings),
            accelerator=self.accelerator.value,
        )
        try:
            found = await self._outside()
            session = await Session.open(
                self.source, self.pipeline, overlay, self.secrets, commit=self.commit, outside=found
            )
            return await work(session)
        except PenstockError as error:
            await fail(f"penstock: {error}", error.exit_code)

    async def _moved(self, asked: "Callable[[], Move]", who: str, key: dagger.File | None) -> Moved:
        async def work(session: "Session") -> Moved:
            made = await _doing().move(session, asked(), who, key)
            return Moved(summary=made.summary, audit=made.log)

        return await self._do(work)

    async def _outside(self) -> "Outside":
        """The world as programs find it that publish, promote and scan."""
        from penstock.dagger_session import Outside

        uri = self.tracking_uri
        if self.mlflow is not None:
            (port, *_) = await self.mlflow.ports()
            uri = f"http://mlflow:{await port.port()}"
        services = {"mlflow": self.mlflow, "registry": self.registry}
        return Outside(
            release=self.release,
            services={name: each for name, each in services.items() if each is not None},
            variables={"MLFLOW_TRACKING_URI": uri} if uri else {},
            git=self.git,
            audit=self.audit,
        )


def _doing() -> ModuleType:
    """What deals with the world outside, imported by the functions that do."""
    from penstock import dagger_outside

    return dagger_outside
