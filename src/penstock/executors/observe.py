# `pathlib`, `contextlib` and `typing` would take longer to import than all the rest.
# ruff: noqa: PTH104, PTH123, SIM105
"""Runs a command and writes down which paths below a directory it and all its descendants look at.

Started as `python -I -S -c LAUNCH DIRECTORY REQUEST -- COMMAND...`, where DIRECTORY holds the package. It is
carried into containers of any image, so it and what it imports are standard library only, for any Python
since 3.8.

The kernel stops the few system calls that name a path and tells this process about them, by a filter with
a listener (seccomp, `SECCOMP_RET_USER_NOTIF`, Linux 5.5): we read the name and let the call go on. Nothing
is attached to the processes, so signals, threads, forks, debuggers and exit codes are what they always are,
and whatever names no path runs at full speed. A stopped call waits until we have read its name, so what is
read here is what the kernel acts on, unless another thread overwrites the name at that very moment.

When this process is killed, the kernel fails the calls of those it observes, and whoever waits for this
process learns that it was killed: a command that was not observed to its end has no result.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys

from penstock.executors.observe_calls import ARCHITECTURES, calls, control, listen
from penstock.executors.observe_paths import Watch

LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from penstock.executors.observe import leave; leave(sys.argv[1:])"
)
CANNOT_START = 127

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_RECEIVE, _SEND, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082104
_SYNC_WAKE_UP = 1
_NOTICE = struct.Struct("=QIIiIQ6Q")
"""Identity, process, flags, call, kind of processor, instruction, arguments."""
_ANSWER = struct.Struct("=QqiI")
"""Identity, value, error, flags."""
_CONTINUE = 1
_LEFT_TO_THE_COMMAND = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)


def leave(arguments: list[str]) -> None:
    """Run `main` and end, with its exit code and without any clean-up: there is nothing to clean."""
    code = main(arguments)
    sys.stderr.flush()
    os._exit(code)


def main(arguments: list[str]) -> int:
    """Exit code of the command; 128 + n if signal n ended it."""
    with open(arguments[0], encoding="utf-8") as file:
        request = json.load(file)
    control(_SET_PDEATHSIG, int(signal.SIGKILL))
    # an orphan comes back to us, and so is still ours to read
    control(_SET_CHILD_SUBREAPER, 1)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        _become(arguments[2:], theirs)
    theirs.close()
    for number in _LEFT_TO_THE_COMMAND:
        signal.signal(number, signal.SIG_IGN)
    said, listener = _heard(ours)
    watch = Watch(request)
    if listener >= 0:
        code = Listener(listener, watch, child).run()
    else:
        watch.give_up(said or "the command ended before it could be observed")
        code = _code(os.waitpid(child, 0)[1])
    _write(request["report"], watch.report())
    return code


def _heard(ours: socket.socket) -> tuple[str, int]:
    """What the child says, and its listener; -1 if it has none."""
    said, ancillary, _, _ = ours.recvmsg(1000, socket.CMSG_LEN(4))
    found = [struct.unpack("i", data[:4])[0] for _, _, data in ancillary]
    ours.close()
    return said.decode("utf-8", "replace"), found[0] if found else -1


def _write(path: str, report: dict[str, object]) -> None:
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(report, file)
    os.rename(f"{path}.new", path)


def _code(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _become(argv: list[str], theirs: socket.socket) -> None:
    """Be the command, observed if that can be had."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # as they were before Python
        signal.signal(number, signal.SIG_DFL)
    try:
        listener = listen()
    except OSError as error:
        theirs.sendall(str(error).encode())
    else:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", listener))]
        theirs.sendmsg([b"listen"], rights)
        os.close(listener)
    theirs.close()
    try:
        os.execvpe(argv[0], argv, os.environ)  # noqa: S606 - the stage's own command
    except OSError as error:
        sys.stderr.write(f"penstock: {argv[0]}: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(CANNOT_START)


class Listener:
    """Hears of the calls of a command and of all its descendants, until the command has ended.

    Args:
        descriptor: Where the kernel tells them.
        child: The command.
    """

    def __init__(self, descriptor: int, watch: Watch, child: int) -> None:
        machine = os.uname().machine
        self.descriptor = descriptor
        self.watch = watch
        self.child = child
        self.architecture = ARCHITECTURES[machine]
        self.calls = calls(machine)
        self.buffer = bytearray(_NOTICE.size)
        self.empty = bytes(_NOTICE.size)

    def run(self) -> int:
        """Exit code of the command."""
        try:  # wake each other up on the same processor: less waiting (Linux 6.6)
            fcntl.ioctl(self.descriptor, _SET_FLAGS, _SYNC_WAKE_UP)
        except OSError:
            pass
        ended = self._told_of_ends()
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        poll.register(ended, select.POLLIN)
        while True:
            for descriptor, event in poll.poll():
                if descriptor == ended:
                    os.read(ended, 4096)
                    code = self._ended()
                    if code is not None:
                        return code
                elif event & select.POLLIN:
                    self._next()
                else:  # nobody is left who could be stopped
                    poll.unregister(descriptor)

    def _told_of_ends(self) -> int:
        """A descriptor that can be read when a child has ended."""
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        os.write(write_end, b"\0")  # it may have ended before
        return read_end

    def _ended(self) -> int | None:
        """The exit code, once there is one; reaps orphans on the way."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == self.child:
                return _code(status)
            if pid == 0:
                return None

    def _next(self) -> None:
        self.buffer[:] = self.empty
        try:
            fcntl.ioctl(self.descriptor, _RECEIVE, self.buffer, True)  # noqa: FBT003 - as `ioctl` has it
        except OSError:
            return  # whoever called is gone
        identity, pid, _, number, architecture, _, *arguments = _NOTICE.unpack(self.buffer)
        try:
            call = self.calls.get(number) if architecture == self.architecture else None
            if call is None:
                self.watch.give_up("a program for another kind of processor (32 bits) cannot be observed")
            else:
                self.watch.called(pid, call, arguments)
        except ProcessLookupError:
            pass  # it was killed: the call is not made
        except Exception as error:  # noqa: BLE001 - a command must not suffer from what we cannot read
            self.watch.give_up(f"a program does not let itself be observed ({error})")
        finally:
            self._let_go_on(identity)

    def _let_go_on(self, identity: int) -> None:
        answer = _ANSWER.pack(identity, 0, 0, _CONTINUE)
        while True:
            try:
                fcntl.ioctl(self.descriptor, _SEND, answer)
            except InterruptedError:
                continue  # or the caller would wait for ever
            except OSError:
                pass  # it is gone
            return
