"""Do one errand by itself: a program outside of any run, on whatever executor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from penstock import digest
from penstock.errors import EXIT_UNAVAILABLE, ExecutorError, PenstockError, RefusedError, UsageError
from penstock.executors.base import Emit, Executor, Outcome, Request
from penstock.plan.exchange import receipt_of
from penstock.plan.model import Stage
from penstock.runner.conclude import new_run_id
from penstock.runner.secrets import load_passed

T = TypeVar("T")

UNUSABLE, REFUSED = 2, 3
"""How programs end, see `programs.common.program`."""


async def perform(
    executor: Executor[T],
    stage: Stage,
    environ: Mapping[str, str],
    secrets: Mapping[str, bytes],
    emit: Emit = lambda _text: None,
) -> tuple[Mapping[str, Any], Outcome[T]]:
    """Run an errand once; gives its receipt and all that it wrote.

    Args:
        environ: Where what it passes on is looked up.
        secrets: Values of those that it declares.
        emit: Takes what it prints.

    Raises:
        UsageError, RefusedError, ExecutorError: The program says so, in one sentence.
        PenstockError: It failed otherwise.
    """
    variables, hidden = load_passed(stage, environ)
    run_id = new_run_id()
    tree = await executor.merge([])
    request = Request(
        stage=stage,
        tree=tree,
        parts=(),
        key=digest.of_bytes(f"errand {run_id}".encode()),  # of nothing that could be asked for again
        run_id=run_id,
        secrets={**hidden, **secrets},
        variables=variables,
        emit=emit,
    )
    async with executor.session():
        outcome = await executor.run(request)
        if outcome.tree is None:
            raise failure(outcome)
        receipt: Mapping[str, Any] = json.loads(await executor.read(outcome.tree, receipt_of(stage.name)))
    return receipt, outcome


def failure(outcome: Outcome[T]) -> PenstockError:
    """What went wrong in an errand that failed, as the error of its family."""
    last = outcome.attempts[-1]
    sentence = said(last.log) or outcome.problem or "it failed"
    families = {UNUSABLE: UsageError, REFUSED: RefusedError, EXIT_UNAVAILABLE: ExecutorError}
    return families.get(last.exit_code, PenstockError)(sentence)


def said(log: str) -> str:
    """The last thing that a program printed: its error, if it failed."""
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
