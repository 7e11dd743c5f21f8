"""How a program is started, reads its request, reports what is wrong and leaves its document."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

EXIT_UNUSABLE = 2
EXIT_REFUSED = 3
EXIT_UNAVAILABLE = 5
SIGNIFICANT_DIGITS = 12
"""More would differ between processors, and mean nothing."""

PROGRESS_AFTER_S = 2.0


class ProgramError(Exception):
    """Root of what a program ends early with; the message is one line for a user.

    `path:line: what it is, and what to do`
    """

    exit_code = EXIT_UNUSABLE


class UnusableError(ProgramError):
    """A file or a request cannot be used, so that nothing can be said."""


class RefusedError(ProgramError):
    """A digest, a signature or a verdict is not what it has to be, so that nothing was done."""

    exit_code = EXIT_REFUSED


class UnavailableError(ProgramError):
    """A service could not be reached, or failed for good, within the time that it was given."""

    exit_code = EXIT_UNAVAILABLE


def main(arguments: Sequence[str], work: Callable[[Mapping[str, Any]], str]) -> int:
    """Do the work that the request file (the only argument) asks for; gives the exit code.

    Args:
        arguments: Without the program's name.
        work: From the request to one line that says what came out.
    """
    try:
        request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        line = work(request)
    except ProgramError as error:
        # a name in it may hold line ends
        sys.stderr.write(" ".join(str(error).splitlines()) + "\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return EXIT_UNUSABLE
    sys.stdout.write(f"{line}\n")
    return 0


def write_document(path: str, document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write a result, byte for byte the same for the same values.

    Raises:
        ValueError: It holds NaN or an infinity: what has no value is None, with a `problem` beside it.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_rounded(document), indent=1, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):  # numpy's 64-bit floats are such
        if value == 0 or not math.isfinite(value):
            return abs(value)
        return round(value, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value))))
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


class Progress:
    """Lines on standard error about work that takes longer than two seconds."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()

    def say(self, line: str) -> None:
        """Say where the work stands, unless something was said a moment ago."""
        now = time.monotonic()
        if now - self._said >= PROGRESS_AFTER_S:
            self._said = now
            sys.stderr.write(f"{line} ({now - self._began:.0f} s)\n")
            sys.stderr.flush()
