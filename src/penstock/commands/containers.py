"""What the Docker executor needs, for `penstock doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from penstock.commands.checks import Finding, Machine, State
from penstock.errors import ExecutorError


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
