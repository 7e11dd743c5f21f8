"""One process of a stage, from its start until nothing of it is left.

Everything happens in the event loop, without threads: the kernel's parent-death signal, on which sandbox and
`stage_init` rely, is sent when the *thread* that started a process ends.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from penstock.errors import EXIT_TIMEOUT, ExecutorError
from penstock.results import Usage

_CHUNK_BYTES = 1 << 16
_PATIENCE_S = 10.0
_POLL_S = 0.005
_LINGER_S = 1.0
_COMPLAINT_BYTES = 2000
_DRAIN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Leash:
    """How the processes of a command are held together, so that all of them can be ended.

    Attributes:
        sweeps: The process ends all its descendants when it gets SIGTERM (`stage_init`).
        greets: The first process of a PID namespace says on its standard input that it is there, and waits
            for an answer before it starts the command (`sandbox`); the namespace dies with it.
    """

    sweeps: bool = False
    greets: bool = False


GROUP = Leash()
"""Only the process group: whoever leaves it survives."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, with all its descendants.

    Attributes:
        exit_code: 124 after a timeout, 128 + n when signal n ended it.
    """

    exit_code: int
    timed_out: bool
    usage: Usage


async def run_process(
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str],
    timeout_s: float | None,
    on_output: Callable[[bytes], None],
    pass_fds: Sequence[int] = (),
    leash: Leash = GROUP,
) -> Ended:
    """Run a command to its end; nothing of what it started is left when this returns or is cancelled.

    Args:
        env: The whole environment of the process.
        timeout_s: Wall-clock limit; none if absent.
        on_output: Given standard output and error, mixed, as they come.

    Raises:
        ExecutorError: The command could not be started.
    """
    process = _Process(on_output, leash)
    process.start(argv, cwd, env, pass_fds)
    try:
        with anyio.move_on_after(math.inf if timeout_s is None else timeout_s) as limit:
            await process.watch()
        timed_out = limit.cancelled_caught and not process.ended
    finally:
        with anyio.CancelScope(shield=True):
            await process.finish()
    return process.result(timed_out=timed_out)


@dataclass(slots=True)
class _Process:
    on_output: Callable[[bytes], None]
    leash: Leash
    process: subprocess.Popen[bytes] = field(init=False)
    started_at: float = field(default_factory=time.monotonic)
    pipe: int = -1
    pidfd: int = -1
    init_pidfd: int = -1
    """Of the namespace's first process, once it is known."""
    greeting: socket.socket | None = None
    greeted: bool = False
    ended: bool = False
    status: int = 0
    usage: Usage = field(default_factory=lambda: Usage(wall_s=0.0, cpu_s=0.0, peak_memory_bytes=0))
    complaint: bytes = b""

    def start(
        self,
        argv: Sequence[str],
        cwd: str | os.PathLike[str],
        env: Mapping[str, str],
        pass_fds: Sequence[int],
    ) -> None:
        self.pipe, writable = os.pipe()
        stdin = self._greeting_end() if self.leash.greets else None
        try:
            self.process = subprocess.Popen(  # noqa: S603 - what the plan says
                argv,
                stdin=subprocess.DEVNULL if stdin is None else stdin.fileno(),
                stdout=writable,
                stderr=writable,
                cwd=cwd,
                env=env,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except OSError as error:
            self._close()
            raise ExecutorError(
                f"the process could not be started: {error.strerror or error}", where=argv[0]
            ) from error
        except BaseException:
            self._close()
            raise
        finally:
            os.close(writable)
            if stdin is not None:
                stdin.close()
        os.set_blocking(self.pipe, False)
        # old kernels and some containers have no such call: polled then
        with suppress(OSError):
            self.pidfd = os.pidfd_open(self.process.pid)

    def _greeting_end(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        # the kernel translates the sender's process number into our PID namespace
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.greeting = ours
        return theirs

    async def watch(self) -> None:
        """Pass output on until the process has ended."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read)
            if self.greeting is not None:
                tasks.start_soon(self._greet)
            await self._wait()
            tasks.cancel_scope.cancel()

    async def finish(self) -> None:
        """End what still runs, reap it, and take the output that is left."""
        try:
            if not self.ended:
                await self._kill()
            if not self.leash.greets:
                # whoever left the group has left the sweep's process tree as well, or there was no sweep
                self._signal_group()
            self._drain()
        finally:
            self._close()

    def result(self, *, timed_out: bool) -> Ended:
        if self.leash.greets and not self.greeted and not timed_out:
            raise ExecutorError(
                "the sandbox could not be set up",
                notes=(
                    *self.complaint.decode("utf-8", "replace").splitlines(),
                    "run without it: PENSTOCK_SANDBOX=none",
                ),
            )
        code = os.waitstatus_to_exitcode(self.status)
        code = EXIT_TIMEOUT if timed_out else 128 - code if code < 0 else code
        return Ended(code, timed_out, self.usage)

    async def _wait(self) -> None:
        while not self._reap():
            if self.pidfd >= 0:
                await anyio.wait_readable(self.pidfd)
            else:
                await anyio.sleep(_POLL_S)

    def _reap(self) -> bool:
        if self.ended:
            return True
        pid, status, used = os.wait4(self.process.pid, os.WNOHANG)
        if pid == 0:
            return False
        self.status = status
        # or `Popen` would complain that nobody waited
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.ended = True
        self.usage = Usage(
            wall_s=time.monotonic() - self.started_at,
            cpu_s=used.ru_utime + used.ru_stime,
            peak_memory_bytes=used.ru_maxrss * 1024,
        )
        return True

    async def _read(self) -> None:
        more = True
        while more:
            await anyio.wait_readable(self.pipe)
            with suppress(BlockingIOError):
                more = self._take() > 0

    def _take(self) -> int:
        data = os.read(self.pipe, _CHUNK_BYTES)
        if data:
            if self.leash.greets and not self.greeted:
                self.complaint = (self.complaint + data)[:_COMPLAINT_BYTES]
            self.on_output(data)
        return len(data)

    def _drain(self) -> None:
        # what was written before the end is in the pipe; a survivor that goes on writing is not waited for
        left = _DRAIN_BYTES
        with suppress(BlockingIOError):
            while left > 0 and (taken := self._take()):
                left -= taken

    async def _greet(self) -> None:
        greeting = self.greeting
        if greeting is None or self.greeted:
            return
        await anyio.wait_readable(greeting)
        try:
            data, ancillary, _, _ = greeting.recvmsg(1, socket.CMSG_SPACE(12))
        except OSError:
            return
        if not data:
            return
        self.greeted = True
        for _level, kind, content in ancillary:
            if kind == socket.SCM_CREDENTIALS:
                with suppress(OSError):
                    self.init_pidfd = os.pidfd_open(int.from_bytes(content[:4], "little"))
        with suppress(OSError):
            greeting.send(b"\n")

    async def _kill(self) -> None:
        if self.init_pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.init_pidfd, signal.SIGKILL)
        elif self.leash.sweeps:
            # not by `Popen`, which would reap it first if Ctrl-C has ended it before it had its own session
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGTERM)
        else:
            # also a sandbox that has not greeted: until then all its processes are of this group
            self._signal_group()
            await self._group_gone()
        with anyio.move_on_after(_PATIENCE_S):
            await self._wait()
        if not self.ended:
            self._signal_group()
            await self._wait()

    async def _group_gone(self) -> None:
        # the one that is waited for may end before the others; not for ever, as orphans may find no reaper
        with anyio.move_on_after(_LINGER_S):
            while self._group_lives():  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(_POLL_S)

    def _group_lives(self) -> bool:
        self._reap()
        try:
            os.killpg(self.process.pid, 0)
        except PermissionError:
            return True
        except ProcessLookupError:
            return False
        return True

    def _signal_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _close(self) -> None:
        for descriptor in (self.pipe, self.pidfd, self.init_pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self.pipe = self.pidfd = self.init_pidfd = -1
        if self.greeting is not None:
            self.greeting.close()
