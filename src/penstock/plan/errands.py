"""Stages that do something outside: a program of Penstock's, in its own locked environment.

The program reads a request and writes a receipt, see `penstock.programs`; nothing of it is ever reused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from penstock.plan import carrying
from penstock.plan.model import Environment, Output, Plan, Produced, Stage
from penstock.plan.recipes import PACKAGE, REPORTS

RECEIPTS = f"{REPORTS}/receipts"
PATIENCE_S = 1800.0
"""Programs give up much sooner when a service does not answer; this bounds what a large upload may take."""


def errand(
    name: str,
    program: str,
    request: Mapping[str, object],
    *,
    tools: str,
    produced: Sequence[Produced] = (),
    outputs: Sequence[str] = (),
    passes: Sequence[str] = (),
    secrets: Sequence[str] = (),
    files: Sequence[tuple[str, str]] = (),
    line: int = 0,
) -> Stage:
    """A stage that runs a program outside.

    Args:
        name: Unique in its plan; its receipt is called so.
        program: Package below `penstock.programs`.
        request: JSON values; `receipt` is added.
        tools: The environment: a lock file in `plan/tools`, without its suffix.
        produced: What it reads of other stages.
        outputs: Beside the receipt.
        passes: Variables that it gets if they are set.
        secrets: That it must have.
        files: (path, text) of further files that it finds.
        line: Of the pipeline file.
    """
    receipt = receipt_of(name)
    made = (*carrying.files(program, {**request, "receipt": receipt}), *files)
    return Stage(
        name=name,
        run=f"{carrying.command(program)}\n",
        produced=tuple(sorted(produced, key=lambda item: item.path)),
        outputs=tuple(Output(path) for path in sorted({receipt, *outputs})),
        files=tuple(sorted(made)),
        secrets=tuple(sorted(secrets)),
        environment=Environment(extra_requirements=_lock(tools)),
        cache=False,
        timeout_s=PATIENCE_S,
        outside=True,
        passes=tuple(passes),
        uses=program,
        line=line,
    )


def receipt_of(name: str) -> str:
    """Where the receipt of an errand is."""
    return f"{RECEIPTS}/{name}.json"


def request_of(stage: Stage) -> dict[str, Any]:
    """What an errand's program is asked."""
    request: dict[str, Any] = json.loads(dict(stage.files)[carrying.REQUEST])
    return request


def tracking_uri(plan: Plan) -> str | None:
    """The registry that a pipeline publishes to, if it names one."""
    published = [each.stage for each in plan.deliveries if each.kind == "mlflow"]
    return request_of(published[0])["tracking_uri"] if published else None


@cache
def _lock(tools: str) -> str:
    return (PACKAGE / "tools" / f"{tools}.txt").read_text(encoding="utf-8")
