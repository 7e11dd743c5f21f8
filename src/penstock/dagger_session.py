"""What the functions of the Dagger module have in common: a plan from a source, a run of it, its reports."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import dagger
from dagger import dag

from penstock.errors import EXIT_OK, UsageError
from penstock.executors.dagger_engine import DaggerExecutor
from penstock.executors.dagger_images import answer, has_gpu
from penstock.executors.dagger_source import read_plan
from penstock.executors.dagger_tree import Courier, Held
from penstock.plan.compiled import seen_from_here
from penstock.plan.model import Overlay, Plan, Secret, Stage
from penstock.publish import audit
from penstock.record import Record, field, replace
from penstock.report import console, keep, outline
from penstock.report.plain import PlainObserver
from penstock.report.style import Style
from penstock.results import STANDING, RunReport
from penstock.runner.conclude import new_run_id
from penstock.runner.errand import perform
from penstock.runner.observed import all_shown
from penstock.runner.reasons import NoHistory
from penstock.runner.run import Options, Run
from penstock.runner.selection import select

_REPORT = "run.json, by: dagger call ... run report export --path report"


class Finished(Record):
    """A run that has ended, whatever its verdict.

    Attributes:
        executor: Knows what its stages have made.
        published: The archive that it wrote, and where that is in this module's directory.
        documents: What its programs measured, by the path of the output that each is.
        log: The audit log, if there is one.
    """

    report: RunReport
    executor: DaggerExecutor
    log: Path | None = None
    published: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The end of the run, as `penstock run` prints it."""
        return console.render(self.report, place=_REPORT, style=Style(), explained=False)

    def reports(self) -> dagger.Directory:
        """The files that `penstock run --report` writes."""
        files = keep.files(self.report, self.executor.manifests.get, self.documents, page=True)
        if self.log is not None and self.log.exists():
            files = {**files, audit.NAME: self.log.read_bytes()}
        return self.executor.courier.directory(files)

    def outputs(self, stages: Iterable[Stage]) -> dagger.Directory:
        """What stages have made, at its paths."""
        directory = dag.directory()
        for stage in stages:
            for output in stage.outputs:
                held = self.executor.placed.get(output.path)
                if held is not None:
                    directory = _with(directory, held)
        return directory

    def artifacts(self, plan: Plan) -> dagger.Directory:
        """What all stages have made, and what was published."""
        directory = self.outputs([*plan.stages, *(delivery.stage for delivery in plan.deliveries)])
        for path, place in self.published.items():
            directory = directory.with_file(path, dag.current_module().workdir_file(place))
        return directory

    async def demand_success(self) -> None:
        """Fail with the run's exit code and summary, unless all passed."""
        if self.report.exit_code != EXIT_OK:
            await fail(self.summary, self.report.exit_code)


def _with(directory: dagger.Directory, held: Held) -> dagger.Directory:
    if isinstance(held.made, dagger.Directory):
        return directory.with_directory(held.part.path, held.made)
    return directory if held.made is None else directory.with_file(held.part.path, held.made)


async def fail(message: str, code: int) -> NoReturn:
    """End the function with a message, and `dagger call` with an exit code, as if a container had failed.

    An exception would do, but its traceback would stand in the log, and mean nothing to a user.

    Raises:
        SystemExit: Always.
    """
    error = dag.error(message)
    ended = {"_type": "EXEC_ERROR", "cmd": ["penstock"], "exitCode": code, "stdout": "", "stderr": ""}
    for name, value in ended.items():
        error = error.with_value(name, dagger.JSON(json.dumps(value)))
    await dag.current_function_call().return_error(error)
    raise SystemExit(code)


class Outside(Record):
    """What a session's programs find of the world.

    Attributes:
        release: What is released is called, if anything.
        services: What they can reach, by host name.
        variables: Beside secrets, for those that pass them on.
        git: The repository's `.git`, for those that look at its history.
        audit: The audit log so far.
    """

    release: str | None = None
    services: Mapping[str, dagger.Service] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    git: dagger.Directory | None = None
    audit: dagger.File | None = None


class Session(Record, frozen=False):
    """A plan and where it comes from.

    Attributes:
        place: The directory that the process is in; holds the files that the plan was made of.
        values: Of secrets, by the last name of where each comes from; other variables that programs pass on.
        outside: What programs that work outside of stages find there.
    """

    source: dagger.Directory
    plan: Plan
    root: Path
    place: Path
    values: dict[str, str]
    commit: str | None
    outside: Outside

    @classmethod
    async def open(
        cls,
        source: dagger.Directory,
        pipeline: str,
        overlay: Overlay,
        secrets: Sequence[dagger.Secret] = (),
        *,
        commit: str | None = None,
        outside: Outside | None = None,
    ) -> Session:
        """Read the plan.

        Raises:
            PenstockError: It is wrong, or the engine could not read it.
        """
        outside = outside or Outside()
        place = Path(tempfile.mkdtemp(prefix="penstock-", dir=Path.cwd()))  # what is below can be given out
        os.chdir(place)  # messages name files as they are named in the source
        if overlay.accelerator == "auto":
            kind = "cuda" if await has_gpu() else "cpu"
            overlay = replace(overlay, accelerator=kind, accelerator_required=False)
        loaded = await read_plan(source, pipeline, overlay, place)
        values = dict([await _named_value(secret) for secret in secrets])
        if outside.audit is not None:
            log = audit.path_of(loaded.root, {})
            log.parent.mkdir(parents=True, exist_ok=True)
            await outside.audit.export(str(log))
        return cls(
            source=source,
            plan=all_shown(seen_from_here(loaded.plan, loaded.root)),
            root=loaded.root,
            place=place,
            values={**outside.variables, **values},
            commit=commit,
            outside=outside,
        )

    async def run(self, until: Iterable[str] = (), *, force: bool = False) -> Finished:
        """Run stages and all that they need; all stages if none is named.

        Raises:
            PenstockError: There is nothing that could be reported.
        """
        selection = select(self.plan, until=until)
        stages = [stage for stage in self.plan.stages if stage.name in selection.chosen]
        if len(stages) == len(self.plan.stages):
            stages += [delivery.stage for delivery in self.plan.deliveries]
        plan = self._with_secrets(stages)
        run_id = new_run_id()
        executor = self._executor(plan, run_id)
        run = Run(
            plan=plan,
            executor=executor,
            history=NoHistory(),
            observer=PlainObserver(sys.stderr, environ={}, verbose=False, quiet=False),
            root=self.root,
            run_id=run_id,
            options=Options(
                selection=selection,
                force=force,
                environ=self.values,
                commit=self.commit or "",
                release=self.outside.release,
            ),
        )
        report = await run.report_waiting()
        archives = [each for each in report.publications if each.kind == "archive"]
        written = [each.target for each in archives if each.state in STANDING]
        return Finished(
            report=report,
            executor=executor,
            published={target: self._below_workdir(target) for target in written if target},
            documents=run.documents,
            log=audit.path_of(self.root, {}),
        )

    def _executor(self, plan: Plan, run_id: str) -> DaggerExecutor:
        below = str(self.root.relative_to(self.place))
        return DaggerExecutor(
            plan=plan,
            source_directory=self.source if below == "." else self.source.directory(below),
            root=self.root,
            run_id=run_id,
            courier=Courier(
                place=Path(tempfile.mkdtemp(prefix="penstock-", dir=self.place.parent)), load=self._handed
            ),
            services=self.outside.services,
            git=self.outside.git,
        )

    async def perform(self, stage: Stage) -> tuple[Mapping[str, Any], DaggerExecutor]:
        """Run a program that works outside by itself; gives its receipt, and who knows what it wrote.

        Raises:
            PenstockError: It could not.
        """
        executor = self._executor(replace(self.plan, deliveries=()), new_run_id())
        receipt, outcome = await perform(executor, stage, self.values, {}, _shown)
        await executor.export(outcome.tree or (), self.root)
        return receipt, executor

    def _with_secrets(self, stages: Iterable[Stage]) -> Plan:
        """The plan with secrets that come from what the caller gave.

        Raises:
            UsageError: One that these stages declare was not given.
        """
        asked = {name: stage for stage in stages for name in stage.secrets}
        secrets = []
        for secret in self.plan.secrets:
            given = next((name for name in (secret.name, secret.env) if name in self.values), None)
            if given is None and secret.name in asked:
                stage = asked[secret.name]
                raise UsageError(
                    f"secret {secret.name!r} was not given",
                    where=self.plan.place(stage),
                    notes=(f"give it: dagger call --secrets env://{secret.env or secret.name} ...",),
                )
            secrets.append(Secret(name=secret.name, env=given or secret.name))
        return replace(self.plan, secrets=tuple(secrets))

    async def verdict(self, until: Iterable[str] = ()) -> str:
        """Run, and give the summary.

        Raises:
            PenstockError: As `run`.
            SystemExit: It did not pass.
        """
        finished = await self.run(until)
        await finished.demand_success()
        return finished.summary

    async def made(self, name: str, role: str | None = None) -> dagger.Directory:
        """Run a stage, and give what it wrote: a single directory itself, else everything at its path.

        Args:
            role: The output to give, if the stage has one that is called so.

        Raises:
            PenstockError: As `run`, or there is no such stage.
            SystemExit: It did not pass.
        """
        stage = self.stage(name)
        finished = await self.run([name])
        await finished.demand_success()
        outputs = [each for each in stage.outputs if each.role == role] if role else []
        outputs = outputs or list(stage.outputs)
        if len(outputs) == 1:
            held = finished.executor.placed[outputs[0].path]
            if isinstance(held.made, dagger.Directory):
                return held.made
        return finished.outputs([replace(stage, outputs=tuple(outputs))])

    async def published(self) -> dagger.Directory:
        """Run everything, and give what was published: the archive, evidence, and receipts of all else.

        Raises:
            PenstockError: As `run`, or the pipeline publishes nothing.
            SystemExit: It did not pass.
        """
        if self.plan.archive is None and not self.plan.deliveries:
            raise UsageError(
                "the pipeline publishes nothing",
                where=self.plan.pipeline_file,
                notes=("declare it: publish: {archive: {path: dist}}",),
            )
        finished = await self.run()
        await finished.demand_success()
        written = finished.outputs(delivery.stage for delivery in self.plan.deliveries)
        if self.plan.archive is not None:
            place = self._below_workdir(self.plan.archive.path)
            written = written.with_directory(".", dag.current_module().workdir(place))
        return written

    def below(self, path: str) -> dagger.File:
        """A file of the source, by its path below the root."""
        return self.source.file(str((self.root / path).relative_to(self.place)))

    def handed_file(self, path: Path) -> dagger.File:
        """A file below the root that was written here."""
        return dag.current_module().workdir_file(self._below_workdir(path))

    def _handed(self, path: Path) -> dagger.Directory:
        return dag.current_module().workdir(self._below_workdir(path))

    def _below_workdir(self, path: str | Path) -> str:
        return str((self.root / path).relative_to(self.place.parent))

    def judged(self) -> list[str]:
        """The stages that gates read."""
        return sorted({stage for spec in self.plan.gates for stage, _ in spec.reads})

    async def checked(self, recipe: str, name: str) -> str:
        """Run the stages that use a recipe, or the one that is called `name`; that there is none is no fault.

        Raises:
            PenstockError: As `run`.
            SystemExit: It did not pass.
        """
        stages = [stage.name for stage in self.plan.stages if stage.uses == recipe]
        stages = stages or [stage.name for stage in self.plan.stages if stage.name == name]
        if not stages:
            return f"nothing to do: no stage uses the recipe {recipe!r}, and none is called {name!r}"
        return await self.verdict(stages)

    def stage(self, name: str) -> Stage:
        """The stage of a name.

        Raises:
            UsageError: There is none.
        """
        (found,) = select(self.plan, only=[name]).chosen
        return self.plan.stage(found)

    async def describe(self) -> str:
        """The plan as text."""
        return outline.describe(self.plan)


def _shown(text: str) -> None:
    sys.stderr.write(text)


async def _named_value(secret: dagger.Secret) -> tuple[str, str]:
    """What a secret is called where it comes from, `env://HF_TOKEN` and `file://secrets/HF_TOKEN` alike."""
    uri = "a secret"
    try:
        uri = await secret.uri() or await secret.name()
        value = await secret.plaintext()
    except dagger.QueryError as error:
        raise UsageError(
            f"{uri} cannot be had", where="--secrets", notes=(answer(error), "set it, or name another place")
        ) from error
    # the newline that editors add to a file, and programs to what they print, is no part of a token
    value = value if uri.startswith("env:") else value.removesuffix("\n")
    return re.split(r"[/.]", uri.rstrip("/"))[-1], value
