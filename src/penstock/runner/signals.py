"""Signals that come before the event loop listens for them."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Self

AWAITED = (signal.SIGINT, signal.SIGTERM)


class Noted:
    """Within its block a signal is only noted, until somebody else takes charge of signals.

    As an exception it could be lost: an import is under way for much of that time, and swallows some.

    Attributes:
        numbers: Of the signals that came.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __enter__(self) -> Self:
        self._before = [(number, signal.signal(number, self._note)) for number in AWAITED]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.numbers.append(number)
