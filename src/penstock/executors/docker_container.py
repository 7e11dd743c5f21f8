"""One container, from its creation until nothing of it is left.

Its first process is a shell of ours. It takes what must not be in the container's description (secrets) from
its standard input, then runs the command, and ends everything when that input ends, which it does when
Penstock dies. Output comes as it is written, both streams through one pipe, and the daemon keeps none of it.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import shlex
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from penstock.errors import EXIT_TIMEOUT, ExecutorError
from penstock.executors.docker_daemon import Daemon, elsewhere, no_gpus
from penstock.executors.process import Ended
from penstock.record import Record, field
from penstock.results import Usage

USAGE = "/penstock/usage"
_CHUNK_BYTES = 1 << 16
_HEADER_BYTES = 8
_PATIENCE_S = 2.0
_LAST_S = 20

# Kept by the kernel for each group of processes, where version 2 or 1 of them has it.
_PEAKS = "/sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes"
# Whatever ends the command's shell, the first process lives on to say so, and its end ends all the others.
# What it would say about a signal is dropped, and so is the machine's name, which engines tell. Its variables
# are named so that they are nobody else's.
_INIT = f"""\
exec 3<&0 4>&1 </dev/null >/dev/null 2>&1
unset HOSTNAME
penstock_end=$1 penstock_text=
shift
while IFS= read -r penstock_line <&3 || exit 125; [ "$penstock_line" != "$penstock_end" ]; do
penstock_text="$penstock_text$penstock_line
"
done
eval "$penstock_text"
unset penstock_end penstock_text penstock_line
(read -r penstock_line <&3; kill -KILL -1) 4>&- &
(exec "$@" >&4 2>&4 3<&- 4>&-)
penstock_code=$?
{{ times; for penstock_file in {_PEAKS}; do
read -r penstock_line <$penstock_file && echo "peak $penstock_line"; done; }} >{USAGE}
exit $penstock_code
"""
_TIMES = re.compile(r"(\d+)m([\d.]+)s")
_NO_GPU = re.compile(
    r"could not select device driver|nvidia-container|unresolvable CDI|libnvidia", re.IGNORECASE
)
_NO_FILE = re.compile(r"bind source path does not exist|mounts denied|path .* is not shared", re.IGNORECASE)
_NO_SHELL = re.compile(r'"/bin/sh": (stat /bin/sh: )?no such file|exec: "/bin/sh"')


class Spec(Record):
    """What a container is made from.

    Attributes:
        name: For whoever lists containers.
        image: Its id.
        user: `uid:gid`.
        variables: In the container's description, where anyone who may ask the daemon can read them.
        hidden: Variables that are not.
        mounts: As the engine's API takes them.
        writable: Whether the image's own files can be changed, for the container's life.
        gpus: A device request of the engine's API.
        usage: A file for what the command used.
    """

    name: str
    image: str
    command: Sequence[str]
    user: str
    labels: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mapping[str, Any]] = ()
    directory: str = "/"
    groups: Sequence[str] = ()
    capabilities: Sequence[str] = ()
    writable: bool = False
    gpus: Mapping[str, Any] | None = None
    usage: Path


def bind(source: str | os.PathLike[str], target: str, *, read_only: bool = True) -> dict[str, Any]:
    """A mount that shows something of this machine."""
    return {"Type": "bind", "Source": os.fspath(source), "Target": target, "ReadOnly": read_only}


async def run_container(
    daemon: Daemon,
    spec: Spec,
    *,
    timeout_s: float | None,
    on_output: Callable[[bytes], None],
    on_success: Callable[[str], None] | None = None,
) -> Ended:
    """Run a command in a new container to its end; the container is gone when this returns or is cancelled.

    Args:
        on_success: Given the ended container, in a thread, before it is removed, if the command succeeded.

    Raises:
        ExecutorError: The container could not be started, or the daemon went away.
    """
    container = _Container(daemon, spec, on_output)
    try:
        await to_thread.run_sync(container.start)
        with anyio.move_on_after(math.inf if timeout_s is None else timeout_s) as limit:
            await container.watch()
        timed_out = limit.cancelled_caught
        if timed_out:
            await container.kill()
        ended = await to_thread.run_sync(container.ended)
        if on_success is not None and ended.exit_code == 0 and not timed_out:
            await to_thread.run_sync(on_success, container.id)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(container.remove)
    return Ended(EXIT_TIMEOUT, timed_out=True, usage=ended.usage) if timed_out else ended


class _Container:
    def __init__(self, daemon: Daemon, spec: Spec, on_output: Callable[[bytes], None]) -> None:
        self.daemon = daemon
        self.spec = spec
        self.on_output = on_output
        self.id = ""
        self.end = f"penstock-{secrets.token_hex(16)}"
        self.stream: Any = None
        self.socket: socket.socket | None = None
        self.frames = _Frames()
        self.began = self.stopped = 0.0

    def start(self) -> None:
        """Create the container and start its first process, which waits for `watch`."""
        api = self.daemon.api
        try:
            with self.daemon.asked("the container could not be started"):
                made = api.create_container_from_config(self._config(), f"{self.spec.name}-{self.end[-8:]}")
                self.id = made["Id"]
                self.stream = api.attach_socket(
                    self.id, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
                )
                self.socket = getattr(self.stream, "_sock", self.stream)
                self.socket.settimeout(0)
                api.start(self.id)
        except ExecutorError as error:
            raise self._explained(error) from error

    def _config(self) -> dict[str, Any]:
        spec = self.spec
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return {
            "Image": spec.image,
            "Entrypoint": ["/bin/sh", "-c", _INIT, "sh", self.end],
            "Cmd": list(spec.command),
            "User": spec.user,
            "Env": [f"{name}={value}" for name, value in spec.variables.items()],
            "Labels": dict(spec.labels),
            "WorkingDir": spec.directory,
            "AttachStdin": True,
            "OpenStdin": True,
            "StdinOnce": True,  # it ends when Penstock does
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": False,
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "Mounts": [dict(mount) for mount in spec.mounts] + [bind(spec.usage, USAGE, read_only=False)],
                "NetworkMode": "host",  # as locally: a stage may reach what its caller can
                "LogConfig": {"Type": "none"},
                "ReadonlyRootfs": not spec.writable,
                "GroupAdd": list(spec.groups),
                **({} if spec.writable else {"CapDrop": ["ALL"], "CapAdd": list(spec.capabilities)}),
                "SecurityOpt": ["no-new-privileges", "label=disable"],
                "ShmSize": memory // 2,  # as Linux has it; the engine's 64 MiB are too little to train
                "UsernsMode": "host" if self.daemon.remapped else "",
                "DeviceRequests": [dict(spec.gpus)] if spec.gpus else [],
            },
        }

    def _explained(self, error: ExecutorError) -> ExecutorError:
        said = error.what
        if self.spec.gpus is not None and _NO_GPU.search(said):
            return no_gpus(self.daemon.address)
        if _NO_FILE.search(said):
            return elsewhere(self.daemon.address)
        if _NO_SHELL.search(said):
            return ExecutorError(
                f"image {self.spec.image[:19]} has no /bin/sh, and a stage's command is run by it",
                where="docker",
                notes=("choose an image with a shell: environment.image",),
            )
        return error

    async def watch(self) -> None:
        """Let the command start, and pass its output on until it has ended."""
        given = {name: value for name, value in self.spec.variables.items() if name == "HOSTNAME"}
        values = {**given, **self.spec.hidden}
        lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
        self.began = time.monotonic()
        await self._send(f"{lines}{self.end}\n".encode("utf-8", "surrogateescape"))
        await self._read()
        self.stopped = time.monotonic()

    async def _send(self, data: bytes) -> None:
        assert self.socket is not None  # noqa: S101 - `start` has set it
        rest = memoryview(data)
        # whoever ends before it has read everything says so by its end
        with suppress(BrokenPipeError, ConnectionResetError):
            while rest:
                await anyio.wait_writable(self.socket)
                with suppress(BlockingIOError):
                    rest = rest[self.socket.send(rest) :]

    async def _read(self) -> None:
        assert self.socket is not None  # noqa: S101 - `start` has set it
        while True:
            await anyio.wait_readable(self.socket)
            try:
                data = self.socket.recv(_CHUNK_BYTES)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return
            if not data:
                return
            for part in self.frames.feed(data):
                self.on_output(part)

    async def kill(self) -> None:
        """End it, and take the output that is left."""
        assert self.socket is not None  # noqa: S101 - `start` has set it
        self.stopped = time.monotonic()
        with anyio.CancelScope(shield=True):
            # the end of its input, so that the first process can still say what was used
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
            with anyio.move_on_after(_PATIENCE_S):
                await self._read()
                return
            await to_thread.run_sync(self._kill)
            with anyio.move_on_after(_PATIENCE_S):
                await self._read()

    def _kill(self) -> None:
        with suppress(ExecutorError), self.daemon.asked("the container could not be ended"):
            self.daemon.api.kill(self.id)  # it may have ended just now

    def ended(self) -> Ended:
        """How it ended; called when its output has."""
        with self.daemon.asked("the container's end could not be learnt"):
            code = self.daemon.api.wait(self.id, timeout=_LAST_S)["StatusCode"]
        return Ended(code, timed_out=False, usage=self._usage())

    def _usage(self) -> Usage:
        text = ""
        with suppress(OSError):
            text = self.spec.usage.read_text("ascii", "replace")
        lines = text.splitlines()
        spent = [60 * int(minutes) + float(rest) for minutes, rest in _TIMES.findall("".join(lines[1:2]))]
        peaks = [int(line[5:]) for line in lines if line.startswith("peak ") and line[5:].isdecimal()]
        return Usage(
            wall_s=self.stopped - self.began, cpu_s=sum(spent), peak_memory_bytes=max(peaks, default=0)
        )

    def remove(self) -> None:
        """Leave nothing of it."""
        for each in (self.stream, self.socket):
            if each is not None:
                with suppress(OSError):
                    each.close()
        if self.id:
            # or it would hide why the daemon could not be asked before; the next run tries again
            with suppress(ExecutorError):
                self.daemon.remove(self.id)


class _Frames:
    """Takes the engine's frames (kind, length, content) apart, however they are cut."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        rest = memoryview(data)
        while rest:
            if self._left:
                part, rest = rest[: self._left], rest[self._left :]
                self._left -= len(part)
                yield bytes(part)
                continue
            wanted = _HEADER_BYTES - len(self._header)
            self._header += bytes(rest[:wanted])
            rest = rest[wanted:]
            if len(self._header) == _HEADER_BYTES:
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""
