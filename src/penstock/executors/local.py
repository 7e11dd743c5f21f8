"""The embedded executor: processes on this machine, each in a workspace of its own, and the store.

A tree is a list of located parts: what a path holds by digest, and how to find the bytes. Sources lie in the
project, outputs in the store and, once they are put there, in the project too. Nothing is copied before a
stage runs; how much is copied then depends on the sandbox (`workspace`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from penstock import digest
from penstock.cache import locks
from penstock.cache.observations import Look
from penstock.cache.stat_index import Scan, StatIndex
from penstock.cache.store import Store
from penstock.errors import ConflictError, InputError, StoreError
from penstock.executors import problems
from penstock.executors.base import Outcome, Request
from penstock.executors.environments import Environments
from penstock.executors.hints import nearest_file
from penstock.executors.host import Host, Native
from penstock.executors.opening import Opening
from penstock.observer import Observer
from penstock.plan.model import Stage
from penstock.plan.paths import selects
from penstock.record import Record, field
from penstock.results import Part, PartKind

if TYPE_CHECKING:
    from penstock.executors.layout import Binding

_POLL_S = 0.1
_TMP_LOCK = "tmp.lock"


class Located(Record, kw_only=False):
    """A part and where its bytes are.

    Attributes:
        masked: Paths below it, relative to the root, that are not part of it although they lie there.
        members: Its files, relative to the root, if it is not simply all that lies at its path.
        made: Whether a stage made it: the store has it too, and the project may not.
    """

    part: Part
    masked: tuple[str, ...] = ()
    members: tuple[str, ...] | None = None
    made: bool = False


LocalTree = tuple[Located, ...]


def open_executor(opening: Opening) -> LocalExecutor:
    """The executor of a project."""
    return LocalExecutor(
        root=opening.root,
        store=opening.store,
        index=opening.index,
        overwrite=opening.overwrite,
        replaced=opening.replaced,
        observer=opening.observer,
    )


def has_gpu() -> bool:
    """Whether this machine has a GPU for stages."""
    import shutil

    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


class LocalExecutor(Record, frozen=False):
    """Runs stages on this machine.

    Args:
        root: Of the project: sources are read there, and that is where `export` may find what it put.
        overwrite: Whether `export` replaces files that no run wrote.
        replaced: Outputs for which it does in any case.
        observer: Hears of waits and of large files that are read.
        sandbox: `auto`, `bubblewrap` or `none`; None asks `PENSTOCK_SANDBOX`.
        runs_on: What runs the processes; this machine if absent.
    """

    root: Path
    store: Store
    index: StatIndex
    overwrite: bool = False
    replaced: frozenset[str] = frozenset()
    observer: Observer | None = None
    sandbox: str | None = None
    runs_on: Host | None = None
    name: str = "local"
    fresh: dict[tuple[str, str], Path] = field(default_factory=dict)
    """(path, digest) → where a stage of this run just wrote it, until it is moved to its place."""
    excluded: frozenset[str] = frozenset()
    """What stages write, as the last `source` said: no part of any source."""
    _staging_lock: locks.Lock | None = None

    @property
    def host(self) -> Host:
        """What runs the processes of stages."""
        if self.runs_on is None:
            self.runs_on = Native(Environments(self.store.home, self.root), self.sandbox)
        return self.runs_on

    async def identity(self, stage: Stage) -> Mapping[str, str]:
        return self.host.identity(stage)

    async def source(self, paths: Sequence[str], outputs: Sequence[str]) -> LocalTree:
        self.excluded = excluded = frozenset(outputs)
        found = []
        for path in paths:
            scan = self.index.scan(path, excluding=excluded)
            if scan is not None:
                self._keep_manifest(scan)
                found.append(Located(scan.part, scan.masked, scan.members))
            elif not any(selects(path, output) for output in outputs):
                raise problems.not_a_source(path, nearest_file(self.root, path))
        return tuple(found)

    def _keep_manifest(self, scan: Scan) -> None:
        # only `explain` needs it, so a store that cannot be written is no reason to stop
        if scan.manifest is not None:
            with suppress(StoreError):
                self.store.put_manifest(scan.manifest, durable=False)

    async def facts(self, looks: Sequence[Look], outputs: Sequence[str]) -> Mapping[str, str]:
        from penstock.cache.whole_source import WholeSource

        return WholeSource(self.index, outputs).facts(looks)

    async def select(self, tree: LocalTree, path: str) -> LocalTree:
        from penstock.cache.trees import subtree

        for located in tree:
            part = located.part
            if part.path == path:
                return (located,)
            if part.kind is PartKind.DIRECTORY and path.startswith(f"{part.path}/"):
                below = subtree(part, self.store.manifest(part.digest), path)
                if below is not None:
                    chosen, manifest = below
                    if manifest is not None:
                        self.store.put_manifest(manifest, durable=False)
                    return (Located(chosen, made=True),)
        raise InputError(f"input {path!r} is not in what its stage made", path=path)

    async def merge(self, trees: Sequence[LocalTree]) -> LocalTree:
        return tuple(sorted((located for tree in trees for located in tree), key=lambda each: each.part.path))

    async def parts(self, tree: LocalTree) -> tuple[Part, ...]:
        return tuple(located.part for located in tree)

    async def read(self, tree: LocalTree, path: str) -> bytes:
        (located,) = await self.select(tree, path)
        if located.part.kind is PartKind.DIRECTORY:
            raise InputError(f"{path!r} is a directory", path=path)
        with suppress(OSError):
            content = (self.root / path).read_bytes()
            if digest.of_bytes(content) == located.part.digest:
                return content
        return self.store.read(located.part.digest)

    async def recall(self, key: str) -> Outcome[LocalTree] | None:
        record = self.store.recall(key)
        if record is None:
            return None
        return Outcome(
            attempts=record.attempts,
            made_at=record.made_at,
            tree=tuple(Located(part, made=True) for part in record.parts),
            parts=record.parts,
        )

    def tidy(self) -> None:
        """Remove what runs that were killed left in `.penstock`; what living ones use there stays."""
        state = self.root / ".penstock"
        with suppress(OSError):
            if _holds_anything(state / "work"):
                from penstock.executors.bench import Bench

                Bench.of(state / "work")
                Bench.close(state / "work")
            if _holds_anything(state / "tmp"):
                from penstock.executors.bench import remove_tree

                lock = locks.try_exclusive(state / _TMP_LOCK)
                if lock is not None:
                    with lock:
                        remove_tree(state / "tmp")

    def _staging(self) -> Path:
        """Where things are put together before they are moved; kept from `tidy` until this process ends."""
        state = self.root / ".penstock"
        state.mkdir(parents=True, exist_ok=True)
        if self._staging_lock is None:
            self._staging_lock = locks.shared(state / _TMP_LOCK)
        (state / "tmp").mkdir(exist_ok=True)
        return state / "tmp"

    def session(self) -> AbstractAsyncContextManager[None]:
        @asynccontextmanager
        async def alone() -> AsyncIterator[None]:
            import anyio

            from penstock.executors.workspace import Workspace

            state = self.root / ".penstock"
            state.mkdir(parents=True, exist_ok=True)
            lock = locks.try_exclusive(state / "lock")
            if lock is None and self.observer is not None:
                self.observer.note("waiting for another penstock that runs stages of this project")
            while lock is None:
                await anyio.sleep(_POLL_S)
                lock = locks.try_exclusive(state / "lock")
            with lock:
                self.tidy()  # whoever had the lock may have been killed
                self.host.tidy()
                try:
                    with self.store.lease():  # gc leaves alone what this run made or found
                        yield
                finally:
                    Workspace.close(state / "work")

        return alone()

    def flight(self, key: str) -> AbstractAsyncContextManager[None]:
        @asynccontextmanager
        async def locked() -> AsyncIterator[None]:
            import anyio

            while (lock := self.store.try_lock(key)) is None:  # noqa: ASYNC110 - as above
                await anyio.sleep(_POLL_S)
            with lock:
                yield

        return locked()

    async def run(self, request: Request[LocalTree]) -> Outcome[LocalTree]:
        from penstock.executors.attempt import attempt

        return await attempt(self, request)

    def bind(self, located: Located) -> Binding:
        """Where a workspace finds a part; what only the store has is put beside the workspace first.

        Raises:
            CorruptError: The store's bytes are damaged.
        """
        from penstock.executors.layout import Binding

        part = located.part
        if self.present(located):
            origin = self.root if located.members is not None else self.root / part.path
            return Binding(part.path, origin, located.masked, located.members)
        spare = self._staging() / f"input-{os.urandom(6).hex()}"
        self._write(part, spare, None)
        return Binding(part.path, spare)

    def unchanged(self, located: Located) -> bool:
        """Whether a source still is what it was when it entered the key."""
        if located.made:
            return True
        try:
            scan = self.index.scan(located.part.path, excluding=self.excluded)
        except InputError:
            return False
        return scan is not None and _same(scan.part, located.part)

    def present(self, located: Located) -> bool:
        """Whether the project holds a part at its path, and nothing else there."""
        if not located.made:
            return True
        try:
            scan = self.index.scan(located.part.path, excluding=frozenset(), output=True)
        except InputError:
            return False
        return scan is not None and _same(scan.part, located.part)

    async def reserve(self, paths: Sequence[str], destination: Path) -> None:
        for path in paths:
            if os.path.lexists(destination / path):  # noqa: ASYNC240 - the protocol allows the disk
                self._demand_ours(path, destination)

    async def export(self, tree: LocalTree, destination: Path) -> None:
        for located in tree:
            self._place(located.part, destination)

    def _place(self, part: Part, destination: Path) -> None:
        here = destination == self.root
        if here and self.present(Located(part, made=True)):
            self.index.set_placed(part.path, part.digest)
            return
        target = destination / part.path
        if here and os.path.lexists(target):
            self._demand_ours(part.path, destination)
        self._demand_inside(target, destination)
        if here:
            self.index.expect(part.path, part.digest)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._write(part, target, self.fresh.pop((part.path, part.digest), None) if here else None)
        except OSError as error:
            raise StoreError(
                f"the output cannot be put there: {error.strerror or error}",
                where=str(target),
                notes=("its result is in the store: free room or mend the path, and run again",),
            ) from error
        if here:
            self.index.set_placed(part.path, part.digest)

    def _write(self, part: Part, target: Path, fresh: Path | None) -> None:
        from penstock.cache.trees import replace, restore_file, restore_tree

        if fresh is not None:
            with suppress(OSError):  # another file system: copied from the store instead
                replace(fresh, target)
                return
        staging = self._staging()
        if part.kind is PartKind.DIRECTORY:
            restore_tree(self.store, self.store.manifest(part.digest), target, staging=staging)
        else:
            executable = part.kind is PartKind.EXECUTABLE
            restore_file(self.store, part.digest, target, executable=executable, staging=staging)

    def _demand_ours(self, path: str, destination: Path) -> None:
        """Raise unless what stands at a path may be replaced: a run put it there, or the store has it."""
        if self.overwrite or path in self.replaced:
            return
        try:
            scan = self.index.scan(path, excluding=frozenset(), output=True)
        except InputError:
            scan = None
        if scan is not None and (self._ours(scan.part) or self._all_ours(path)):
            return
        raise ConflictError(
            f"output {path!r} stands there and was not written by Penstock, or was changed since",
            where=str(destination / path),
            notes=("move it away, or let it be replaced with --overwrite",),
        )

    def _ours(self, part: Part) -> bool:
        return self.index.wrote(part.path, part.digest) or self.store.holds(part)

    def _all_ours(self, path: str) -> bool:
        """Whether a directory holds nothing but files that are outputs, as when it becomes one as a whole."""
        top = self.root / path
        files = [Path(folder, name) for folder, _, names in os.walk(top) for name in names]
        scans = (self.index.scan(str(file.relative_to(self.root)), output=True) for file in files)
        try:
            return bool(files) and all(scan is not None and self._ours(scan.part) for scan in scans)
        except InputError:
            return False

    def _demand_inside(self, target: Path, destination: Path) -> None:
        if not target.parent.resolve().is_relative_to(destination.resolve()):
            raise ConflictError(
                "the output's directory is a link that leads out of the project",
                where=str(target.parent),
                notes=("declare another path, or replace the link by a directory",),
            )


def _holds_anything(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False


def _same(one: Part, other: Part) -> bool:
    return one.kind is other.kind and one.digest == other.digest
