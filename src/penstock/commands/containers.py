"""What the executors that run stages in containers need, for `penstock doctor`."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from penstock.commands.checks import Finding, Machine, State
from penstock.errors import ExecutorError
from penstock.executors.container import DAGGER

_RUNNER = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
_INSTALL = "https://docs.dagger.io/install"
_TIMEOUT_S = 10


def docker(machine: Machine) -> Iterator[Finding]:
    """The daemon, what it can give a container, and what it keeps of ours."""
    from penstock.executors.docker_daemon import connect

    try:
        daemon = connect(machine.environ)
        found = f"{daemon.version} at {daemon.address}{', rootless' if daemon.rootless else ''}"
        yield Finding(name="docker", state=State.OK, found=found, needed=True)
        yield _gpu(gpu=daemon.has_gpu())
        sizes = daemon.environments()
    except ExecutorError as error:
        # the last note is to do without
        yield Finding(
            name="docker", state=State.MISSING, found=error.what, remedy=error.notes[:-1], needed=True
        )
        return
    if sizes:
        yield _environments(sizes)


def _gpu(*, gpu: bool) -> Finding:
    from penstock.executors.docker_daemon import TOOLKIT

    if gpu:
        return Finding(name="docker gpu", state=State.OK, found="containers can have this machine's GPUs")
    missing = Path("/dev/nvidiactl").exists()
    return Finding(
        name="docker gpu",
        state=State.MISSING if missing else State.NOTE,
        found="this machine has a GPU, and the daemon cannot give it to containers" if missing else "none",
        remedy=(TOOLKIT,) if missing else (),
    )


def _environments(sizes: list[int]) -> Finding:
    from penstock.cache.maintenance import shown_bytes
    from penstock.executors.docker_daemon import ENVIRONMENT

    return Finding(
        name="docker images",
        state=State.OK,
        found=f"{len(sizes)} made from lock files, {shown_bytes(sum(sizes))} with what is below them",
        remedy=(f"docker image prune -a --filter label={ENVIRONMENT}",),
    )


def dagger(machine: Machine) -> Iterator[Finding]:
    """The command line that calls the module, and the engine that it would use; starts none."""
    program = shutil.which("dagger", path=machine.environ.get("PATH"))
    if program is None:
        remedy = f"install {DAGGER}: {_INSTALL}"
        yield Finding(
            name="dagger", state=State.MISSING, found="not installed", remedy=(remedy,), needed=True
        )
        return
    version = _version(program)
    if version is None:
        yield Finding(name="dagger", state=State.BROKEN, found=f"{program} does not run", needed=True)
    elif version == DAGGER:
        yield Finding(name="dagger", state=State.OK, found=f"{version} at {program}", needed=True)
    else:
        yield Finding(
            name="dagger",
            state=State.NOTE,
            found=f"{version} at {program}; the module is made for {DAGGER}",
            remedy=(f"install {DAGGER}: {_INSTALL}",),
        )
    yield _engine(machine)


def _version(program: str) -> str | None:
    try:
        said = subprocess.run(  # noqa: S603 - found on the PATH
            [program, "version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
        return said.stdout.split()[1]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def _engine(machine: Machine) -> Finding:
    address = machine.environ.get(_RUNNER)
    if address is None:
        starts = shutil.which("docker", path=machine.environ.get("PATH")) is not None
        return Finding(
            name="dagger engine",
            state=State.OK if starts else State.MISSING,
            found="started in Docker when it is needed"
            if starts
            else "none, and no Docker to start one with",
            remedy=() if starts else (f"name one in {_RUNNER}, or install Docker",),
            needed=True,
        )
    problem = _refusal(address)
    return Finding(
        name="dagger engine",
        state=State.BROKEN if problem else State.OK,
        found=f"{address}: {problem}" if problem else address,
        remedy=(f"start it, or correct {_RUNNER}",) if problem else (),
        needed=True,
    )


def _refusal(address: str) -> str | None:
    """Why nobody listens at an address; None if somebody does, or if it is of a kind that cannot be asked."""
    parts = urlsplit(address)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as end:
                end.settimeout(_TIMEOUT_S)
                end.connect(parts.path)
        elif parts.scheme == "tcp":
            socket.create_connection((parts.hostname or "", parts.port or 0), _TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None
