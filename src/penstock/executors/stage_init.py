# `pathlib` and `contextlib` would take longer to import than all the rest.
# ruff: noqa: PTH123, PTH208
"""Runs a command and leaves nothing of it behind, where there is no sandbox.

Started as `python -I -S stage_init.py PARENT -- COMMAND...`, by a process whose number is PARENT. It is the
subreaper of all that is below: every orphan there becomes its child, so nothing slips away by `setsid` or
by forking twice. When the command has ended, when SIGTERM comes or when PARENT dies, it kills what is left.

Alone in its process: standard library only, and nothing of Penstock.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

_SET_PDEATHSIG = 1
_SET_CHILD_SUBREAPER = 36
_AWAITED = (signal.SIGTERM, signal.SIGCHLD)
_CANNOT_START = 127
_SWEEP_PAUSE_S = 0.0005


def main(arguments: list[str]) -> int:
    """Exit code of the command; 128 + n if signal n ended it."""
    parent, argv = int(arguments[0]), arguments[2:]
    # blocked and waited for, so that there is no moment at which one of them is lost
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    try:
        adopt_orphans()
        _control(_SET_PDEATHSIG, int(signal.SIGTERM))
    except OSError as error:
        sys.stderr.write(f"penstock: prctl: {error.strerror}\n")
        return _CANNOT_START
    if os.getppid() != parent:  # it died before the kernel was asked to tell us
        return 128 + signal.SIGTERM
    try:
        child = os.posix_spawnp(
            argv[0], argv, os.environ, setsigmask=[], setsigdef=[signal.SIGPIPE, signal.SIGXFSZ]
        )
    except OSError as error:
        sys.stderr.write(f"penstock: {argv[0]}: {error.strerror}\n")
        return _CANNOT_START
    code = _wait(child)
    sweep()
    return code


def adopt_orphans() -> None:
    """Make every orphan below this process its child.

    Raises:
        OSError: The kernel refuses.
    """
    _control(_SET_CHILD_SUBREAPER, 1)


def _control(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _wait(child: int) -> int:
    while signal.sigwait(_AWAITED) != signal.SIGTERM:
        for pid, status in _reaped():
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return 128 - code if code < 0 else code
    return 128 + signal.SIGTERM


def _reaped() -> list[tuple[int, int]]:
    found = []
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(ended)
    except ChildProcessError:
        pass
    return found


def sweep() -> None:
    """Kill every descendant of this process until there is none that it may kill."""
    seen: set[int] = set()
    # Orphans become children of this process, so whoever has no child here has no descendant either. Looking
    # at children alone takes some microseconds, which is what it takes to outrun one that forks all the time.
    while children := _children():
        alive = 0
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
                alive += 1
            except ProcessLookupError:
                alive += 1
            except PermissionError:  # it became another user's
                pass
        _reaped()
        if not alive:
            return
        if seen.issuperset(children):
            time.sleep(_SWEEP_PAUSE_S)
        seen.update(children)


def _children() -> list[int]:
    own = os.getpid()
    try:
        with open(f"/proc/{own}/task/{own}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel without that file
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == own]


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return 0
    # the command's name stands in brackets and may hold anything
    return int(text[text.rindex(b")") + 2 :].split(b" ", 2)[1])


if __name__ == "__main__":
    # no clean-up of the interpreter: nothing is left to clean, and it takes as long as the start
    _code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(_code)
