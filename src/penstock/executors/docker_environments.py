"""Environments in containers: an image with what a lock file says, made once from the stage's own image.

The machine's `uv` installs it, in a container of that image. The image gets its name when all is in it, so
one that is half made is never found.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from anyio import to_thread

from penstock import digest
from penstock.errors import ExecutorError
from penstock.executors import building
from penstock.executors.container import ENVIRONMENT
from penstock.executors.docker_container import Spec, bind, run_container
from penstock.executors.docker_daemon import ENVIRONMENT as LABEL
from penstock.executors.docker_daemon import PROJECT, Daemon, Image
from penstock.executors.environments import Environments
from penstock.executors.requirements import Requirements
from penstock.executors.surroundings import PASSED_ON, certificates
from penstock.plan.model import Environment

REPOSITORY = "penstock-env"
CACHE = "penstock-uv"
"""The volume that keeps what `uv` downloads; its files are root's, so it is no directory of the store."""
_NO_UV = 96
_NO_PYTHON = 97
_SAYS = b"penstock: "

_SCRIPT = f"""\
uv=/penstock/uv wanted=$1
"$uv" --version || uv=$(command -v uv) || exit {_NO_UV}
python=$(command -v python3 || command -v python || :)
if [ -n "$wanted" ]; then
    found=$(UV_PYTHON_DOWNLOADS=never "$uv" python find --system --no-project "$wanted" 2>/dev/null || :)
    [ -n "$found" ] || echo "{_SAYS.decode()}the image has no Python $wanted; uv fetches one"
    python=${{found:-$wanted}}
fi
[ -n "$python" ] || exit {_NO_PYTHON}
"$uv" venv --quiet --no-project --python "$python" {ENVIRONMENT}
shift
if [ $# -gt 0 ]; then
    "$uv" pip install --link-mode copy --compile-bytecode --no-progress --python {ENVIRONMENT}/bin/python "$@"
fi
"""
# they are about this machine's own environments and directories
_KEPT_HERE = ("UV_CACHE_DIR", "UV_PYTHON", "UV_PROJECT", "UV_TOOL", "UV_CONFIG", "UV_WORKING", "UV_ENV_FILE")


def derives(environment: Environment, *, own_image: bool) -> bool:
    """Whether anything must be added to a stage's image.

    Args:
        own_image: Whether the pipeline names the image; else it is that of the Python that is asked for.
    """
    installs = environment.requirements is not None or bool(environment.extra_requirements)
    return installs or (environment.python is not None and own_image)


def tag_of(base: Image, python: str | None, wanted: Requirements) -> str:
    """The name of the image that an environment is installed into."""
    name = digest.of_json(["image", base.digest, base.id, python, wanted.digest])
    return f"{REPOSITORY}:{name.removeprefix(digest.PREFIX)[:32]}"


async def derived(
    daemon: Daemon,
    environments: Environments,
    environment: Environment,
    base: Image,
    *,
    project: str,
    on_wait: Callable[[str], None],
) -> Image:
    """The image of an environment, made if it is not there.

    Args:
        project: For the label of the container that makes it.

    Raises:
        PipelineError: A requirements file is missing, or does not determine what is installed.
        ExecutorError: It cannot be made; the last lines of `uv` say why.
    """
    wanted = environments.requirements(environment)
    tag = tag_of(base, environment.python, wanted)
    found = await to_thread.run_sync(daemon.find, tag)
    if found is None:
        async with building.alone(environments.place / tag.replace(":", "-"), on_wait):
            found = await to_thread.run_sync(daemon.find, tag)
            if found is None:
                on_wait(f"installing its environment, {building.named(environment)}")
                await _Build(daemon, environments, environment, wanted, on_wait).make(base, tag, project)
                found = await to_thread.run_sync(daemon.find, tag)
    if found is None:
        raise ExecutorError(
            f"image {tag!r} was removed while it was being used", where="docker", notes=("run again",)
        )
    return found


class _Build:
    def __init__(
        self,
        daemon: Daemon,
        environments: Environments,
        environment: Environment,
        wanted: Requirements,
        on_wait: Callable[[str], None],
    ) -> None:
        self.daemon = daemon
        self.environments = environments
        self.environment = environment
        self.wanted = wanted
        self.on_wait = on_wait
        self.said = bytearray()

    async def make(self, base: Image, tag: str, project: str) -> None:
        variables = building.uv_variables(self.environments.home)
        with tempfile.TemporaryDirectory(prefix="building-", dir=self.environments.place) as scratch:
            spec = self._spec(base, Path(scratch), variables, project)
            keep = partial(self._keep, tag=tag)
            ended = await run_container(
                self.daemon, spec, timeout_s=None, on_output=self._hear, on_success=keep
            )
        if ended.exit_code:
            raise self._failed(ended.exit_code)

    def _spec(self, base: Image, scratch: Path, variables: Mapping[str, str], project: str) -> Spec:
        (scratch / "usage").touch()
        (scratch / "requirements.txt").write_text("\n".join((*self.wanted.installable, "")), "utf-8")
        (scratch / "constraints.txt").write_text("\n".join((*self.wanted.constraints, "")), "utf-8")
        options = ["-r", "/penstock/wanted/requirements.txt"] if self.wanted.lines else []
        options += ["-c", "/penstock/wanted/constraints.txt"] if options and self.wanted.constraints else []
        source = (self.environments.root / (self.environment.requirements or "")).parent
        return Spec(
            name=f"{REPOSITORY}-build",
            image=base.id,
            command=("/bin/sh", "-euc", _SCRIPT, "sh", self.environment.python or "", *options),
            user="0:0",
            labels={PROJECT: project},
            hidden=_hidden(variables),  # an index's address can hold a password
            mounts=[
                bind(building.find_uv(), "/penstock/uv"),
                bind(scratch, "/penstock/wanted"),
                bind(source, "/penstock/source"),
                {"Type": "volume", "Source": CACHE, "Target": "/penstock/cache"},
                *(bind(path, path) for path in self._shared(variables)),
                *_settings(variables),
            ],
            directory="/penstock/source",  # settings of uv may lie beside the lock file
            writable=True,
            usage=scratch / "usage",
        )

    def _shared(self, variables: Mapping[str, str]) -> list[str]:
        """Directories of packages, and certificates, that are read at the machine's own paths."""
        lines = [
            line.split(maxsplit=1)[1] for line in self.wanted.installable if line.startswith("--find-links ")
        ]
        named = [*lines, *variables.get("UV_FIND_LINKS", "").split(","), *certificates()]
        return sorted({path for path in named if path.startswith("/") and Path(path).exists()})

    def _hear(self, data: bytes) -> None:
        self.said += data
        for line in data.splitlines():
            if line.startswith(_SAYS):
                self.on_wait(line.removeprefix(_SAYS).decode("utf-8", "replace"))

    def _keep(self, container: str, *, tag: str) -> None:
        repository, _, name = tag.partition(":")
        # the container's project is not the image's: any may use it
        changes = [f"LABEL {LABEL}={name}", f'LABEL {PROJECT}=""', "ENTRYPOINT []", 'CMD ["/bin/sh"]']
        with self.daemon.asked(f"image {tag!r} could not be kept", "free room: docker system df"):
            self.daemon.api.commit(container, repository=repository, tag=name, changes=changes)

    def _failed(self, code: int) -> ExecutorError:
        name = self.environment.requirements or "environment"
        lines = bytes(self.said).decode("utf-8", "replace").splitlines()
        if code == _NO_UV:
            return ExecutorError(
                f"the environment for {name!r} cannot be built: uv of this machine does not run in the image",
                where="docker",
                notes=(
                    *lines[:1],
                    "choose an image with glibc, or one that has a uv of its own: environment.image",
                ),
            )
        if code == _NO_PYTHON:
            return ExecutorError(
                f"the environment for {name!r} cannot be built: the image has no Python",
                where="docker",
                notes=("say which is wanted, and uv fetches it: environment.python",),
            )
        return building.failed(f"the environment for {name!r} cannot be built", lines)


def _hidden(variables: Mapping[str, str]) -> dict[str, str]:
    chosen = {
        name: value
        for name, value in variables.items()
        if name in PASSED_ON or (name.startswith("UV_") and not name.startswith(_KEPT_HERE))
    }
    return {
        **chosen,
        "HOME": "/tmp",  # noqa: S108 - of the container
        "UV_CACHE_DIR": "/penstock/cache",
        "UV_PYTHON_INSTALL_DIR": "/penstock/python",
        "UV_PYTHON_DOWNLOADS": "automatic",
        "XDG_CONFIG_HOME": "/penstock/config",
    }


def _settings(variables: Mapping[str, str]) -> list[dict[str, object]]:
    """The caller's own settings of uv, which name indexes."""
    home = variables.get("XDG_CONFIG_HOME") or f"{variables.get('HOME', '')}/.config"
    file = Path(home, "uv", "uv.toml")
    with suppress(OSError):
        if file.is_file():
            return [bind(os.path.realpath(file), "/penstock/config/uv/uv.toml")]
    return []
