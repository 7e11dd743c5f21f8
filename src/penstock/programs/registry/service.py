"""Requests to MLflow: each with a limit, tried again where that can help, one clear sentence where not."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from ..common.program import Progress, UnavailableError, UnusableError
from .place import Place

T = TypeVar("T")

ATTEMPTS = 5
FIRST_PAUSE_S = 0.5
PATIENCE_S = 60.0
"""An action is given up after this long, unless it moves a file that takes longer at `SLOWEST`."""
REQUEST_S = 15.0
SLOWEST_BYTES_PER_S = 256 << 10

_STATUS = re.compile(r"error code (\d{3})|^(\d{3}) (?:Client|Server) Error")
_NOT_FOUND, _CLIENT_ERROR = 404, 4
_TWO_AT_ONCE = "IntegrityError"
_FOREIGN = "Response body"
"""In what MLflow says of an answer that was not written by MLflow."""
_TRY_AGAIN = frozenset({408, 409, 425, 429})
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_LONGEST_MESSAGE = 300


class AbsentError(UnusableError):
    """What was asked for is not there."""


class ExistsError(UnusableError):
    """What was to be made is there already."""


class _SlowError(Exception):
    """A request was not answered in time."""


class Service:
    """MLflow's client behind `call`, by which every request goes.

    Args:
        patience_s: After which a request is given up, attempts and pauses together.
    """

    def __init__(self, place: Place, progress: Progress, patience_s: float = PATIENCE_S) -> None:
        self.place = place
        self.progress = progress
        self._patience_s = patience_s
        self.client = place.client(progress)

    def call(
        self, what: str, function: Callable[..., T], *args: Any, size_bytes: int = 0, **kwargs: Any
    ) -> T:
        """What a request answers.

        Args:
            what: The action in words, for messages: `finding the run`.
            function: Repeating it does no harm.
            size_bytes: What it moves.

        Raises:
            AbsentError, ExistsError: The server says so.
            UnusableError: The server does not accept it.
            UnavailableError: It did not succeed in time.
        """
        return self.ensure(what, lambda: None, lambda: function(*args, **kwargs), size_bytes=size_bytes)

    def ensure(
        self, what: str, find: Callable[[], T | None], make: Callable[[], T], *, size_bytes: int = 0
    ) -> T:
        """What `find` finds, else what `make` makes; looks again before each attempt.

        An answer may be lost after the thing was made, and then a blind second attempt would make another.

        Raises:
            UnusableError, UnavailableError: As `call`.
        """
        allowed_s = size_bytes / SLOWEST_BYTES_PER_S
        ends = time.monotonic() + self._patience_s + allowed_s
        pause_s, problem = FIRST_PAUSE_S, ""
        for attempt in range(1, ATTEMPTS + 1):
            left_s = ends - time.monotonic()
            try:
                with _within(min(REQUEST_S + allowed_s, max(left_s, 0.1))):
                    found = find()
                    return make() if found is None else found
            except Exception as error:  # noqa: BLE001 - MLflow raises whatever its layers do
                problem = self._problem(what, error)
            if attempt == ATTEMPTS or time.monotonic() + pause_s >= ends:
                break
            self.progress.say(f"{what}: trying again")
            time.sleep(pause_s)
            pause_s *= 2
        raise UnavailableError(f"{problem}; run again to go on")

    def _problem(self, what: str, error: Exception) -> str:
        """Why it may work the next time; raises where it will not."""
        if isinstance(error, UnusableError | UnavailableError):
            raise error
        said = self._said(error)
        status, code = _status(error), getattr(error, "error_code", "")
        line = f"{self.place.shown}: {what}: {said}"
        if status in (401, 403) or code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            raise UnavailableError(
                f"{line}; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            ) from None
        if status == _NOT_FOUND and _FOREIGN in str(
            error
        ):  # not "there is no such model": a gate relies on it
            raise UnavailableError(f"{line}; is it the address of an MLflow server?") from None
        if code == "RESOURCE_DOES_NOT_EXIST" or status == _NOT_FOUND:
            raise AbsentError(line) from None
        if code == "RESOURCE_ALREADY_EXISTS":
            raise ExistsError(line) from None
        if _TWO_AT_ONCE in said:  # of its database: somebody else did the same in the same moment
            return line
        permanent = status is not None and status // 100 == _CLIENT_ERROR and status not in _TRY_AGAIN
        if permanent or code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE"):
            raise UnusableError(line) from None
        return line

    def _said(self, error: Exception) -> str:
        """An exception of MLflow's in one line, without secrets."""
        if isinstance(error, _SlowError | TimeoutError):
            return "no answer in time"
        text = self.place.unreachable(error) or " ".join(str(error).split()) or type(error).__name__
        for secret in (os.environ.get(name) for name in _SECRETS):
            if secret:
                text = text.replace(secret, "***")
        return text[:_LONGEST_MESSAGE]


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    if response is not None and isinstance(getattr(response, "status_code", None), int):
        return int(response.status_code)
    found = _STATUS.search(str(error))
    return int(found[1] or found[2]) if found else None


@contextmanager
def _within(limit_s: float) -> Iterator[None]:
    """End what is inside after some time: a server that sends a byte now and then passes every time-out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise _SlowError("timed out")  # in MLflow's words, which may pass it on as its own

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def pages(service: Service, what: str, search: Callable[..., Any], **asked: Any) -> Iterator[Any]:
    """Everything that a search finds, page by page."""
    token = None
    while True:
        found = service.call(what, search, **asked, **({"page_token": token} if token else {}))
        yield from found
        token = getattr(found, "token", None)
        if not token:
            return


def tags_of(thing: Any) -> Mapping[str, str]:
    """The tags of a run, a model or a version."""
    return dict(thing.data.tags if hasattr(thing, "data") else thing.tags or {})
