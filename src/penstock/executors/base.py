"""The executor protocol: a small algebra over immutable file trees.

The runner drives any executor through it and knows none by name. `T` is the executor's own handle of a
tree: a list of located parts locally, a `dagger.Directory` under Dagger. A command that fails is an
`Outcome`; `ExecutorError` means that the executor itself could not do its work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from penstock.cache.observations import Look, Observation
from penstock.plan.model import Stage
from penstock.record import Record, field
from penstock.results import Attempt, Part

T = TypeVar("T")

Emit = Callable[[str], None]
"""Takes text that a stage printed, secrets already masked, as it comes."""


class Outcome(Record, Generic[T]):
    """What one attempt at a stage came to: a tree of its outputs if it succeeded.

    Attributes:
        attempts: Oldest first, those of `Request.earlier` included; the last one decides.
        tree: The declared outputs; absent if the stage failed.
        parts: What `tree` holds, by declared path.
        made_at: ISO 8601, UTC.
        problem: Why there is no tree; absent if there is one.
        reused: Whether an earlier run made it, and the executor found that out only when it was asked to run.
        observation: What it looked at, if the request asked for that.
        key: What the result is kept under, if what it looked at has changed the key.
    """

    attempts: tuple[Attempt, ...]
    made_at: str
    tree: T | None = None
    parts: tuple[Part, ...] = ()
    problem: str | None = None
    timed_out: bool = False
    reused: bool = False
    observation: Observation | None = None
    key: str | None = None


class Observing(Record):
    """What is asked of an executor besides to run a stage: to show it the whole source, and to observe it.

    Attributes:
        outputs: What stages write, and so no part of the source.
        key_of: The key for what was looked at, and what stood there; none if the result is not to be kept,
            as the stage would have seen more had that been known before.
    """

    outputs: tuple[str, ...]
    key_of: Callable[[Observation, Mapping[str, str]], str | None]


class Request(Record, Generic[T]):
    """Everything that a run of a stage needs.

    Attributes:
        tree: Exactly what the stage may see.
        parts: What `tree` holds, as it entered the key.
        run_id: The run that asks, kept with the result.
        secrets: Values of the secrets that the stage declared, by name.
        variables: Of the process's environment beside those of the stage; in no key (`Stage.passes`).
        earlier: Attempts of this run that failed before this one.
        observing: For a stage that is observed.
        reuse: Whether an earlier run's result may stand for this one, if the executor keeps results itself.
        emit: Where output goes while the stage runs.
        slot: To be held while the command runs, and not before or after: it bounds how many run at a time.
    """

    stage: Stage
    tree: T
    parts: tuple[Part, ...]
    key: str
    run_id: str
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    earlier: tuple[Attempt, ...] = ()
    observing: Observing | None = None
    reuse: bool = False
    emit: Emit = lambda _text: None
    slot: Callable[[], AbstractAsyncContextManager[None]] = nullcontext


class Executor(Protocol[T]):
    """Runs stages over trees; one instance serves one run of a plan.

    Where a run is not itself within an event loop (`Run.report`), methods that are not `run`, `flight` or
    `session` must wait for nothing but the disk: they are driven without one (`runner.assess.drive`).
    """

    name: str

    async def identity(self, stage: Stage) -> Mapping[str, str]:
        """What of a stage's environment can change its outputs, as it will be when the stage runs.

        Raises:
            ExecutorError: The environment cannot be had here, whatever is installed.
        """
        ...

    async def source(self, paths: Sequence[str], outputs: Sequence[str]) -> T:
        """What the source holds at these paths or patterns, without what stages write (`outputs`).

        Raises:
            InputError: A path is missing, unreadable, of no kind that can be an input, or leads out.
        """
        ...

    async def facts(self, looks: Sequence[Look], outputs: Sequence[str]) -> Mapping[str, str] | None:
        """What stands in the source at paths that a stage looked at; see `cache.whole_source`.

        None from an executor that observes nothing: there, the whole source is an input of such a stage.

        Raises:
            InputError: A file changes while it is read.
        """
        ...

    async def select(self, tree: T, path: str) -> T:
        """What a tree holds at one path, which may lie below a part of it.

        Raises:
            InputError: Nothing is there.
        """
        ...

    async def merge(self, trees: Sequence[T]) -> T:
        """One tree of several that hold different paths."""
        ...

    async def parts(self, tree: T) -> tuple[Part, ...]:
        """What a tree holds, with digests, sorted by path."""
        ...

    async def read(self, tree: T, path: str) -> bytes:
        """The content of a file in a tree.

        Raises:
            InputError: No file is there.
        """
        ...

    async def recall(self, key: str) -> Outcome[T] | None:
        """The stored outcome of an earlier run with this key; none if there is none or it is damaged."""
        ...

    def session(self) -> AbstractAsyncContextManager[None]:
        """Held from before the first `run` of a plan until after the last."""
        ...

    def flight(self, key: str) -> AbstractAsyncContextManager[None]:
        """Held while a stage of this key runs: of several processes, one runs and the others wait."""
        ...

    async def run(self, request: Request[T]) -> Outcome[T]:
        """Make one attempt at a stage; keep a success so that `recall` finds it.

        Cancelling it ends every process that the stage started before it returns.

        Raises:
            ExecutorError: The executor could not do its work; says nothing about the stage.
        """
        ...

    async def reserve(self, paths: Sequence[str], destination: Path) -> None:
        """Make sure that `export` may write at these paths below `destination`.

        Raises:
            ConflictError: Something that no run put there stands at one of the paths.
        """
        ...

    async def export(self, tree: T, destination: Path) -> None:
        """Put a tree's parts at their paths below `destination`, each whole or not at all.

        Raises:
            ConflictError: Something that no run put there stands at one of the paths.
            CorruptError: Stored bytes are damaged; the entry has been set aside.
        """
        ...
