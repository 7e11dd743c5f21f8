"""What can go wrong, one class per family, each with the exit code that the command ends with.

A message says where, what (with the value), and what to do; no error that a user can cause shows a
traceback. Further lines are indented by two spaces.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_OK = 0
EXIT_STAGE_FAILED = 1
EXIT_USAGE = 2
EXIT_GATE_FAILED = 3
EXIT_GATE_INCONCLUSIVE = 4
EXIT_UNAVAILABLE = 5
EXIT_TIMEOUT = 124
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class PenstockError(Exception):
    """Root of every error that Penstock raises on purpose.

    Args:
        what: One sentence in lower case, with the value that is wrong.
        where: A file, `file:line`, stage or command that the sentence is about.
        notes: Further lines: why it matters, the nearest valid value, the remedy last.
    """

    exit_code: ClassVar[int] = EXIT_STAGE_FAILED

    def __init__(self, what: str, *, where: str | None = None, notes: tuple[str, ...] = ()) -> None:
        self.what = what
        self.where = where
        self.notes = notes
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return "\n  ".join((head, *self.notes))


class UsageError(PenstockError):
    """The command line asks for something that is not there or cannot be."""

    exit_code = EXIT_USAGE


class PipelineError(PenstockError):
    """The pipeline file, or a file that it names, is wrong."""

    exit_code = EXIT_USAGE


class InputError(PipelineError):
    """A declared input is missing, unreadable or of a kind that cannot be an input.

    Args:
        path: The input, relative to the root.
    """

    def __init__(
        self, what: str, *, path: str | None = None, where: str | None = None, notes: tuple[str, ...] = ()
    ) -> None:
        self.path = path
        super().__init__(what, where=where, notes=notes)


class ConflictError(PenstockError):
    """A file that Penstock did not write stands where an output must go."""

    exit_code = EXIT_USAGE


class ExecutorError(PenstockError):
    """The executor, an environment or a service that it needs could not be had."""

    exit_code = EXIT_UNAVAILABLE


class RefusedError(PenstockError):
    """Bytes, a signature or a verdict are not what was judged, so nothing is done with them."""

    exit_code = EXIT_GATE_FAILED


class StoreError(ExecutorError):
    """The store could not be written or read: no room, no permission, a failing disk."""


class CorruptError(StoreError):
    """Stored bytes are not the bytes that were stored.

    Never shown for a cache hit: the entry is set aside and the stage runs again.
    """


class Interrupted(PenstockError):  # noqa: N818 - it is no error, and named like KeyboardInterrupt
    """The run was stopped by a signal; what had finished is kept.

    Args:
        signal_number: 2 (Ctrl-C) or 15 (SIGTERM).
    """

    exit_code = EXIT_INTERRUPTED

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        super().__init__("interrupted", notes=("what had finished is kept; run again to go on",))
