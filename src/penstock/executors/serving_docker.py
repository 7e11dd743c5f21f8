"""Serving images by this machine's Docker daemon: made there, put together here, and tried there.

The daemon's own builder is not asked: it would write the time of day into the image.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from penstock import digest
from penstock.errors import ExecutorError, RefusedError
from penstock.executors import assemble, building, docker_environments, serving
from penstock.executors.bench import remove_tree
from penstock.executors.container import ENVIRONMENT
from penstock.executors.docker_daemon import PROJECT, Daemon, Image, connect
from penstock.executors.environments import Environments
from penstock.executors.image_layers import AssembleError
from penstock.executors.serving import MODEL, REPOSITORY, Description
from penstock.record import Record

_STOPPED = 409  # of the engine: the container does not run
_LOG_LINES = 400
_FORMAT = 2
_KEPT = 3
_TICKS, _TICK_S = 50, 0.2


class Built(Record, kw_only=False):
    """An image that passed its smoke test.

    Attributes:
        archive: `docker load` takes it, and it is an OCI layout.
        facts: `name`, `config` (digest of its configuration: the image's id), `manifest`, `size_bytes`,
            `layers`, `base`, `smoke`.
    """

    archive: Path
    facts: Mapping[str, Any]


async def build_and_test(
    description: Description,
    package: Path,
    environments: Environments,
    place: Path,
    *,
    project: str,
    environ: Mapping[str, str],
    on_wait: Callable[[str], None],
    keep: bool = False,
) -> Built:
    """Build an image of a package, start it without a network, and ask it about the example rows.

    Args:
        package: The directory that `programs.package_model` made.
        environments: Of the project, where its requirements are installed from.
        place: A directory for the archive, and for scratch files.
        project: For the labels of containers, so that a later run removes what is left.
        environ: Says which daemon.
        on_wait: Told what is waited for.
        keep: Whether the daemon keeps the image that passed, under `name`.

    Raises:
        RefusedError: The server does not start, or does not say what was judged; no image is left.
        PipelineError: The requirements do not determine what is installed.
        ExecutorError: There is no daemon, or the image cannot be built.
    """
    daemon = await to_thread.run_sync(_connected, environ)
    base = await to_thread.run_sync(daemon.pull, description.base, on_wait)
    derived = await docker_environments.derived(
        daemon, environments, description.environment, base, project=project, on_wait=on_wait
    )
    layers = await _layers(daemon, description, base, derived, environments, on_wait, project)
    archive = place / "image.tar"
    facts = await to_thread.run_sync(_finish, description, base, layers, package, archive)
    on_wait("trying the image")
    try:
        smoke = await try_image(daemon, description, archive, facts, project=project, keep=keep)
    except BaseException:
        archive.unlink()
        raise
    return Built(archive, {**facts, "smoke": smoke})


def _connected(environ: Mapping[str, str]) -> Daemon:
    try:
        return connect(environ)
    except ExecutorError as error:
        raise ExecutorError(
            f"an image of the model is built by Docker or Dagger: {error.what}",
            where="publish.image",
            notes=("start Docker, or publish with: dagger call publish",),
        ) from error


async def _layers(  # noqa: PLR0917 - what layers are made of
    daemon: Daemon,
    description: Description,
    base: Image,
    derived: Image,
    environments: Environments,
    on_wait: Callable[[str], None],
    project: str,
) -> Path:
    """The layers that models with the same environment share; made once, and the last few of them kept."""
    kept = environments.home / "serving"
    name = digest.of_json([_FORMAT, base.id, derived.id, description.epoch]).removeprefix(digest.PREFIX)[:32]
    async with building.alone(kept / name, on_wait):
        if not (kept / name / assemble.PREPARED).is_file():
            on_wait("making the layers of its base and its environment")
            scratch = kept / f"{name}.new"
            remove_tree(scratch)
            await to_thread.run_sync(_prepare, daemon, description, base, derived, scratch, project)
            remove_tree(kept / name)
            (scratch / "layers").rename(kept / name)
            remove_tree(scratch)
        (kept / name).touch()
        held = [each for each in kept.iterdir() if each.is_dir() and each.suffix != ".new"]
        for each in sorted(held, key=lambda each: each.stat().st_mtime)[:-_KEPT]:
            remove_tree(each)
    return kept / name


def _prepare(  # noqa: PLR0917 - it runs in a thread, which takes no names
    daemon: Daemon, description: Description, base: Image, derived: Image, scratch: Path, project: str
) -> None:
    scratch.mkdir(parents=True)
    with daemon.asked("the base image cannot be copied"):
        _save(daemon.api.get_image(base.id), scratch / "base.tar")
    _copy(daemon, derived, ENVIRONMENT, scratch / "environment.tar", project)
    with _explained(description):
        assemble.prepare(
            base=scratch / "base.tar",
            environment=scratch / "environment.tar",
            at=ENVIRONMENT,
            epoch=description.epoch,
            prepared=scratch / "layers",
        )


def _finish(
    description: Description, base: Image, layers: Path, package: Path, target: Path
) -> dict[str, Any]:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _explained(description):
            facts = assemble.finish(
                prepared=layers,
                package=package,
                at=MODEL,
                config=description.config(base.digest, base.path),
                epoch=description.epoch,
                repository=REPOSITORY,
                target=target,
            )
    except ExecutorError:
        remove_tree(layers)  # which may be damaged
        raise
    return {**facts, "base": {"name": description.base, "digest": base.digest}}


@contextmanager
def _explained(description: Description) -> Iterator[None]:
    try:
        yield
    except (AssembleError, OSError) as error:
        raise ExecutorError(
            f"the image cannot be put together: {error}", where=description.base, notes=("run again",)
        ) from error


def _save(blocks: Iterable[bytes], target: Path) -> None:
    with target.open("wb") as file:
        for block in blocks:
            file.write(block)


def _copy(daemon: Daemon, image: Image, path: str, target: Path, project: str) -> None:
    """Archive a directory of an image; the names in it begin with its own."""
    with daemon.asked(f"{path} of an image cannot be copied"):
        made = daemon.api.create_container(image.id, command="true", labels={PROJECT: project})
        try:
            blocks, _ = daemon.api.get_archive(made["Id"], path)
            _save(blocks, target)
        finally:
            daemon.remove(made["Id"])


async def try_image(
    daemon: Daemon,
    description: Description,
    archive: Path,
    facts: Mapping[str, Any],
    *,
    project: str,
    keep: bool,
) -> dict[str, Any]:
    """Start an image without a network, its files read-only, and ask it about the example rows.

    Args:
        facts: Of the image, as `assemble` gave them.
        project: For the label of the container.
        keep: Whether the daemon keeps an image that passes.

    Returns:
        `ready_s` (until the server answered), `rows`, `uid`, `writable`, `network`, `read_only`.

    Raises:
        RefusedError: It does not start, or does not say what was judged.
        ExecutorError: The daemon went away.
    """
    trial = _Trial(daemon, description, facts, project)
    passed = False
    try:
        await to_thread.run_sync(trial.start, archive)
        found = await to_thread.run_sync(trial.ask, abandon_on_cancel=True)
        smoke = serving.judge(found, description.example)
        passed = True
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(trial.remove, keep and passed)
    return {**smoke, "network": "none", "read_only": True}


class _Trial:
    """A container of an image that is tried."""

    def __init__(
        self, daemon: Daemon, description: Description, facts: Mapping[str, Any], project: str
    ) -> None:
        self.daemon, self.description, self.facts, self.project = daemon, description, facts, project
        self.container = ""

    def start(self, archive: Path) -> None:
        """Load the image and start its server."""
        api = self.daemon.api
        with self.daemon.asked("the image cannot be loaded", "free room: docker system df"):
            with archive.open("rb") as file:
                for line in api.load_image(file):
                    if "error" in line:
                        raise ExecutorError(f"the image cannot be loaded: {line['error']}", where="docker")
            made = api.create_container_from_config(self._config(), f"{REPOSITORY}-{secrets.token_hex(4)}")
            self.container = made["Id"]
            api.start(self.container)

    def _config(self) -> dict[str, Any]:
        return {
            "Image": self.facts["name"],
            "Labels": {PROJECT: self.project},
            "HostConfig": {
                "NetworkMode": "none",
                "ReadonlyRootfs": True,
                "Tmpfs": {"/tmp": ""},  # noqa: S108 - of the container
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "Init": False,
            },
        }

    def ask(self) -> dict[str, Any]:
        """What the server says of the example rows.

        Raises:
            RefusedError: It ended.
        """
        import docker.errors

        with self.daemon.asked("the image cannot be tried"):
            try:
                command = self.description.smoke_command()
                made = self.daemon.api.exec_create(self.container, command, stderr=True)
                said, problems = self.daemon.api.exec_start(made["Id"], demux=True)
            except docker.errors.APIError as error:
                if error.status_code != _STOPPED:
                    raise
                said = problems = None
            try:
                found: dict[str, Any] = json.loads(said or b"")
            except ValueError:
                told = (problems or b"it printed nothing").decode("utf-8", "replace").strip()
                raise self._ended() or serving.failed(
                    f"the server could not be asked: {told.splitlines()[-1]}"
                ) from None
        return found

    def _ended(self) -> RefusedError | None:
        """How the server ended, if it did; the daemon learns of it a moment after its container."""
        for _ in range(_TICKS):
            state = self.daemon.api.inspect_container(self.container)["State"]
            if not state["Running"]:
                log = self.daemon.api.logs(self.container, tail=_LOG_LINES).decode("utf-8", "replace")
                return serving.ended(log, state["ExitCode"], self.description.port)
            time.sleep(_TICK_S)
        return None

    def remove(self, keep: bool) -> None:  # noqa: FBT001 - it runs in a thread, which takes no names
        """Leave nothing of it but the image, if that is kept."""
        # or it would hide why the daemon could not be asked before; the next run tries again
        with suppress(ExecutorError):
            if self.container:
                self.daemon.remove(self.container)
            if not keep:
                with self.daemon.asked("an image cannot be removed"):
                    self.daemon.api.remove_image(self.facts["name"], force=True)
