"""What the functions of the Dagger module do with the world outside: registries, servers, evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagger

from penstock.dagger_session import Session
from penstock.errors import ExecutorError, UsageError
from penstock.executors import serving, serving_dagger
from penstock.executors.dagger_engine import DaggerExecutor
from penstock.executors.serving import Description
from penstock.plan.errands import errand
from penstock.plan.exchange import public_key, tracking_uri
from penstock.plan.model import Stage
from penstock.plan.recipes_registry import MLFLOW_VARIABLES, TOOLS
from penstock.publish import audit
from penstock.publish.moves import Move, named
from penstock.record import Record, replace
from penstock.report import models_text
from penstock.report.style import Style

_REGISTRY = "registry"
_EVIDENCE = "publish-evidence"
_LOADED = "build/penstock/loaded"
_KEY = "public-key.pem"


class Moved(Record):
    """A move that was made: what it came to, and the audit log with it."""

    summary: str
    log: dagger.File


async def move(session: Session, asked: Move, who: str, key: dagger.File | None) -> Moved:
    """Move an alias of a registered model, with its entries in the audit log.

    Args:
        who: Asks for it; the engine cannot know.
        key: PEM with public keys, one of which must have signed.

    Raises:
        PenstockError: It could not be made; the log that says so is lost with the session.
    """
    log = audit.path_of(session.root, {})
    request = {**asked.begin(log, {}, who), **_signed(session, key)}
    receipt, _ = await session.perform(await _errand(session, request, key))
    asked.done(log, {}, receipt, who)
    summary = models_text.render(asked.request["action"], receipt["facts"], receipt["publications"], Style())
    return Moved(summary=summary, log=session.handed_file(log))


async def listed(session: Session, model: str | None) -> str:
    """The models of the registry, or the versions of one.

    Raises:
        PenstockError: It cannot be asked.
    """
    receipt, _ = await session.perform(await _errand(session, {"action": "list", "model": model}))
    return models_text.render("list", receipt["facts"], receipt["publications"], Style())


async def _errand(
    session: Session, request: Mapping[str, Any], key: dagger.File | None = None, *outputs: str
) -> Stage:
    if key is None and (path := public_key(session.plan)):
        key = session.below(path)
    files = ((_KEY, await key.contents()),) if key is not None else ()
    request = {"tracking_uri": tracking_uri(session.plan), **request}
    name = f"models-{request['action']}"
    return errand(
        name, _REGISTRY, request, tools=TOOLS, outputs=outputs, passes=MLFLOW_VARIABLES, files=files
    )


def _signed(session: Session, key: dagger.File | None) -> dict[str, str | None]:
    return {"public_key": _KEY if key or public_key(session.plan) else None}


async def evidence(session: Session) -> dagger.Directory:
    """Run everything, and give the evidence of what was published.

    Raises:
        UsageError: The pipeline makes none.
        PenstockError: As `Session.run`.
        SystemExit: It did not pass.
    """
    stages = [each.stage for each in session.plan.deliveries if each.stage.name == _EVIDENCE]
    if not stages:
        raise UsageError(
            "the pipeline makes no evidence",
            where=session.plan.pipeline_file,
            notes=("declare it: publish: {evidence: {key: SIGNING_KEY}}",),
        )
    finished = await session.run()
    await finished.demand_success()
    return finished.outputs(stages)


async def security(session: Session) -> dagger.Directory:
    """Run the scans, and give what they wrote, whatever a gate says of it.

    Raises:
        UsageError: There are none.
        PenstockError: As `Session.run`, or a scan could not be made.
    """
    stages = [stage for stage in session.plan.stages if stage.uses == "security"]
    if not stages:
        raise UsageError(
            "no stage scans for secrets and vulnerabilities",
            where=session.plan.pipeline_file,
            notes=("add one: `security: {uses: security}`",),
        )
    finished = await session.run([stage.name for stage in stages])
    failed = [each for each in finished.report.stages if each.attempts and each.attempts[-1].problem]
    if failed:
        raise ExecutorError(failed[0].attempts[-1].problem or "", where=f"stage {failed[0].name!r}")
    return finished.outputs(stages)


class Served(Record):
    """An image of a model that was judged, and how it is served."""

    description: Description
    archive: dagger.File
    executor: DaggerExecutor

    async def tried(self) -> str:
        """Hold what it answers against what was judged; says how that went.

        Raises:
            RefusedError: It answers otherwise.
        """
        facts = await serving_dagger.smoke_test(self.description, self.archive)
        return (
            f"served {facts['rows']} example rows as judged, {facts['ready_s']:.1f} s after its start,"
            f" as user {facts['uid']}, network {facts['network']}"
        )

    def service(self) -> dagger.Service:
        """The server."""
        return serving_dagger.service(self.description, self.archive)


async def served(session: Session, model: str | None, key: dagger.File | None, port: int) -> Served:
    """Build the serving image of a model that its gates passed: of this pipeline, or a registered version.

    Args:
        model: NAME@ALIAS or NAME/VERSION; without one, the pipeline is run.
        key: PEM with public keys, one of which must have signed the registered version.
        port: That the server listens on.

    Raises:
        RefusedError: The registered version is not what was judged.
        PenstockError: It could not be built.
        SystemExit: The pipeline did not pass.
    """
    package, executor = await (_packaged(session) if model is None else _loaded(session, model, key))
    built = [each.before or each.stage for each in session.plan.deliveries if each.kind == "image"]
    image = built[0].environment.image if built else None
    described = serving.described(await serving_dagger.read_package(package), image=image, port=port)
    archive, _ = await serving_dagger.build(executor, described, package)
    return Served(description=described, archive=archive, executor=executor)


async def _packaged(session: Session) -> tuple[dagger.Directory, DaggerExecutor]:
    stages = [stage for stage in session.plan.stages if stage.uses == "package-model"]
    if not stages:
        raise UsageError(
            "no stage packages the model",
            where=session.plan.pipeline_file,
            notes=("add one: `package-model: {uses: package-model, data: <table>}`",),
        )
    judged = replace(session, plan=replace(session.plan, archive=None, deliveries=()))
    finished = await judged.run()
    await finished.demand_success()
    return _directory(finished.executor, stages[0].outputs[0].path), finished.executor


async def _loaded(
    session: Session, model: str, key: dagger.File | None
) -> tuple[dagger.Directory, DaggerExecutor]:
    request = {"action": "load", **named(model), "to": _LOADED, **_signed(session, key)}
    _, executor = await session.perform(await _errand(session, request, key, _LOADED))
    return _directory(executor, _LOADED), executor


def _directory(executor: DaggerExecutor, path: str) -> dagger.Directory:
    made = executor.placed[path].made
    if not isinstance(made, dagger.Directory):
        raise ExecutorError("is no directory", where=path)
    return made
