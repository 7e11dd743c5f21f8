"""Containers that stages run in under Dagger: the image, the environment from the lock file, and the GPU."""

from __future__ import annotations

import posixpath
import re
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import dagger
from anyio import to_thread
from dagger import dag

from penstock.errors import ExecutorError
from penstock.executors import building
from penstock.executors.carried import RUNTIME
from penstock.executors.container import DAGGER, ENVIRONMENT, RUNTIME_IMAGE, image_of
from penstock.executors.dagger_tree import LIBRARY, Courier, literal
from penstock.executors.environments import Environments
from penstock.executors.requirements import Requirements
from penstock.plan.model import Environment, Stage
from penstock.record import Record, field
from penstock.results import Accelerator

UV_IMAGE = "ghcr.io/astral-sh/uv:0.10.3"  # the one that the engine itself sets up modules of Python with
_UV = "/penstock/uv"
_CACHE = "/penstock/uv-cache"
_PROJECT = "/penstock/project"
_REQUIREMENTS = "/penstock/requirements.txt"
_CONSTRAINTS = "/penstock/constraints.txt"
_LAST_LINES = 12
SETTINGS = ("pyproject.toml", "uv.toml")
_HERE = re.compile(rf"{re.escape(_PROJECT)}/\S+")
_TABLES = ("[tool.uv]", "[tool.uv.", "[[tool.uv.")
_INSTALL = f"""\
{_UV} venv --quiet --no-project ${{1:+--python "$1"}} {ENVIRONMENT}
{_UV} pip install --link-mode copy --compile-bytecode --no-progress --python {ENVIRONMENT}/bin/python \\
  -r {_REQUIREMENTS} ${{2:+-c "$2"}}
"""
GPU_ENGINE = (
    "docker run --detach --privileged --gpus all --env _EXPERIMENTAL_DAGGER_GPU_SUPPORT=true"
    f" registry.dagger.io/engine:{DAGGER}-gpu"
)
_NO_GPU = "GPU support is not enabled"
_NO_SHELL = re.compile(r"fork/exec /(?:bin/sh|penstock/lib/launch): no such file")


@contextmanager
def asking(what: str, where: str | None = None) -> Iterator[None]:
    """Make one error of Penstock's of whatever the engine may answer.

    Args:
        what: What could not be done, if it answers so.

    Raises:
        ExecutorError: It did.
    """
    try:
        yield
    except dagger.ExecError as error:
        said = _printed(error) or answer(error)
        lines = [line for line in said.splitlines() if line.strip()]
        raise _refused("\n".join(lines[-_LAST_LINES:]), what, where) from error
    except dagger.QueryError as error:
        raise _refused(answer(error), what, where) from error
    except dagger.DaggerError as error:
        raise ExecutorError(
            f"{what}: the engine cannot be reached", where=where, notes=(str(error).splitlines()[0],)
        ) from error


def _printed(error: dagger.ExecError) -> str:
    return f"{error.stdout}\n{error.stderr}".strip()


def answer(error: dagger.QueryError) -> str:
    """What the engine says, without the address of its trace."""
    return str(error).split(" [traceparent:")[0]


def _refused(said: str, what: str, where: str | None) -> ExecutorError:
    if _NO_GPU in said:
        return ExecutorError(
            "the stage asks for a GPU, and this Dagger engine was started without GPU support",
            where=where,
            notes=(
                f"start one with it: {GPU_ENGINE}",
                "or run on the CPU: --accelerator cpu",
            ),
        )
    if _NO_SHELL.search(said):
        return ExecutorError(
            "its image has no /bin/sh, which runs the commands of stages and sets up their environments",
            where=where,
            notes=("name another image under `environment`",),
        )
    return ExecutorError(what, where=where, notes=tuple(said.splitlines()[:_LAST_LINES]))


class Images(Record, frozen=False):
    """The containers of a plan's stages, each made once.

    Args:
        source: The pipeline's root, for packages that lie there.
        root: Where its requirements files are on this disk.
        courier: Brings files to the engine.
    """

    source: dagger.Directory
    root: Path
    courier: Courier
    _references: dict[str, str] = field(default_factory=dict)
    _ready: dict[tuple[str, Environment], dagger.Container] = field(default_factory=dict)
    _locks: dict[object, anyio.Lock] = field(default_factory=dict)
    _environments: Environments | None = None
    _platform: str = ""

    async def identity(self, stage: Stage) -> Mapping[str, str]:
        """The image by digest, and what is installed in it.

        Raises:
            ExecutorError: The image cannot be had.
            PipelineError: The requirements are not determined.
        """
        if not self._platform:
            with asking("the Dagger engine does not answer"):
                self._platform = await dag.default_platform()
        known = {"platform": self._platform, "image": await self.reference(image_of(stage))}
        environment = stage.environment
        if environment.python:
            known["python"] = environment.python
        if environment.requirements or environment.extra_requirements:
            known["requirements"] = (await self._requirements(environment)).digest
        return known

    async def reference(self, image: str) -> str:
        """The image's name with its digest.

        Raises:
            ExecutorError: It cannot be had.
        """
        async with self._lock(image):
            if image not in self._references:
                with asking(f"image {image!r} cannot be had"):
                    self._references[image] = await dag.container().from_(image).image_ref()
            return self._references[image]

    def _lock(self, what: object) -> anyio.Lock:
        return self._locks.setdefault(what, anyio.Lock())

    async def _requirements(self, environment: Environment) -> Requirements:
        if self._environments is None:
            self._environments = Environments(self.root / ".penstock" / "home", self.root)
        # a lock file of uv's own is turned into requirements by a program
        return await to_thread.run_sync(self._environments.requirements, environment)

    async def container(self, stage: Stage, library: dagger.Directory) -> dagger.Container:
        """The container that a stage's command runs in, with its environment installed.

        Args:
            library: What runs the command there, see `in_container`.

        Raises:
            ExecutorError: The image cannot be had, or the environment not be built.
        """
        reference = await self.reference(image_of(stage))
        key = (reference, stage.environment)
        async with self._lock(key):
            if key not in self._ready:
                base = dag.container().from_(reference).with_user("0:0")
                if stage.environment.declared:
                    base = await self._installed(base, stage.environment)
                runtime = dag.container().from_(RUNTIME_IMAGE).rootfs()
                base = base.with_mounted_directory(RUNTIME, runtime, read_only=True)
                with asking(f"image {reference!r} cannot be had"):
                    # once, so that what follows is asked of something that the engine has
                    self._ready[key] = await base.with_mounted_directory(
                        LIBRARY, library, read_only=True
                    ).sync()
        return _with_gpus(self._ready[key], stage.accelerator)

    async def equipped(self, image: str, environment: Environment) -> dagger.Container:
        """An image with an environment installed, and nothing of Penstock.

        Raises:
            ExecutorError: The image cannot be had, or the environment not be built.
        """
        base = dag.container().from_(await self.reference(image)).with_user("0:0")
        return await self._installed(base, environment)

    async def _installed(self, base: dagger.Container, environment: Environment) -> dagger.Container:
        wanted = await self._requirements(environment)
        placed = (line.replace(str(self.root), _PROJECT) for line in wanted.installable)
        text = _HERE.sub(lambda found: posixpath.normpath(found[0]), "\n".join((*placed, "")))
        folder = posixpath.dirname(environment.requirements or "")
        container = (
            base.with_mounted_file(_UV, dag.container().from_(UV_IMAGE).file("/uv"))
            .with_mounted_cache(_CACHE, dag.cache_volume("penstock-uv"))
            .with_env_variable("UV_CACHE_DIR", _CACHE)
            .with_file(_REQUIREMENTS, self.courier.file(text.encode()))
            .with_mounted_directory(_PROJECT, self._project(folder, text))
            .with_workdir(posixpath.join(_PROJECT, folder))
        )
        limits = ""
        if wanted.constraints:
            limits = _CONSTRAINTS
            lines = (*wanted.constraints, "")
            container = container.with_file(limits, self.courier.file("\n".join(lines).encode()))
        command = ["/bin/sh", "-euc", _INSTALL, "install", environment.python or "", limits]
        failure = f"the environment for {building.named(environment)!r} cannot be built"
        with asking(failure, "uv"):
            try:
                container = await container.with_exec(command).sync()
            except dagger.ExecError as error:
                said = _printed(error)
                if not said:  # it was not uv that failed
                    raise
                raise building.failed(failure, said.splitlines()) from error
        container = container.without_mount(_UV).without_mount(_CACHE).without_mount(_PROJECT)
        return container.without_env_variable("UV_CACHE_DIR").without_workdir()

    def _project(self, folder: str, requirements: str) -> dagger.Directory:
        """What `uv` needs of the project besides: its settings, and packages that lie there.

        No more than that, for a stage runs again when its environment is made anew.
        """
        places = [posixpath.relpath(path, _PROJECT) for path in _HERE.findall(requirements)]
        settings = {name: text for name in SETTINGS if (text := _settings(self.root / folder / name))}
        for text in settings.values():
            links = _uv_of(text).get("find-links", [])
            places += [
                posixpath.normpath(posixpath.join(folder, link)) for link in links if "://" not in link
            ]
        directory = self.source.filter(include=literal(places)) if places else dag.directory()
        for name, text in settings.items():
            directory = directory.with_new_file(posixpath.join(folder, name), text)
        return directory


def _settings(place: Path) -> str | None:
    """What a file says to `uv`: the settings of a `pyproject.toml`, and not what changes more often."""
    try:
        text = place.read_text("utf-8")
        if place.name != "pyproject.toml":
            return text
        kept, mine = [], False
        for line in text.splitlines():
            mine = line.strip().startswith(_TABLES) if line.lstrip().startswith("[") else mine
            kept += [line] if mine else []
        chosen = "".join(f"{line}\n" for line in kept)
        same = _uv_of(chosen) == _uv_of(text)
    except (OSError, ValueError):
        return None
    return chosen if same else text


def _uv_of(text: str) -> dict[str, Any]:
    """The settings in a `pyproject.toml`, or in a `uv.toml`, which holds nothing else."""
    whole = tomllib.loads(text)
    if {"project", "tool", "build-system"}.isdisjoint(whole):
        return whole
    found: dict[str, Any] = whole.get("tool", {}).get("uv", {})
    return found


def _with_gpus(container: dagger.Container, accelerator: Accelerator | None) -> dagger.Container:
    if accelerator is None:
        return container
    return container.experimental_with_gpu([str(number) for number in range(accelerator.gpus)])


async def has_gpu() -> bool:
    """Whether the engine gives a container a GPU; asked anew every time."""
    container = (
        dag.container()
        .from_(RUNTIME_IMAGE)
        .experimental_with_gpu(["0"])
        .with_env_variable("ASKED_AT", str(time.time()))
        .with_exec(["/bin/sh", "-c", "nvidia-smi --list-gpus >&2"])
    )
    try:
        await container.sync()
    except dagger.QueryError:
        return False
    return True
