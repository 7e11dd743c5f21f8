"""Stages that do something outside: a program of Penstock's, in its own locked environment.

The program reads a request and writes a receipt, see `penstock.programs`; nothing of it is ever reused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from penstock.plan import carrying
from penstock.plan.exchange import receipt_of
from penstock.plan.model import Environment, Output, Produced, Stage
from penstock.plan.recipes import PACKAGE

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


@cache
def _lock(tools: str) -> str:
    return (PACKAGE / "tools" / f"{tools}.txt").read_text(encoding="utf-8")
