"""Why an attempt at a stage is no success, in the same words on every executor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.errors import EXIT_TIMEOUT, InputError
from penstock.plan.model import Stage

_SIGNALS = 65
_KILL = 9
_MOST_SHOWN = 5


def failure(
    stage: Stage, exit_code: int, *, timed_out: bool, undeclared: Iterable[str], written: Iterable[str] = ()
) -> str | None:
    """What a command's end says; nothing if it succeeded.

    Args:
        exit_code: 128 + n when signal n ended it.
        undeclared: Paths of the project that its log complains about (`hints.undeclared_inputs`).
        written: Inputs that it tried to change (`hints.inputs_written`).
    """
    if timed_out:
        return f"timed out after {stage.timeout_s:g} s"
    if exit_code == 0:
        return None
    signal = exit_code - 128
    what = f"exit code {exit_code}"
    if exit_code > EXIT_TIMEOUT and 0 < signal < _SIGNALS:
        what += f" (killed by signal {signal}{', perhaps for want of memory' if signal == _KILL else ''})"
    hints = [
        f"{path!r} is in the project, but no input of the stage: add it to its inputs" for path in undeclared
    ]
    hints += [f"{path!r} is an input; write to a declared output instead" for path in written]
    return "\n  ".join((what, *hints))


def changed_input(path: str) -> str:
    """For a stage that changed what it reads."""
    return f"changed its input {path!r}; write to a declared output instead"


def not_written(missing: Sequence[str], written: Sequence[str]) -> InputError:
    """For declared outputs that are not there.

    Args:
        written: What the stage wrote instead.
    """
    more = f" (nor {len(missing) - 1} more)" if len(missing) > 1 else ""
    found = f"it wrote {', '.join(written[:_MOST_SHOWN])}" if written else "it wrote nothing"
    return InputError(f"declared output {missing[0]!r} was not written{more}", notes=(found,))


def not_a_source(path: str, near: Sequence[str]) -> InputError:
    """For an input that is not in the source, and that no stage writes.

    Args:
        near: A line that names the file which may have been meant (`hints.nearest_file`).
    """
    return InputError(
        f"input {path!r} is produced by no stage and is not a file",
        path=path,
        notes=(*near, "declare it as an output of an earlier stage, or add the file"),
    )
