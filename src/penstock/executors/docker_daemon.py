"""The Docker daemon: reaching it, its images, and what it says when something goes wrong, in our words.

The only module that imports `docker`, which takes a quarter of a second.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from anyio import from_thread

from penstock.errors import ExecutorError
from penstock.record import Record, field

TIMEOUT_S = 600
"""For one answer: a commit of an image of many gigabytes takes minutes."""
PROJECT = "penstock.project"
"""The label of every container of ours: whose it is."""
ENVIRONMENT = "penstock.environment"
"""The label of every image that is made from a lock file."""
TOOLKIT = (
    "sudo apt-get install -y nvidia-container-toolkit && sudo nvidia-ctk runtime configure --runtime=docker"
    " && sudo systemctl restart docker"
)
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TELL_EVERY_S = 10.0
_LOCAL_HOSTS = frozenset({"", "localhost", "127.0.0.1", "::1"})
_INSTEAD = "or let this machine run the stages itself: --executor local"


class Image(Record, kw_only=False):
    """An image that the daemon has.

    Attributes:
        id: Names this image and no other, on this daemon.
        digest: Names it everywhere: of the registry's manifest; `id` if no registry has it.
        path: Where it searches for programs.
    """

    id: str
    digest: str
    path: str


class Daemon(Record, frozen=False, kw_only=False):
    """A daemon that answered.

    Attributes:
        api: A `docker.APIClient`.
        address: For messages.
        rootless: Whether it runs as its user: root in a container then is that user.
        remapped: Whether users of containers are others on this machine, unless one asks.
    """

    api: Any
    address: str
    version: str
    platform: str
    rootless: bool
    remapped: bool
    _images: dict[str, Image] = field(default_factory=dict)

    @contextmanager
    def asked(self, what: str, *notes: str) -> Iterator[None]:
        """Turn what goes wrong while the daemon is asked for something into one message.

        Raises:
            ExecutorError: Something went wrong.
        """
        import docker.errors
        import requests.exceptions

        try:
            yield
        except docker.errors.APIError as error:
            said = str(error.explanation or error)
            raise ExecutorError(f"{what}: {said}", where="docker", notes=notes) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            raise ExecutorError(
                f"{what}: the Docker daemon at {self.address} no longer answers ({_reason(error)})",
                where="docker",
                notes=("look at its log (journalctl -u docker), and run again",),
            ) from error

    def find(self, name: str) -> Image | None:
        """An image that is there."""
        import docker.errors

        if name in self._images:
            return self._images[name]
        with self.asked(f"image {name!r} cannot be looked up"):
            try:
                about = self.api.inspect_image(name)
            except docker.errors.ImageNotFound:
                return None
        variables = (each.partition("=") for each in about["Config"].get("Env") or ())
        path = next((value for key, _, value in variables if key == "PATH"), DEFAULT_PATH)
        image = Image(about["Id"], _digest(name, about.get("RepoDigests") or ()) or about["Id"], path)
        self._images[name] = image
        return image

    def digest(self, name: str) -> str:
        """The digest of an image, which a registry is asked for if the image is not there.

        Raises:
            ExecutorError: Nobody knows it.
        """
        found = self.find(name)
        if found is not None:
            return found.digest
        pinned = name.partition("@")[2]
        if pinned:
            return pinned
        with self.asked(*_absent(name)):
            digest: str = self.api.inspect_distribution(name)["Descriptor"]["digest"]
            return digest

    def pull(self, name: str, on_wait: Callable[[str], None]) -> Image:
        """An image, fetched from its registry if it is not there; called in a thread of anyio.

        Raises:
            ExecutorError: It cannot be had.
        """
        found = self.find(name)
        if found is not None:
            return found
        tell = _Progress(f"pulling {name}", on_wait)
        with self.asked(*_absent(name)):
            for line in self.api.pull(name, **_tag(name), stream=True, decode=True):
                if "error" in line:
                    what, *notes = _absent(name)
                    raise ExecutorError(f"{what}: {line['error']}", where="docker", notes=tuple(notes))
                from_thread.check_cancelled()
                tell(line)
        found = self.find(name)
        if found is None:
            what, *notes = _absent(name)
            raise ExecutorError(what, where="docker", notes=tuple(notes))
        return found

    def remove_containers(self, project: str) -> int:
        """Remove what runs of a project left; gives how many there were."""
        with self.asked("containers of earlier runs cannot be listed"):
            left = self.api.containers(all=True, quiet=True, filters={"label": f"{PROJECT}={project}"})
        for each in left:
            self.remove(each["Id"])
        return len(left)

    def remove(self, container: str) -> None:
        """End and remove a container; one that is gone already is no trouble."""
        import docker.errors

        with self.asked("a container cannot be removed"), suppress(docker.errors.NotFound):
            try:
                self.api.remove_container(container, force=True, v=True)
            except docker.errors.APIError as error:
                if error.status_code != 409:  # noqa: PLR2004 - somebody is removing it
                    raise

    def environments(self) -> list[int]:
        """Bytes of each image that was made from a lock file."""
        with self.asked("images cannot be listed"):
            found = self.api.images(filters={"label": ENVIRONMENT})
        return [each["Size"] for each in found]

    def has_gpu(self) -> bool:
        """Whether a container can have this machine's GPUs, as far as it can be told before one asks."""
        with self.asked("the daemon's runtimes cannot be listed"):
            about = self.api.info()
        devices = [str(each) for each in about.get("DiscoveredDevices") or ()]
        if "nvidia" in (about.get("Runtimes") or {}) or any("nvidia.com/gpu" in each for each in devices):
            return True
        # a daemon finds this hook by itself, and does not say so
        return Path("/dev/nvidiactl").exists() and shutil.which("nvidia-container-runtime-hook") is not None


class _Progress:
    """Says now and then how much of an image is there."""

    def __init__(self, what: str, on_wait: Callable[[str], None]) -> None:
        self.what = what
        self.on_wait = on_wait
        self.layers: dict[str, tuple[int, int]] = {}
        self.told_at = time.monotonic()
        from_thread.run_sync(on_wait, what)

    def __call__(self, line: Mapping[str, Any]) -> None:
        detail = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and detail.get("total"):
            self.layers[line["id"]] = (detail.get("current", 0), detail["total"])
        if self.layers and time.monotonic() - self.told_at > _TELL_EVERY_S:
            self.told_at = time.monotonic()
            there, whole = (sum(each) >> 20 for each in zip(*self.layers.values(), strict=True))
            from_thread.run_sync(self.on_wait, f"{self.what}: {there} of {whole} MiB")


def connect(environ: Mapping[str, str]) -> Daemon:
    """The daemon that `DOCKER_HOST` names, else that of the current context of the `docker` command.

    Raises:
        ExecutorError: None answers, it runs on another machine, or `docker` is not installed.
    """
    named = environ.get("DOCKER_HOST")
    if named:
        _demand_local(named)
    try:
        import docker
        import docker.errors
    except ImportError:
        raise ExecutorError(
            "the Python package `docker` is not installed, and the Docker executor needs it",
            notes=("pip install 'penstock[docker]'", _INSTEAD),
        ) from None
    address = named or _context() or "unix:///var/run/docker.sock"
    _demand_local(address)
    try:
        _knock(address)
        if environ.get("DOCKER_HOST"):
            from docker.utils import kwargs_from_env

            api = docker.APIClient(version="auto", timeout=TIMEOUT_S, **kwargs_from_env(dict(environ)))
        else:
            api = docker.APIClient(base_url=address, version="auto", timeout=TIMEOUT_S)
        said, about = api.version(), api.info()
    except (docker.errors.DockerException, OSError) as error:
        raise _unreachable(address, error) from error
    modes = {each.partition(",")[0] for each in about.get("SecurityOptions") or ()}
    platform = f"{said['Os']}-{said['Arch']}"
    return Daemon(api, address, said["Version"], platform, "name=rootless" in modes, "name=userns" in modes)


def _context() -> str | None:
    from docker.context import ContextAPI

    try:
        host: str | None = ContextAPI.get_current_context().Host
    except Exception:  # noqa: BLE001 - whatever is wrong with the command's settings, there is a default
        return None
    return host


def _demand_local(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "unix" or (
        parts.scheme in ("tcp", "http", "https") and parts.hostname in _LOCAL_HOSTS
    ):
        return
    raise elsewhere(address)


def _knock(address: str) -> None:
    """See whether anybody listens at a socket; the library would leave it open."""
    parts = urlsplit(address)
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(parts.path)


def elsewhere(address: str) -> ExecutorError:
    """For a daemon that does not see this machine's files."""
    return ExecutorError(
        f"the Docker daemon at {address} does not see the files of this machine, and stages read them there",
        where="DOCKER_HOST",
        notes=("name a daemon that runs on this machine and not in a container, " + _INSTEAD,),
    )


def no_gpus(address: str) -> ExecutorError:
    """For a daemon that cannot give a container a GPU."""
    return ExecutorError(
        f"the Docker daemon at {address} cannot give a container a GPU: install the NVIDIA container toolkit",
        where="--accelerator cuda",
        notes=(TOOLKIT,),
    )


def _unreachable(address: str, error: Exception) -> ExecutorError:
    why = _reason(error)
    if why == os.strerror(errno.EACCES):
        remedy = ("allow it: sudo usermod -aG docker $USER", "and log in again")
    else:
        remedy = ("start it: sudo systemctl start docker", "or name another one in DOCKER_HOST")
    return ExecutorError(
        f"no Docker daemon answers at {address}: {why}",
        where="--executor docker",
        notes=(*remedy, _INSTEAD),
    )


def _reason(error: BaseException) -> str:
    """What the system said, from below all that libraries made of it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return os.strerror(seen.errno) if seen.errno else seen.strerror
        seen = seen.__cause__ or seen.__context__
    return str(error).splitlines()[0]


def _absent(name: str) -> tuple[str, str]:
    return (
        f"image {name!r} is not on this machine and cannot be had",
        f"correct environment.image, log in (docker login), or get it: docker pull {name}",
    )


def _tag(name: str) -> dict[str, str]:
    """The tag to be asked for, or all there are would come."""
    last = name.rpartition("/")[2]
    return {} if ":" in last or "@" in last else {"tag": "latest"}


def _digest(name: str, known: Iterator[str] | tuple[str, ...]) -> str | None:
    """The digest under which a registry knows an image; that of the named repository before others."""
    repository = name.partition("@")[0]
    head, colon, tag = repository.rpartition(":")
    repository = head if colon and "/" not in tag else repository
    pairs = sorted((each.partition("@")[0] != repository, each.partition("@")[2]) for each in known)
    return pairs[0][1] if pairs else None
