"""`publish`: the programs that publish, and what each is given.

What they say and to whom is in the plan; what they publish is known only when the gates have passed, so the
runner completes their requests (`runner.publish`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from penstock.plan.archiving import Place, listed, models, of_roles, usual
from penstock.plan.drafts import Draft
from penstock.plan.dvc_config import UNKNOWN, read_remotes, tools_of, variables_of
from penstock.plan.errands import errand
from penstock.plan.model import Delivery, Environment, Output, Produced, Serving, Stage
from penstock.plan.problems import Problems, nearest, shown
from penstock.plan.reads import FILE, Reads
from penstock.plan.recipes_models import serving_requirements
from penstock.plan.recipes_registry import MLFLOW_VARIABLES
from penstock.plan.requirements import locked_lines
from penstock.plan.schema import PipelineFile
from penstock.plan.schema_publish import (
    ArtifactFile,
    DvcFile,
    EvidenceFile,
    ImageFile,
    MlflowFile,
    Publish,
    RegistryFile,
)
from penstock.plan.yaml_file import Document
from penstock.record import Record, replace

EVIDENCE = "build/penstock/evidence"
IMAGE = "build/penstock/image"
DVC_FILES = "build/penstock/dvc"
DVC_CONFIG = ".dvc/config"
PACKAGE_RECIPE = "package-model"
PACKAGE_ROLE = "package"
DOCUMENT_ROLES = (
    "measures",
    "validation",
    "model-tests",
    "benchmark",
    "reproducibility",
    "command",
    "security",
)
SHOWN_ROLES = ("predictions", "plots", *DOCUMENT_ROLES)
"""Roles of outputs that are published beside model and metrics, so that a verdict can be looked into."""


def deliveries_of(
    pipeline: PipelineFile, document: Document, drafts: Sequence[Draft], reads: Reads, problems: Problems
) -> tuple[Delivery, ...]:
    """What is published beside the archive, in the order in which it is."""
    if not isinstance(pipeline.publish, Publish):
        return ()
    publishing = _Publishing(
        pipeline=pipeline,
        publish=pipeline.publish,
        document=document,
        drafts=drafts,
        reads=reads,
        problems=problems,
    )
    return tuple(publishing.deliveries())


class _Publishing(Record, frozen=False):
    pipeline: PipelineFile
    publish: Publish
    document: Document
    drafts: Sequence[Draft]
    reads: Reads
    problems: Problems

    def deliveries(self) -> Iterator[Delivery]:
        if self.publish.evidence is not None:
            yield self._evidence(self.publish.evidence)
        if self.publish.artifact is not None:
            yield self._artifact(self.publish.artifact)
        if self.publish.image is not None:
            yield from self._image(self.publish.image)
        if self.publish.dvc is not None:
            yield self._dvc(self.publish.dvc)
        if self.publish.mlflow is not None:
            yield self._mlflow(self.publish.mlflow)

    def _evidence(self, asked: EvidenceFile) -> Delivery:
        request: dict[str, Any] = {
            "action": "create",
            "environments": self._environments(),
            "key": asked.key,
            "public_key": asked.public_key,
            "result": EVIDENCE,
        }
        secrets = self._secrets("evidence", ("key", asked.key))
        if asked.public_key is not None and self.reads.presence(asked.public_key) != FILE:
            notes = ("make it of the private one: openssl pkey -in <private key> -pubout",)
            self._complain("evidence", f"there is no file {shown(asked.public_key)}", notes, "public_key")
        return self._delivery(
            "evidence", "evidence", request, outputs=(EVIDENCE,), secrets=secrets, evidence=False
        )

    def _artifact(self, asked: ArtifactFile) -> Delivery:
        request = {"action": "push-artifact", **_registry(asked)}
        secrets = self._secrets("artifact", ("username", asked.username), ("password", asked.password))
        return self._delivery("artifact", "oci", request, secrets=secrets)

    def _image(self, asked: ImageFile) -> Iterator[Delivery]:
        packages = of_roles(self.drafts, PACKAGE_ROLE)
        if not packages:
            return  # what implies it has complained
        build = self._build(asked, packages[0])
        if not asked.push:
            yield Delivery("image", build, tuple(packages[:1]))
            return
        archive = Serving(package=packages[0][1], result=IMAGE).archive
        request = {"action": "push-image", "archive": archive, **_registry(asked)}
        secrets = self._secrets("image", ("username", asked.username), ("password", asked.password))
        pushed = self._delivery("image", "oci", request, secrets=secrets)
        produced = (*pushed.stage.produced, Produced(archive, build.name, archive))
        push = replace(pushed.stage, produced=tuple(sorted(produced, key=lambda item: item.path)))
        yield replace(pushed, stage=push, before=build)

    def _build(self, asked: ImageFile, package: Place) -> Stage:
        stage, path = package
        own = self.pipeline.environment
        serving = Serving(package=path, result=IMAGE, port=asked.port)
        return Stage(
            name="build-image",
            run=f"# a serving image of {path}, tried before it is handed on\n",
            produced=(Produced(path, stage, path),),
            outputs=(Output(serving.facts), Output(serving.archive)),
            environment=Environment(python=own.python, image=asked.base or own.image),
            serving=serving,
            uses="serving-image",
            line=self.document.line("publish", "image"),
        )

    def _dvc(self, asked: DvcFile) -> Delivery:
        places = (
            models(self.drafts) if asked.outputs is None else self._listed("dvc", "outputs", asked.outputs)
        )
        if not places and asked.outputs is None:
            self._complain("dvc", "finds no output that is a model", ("name them: `outputs: [<path>, ...]`",))
        request = {
            "outputs": [path for _, path in places],
            "remote": asked.remote,
            "path": asked.path,
            "result": DVC_FILES,
        }
        secrets = self._secrets("dvc", *(("secrets", name) for name in asked.secrets))
        kind, config = self._dvc_remote(asked)
        return self._delivery(
            "dvc",
            "dvc_push",
            request,
            tools=tools_of(kind) or "dvc",
            outputs=(DVC_FILES,),
            passes=variables_of(kind),
            secrets=secrets,
            contents=places,
            files=config,
        )

    def _dvc_remote(self, asked: DvcFile) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The kind of the remote, and the configuration that says where it is, for the workspace."""
        if self.reads.presence(DVC_CONFIG) != FILE:
            self._complain("dvc", "there is no DVC repository here", ("run `dvc init`, and add a remote",))
            return UNKNOWN, ()
        remotes = read_remotes("", self.reads)
        config = (self.reads.root / DVC_CONFIG).read_text(encoding="utf-8")
        try:
            return remotes.kind(asked.remote), ((DVC_CONFIG, config),)
        except ValueError as error:
            self._complain("dvc", str(error), (), "remote")
            return UNKNOWN, ()

    def _mlflow(self, asked: MlflowFile) -> Delivery:
        request = {
            "action": "publish",
            "tracking_uri": asked.tracking_uri,
            "model": asked.model,
            "alias": asked.alias,
            "experiment": asked.experiment or self.pipeline.name,
        }
        return self._delivery("mlflow", "registry", request, passes=MLFLOW_VARIABLES)

    def _delivery(
        self,
        kind: str,
        program: str,
        request: dict[str, Any],
        *,
        tools: str | None = None,
        files: Sequence[tuple[str, str]] = (),
        outputs: Sequence[str] = (),
        passes: Sequence[str] = (),
        secrets: Sequence[str] = (),
        contents: Sequence[Place] | None = None,
        evidence: bool = True,
    ) -> Delivery:
        contents = tuple(sorted(set(self._published() if contents is None else contents)))
        with_evidence = evidence and self.publish.evidence is not None
        produced = [Produced(path, stage, path) for stage, path in contents]
        if with_evidence:
            produced.append(Produced(EVIDENCE, "publish-evidence", EVIDENCE))
        package = self._package()
        request |= {"package": package, "evidence": EVIDENCE if with_evidence else None}
        stage = errand(
            f"publish-{kind}",
            program,
            request,
            tools=tools or _TOOLS[program],
            files=files,
            produced=produced,
            outputs=outputs,
            passes=passes,
            secrets=secrets,
            line=self.document.line("publish", kind),
        )
        return Delivery(kind, stage, contents)

    def _published(self) -> list[Place]:
        """The judged outputs: model and metrics, and what shows how they were judged."""
        return [*usual(self.drafts), *of_roles(self.drafts, *SHOWN_ROLES, PACKAGE_ROLE)]

    def _package(self) -> str | None:
        places = of_roles(self.drafts, PACKAGE_ROLE)
        return places[0][1] if places else None

    def _environments(self) -> dict[str, list[str]]:
        """Requirements of what the model was made in, and of what it is served in."""
        made = {stage for stage, _ in models(self.drafts)}
        training = [draft.stage.environment for draft in self.drafts if draft.stage.name in made]
        packaging = [draft.stage.environment for draft in self.drafts if draft.stage.uses == PACKAGE_RECIPE]
        texts = [text for each in training for text in (self._locked(each), each.extra_requirements)]
        served = [serving_requirements(each, self.reads) for each in packaging]
        lines = [each[part] or () for each in served for part in ("lines", "tools")]
        return {"training": _each_once(texts), "serving": _each_once("\n".join(each) for each in lines)}

    def _locked(self, environment: Environment) -> str:
        lock = environment.requirements
        if lock is None or self.reads.presence(lock) != FILE:
            return ""
        return "\n".join(locked_lines(lock, self.reads))

    def _secrets(self, kind: str, *asked: tuple[str, str | None]) -> tuple[str, ...]:
        """The secrets that are named, as (key in the file, name)."""
        known = self.pipeline.secrets
        for key, name in asked:
            if name is not None and name not in known:
                notes = (*nearest(name, known), f"declare it at the top: `secrets: {{{name}: {{}}}}`")
                self._complain(kind, f"there is no secret {shown(name)}", notes, key)
        return tuple(name for _, name in asked if name is not None)

    def _listed(self, kind: str, key: str, names: Sequence[str]) -> list[Place]:
        def unknown(at: int, name: str, notes: tuple[str, ...]) -> None:
            self._complain(kind, f"no output is, or is called, {shown(name)}", notes, key, at)

        return listed(self.drafts, names, unknown)

    def _complain(self, kind: str, what: str, notes: tuple[str, ...], *key: str | int) -> None:
        line = self.document.line("publish", kind, *key)
        self.problems.add(self.document.file, line, f"`publish.{kind}`: {what}", notes)


def _each_once(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


_TOOLS = {"evidence": "evidence", "oci": "oci", "registry": "registry"}


def _registry(asked: RegistryFile) -> dict[str, Any]:
    return asked.model_dump(include={"repository", "tags", "alias", "insecure", "username", "password"})
