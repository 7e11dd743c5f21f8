"""What a run is called, and what the command ends with."""

from __future__ import annotations

import os
import time
from collections.abc import Container

from penstock.errors import (
    EXIT_GATE_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_STAGE_FAILED,
    EXIT_TERMINATED,
    EXIT_TIMEOUT,
    EXIT_UNAVAILABLE,
    Interrupted,
)
from penstock.gates import policy
from penstock.results import PublicationState, RunReport, StageResult, StageState

_SIGTERM = 15


def new_run_id() -> str:
    """A name for a run: sorts by time, and two runs of one second differ."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(3).hex()}"


def exit_code(
    report: RunReport,
    on_inconclusive: str,
    interrupted: Interrupted | None = None,
    outside: Container[str] = (),
) -> int:
    """What the command ends with: an interruption, else failed stages, gates, publications, in this order.

    Gates that a selection of stages left without evidence are skipped, which fails nothing.

    Args:
        report: Of the run.
        on_inconclusive: What a gate that cannot decide does.
        interrupted: What stopped the run, if anything did.
        outside: Stages that work outside (`Stage.outside`): if a service is away, that is what is told.
    """
    if interrupted is not None:
        return EXIT_TERMINATED if interrupted.signal_number == _SIGTERM else EXIT_INTERRUPTED
    states = {stage.state for stage in report.stages}
    failed = [stage for stage in report.stages if stage.state is StageState.FAILED]
    if failed:
        away = all(each.name in outside and _ended_with(each) == EXIT_UNAVAILABLE for each in failed)
        return EXIT_UNAVAILABLE if away else EXIT_STAGE_FAILED
    if StageState.TIMED_OUT in states:
        return EXIT_TIMEOUT
    code = policy.exit_code(report.gates, on_inconclusive)
    if code == EXIT_OK:
        published = {each.state for each in report.publications}
        if PublicationState.REFUSED in published:
            return EXIT_GATE_FAILED
        if PublicationState.FAILED in published:
            return EXIT_UNAVAILABLE
    return code


def _ended_with(stage: StageResult) -> int | None:
    return stage.attempts[-1].exit_code if stage.attempts else None
