"""Progress on a terminal: what runs now stays at the bottom, what has ended moves up."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO, cast

from penstock.inert import one_line
from penstock.report import wording
from penstock.report.console import STATES
from penstock.report.style import columns_of, style_of
from penstock.results import (
    Attempt,
    GateResult,
    Publication,
    RunReport,
    StageResult,
    StageState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console, Group
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.table import Table

_REFRESHES_PER_S = 8
_KEPT_CHARACTERS = 4096
_RICH = {"32": "green", "31": "red", "33": "yellow", "36": "cyan", "2": "dim"}


@dataclass(slots=True)
class _Row:
    began: float
    spinner: Spinner
    last: str = ""
    tail: str = field(default="", repr=False)


class _Forgiving:
    """A stream whose terminal may go away: then the run goes on without a listener."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class LiveObserver:
    """Shows the stages that run, each with its time and the last line that it printed.

    A run that has nothing to do never loads the display. A terminal that cannot move its cursor gets the
    lines of what has ended, and nothing more.

    Args:
        stream: A terminal.
        environ: Where `TERM` and the wish for colour are found.
        clock: Seconds that never jump.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = cast("TextIO", _Forgiving(sys.stderr if stream is None else stream))
        self._environ = os.environ if environ is None else environ
        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._total = self._ended = 0
        self._columns = 0
        self._console: Console | None = None
        self._live: Live | None = None

    def run_started(self, stages: tuple[str, ...], jobs: int) -> None:
        """Remember how many there are."""
        self._total = len(stages)
        self._columns = min(max(map(columns_of, stages), default=0), 30)

    def stage_started(self, name: str, why: str) -> None:
        """Show it among the running."""
        self._open()
        self._row(name).last = one_line(why)

    def stage_waiting(self, name: str, why: str) -> None:
        """Show what keeps it from starting."""
        self._open()
        self._row(name).last = one_line(why)

    def stage_output(self, name: str, text: str) -> None:
        """Show the last line."""
        row = self._rows.get(name)
        if row is None:
            return
        row.tail = (row.tail + text)[-_KEPT_CHARACTERS:]
        lines = [line for line in row.tail.replace("\r", "\n").splitlines() if line.strip()]
        if lines:
            row.last = one_line(lines[-1])

    def attempt_failed(self, name: str, attempt: Attempt, left: int) -> None:
        """Say so above the running ones."""
        what = one_line(attempt.problem) if attempt.problem else f"exit code {attempt.exit_code}"
        more = wording.count(left, "more attempt")
        self._print("!", name, f"attempt {attempt.number} failed: {what}; {more}", "yellow")

    def stage_finished(self, result: StageResult) -> None:
        """Move it up; a stage that had nothing to do is counted only."""
        self._ended += 1
        shown = self._rows.pop(result.name, None) is not None
        if not shown and result.state in (StageState.CACHED, StageState.SKIPPED):
            return
        symbol, word, colour = STATES[result.state]
        broken = result.state in wording.BROKEN
        text = f"{word:<9}  {wording.duration(result.wall_s):>9}  "
        text += wording.problem(result) if broken else wording.why(result)
        self._print(symbol, result.name, text, _RICH[colour])

    def gate_decided(self, result: GateResult) -> None:
        """Nothing: the summary lists the gates."""

    def published(self, publication: Publication) -> None:
        """Nothing: the summary lists what was published."""

    def note(self, text: str) -> None:
        """Say it above the running ones."""
        self._print("·", "", one_line(text), "dim")

    def run_finished(self, report: RunReport) -> None:
        """Take the display away."""
        self.close()

    def close(self) -> None:
        """Take the display away and give the cursor back; may be called again."""
        live, self._live = self._live, None
        if live is not None:
            atexit.unregister(self.close)
            live.stop()

    def _open(self) -> None:
        if self._console is not None:
            return
        from rich.console import Console
        from rich.live import Live

        style = style_of(self._stream, self._environ)
        self._console = Console(
            file=self._stream,
            no_color=not style.colour,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=False,
            safe_box=not style.unicode,
            _environ=dict(self._environ),
        )
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=_REFRESHES_PER_S,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            atexit.register(self.close)
            self._live.start()

    def _row(self, name: str) -> _Row:
        from rich.spinner import Spinner

        row = self._rows.get(name)
        if row is None:
            unicode = style_of(self._stream, self._environ).unicode
            spinner = Spinner("dots" if unicode else "line", style="cyan")
            row = self._rows[name] = _Row(self._clock(), spinner)
        return row

    def _print(self, symbol: str, name: str, text: str, colour: str) -> None:
        style = style_of(self._stream, self._environ)
        line = f"{style.cell(name, self._columns)}  {text}" if name else text
        line = " " + style.fit_line(line, style.width - 4)
        if self._console is None:
            self._stream.write(f"  {style.write(symbol)}{line}\n")
            return
        from rich.text import Text

        self._console.print(Text.assemble("  ", (style.write(symbol), colour), line))

    def _render(self) -> Group | Table:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1, 0, 0), expand=True)
        table.add_column(width=3, justify="right")
        table.add_column(min_width=self._columns, no_wrap=True)
        table.add_column(justify="right", no_wrap=True, min_width=9)
        style = style_of(self._stream, self._environ)
        # rich would end a cut line with a character that is not in ASCII
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis" if style.unicode else "crop")
        now = self._clock()
        for name, row in list(self._rows.items()):
            took = wording.duration(now - row.began)
            table.add_row(row.spinner, Text(name), Text(took), Text(style.write(row.last), style="dim"))
        done = f"  {self._ended} of {wording.count(self._total, 'stage')} done, {len(self._rows)} running"
        return Group(table, Text(done, style="dim"))
