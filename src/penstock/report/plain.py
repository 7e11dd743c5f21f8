"""Progress as plain lines, for pipes and CI logs: output of stages that run at the same time never mixes."""

from __future__ import annotations

import time
from _thread import RLock  # as `threading` has it, whose import is slow
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

from penstock.ci import Section, detect
from penstock.inert import one_line, printable
from penstock.report import wording
from penstock.report.style import Style, style_of
from penstock.results import (
    Attempt,
    GateResult,
    Publication,
    RunReport,
    StageResult,
    StageState,
)

if TYPE_CHECKING:
    from threading import Event

HEARTBEAT_S = 30.0
_LONGEST_LINE = 8192


class PlainObserver:
    """Writes a line for what happens, and a stage's output in one piece when the stage has ended.

    Under a CI system the output is folded; `verbose` gives it as it comes, each line with its stage's name.
    While stages run and nothing is said, a line every 30 seconds names them: silent jobs get killed.

    Args:
        environ: Where the CI system and the wish for colour are found.
        quiet: Say nothing at all.
        clock: Seconds that never jump.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        environ: Mapping[str, str],
        verbose: bool = False,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._provider = detect(environ)
        self._style: Style = style_of(stream, environ)
        self._verbose, self._quiet = verbose, quiet
        self._clock = clock
        self._running: dict[str, float] = {}
        self._partial: dict[str, str] = {}
        self._plan: tuple[int, int] = (0, 0)
        self._said = clock()
        self._lock = RLock()
        self._done: Event | None = None

    def run_started(self, stages: tuple[str, ...], jobs: int) -> None:
        """Remember what is about to run; said when something does."""
        self._plan = (len(stages), jobs)

    def stage_started(self, name: str, why: str) -> None:
        """Say so."""
        with self._lock:
            self._running[name] = self._clock()
        self._say(f"{name}: started ({one_line(why)})")
        self._beat()

    def stage_waiting(self, name: str, why: str) -> None:
        """Say so."""
        self._say(f"{name}: {one_line(why)}")

    def stage_output(self, name: str, text: str) -> None:
        """Give complete lines if they are wanted as they come."""
        if not self._verbose or self._quiet:
            return
        *lines, rest = (self._partial.pop(name, "") + text).split("\n")
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = ""
        if rest:
            self._partial[name] = rest
        if lines:
            self._write("".join(self._prefixed(name, line) for line in lines))

    def attempt_failed(self, name: str, attempt: Attempt, left: int) -> None:
        """Say so; the attempt's output comes with the stage's."""
        what = one_line(attempt.problem) if attempt.problem else f"exit code {attempt.exit_code}"
        more = wording.count(left, "more attempt")
        self._say(f"{name}: attempt {attempt.number} failed: {what}; {more}")

    def stage_finished(self, result: StageResult) -> None:
        """Give what the stage printed, if it was not given already, and how it ended."""
        with self._lock:
            self._running.pop(result.name, None)
        rest = self._partial.pop(result.name, "")
        if rest:
            self._write(self._prefixed(result.name, rest))
        title = f"{result.name}: {self._ending(result)}"
        body = "" if self._verbose or not self._provider.in_ci else wording.log(result)
        if body.strip():
            now = time.time()
            section = Section(
                title=title,
                body=body,
                started_s=now - result.wall_s,
                ended_s=now,
                folded=result.state not in wording.BROKEN,
            )
            self._write(self._provider.fold(section))
        elif result.state is not StageState.CACHED or self._provider.in_ci:
            self._say(title)
        if result.state in wording.BROKEN:
            self._write(self._provider.error(f"stage {result.name}", wording.problem(result)))

    def _ending(self, result: StageResult) -> str:
        took = wording.duration(result.wall_s)
        match result.state:
            case StageState.RAN:
                return f"ran in {took}"
            case StageState.CACHED:
                return f"cached ({wording.why(result)})"
            case StageState.SKIPPED:
                return f"not run: {wording.why(result)}"
            case StageState.INTERRUPTED:
                return f"interrupted after {took}"
            case StageState.FAILED | StageState.TIMED_OUT:
                return f"failed after {took}: {wording.problem(result)}"

    def gate_decided(self, result: GateResult) -> None:
        """Nothing: the summary lists the gates."""

    def published(self, publication: Publication) -> None:
        """Nothing: the summary lists what was published."""

    def note(self, text: str) -> None:
        """Say it."""
        self._say(one_line(text))

    def run_finished(self, report: RunReport) -> None:  # noqa: ARG002 - the protocol's
        """End the heartbeat."""
        self.close()

    def close(self) -> None:
        """End the heartbeat; may be called again."""
        if self._done is not None:
            self._done.set()
            self._done = None

    def tick(self) -> None:
        """Say what still runs, if nothing was said for `HEARTBEAT_S`."""
        with self._lock:
            now = self._clock()
            if not self._running or now - self._said < HEARTBEAT_S:
                return
            names = ", ".join(
                f"{name} ({wording.duration(now - began)})" for name, began in self._running.items()
            )
        self._say(f"still running: {names}")

    def _beat(self) -> None:
        if self._done is None and not self._quiet:
            from threading import Event, Thread

            self._done = Event()
            Thread(target=self._ticks, args=(self._done,), name="penstock-heartbeat", daemon=True).start()

    def _ticks(self, done: Event) -> None:
        while not done.wait(1.0):
            self.tick()

    def _prefixed(self, name: str, line: str) -> str:
        return f"{name} | {printable(line)}\n"

    def _say(self, line: str) -> None:
        if self._plan[0]:
            stages, jobs = self._plan
            self._plan = (0, 0)
            self._write(f"{wording.count(stages, 'stage')}, {jobs} at a time\n")
        self._write(f"{line}\n")

    def _write(self, text: str) -> None:
        if self._quiet or not text:
            return
        with self._lock:
            self._said = self._clock()
            try:
                self._stream.write(self._style.write(text))
                self._stream.flush()
            except (OSError, ValueError):  # the reader is gone: the run goes on without a listener
                self._quiet = True
