"""The stage that builds the image of `publish: image`: on this machine it is Docker that does it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock import digest
from penstock.errors import EXIT_GATE_FAILED, RefusedError
from penstock.executors import serving, serving_docker
from penstock.executors.container import image_of
from penstock.executors.environments import Environments
from penstock.executors.process import Ended
from penstock.executors.workspace import Workspace
from penstock.plan.model import Stage
from penstock.record import Record
from penstock.results import Usage

if TYPE_CHECKING:
    from penstock.cache.whole_source import WholeSource
    from penstock.executors.layout import Binding


class Builder(Record, kw_only=False):
    """Builds and tries an image instead of running a command."""

    stage: Stage
    environments: Environments
    on_wait: Callable[[str], None]

    def workspace(
        self, work: Path, bindings: Sequence[Binding], whole: WholeSource | None = None
    ) -> Workspace:
        """The package and nothing else."""
        return Workspace.make(work, self.stage, bindings, sandbox=None, whole=whole)

    async def run(
        self, workspace: Workspace, secrets: Mapping[str, str], on_output: Callable[[bytes], None]
    ) -> Ended:
        """Write the image's archive and its facts; an image that fails its smoke test fails the stage.

        Raises:
            ExecutorError: There is no Docker, or it cannot build.
        """
        del secrets  # nothing of them may be in an image
        wanted, began = self.stage.serving, time.monotonic()
        if wanted is None:
            raise TypeError(self.stage)
        package, place = workspace.layout.top / wanted.package, workspace.layout.top / wanted.result
        described = serving.described(
            serving.read_package(package), image=image_of(self.stage), port=wanted.port, labels=wanted.labels
        )
        code = 0
        try:
            built = await serving_docker.build_and_test(
                described,
                package,
                self.environments,
                place,
                project=project_label(self.environments),
                environ=os.environ,
                on_wait=self.on_wait,
            )
            facts = json.dumps(dict(built.facts), indent=1, sort_keys=True) + "\n"
            (workspace.layout.top / wanted.facts).write_text(facts, encoding="utf-8")
            on_output(serving.told(built.facts).encode())
        except RefusedError as error:
            on_output(f"{error.what}\n".encode())
            code = EXIT_GATE_FAILED
        usage = Usage(wall_s=time.monotonic() - began, cpu_s=0.0, peak_memory_bytes=0)
        return Ended(exit_code=code, timed_out=False, usage=usage)


def project_label(environments: Environments) -> str:
    """What containers of a project are labelled with."""
    return digest.of_json(os.path.realpath(environments.root)).removeprefix(digest.PREFIX)[:32]
