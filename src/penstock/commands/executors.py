"""Which executor runs the stages, and on which hardware: `--executor`, `--accelerator`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from penstock.errors import ExecutorError, UsageError
from penstock.executors.base import Executor
from penstock.executors.opening import Opening
from penstock.plan.model import Overlay
from penstock.record import Record, replace

EXECUTORS: Mapping[str, str] = {
    "local": "penstock.executors.local",
    "docker": "penstock.executors.docker",
}
"""Modules with `open_executor(Opening)` and `has_gpu()`, imported when chosen."""
ACCELERATORS = ("cpu", "cuda", "auto")
_EXECUTOR = "PENSTOCK_EXECUTOR"
_ACCELERATOR = "PENSTOCK_ACCELERATOR"


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments that say where stages run."""
    group = parser.add_argument_group("where")
    group.add_argument("--executor", metavar="NAME", help=f"{', '.join(EXECUTORS)} (default: local)")
    group.add_argument(
        "--accelerator",
        metavar="NAME",
        help="what stages that can use it run on: cpu, cuda, or auto for cuda where there is a GPU"
        " (default: cpu)",
    )


class Choice(Record, kw_only=False):
    """Where stages run.

    Attributes:
        accelerator: One of `ACCELERATORS`.
    """

    executor: str
    accelerator: str

    @classmethod
    def of(cls, options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Choice:
        """What the command line says, or else the environment.

        Raises:
            UsageError: There is no such executor or accelerator.
        """
        executor = _chosen(options.executor, "--executor", environ.get(_EXECUTOR), _EXECUTOR, "local")
        accelerator = _chosen(
            options.accelerator, "--accelerator", environ.get(_ACCELERATOR), _ACCELERATOR, "cpu"
        )
        _demand(executor, "executor", EXECUTORS)
        _demand(accelerator, "accelerator", ACCELERATORS)
        return cls(executor=executor[0], accelerator=accelerator[0])

    @property
    def module(self) -> ModuleType:
        """The executor's."""
        return import_module(EXECUTORS[self.executor])

    def open(self, opening: Opening) -> Executor[Any]:
        """The executor, for a project."""
        executor: Executor[Any] = self.module.open_executor(opening)
        return executor

    def accelerated(self, overlay: Overlay) -> Overlay:
        """What is laid over the pipeline file, with the accelerator; for `auto`, the executor is asked.

        Raises:
            ExecutorError: The executor cannot be asked.
        """
        if self.accelerator != "auto":
            return replace(overlay, accelerator=self.accelerator)
        kind = "cuda" if self.module.has_gpu() else "cpu"
        return replace(overlay, accelerator=kind, accelerator_required=False)

    def demand_accelerator(self) -> None:
        """Raise before anything runs if stages cannot have the accelerator that was asked for.

        Raises:
            ExecutorError: There is no such device. A daemon that may have one is not asked: it tries.
        """
        if self.executor == "local" and self.accelerator == "cuda" and not self.module.has_gpu():
            raise ExecutorError(
                "there is no GPU on this machine: neither /dev/nvidiactl nor nvidia-smi",
                where="--accelerator cuda",
                notes=("install the NVIDIA driver, or let Penstock decide: --accelerator auto",),
            )


def _chosen(option: str | None, flag: str, value: str | None, variable: str, default: str) -> tuple[str, str]:
    """A value, and where it comes from."""
    if option is not None:
        return option, flag
    return (value, variable) if value else (default, flag)


def _demand(choice: tuple[str, str], what: str, known: Iterable[str]) -> None:
    value, where = choice
    if value not in known:
        remedy = f"choose one of {', '.join(known)}"
        if value == "dagger":  # whose engine calls Penstock, and not Penstock the engine
            remedy = "a Dagger engine runs the pipeline by: dagger call full-pipeline"
        raise UsageError(f"there is no {what} {value!r}", where=where, notes=(remedy,))
