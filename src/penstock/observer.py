"""What a run tells whoever listens, as it happens."""

from __future__ import annotations

from typing import Protocol

from penstock.results import Attempt, GateResult, Publication, RunReport, StageResult


class Observer(Protocol):
    """Hears of everything that happens in a run, in order; called from one thread only.

    Texts have their secrets masked already. An observer never raises for what it is told.
    """

    def run_started(self, stages: tuple[str, ...], jobs: int) -> None:
        """A run of these stages begins."""

    def stage_started(self, name: str, why: str) -> None:
        """A stage's command is about to run; `why` is one clause."""

    def stage_waiting(self, name: str, why: str) -> None:
        """A stage cannot start yet, for a reason that may take long: `installing its environment`."""

    def stage_output(self, name: str, text: str) -> None:
        """A stage printed this; lines may be cut anywhere."""

    def attempt_failed(self, name: str, attempt: Attempt, left: int) -> None:
        """An attempt failed and `left` more will be made."""

    def stage_finished(self, result: StageResult) -> None:
        """A stage has ended, in whatever state."""

    def gate_decided(self, result: GateResult) -> None:
        """A gate has its verdict."""

    def published(self, publication: Publication) -> None:
        """Something was, or was not, published."""

    def note(self, text: str) -> None:
        """Something worth a line: hashing a large file, a damaged entry set aside."""

    def run_finished(self, report: RunReport) -> None:
        """The run is over and its reports are written."""

    def close(self) -> None:
        """Nothing more will come, also after an error; to be called again does no harm."""
