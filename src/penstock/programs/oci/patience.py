"""How long a service may keep a program waiting: so many seconds without progress, whatever it does.

Work runs in a thread, and the thread that started it watches. So nothing that blocks (a name that does not
resolve, a connection that is never answered, a header of which a byte comes every second) outlasts patience.
Progress is an operation that is done, or 64 KiB of one that had not been moved before; a repetition that
fails where the last one failed is none.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ..common.program import Progress, RefusedError, UnavailableError

PATIENCE_S = 45.0
"""So that a program that was started has ended a minute later."""

STEP_BYTES = 1 << 16
PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Before the second and each later attempt; those after the last are not made."""

MISMATCHES = 3
"""Attempts to get bytes of the right digest: they may have been damaged on their way, or lie there so."""

_WATCH_S = 0.2

Result = TypeVar("Result")


class PassingError(Exception):
    """What may go better the next time; half a sentence for a user.

    Attributes:
        after_s: What the service asks to wait.
    """

    def __init__(self, problem: str, after_s: float | None = None) -> None:
        super().__init__(problem)
        self.after_s = after_s


class MismatchError(PassingError):
    """The service gave other bytes than were asked for."""


class Patience:
    """Counts down while a service is waited for, and starts anew with every progress."""

    def __init__(self, seconds: float = PATIENCE_S) -> None:
        self.seconds = seconds
        self._deadline: float | None = None
        self._furthest = 0
        self._over = False
        self._doing, self._problem = "", "no answer"
        self._progress = Progress()

    def left(self) -> float:
        """Seconds; infinite while no service is waited for."""
        deadline = self._deadline
        return float("inf") if deadline is None else deadline - time.monotonic()

    @contextmanager
    def waiting(self, doing: str) -> Iterator[None]:
        """A time in which a service is waited for, and how a user is told what for."""
        self._doing, self._problem, self._furthest = doing, "no answer", 0
        self._refill()
        try:
            yield
        finally:
            self._deadline = None

    def moved(self, position: int, size: int) -> None:
        """Tell how far an operation has got, in bytes."""
        self.check()
        if position >= self._furthest + STEP_BYTES:
            self._furthest = position
            self._refill()
        self._progress.say(f"{self._doing}: {position / 1e6:,.0f} of {size / 1e6:,.0f} MB")

    def check(self) -> None:
        """Stop a thread that was given up.

        Raises:
            UnavailableError: Patience is over.
        """
        if self._over or self.left() <= 0:
            raise self.verdict()

    def pause(self, seconds: float, problem: str) -> None:
        """Wait before another attempt.

        Raises:
            UnavailableError: Patience would be over first.
        """
        self._problem = problem
        if seconds >= self.left():
            raise self.verdict(
                f"{problem}, and asks to wait {seconds:.0f} s" if seconds > self.seconds else problem
            )
        self._progress.say(f"{self._doing}: {problem}; trying again")
        time.sleep(seconds)

    def give_up(self) -> UnavailableError:
        """End it for the working thread too."""
        self._over = True
        return self.verdict()

    def verdict(self, problem: str | None = None) -> UnavailableError:
        """What a user reads at the end."""
        why = problem or self._problem
        return UnavailableError(f"{self._doing}: {why}; given up after {self.seconds:g} s without progress")

    def _refill(self) -> None:
        self._deadline = time.monotonic() + self.seconds


def attempt(patience: Patience, doing: str, operation: Callable[[], Result]) -> Result:
    """Do something that may fail in passing, a bounded number of times.

    Raises:
        UnavailableError: It failed for good, or every time.
        RefusedError: It gave the wrong bytes every time.
    """
    with patience.waiting(doing):
        for number in range(1, len(PAUSES_S) + 2):
            patience.check()
            try:
                return operation()
            except MismatchError as error:
                if number >= MISMATCHES:
                    raise RefusedError(f"{doing}: {error}") from None
                _pause(patience, number, error)
            except PassingError as error:
                if number > len(PAUSES_S):
                    raise UnavailableError(f"{doing}: {error}; given up after {number} attempts") from None
                _pause(patience, number, error)
    raise AssertionError  # the loop returns or raises


def _pause(patience: Patience, number: int, error: PassingError) -> None:
    usual = PAUSES_S[number - 1] * random.uniform(0.75, 1.25)  # noqa: S311 - so that jobs do not come in step
    patience.pause(usual if error.after_s is None else max(error.after_s, 0.0), str(error))


def watched(work: Callable[[], Result], patience: Patience) -> Result:
    """Work in another thread, for as long as there is patience.

    Raises:
        UnavailableError: It is over. The thread may still be blocked; it will do nothing more.
    """
    ended: list[tuple[Result | None, BaseException | None]] = []

    def run() -> None:
        try:
            ended.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised below
            ended.append((None, error))

    thread = threading.Thread(target=run, name="registry", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(max(0.01, min(_WATCH_S, patience.left())))
        if thread.is_alive() and patience.left() <= 0:
            raise patience.give_up()
    result, error = ended[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # without an error there is one
