"""The Dagger executor: a stage is one exec of the engine, and the engine's own cache does the skipping.

A result in that cache is told from a fresh one by the run that made it: the exec writes it down, from a
variable that is in no cache key.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

import anyio
import dagger
from dagger import dag

from penstock import digest
from penstock.cache.observations import Look
from penstock.cache.trees import subtree
from penstock.errors import InputError
from penstock.executors import problems
from penstock.executors.base import Outcome, Request
from penstock.executors.carried import LAUNCH, STAGE, SURVEY, carried
from penstock.executors.container import RUNTIME_IMAGE
from penstock.executors.dagger_images import Images, asking
from penstock.executors.dagger_tree import INPUTS, LIBRARY, Courier, DaggerTree, Held, held_source
from penstock.executors.hints import nearest_file
from penstock.plan.model import Plan, Stage
from penstock.plan.paths import selects
from penstock.record import Record, field
from penstock.results import Part

_REQUEST = "/penstock/request.json"
_SURVEY = "/penstock/survey.json"
_SOURCE = "/penstock/source"


class DaggerExecutor(Record, frozen=False):
    """Runs the stages of one plan in an engine that this process is connected to.

    Args:
        plan: Its sources are looked at all at once.
        source_directory: The pipeline's root.
        root: Where the plan was read; holds the requirements files, and need hold nothing else.
        run_id: Tells this run's results from those of earlier ones.
        courier: Brings files to the engine.
        services: What stages that work outside of their workspace can reach, by host name.
        git: The repository's `.git`, for those that look at its history.

    Attributes:
        placed: What stages have made, by path: `export` to the root puts it here, and writes nothing.
        tries: How often a key's command has failed, as far as is known.
        manifests: Of every directory that this run has seen, by digest.
    """

    plan: Plan
    source_directory: dagger.Directory
    root: Path
    run_id: str
    courier: Courier
    services: Mapping[str, dagger.Service] = field(default_factory=dict)
    git: dagger.Directory | None = None
    name: str = "dagger"
    placed: dict[str, Held] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    _images: Images | None = None
    _surveyed: dict[str, Any] | None = None
    _names: Path | None = None
    _lock: anyio.Lock | None = None
    _libraries: dict[tuple[str, ...], dagger.Directory] = field(default_factory=dict)

    @property
    def images(self) -> Images:
        """The containers that stages run in."""
        if self._images is None:
            self._images = Images(source=self.source_directory, root=self.root, courier=self.courier)
        return self._images

    async def identity(self, stage: Stage) -> Mapping[str, str]:
        return await self.images.identity(stage)

    async def source(self, paths: Sequence[str], outputs: Sequence[str]) -> DaggerTree:
        surveyed = await self._survey(outputs) if paths else {}
        found = []
        for path in paths:
            seen = surveyed[path]
            if seen is None:
                if any(selects(path, output) for output in outputs):
                    continue
                raise problems.not_a_source(path, nearest_file(await self.names(), path))
            if "error" in seen:
                what, at, notes = seen["error"]
                raise InputError(what, path=at, notes=tuple(notes))
            found.append(self.noted(held_source(path, seen)))
        return tuple(found)

    def noted(self, held: Held) -> Held:
        """The same, its manifest remembered."""
        if held.manifest is not None:
            self.manifests[held.part.digest] = held.manifest
        return held

    async def _survey(self, outputs: Sequence[str]) -> dict[str, Any]:
        """What every source of the plan holds; found out once, and where the source lies."""
        self._lock = self._lock or anyio.Lock()
        async with self._lock:
            if self._surveyed is None:
                paths = sorted({path for stage in self.plan.stages for path in stage.sources})
                request = {"paths": paths, "outputs": sorted(outputs), "ignore": list(self.plan.ignore)}
                with asking("the source cannot be read"):
                    container = (
                        dag.container()
                        .from_(RUNTIME_IMAGE)
                        .with_mounted_directory(LIBRARY, await self.library(SURVEY))
                        .with_mounted_directory(_SOURCE, self.source_directory)
                        .with_mounted_file(_REQUEST, self.courier.file(digest.canonical_json(request)))
                        .with_exec(["python3", "-I", "-S", LIBRARY, _REQUEST, _SOURCE, _SURVEY])
                    )
                    self._surveyed = json.loads(await container.file(_SURVEY).contents())
            return self._surveyed

    async def library(self, modules: tuple[str, ...]) -> dagger.Directory:
        """What is carried into a container, as the engine has it."""
        if modules not in self._libraries:
            files = {path: text.encode() for path, text in carried(modules).items()}
            with asking("the engine does not answer"):
                self._libraries[modules] = await self.courier.directory(files, programs=[LAUNCH]).sync()
        return self._libraries[modules]

    async def names(self) -> Path:
        """A directory with the names of all that the source holds, and no content: for hints."""
        if self._names is None:
            self._names = Path(tempfile.mkdtemp(prefix="names-", dir=self.courier.place))
            with asking("the source cannot be read"):
                found = await self.source_directory.glob("**/*")
            for name in found:
                place = self._names / name
                (place if name.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
                if not name.endswith("/"):
                    place.touch()
        return self._names

    async def facts(self, looks: Sequence[Look], outputs: Sequence[str]) -> None:
        """Nothing: the engine has to know all that an exec sees before it runs (`dagger_source`)."""

    async def select(self, tree: DaggerTree, path: str) -> DaggerTree:
        for held in tree:
            part = held.part
            if part.path == path:
                return (held,)
            if held.manifest is not None and path.startswith(f"{part.path}/"):
                below = subtree(part, held.manifest, path)
                if below is not None:
                    return (self.noted(await self._below(held, *below)),)
        raise InputError(f"input {path!r} is not in what its stage made", path=path)

    async def _below(self, held: Held, part: Part, manifest: bytes | None) -> Held:
        """What an output that is a directory holds at a path."""
        inside = part.path[len(held.part.path) + 1 :]
        if not isinstance(held.made, dagger.Directory) or held.archive is None:
            raise TypeError("only outputs have paths below them")
        if manifest is None:
            return Held(part=part, made=held.made.file(inside))
        container = (
            dag.container()
            .from_(RUNTIME_IMAGE)
            .with_mounted_directory(LIBRARY, await self.library(STAGE))
            .with_mounted_file(f"{INPUTS}/0.tar", held.archive)
            .with_exec(["mkdir", "/penstock/part"])
            .with_exec(
                ["python3", "-I", "-S", LIBRARY, "part", f"{INPUTS}/0.tar", inside, "/penstock/part/0.tar"]
            )
        )
        archive = container.directory("/penstock/part").file("0.tar")
        return Held(part=part, manifest=manifest, made=held.made.directory(inside), archive=archive)

    async def merge(self, trees: Sequence[DaggerTree]) -> DaggerTree:
        return tuple(sorted((held for tree in trees for held in tree), key=lambda each: each.part.path))

    async def parts(self, tree: DaggerTree) -> tuple[Part, ...]:
        return tuple(held.part for held in tree)

    async def read(self, tree: DaggerTree, path: str) -> bytes:
        (held,) = await self.select(tree, path)
        if not isinstance(held.made, dagger.File):
            raise InputError(f"{path!r} is a directory", path=path)
        with asking(f"output {path!r} cannot be read"):
            content = (await held.made.contents()).encode("utf-8", "surrogateescape")
            if digest.of_bytes(content) == held.part.digest:
                return content
            with tempfile.TemporaryDirectory(prefix="penstock-") as folder:  # it is not text
                place = Path(folder, "content")
                await held.made.export(str(place))
                return place.read_bytes()  # noqa: ASYNC240 - nothing else goes on meanwhile

    async def recall(self, key: str) -> Outcome[DaggerTree] | None:
        return None  # the engine knows, and says so when it is asked to run

    def session(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def flight(self, key: str) -> AbstractAsyncContextManager[None]:
        return nullcontext()  # the engine runs an exec once, however many ask for it

    async def run(self, request: Request[DaggerTree]) -> Outcome[DaggerTree]:
        if request.stage.serving is not None:
            from penstock.executors.dagger_build import build

            return await build(self, request)
        from penstock.executors.dagger_attempt import DaggerAttempt

        return await DaggerAttempt(self, request).make()

    async def reserve(self, paths: Sequence[str], destination: Path) -> None:
        return

    async def export(self, tree: DaggerTree, destination: Path) -> None:
        for held in tree:
            if destination == self.root:
                self.placed[held.part.path] = held
            elif held.made is not None:
                target = destination / held.part.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with asking(f"output {held.part.path!r} cannot be put to {destination}"):
                    await held.made.export(str(target))
