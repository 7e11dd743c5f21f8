"""What happens once the gates have passed: the archive, then the programs that publish, one after another.

Programs get what was judged, the run that judged it and its digest. That digest names the publication: who
publishes the same run again finds it there. The first that fails stops the rest, and a repeated run goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from penstock.errors import CorruptError, Interrupted, PenstockError, RefusedError, StoreError
from penstock.executors.base import Outcome
from penstock.gates import policy
from penstock.observer import Observer
from penstock.plan.exchange import FOLDER, REQUEST, receipt_of
from penstock.plan.model import Archive, Delivery, Stage
from penstock.publish import archive
from penstock.record import Record, replace
from penstock.results import DONE, LOST, Publication, PublicationState, RunReport, StageResult
from penstock.runner.assess import Walk
from penstock.runner.errand import REFUSED, said
from penstock.runner.reasons import History

T = TypeVar("T")

SHORT_DIGEST = "{digest}"
"""Among tags: the beginning of the manifest's digest, which only the program knows."""
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")

RUN_FOLDER = f"{FOLDER}/run"
RUN_FILES = ("run.json", "summary.md", "report.html")
"""What a program finds of the run's report, beside `stable.json`."""

NOTED = ("artifact", "image", "dvc", "mlflow")
"""Kinds of publications that others can get at: each is noted in the audit log."""

Execute = Callable[[Stage], Awaitable[StageResult]]
"""Runs a stage; its outcome is in the walk if it succeeded."""


class Publishing(Record, Generic[T]):
    """Publishes what a run has made.

    Attributes:
        root: Where the archive's directory is.
        run_id: Of the run, for what is put together beside it.
        environ: Says who runs this, and where the audit log is.
        release: What is released is called, if anything: a tag of the source.
        documents: What programs measured, by path, for the page.
    """

    walk: Walk[T]
    history: History
    observer: Observer
    root: Path
    run_id: str
    environ: Mapping[str, str]
    release: str | None
    documents: Mapping[str, bytes]

    async def archive(self, report: RunReport) -> tuple[Publication, ...]:
        """Write the archive, if the plan has one."""
        spec = self.walk.plan.archive
        if spec is None:
            return ()
        blocked = self.blocked(report)
        if blocked:
            return (
                self._told(Publication(kind="archive", state=PublicationState.SKIPPED, sentence=blocked)),
            )
        try:
            publication = await self._archive(spec, report)
        except (CorruptError, StoreError) as error:
            publication = Publication(kind="archive", state=PublicationState.FAILED, sentence=str(error))
        return (self._told(publication),)

    async def deliver(self, report: RunReport, execute: Execute, made: list[Publication]) -> None:
        """Have every program publish, until one cannot.

        Args:
            report: With its verdicts and the archive.
            execute: Runs a program's stage.
            made: Gets what was published, as it is.
        """
        reason = self.blocked(report) or _failed(report.publications)
        for delivery in self.walk.plan.deliveries:
            if reason:
                made.append(self._skipped(delivery, reason))
                continue
            found = await self._delivered(delivery, report, execute)
            found = (*found, *self._noted(found, report))
            made += [self._told(each) for each in found]
            reason = _failed(found)

    async def _delivered(
        self, delivery: Delivery, report: RunReport, execute: Execute
    ) -> tuple[Publication, ...]:
        try:
            for stage in delivery.stages:
                result = await execute(await self._completed(stage, delivery, report))
                outcome = self.walk.outcomes.get(stage.name)
                if result.state not in DONE or outcome is None or outcome.tree is None:
                    return (_lost(delivery, result),)
            return await self._receipts(delivery)
        except Interrupted:
            raise
        except PenstockError as error:  # an executor that cannot: what was judged stays judged
            state = PublicationState.REFUSED if isinstance(error, RefusedError) else PublicationState.FAILED
            return (Publication(kind=delivery.kind, state=state, sentence=str(error)),)

    def _noted(self, found: tuple[Publication, ...], report: RunReport) -> tuple[Publication, ...]:
        """Note in the audit log what has left the project; says so if that cannot be done."""
        left = [each for each in found if each.state is PublicationState.WRITTEN and each.kind in NOTED]
        if not left:
            return ()
        from penstock import digest
        from penstock.publish import audit

        path = audit.path_of(self.root, self.environ)
        run = digest.of_bytes(archive.stable_text(report))
        try:
            for each in left:
                why = f"run {report.run_id} passed its gates"
                what = {"what": "publish", "subject": each.target or each.kind, "why": why}
                audit.append(path, **what, environ=self.environ, evidence=run)
        except PenstockError as error:
            return (Publication(kind="audit", state=PublicationState.FAILED, sentence=str(error)),)
        return ()

    def blocked(self, report: RunReport) -> str | None:
        """Why nothing may be published."""
        open_stages = [stage.name for stage in report.stages if not stage.settled]
        if open_stages:
            return f"stage {open_stages[0]!r} has no result in this run"
        for gate in report.gates:
            if gate.required and policy.stops(gate, self.walk.plan.on_inconclusive):
                return f"gate {gate.name!r} did not pass"
        return None

    def _told(self, publication: Publication) -> Publication:
        self.observer.published(publication)
        return publication

    def _skipped(self, delivery: Delivery, sentence: str) -> Publication:
        return self._told(Publication(kind=delivery.kind, state=PublicationState.SKIPPED, sentence=sentence))

    async def _archive(self, spec: Archive, report: RunReport) -> Publication:
        executor = self.walk.executor
        trees = []
        for stage, path in spec.contents:
            tree = self.walk.outcomes[stage].tree
            assert tree is not None  # noqa: S101 - every stage is done
            trees.append(await executor.select(tree, path))
        tree = await executor.merge(trees)
        contents = archive.contents(report, await executor.parts(tree))
        target = f"{spec.path}/{contents.name}"
        known = self.history.intact(target)
        state, sentence = PublicationState.UNCHANGED, "the same as before"
        if known is None:
            state, sentence = PublicationState.WRITTEN, f"{len(contents.parts)} outputs, run and manifest"
            staging = self.root / ".penstock" / "tmp" / f"archive-{self.run_id}"
            try:
                await executor.export(tree, staging)
                known = archive.write(contents, staging, self.root / target)
            finally:
                import shutil

                shutil.rmtree(staging, ignore_errors=True)
            self.history.set_written(target, known)
        return Publication(
            kind="archive",
            state=state,
            sentence=sentence,
            target=target,
            digest=known,
            size_bytes=(self.root / target).stat().st_size,
        )

    async def _completed(self, stage: Stage, delivery: Delivery, report: RunReport) -> Stage:
        """A stage, told what there is to publish and which run judged it."""
        from penstock import digest
        from penstock.executors.serving import labels_of

        stable = archive.stable_text(report)
        run = digest.of_bytes(stable)
        if stage.serving is not None:
            # no commit: an image of the same model is the same image
            labels = labels_of(name=report.pipeline, version=self.release, revision=None, run=run)
            return replace(stage, serving=replace(stage.serving, labels=labels))
        return await self._told_of(stage, delivery, report, stable, run)

    async def _told_of(
        self, stage: Stage, delivery: Delivery, report: RunReport, stable: bytes, digest: str
    ) -> Stage:
        from penstock.report import keep

        run = {
            "id": report.run_id,
            "digest": digest,
            "pipeline": report.pipeline,
            "commit": report.commit,
            "plan": report.plan,
            "profile": report.profile,
            "executor": report.executor,
            "started_at": report.started_at,
            "release": self.release,
            "passed": True,  # or nothing would be published
        }
        files = dict(stage.files)
        request = json.loads(files[REQUEST]) | {"run": run, "contents": await self._contents(delivery)}
        if "tags" in request:
            request["tags"] = _tags(request["tags"], self.release, report.commit, digest)
        files[REQUEST] = json.dumps(request, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        written = keep.files(report, documents=self.documents, page=True)
        for name in RUN_FILES:
            files[f"{RUN_FOLDER}/{name}"] = written[name].decode("utf-8", "surrogateescape")
        files[f"{RUN_FOLDER}/stable.json"] = stable.decode("utf-8", "surrogateescape")
        return replace(stage, files=tuple(sorted(files.items())))

    async def _contents(self, delivery: Delivery) -> list[dict[str, Any]]:
        """The outputs to publish, as they were judged."""
        found = []
        for name, path in delivery.contents:
            stage, outcome = self.walk.plan.stage(name), self.walk.outcomes[name]
            role = next((output.role for output in stage.outputs if output.path == path), None)
            part = next(part for part in outcome.parts if part.path == path)
            found.append(
                {
                    "path": path,
                    "role": role,
                    "kind": part.kind.value,
                    "digest": part.digest,
                    "size_bytes": part.size_bytes,
                    "stage": name,
                }
            )
        return found

    async def _receipts(self, delivery: Delivery) -> tuple[Publication, ...]:
        """What a program says that it has done."""
        stage = delivery.stage
        outcome = self.walk.outcomes[stage.name]
        assert outcome.tree is not None  # noqa: S101 - it succeeded
        if stage.serving is not None:
            return await self._built(stage, outcome)
        content = await self.walk.executor.read(outcome.tree, receipt_of(stage.name))
        receipt = json.loads(content)
        return tuple(
            Publication(
                kind=each["kind"],
                state=PublicationState(each["state"]),
                sentence=each["sentence"],
                target=each.get("target"),
                digest=each.get("digest"),
                size_bytes=each.get("size_bytes"),
            )
            for each in receipt["publications"]
        )

    async def _built(self, stage: Stage, outcome: Outcome[T]) -> tuple[Publication, ...]:
        """An image that stays here."""
        assert stage.serving is not None  # noqa: S101 - the caller asked
        assert outcome.tree is not None  # noqa: S101 - it succeeded
        facts = json.loads(await self.walk.executor.read(outcome.tree, stage.serving.facts))
        archive = next(part for part in outcome.parts if part.path == stage.serving.archive)
        return (
            Publication(
                kind="image",
                state=PublicationState.WRITTEN,
                sentence="built and tried, not pushed",
                target=archive.path,
                digest=facts["config"],
                size_bytes=archive.size_bytes,
            ),
        )


def _tags(asked: list[str], release: str | None, commit: str | None, run: str) -> list[str]:
    """What never moves and names what is pushed: beside what was asked, its digest, the commit, the release.

    A commit alone would name two things where only the data, a profile or Penstock differ.
    """
    named = [*asked, SHORT_DIGEST]
    if commit and not commit.endswith("-dirty"):
        named.append(f"{commit[:12]}-{run.removeprefix('sha256:')[:8]}")
    if release and _TAG.fullmatch(release):
        named.append(release)
    return list(dict.fromkeys(named))


def _lost(delivery: Delivery, result: StageResult) -> Publication:
    """What could not be published, in the program's last words."""
    state, sentence = PublicationState.FAILED, result.reason.sentence
    if result.attempts:
        last = result.attempts[-1]
        # a program that fails says why in the end; one that ended well has broken a rule of stages
        words = (said(last.log), last.problem) if last.exit_code else (last.problem, said(last.log))
        sentence = words[0] or words[1] or f"exit code {last.exit_code}"
        if last.exit_code == REFUSED:
            state = PublicationState.REFUSED
    return Publication(kind=delivery.kind, state=state, sentence=sentence)


def _failed(publications: tuple[Publication, ...]) -> str | None:
    for each in publications:
        if each.state in LOST:
            return f"{each.kind} could not be published first"
    return None
