"""An executor whose trees live in memory: for tests of what drives executors, and as the smallest example.

Commands are real processes in a temporary directory; nothing is isolated, kept between processes or masked.
"""

from __future__ import annotations

import fnmatch
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path

import anyio

from penstock import digest
from penstock.cache.observations import Look
from penstock.cache.whole_source import Entry, WholeSource
from penstock.errors import ConflictError, InputError
from penstock.executors.base import Outcome, Request
from penstock.executors.observed import Observed
from penstock.plan.model import Stage
from penstock.record import replace
from penstock.results import Attempt, Part, PartKind, Usage, timestamp

Files = dict[str, tuple[bytes, bool]]
"""Path → content and whether it is executable."""

Tree = Mapping[str, Files]
"""Declared path → the files below it, or, under the name `""`, the one file that it is."""


class MemoryExecutor:
    """Runs stages over trees in memory.

    Args:
        files: The source, path → content.
        store: Shared by executors that should know each other's results.
    """

    name = "memory"

    def __init__(self, files: Mapping[str, bytes], store: dict[str, Outcome[Tree]] | None = None) -> None:
        self.files: Files = {path: (content, False) for path, content in files.items()}
        self.store = {} if store is None else store
        self.exported: dict[str, Files] = {}
        self.ran: list[str] = []
        self._locks: dict[str, anyio.Lock] = {}

    async def identity(self, stage: Stage) -> Mapping[str, str]:
        environment = stage.environment
        return {"python": environment.python} if environment.python else {}

    async def source(self, paths: Sequence[str], outputs: Sequence[str]) -> Tree:
        tree: dict[str, Files] = {}
        for path in paths:
            found = _below(self.files, path, outputs)
            above = any(output.startswith(f"{path}/") for output in outputs)
            if not found and not above:
                raise InputError(f"input {path!r} is produced by no stage and is not a file", path=path)
            if found:
                tree[path] = found
        return tree

    async def facts(self, looks: Sequence[Look], outputs: Sequence[str]) -> Mapping[str, str]:
        return _Source(self.files, outputs).facts(looks)

    async def select(self, tree: Tree, path: str) -> Tree:
        for declared, files in tree.items():
            if declared == path:
                return {path: files}
            if path.startswith(f"{declared}/"):
                found = _below(files, path[len(declared) + 1 :], ())
                if found:
                    return {path: found}
        raise InputError(f"nothing is at {path!r}", path=path)

    async def merge(self, trees: Sequence[Tree]) -> Tree:
        return {path: files for tree in trees for path, files in tree.items()}

    async def parts(self, tree: Tree) -> tuple[Part, ...]:
        return tuple(_part(path, tree[path]) for path in sorted(tree))

    async def read(self, tree: Tree, path: str) -> bytes:
        files = (await self.select(tree, path))[path]
        if "" not in files:
            raise InputError(f"{path!r} is not a file", path=path)
        return files[""][0]

    async def recall(self, key: str) -> Outcome[Tree] | None:
        return self.store.get(key)

    def session(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def flight(self, key: str) -> AbstractAsyncContextManager[None]:
        @asynccontextmanager
        async def locked() -> AsyncIterator[None]:
            async with self._locks.setdefault(key, anyio.Lock()):
                yield

        return locked()

    async def run(self, request: Request[Tree]) -> Outcome[Tree]:
        self.ran.append(request.stage.name)
        with tempfile.TemporaryDirectory(prefix="penstock-memory-") as folder:
            workspace = Path(folder, "work")
            os.mkdir(workspace)  # noqa: PTH102 - nothing else goes on meanwhile
            whole = _Source(self.files, request.observing.outputs) if request.observing else None
            if whole is not None:
                _write({path: {"": self.files[path]} for path in whole.paths()}, workspace)
            _write(request.tree, workspace)
            for path, text in request.stage.files:
                _write_file(workspace / path, text.encode(), executable=False)
            for output in request.stage.outputs:
                (workspace / output.path).parent.mkdir(parents=True, exist_ok=True)
            observed = _observed(request, workspace) if whole is not None else None
            there = _contents(workspace)
            async with request.slot():
                exit_code, log, wall_s = await _shell(request, workspace, observed)
            timed_out = exit_code is None
            problem, tree = _collect(request, workspace, exit_code)
            observation = observed.result(str) if observed is not None else None
            if observation is not None:
                now = _contents(workspace)
                stray = {path for path in now if now[path] != there.get(path)} - set(tree or ())
                observation = replace(observation, wrote=tuple(sorted(stray)))
        key: str | None = request.key
        if request.observing and whole is not None and observation is not None:
            key = request.observing.key_of(observation, whole.facts(observation.looks))
        attempt = Attempt(
            number=len(request.earlier) + 1,
            exit_code=124 if exit_code is None else exit_code,
            usage=Usage(wall_s=wall_s, cpu_s=0.0, peak_memory_bytes=0),
            log=log,
            problem=problem,
        )
        outcome = Outcome(
            attempts=(*request.earlier, attempt),
            made_at=timestamp(),
            tree=tree,
            parts=await self.parts(tree) if tree is not None else (),
            problem=problem,
            timed_out=timed_out,
            observation=observation,
            key=key,
        )
        if tree is not None and key is not None:
            self.store[key] = outcome
        return outcome

    async def reserve(self, paths: Sequence[str], destination: Path) -> None:
        for path in paths:
            if _below(self.files, path, ()):
                raise ConflictError(f"{path!r} was not written by Penstock")

    async def export(self, tree: Tree, destination: Path) -> None:
        self.exported.update(tree)


def _below(files: Files, path: str, outputs: Sequence[str]) -> Files:
    kept = {
        name: content
        for name, content in files.items()
        if not any(name == output or name.startswith(f"{output}/") for output in outputs)
    }
    if path in kept:
        return {"": kept[path]}
    if any(sign in path for sign in "*?["):
        return {name: content for name, content in kept.items() if fnmatch.fnmatchcase(name, path)}
    return {name[len(path) + 1 :]: kept[name] for name in kept if name.startswith(f"{path}/")}


def _part(path: str, files: Files) -> Part:
    size = sum(len(content) for content, _ in files.values())
    if "" in files:
        content, executable = files[""]
        kind = PartKind.EXECUTABLE if executable else PartKind.FILE
        return Part(path, kind, digest.of_bytes(content), size, 1)
    entries = [
        digest.Entry(
            digest.EXECUTABLE if executable else digest.FILE,
            len(content),
            name.encode(),
            digest.of_bytes(content).removeprefix(digest.PREFIX).encode(),
        )
        for name, (content, executable) in files.items()
    ]
    manifest = digest.encode_manifest(entries)
    return Part(path, PartKind.DIRECTORY, digest.of_bytes(manifest), size, len(files))


def _write(tree: Tree, workspace: Path) -> None:
    for path, files in tree.items():
        top = workspace if any(sign in path for sign in "*?[") else workspace / path
        for name, (content, executable) in files.items():
            _write_file(top / name if name else top, content, executable=executable)


def _write_file(path: Path, content: bytes, *, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if executable else 0o644)


class _Source(WholeSource):
    """The whole source of an executor in memory."""

    def __init__(self, files: Files, outputs: Sequence[str]) -> None:
        self.files = files
        self.outputs = frozenset(outputs)
        self._directories = {}
        self._visible = {}

    def paths(self) -> list[str]:
        """Every file that is shown."""
        return [
            f"{folder}/{name}" if folder else name
            for folder, entries in self.walk()
            for name, entry in entries.items()
            if entry.kind != digest.DIRECTORY
        ]

    def content(self, path: str, entry: Entry) -> str:
        del entry
        return digest.of_bytes(self.files[path][0])

    def _scanned(self, folder: str) -> Iterator[tuple[str, Entry]]:
        top = f"{folder}/" if folder else ""
        for path, (content, executable) in self.files.items():
            name, below, _ = path.removeprefix(top).partition("/")
            if path.startswith(top) and not self._withheld(name, top + name):
                kind = digest.EXECUTABLE if executable else digest.FILE
                yield name, Entry(digest.DIRECTORY) if below else Entry(kind, len(content))

    def _withheld(self, name: str, path: str) -> bool:
        del name
        return path in self.outputs


def _observed(request: Request[Tree], workspace: Path) -> Observed:
    stage = request.stage
    own = {path for path, _ in stage.files} | {output.path for output in stage.outputs}
    inputs = {name if _is_pattern(path) else path for path, files in request.tree.items() for name in files}
    return Observed(
        folder=workspace.with_name("observed"),
        top=os.path.realpath(workspace),
        declared=frozenset(own | inputs),
    )


def _contents(workspace: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(workspace)): path.read_bytes() for path in workspace.rglob("*") if path.is_file()
    }


def _is_pattern(path: str) -> bool:
    return any(sign in path for sign in "*?[")


async def _shell(
    request: Request[Tree], workspace: Path, observed: Observed | None
) -> tuple[int | None, str, float]:
    stage = request.stage
    argv = ["/bin/sh", "-euc", stage.run]
    env = {"PATH": os.defpath, **dict(stage.variables), **request.variables}
    env |= {name: value.decode() for name, value in request.secrets.items()}
    began = time.monotonic()
    exit_code, log = None, ""
    with anyio.move_on_after(stage.timeout_s):
        done = await anyio.run_process(
            observed.here(argv) if observed is not None else argv,
            cwd=workspace,
            env=env,
            check=False,
            stderr=-2,
        )
        exit_code, log = done.returncode, done.stdout.decode("utf-8", "replace")
        request.emit(log)
    if exit_code is not None and exit_code < 0:
        exit_code = 128 - exit_code
    return exit_code, log, time.monotonic() - began


def _collect(
    request: Request[Tree], workspace: Path, exit_code: int | None
) -> tuple[str | None, Tree | None]:
    if exit_code is None:
        return "timed out", None
    if exit_code:
        return f"exit code {exit_code}", None
    tree: dict[str, Files] = {}
    for output in request.stage.outputs:
        path = workspace / output.path
        if path.is_file():
            tree[output.path] = {"": (path.read_bytes(), os.access(path, os.X_OK))}
        elif path.is_dir():
            tree[output.path] = {
                str(file.relative_to(path)): (file.read_bytes(), os.access(file, os.X_OK))
                for file in sorted(path.rglob("*"))
                if file.is_file()
            }
        else:
            return f"declared output {output.path!r} was not written", None
    return None, tree
