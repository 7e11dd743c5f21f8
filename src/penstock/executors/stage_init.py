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
_SWEEP_PAUSE_S = 0.002


def main(arguments: list[str]) -> int:
    """Exit code of the command; 128 + n if signal n ended it."""
    parent, argv = int(arguments[0]), arguments[2:]
    # blocked and waited for, so that there is no moment at which one of them is lost
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    control = ctypes.CDLL(None, use_errno=True).prctl
    if control(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) or control(_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0):
        sys.stderr.write(f"penstock: prctl: {os.strerror(ctypes.get_errno())}\n")
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
    forbidden: set[int] = set()
    while living := [pid for pid in descendants(os.getpid()) if pid not in forbidden]:
        # stopped first, so that none can fork faster than it is found; new ones show in the next round
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in living:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
                except PermissionError:  # it became another user's
                    forbidden.add(pid)
        time.sleep(_SWEEP_PAUSE_S)
        _reaped()


def descendants(of: int) -> list[int]:
    """Living processes below one, by process number; zombies are left out."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    text = file.read()
            except OSError:
                continue
            # the command's name stands in brackets and may hold anything
            state, parent = text[text.rindex(b")") + 2 :].split(b" ", 2)[:2]
            parents[int(name)] = int(parent) if state not in (b"Z", b"X") else -int(parent)
    return _below(of, parents)


def _below(of: int, parents: dict[int, int]) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(abs(parent), []).append(pid)
    found, waiting = [], [of]
    while waiting:
        below = children.get(waiting.pop(), [])
        waiting += below
        found += [pid for pid in below if parents[pid] > 0]
    return found


if __name__ == "__main__":
    # no clean-up of the interpreter: nothing is left to clean, and it takes as long as the start
    _code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(_code)
