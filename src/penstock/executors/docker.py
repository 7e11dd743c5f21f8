"""The Docker executor: stages in containers of this machine's Docker daemon.

Trees, store, workspaces and outputs are the embedded executor's. A container shows the workspace at the path
that the sandbox shows it at, its inputs read-only, and nothing else of the machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anyio import to_thread

from penstock.cache.whole_source import WholeSource
from penstock.errors import ExecutorError
from penstock.executors import docker_environments
from penstock.executors.container import ENVIRONMENT, WORK, image_of
from penstock.executors.docker_container import Spec, bind, run_container
from penstock.executors.docker_daemon import PROJECT, Daemon, Image, connect
from penstock.executors.environments import Environments
from penstock.executors.host import COMMAND, Native, Ready
from penstock.executors.layout import Binding
from penstock.executors.local import LocalExecutor
from penstock.executors.observed import IN_CONTAINER
from penstock.executors.opening import Opening
from penstock.executors.process import Ended
from penstock.executors.sandbox import CAPABILITIES, HOME, TEMPORARY, Mount
from penstock.executors.serving_host import Builder, project_label
from penstock.executors.surroundings import certificates, surroundings
from penstock.executors.workspace import Workspace
from penstock.plan.model import Environment, Stage
from penstock.record import Record, field

_DEVICES = "CUDA_VISIBLE_DEVICES"


def open_executor(opening: Opening) -> LocalExecutor:
    """The executor of a project."""
    environments = Environments(opening.store.home, opening.root)
    return LocalExecutor(
        root=opening.root,
        store=opening.store,
        index=opening.index,
        overwrite=opening.overwrite,
        replaced=opening.replaced,
        observer=opening.observer,
        runs_on=Docker(environments),
        name="docker",
    )


def has_gpu() -> bool:
    """Whether stages can have a GPU.

    Raises:
        ExecutorError: There is no daemon that could be asked.
    """
    return connect(os.environ).has_gpu()


class Docker(Record, frozen=False, kw_only=False):
    """Runs processes in containers.

    Args:
        environ: Says which daemon, and which GPUs are meant for this run.
    """

    environments: Environments
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _daemon: Daemon | None = None
    _identities: dict[tuple[Environment, str], Mapping[str, str]] = field(default_factory=dict)
    _native: Native | None = None

    @property
    def native(self) -> Native:
        """What runs stages that work outside of their workspace."""
        if self._native is None:
            self._native = Native(self.environments)
        return self._native

    @property
    def daemon(self) -> Daemon:
        """The daemon, asked when it is first needed."""
        if self._daemon is None:
            self._daemon = connect(self.environ)
        return self._daemon

    @property
    def project(self) -> str:
        """What containers of this project are labelled with."""
        return project_label(self.environments)

    def identity(self, stage: Stage) -> Mapping[str, str]:
        """The image by its digest, and what is installed into it."""
        if stage.outside:
            return self.native.identity(stage)
        environment, name = stage.environment, image_of(stage)
        known = self._identities.get((environment, name))
        if known is None:
            known = {"platform": self.daemon.platform, "image": self.daemon.digest(name)}
            if self._derives(stage):
                known["requirements"] = self.environments.requirements(environment).digest
                if environment.python is not None:
                    known["python"] = environment.python
            self._identities[environment, name] = known
        return known

    def _derives(self, stage: Stage) -> bool:
        accelerated = stage.accelerator is not None and stage.accelerator.image is not None
        own_image = accelerated or stage.environment.image is not None
        return docker_environments.derives(stage.environment, own_image=own_image)

    async def prepare(self, stage: Stage, on_wait: Callable[[str], None]) -> Ready:
        """Pull the stage's image, and make the one with its environment, unless they are there."""
        if stage.outside:
            return await self.native.prepare(stage, on_wait)
        if stage.serving is not None:
            return Builder(stage, self.environments, on_wait)
        name = image_of(stage)
        expected = self.identity(stage)["image"]
        image = base = await to_thread.run_sync(self.daemon.pull, name, on_wait)
        if base.digest != expected:
            raise ExecutorError(
                f"image {name!r} became another one while the run began", where="docker", notes=("run again",)
            )
        if self._derives(stage):
            image = await docker_environments.derived(
                self.daemon,
                self.environments,
                stage.environment,
                base,
                project=self.project,
                on_wait=on_wait,
            )
        gpus = _gpus(stage, self.environ)
        return _Container(self.daemon, stage, image, self.project, gpus, self._derives(stage))

    def tidy(self) -> None:
        """Remove the containers of runs that were killed."""
        self.daemon.remove_containers(self.project)


class _Container(Record, kw_only=False):
    """Runs a stage's command in a container."""

    daemon: Daemon
    stage: Stage
    image: Image
    project: str
    gpus: Mapping[str, Any] | None
    derived: bool

    def workspace(
        self, work: Path, bindings: Sequence[Binding], whole: WholeSource | None = None
    ) -> Workspace:
        return Workspace.make(work, self.stage, bindings, sandbox=None, contained=True, whole=whole)

    async def run(
        self, workspace: Workspace, secrets: Mapping[str, str], on_output: Callable[[bytes], None]
    ) -> Ended:
        usage = workspace.bench.new("usage")
        try:
            usage.touch()
            return await run_container(
                self.daemon,
                self._spec(workspace, secrets, usage),
                timeout_s=self.stage.timeout_s,
                on_output=on_output,
            )
        finally:
            usage.unlink(missing_ok=True)

    def _spec(self, workspace: Workspace, secrets: Mapping[str, str], usage: Path) -> Spec:
        command, observed = [*COMMAND, self.stage.run], workspace.observed
        if observed is not None:
            command = observed.in_container(command)
        uid, gid = (0, 0) if self.daemon.rootless else (os.geteuid(), os.getegid())
        return Spec(
            name="penstock-" + re.sub(r"[^A-Za-z0-9_.-]", "-", self.stage.name),
            image=self.image.id,
            command=command,
            user=f"{uid}:{gid}",
            groups=[] if self.daemon.rootless else sorted(str(each) for each in {*os.getgroups()} - {gid}),
            labels={PROJECT: self.project},
            variables=self._variables(),
            hidden=secrets,
            mounts=[
                bind(workspace.temporary, TEMPORARY, read_only=False),
                bind(workspace.layout.top, WORK, read_only=False),
                *(_mount(each) for each in workspace.layout.mounts if each.kind != "remount-ro"),
                *(bind(os.path.realpath(path), path) for path in certificates()),
                *([bind(observed.folder, IN_CONTAINER, read_only=False)] if observed is not None else []),
            ],
            directory=WORK,
            capabilities=CAPABILITIES if uid == 0 else (),
            gpus=self.gpus,
            usage=usage,
        )

    def _variables(self) -> dict[str, str]:
        own = {"VIRTUAL_ENV": ENVIRONMENT} if self.derived else {}
        return surroundings(
            bin_dirs=[Path(ENVIRONMENT, "bin")] if self.derived else [],
            home=HOME,
            temporary=TEMPORARY,
            variables={**own, **dict(self.stage.variables)},
            secrets={},  # they come another way: the engine tells everybody a container's variables
            system_path=self.image.path,
        )


def _mount(mount: Mount) -> dict[str, Any]:
    if mount.kind == "tmpfs":  # it covers what must not be seen
        return {"Type": "tmpfs", "Target": mount.target, "ReadOnly": True, "TmpfsOptions": {"Mode": 0o555}}
    if mount.source is None or mount.kind != "ro-bind":
        raise AssertionError(mount)
    return bind(mount.source, mount.target)


def _gpus(stage: Stage, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """The device request of a stage: any GPUs, or the first of those that are meant for this run."""
    if stage.accelerator is None:
        return None
    request = {"Driver": "", "Capabilities": [["gpu"]], "Options": {}}
    named = environ.get(_DEVICES)
    if named is None:
        return {**request, "Count": stage.accelerator.gpus}
    devices = [each.strip() for each in named.split(",") if each.strip()]
    if len(devices) < stage.accelerator.gpus:
        raise ExecutorError(
            f"{stage.accelerator.gpus} GPUs are wanted, and {_DEVICES}={named!r} names {len(devices)}",
            where=f"stage {stage.name!r}",
            notes=(f"let {_DEVICES} name more, or ask for fewer: accelerator.cuda.gpus",),
        )
    return {**request, "DeviceIDs": devices[: stage.accelerator.gpus]}
