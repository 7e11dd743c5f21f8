"""Starts a server and asks it, both cut off from the network and unable to change a file.

Under Dagger an exec has a network and may write; this program takes both away and then its own privileges,
as far as the kernel lets it. It is run by `python -I -S -c` in the image that is tried, so it is standard
library only, and imports nothing of Penstock. It prints one line of JSON.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

_NEW_NAMESPACES = 0x00020000 | 0x40000000  # CLONE_NEWNS, CLONE_NEWNET
_PRIVATE = 0x4000 | 0x40000  # MS_REC, MS_PRIVATE
_READ_ONLY = 0x1 | 0x20 | 0x1000  # MS_RDONLY, MS_REMOUNT, MS_BIND
_SET_FLAGS = 0x8914  # SIOCSIFFLAGS
_UP = 0x1
_NOTHING, _PIPE = subprocess.DEVNULL, subprocess.PIPE
_TICK_S = 0.1
_LOG_BYTES = 20_000


def main(arguments: list[str]) -> int:
    """`SPEC`: JSON with `server`, `client` (commands), `directory`, `uid`, `gid`; 0 whatever was found."""
    spec = json.loads(arguments[0])
    network, read_only = _cut_off(), False
    if network is None:
        read_only = _locked()
    found = {"network": network or "none", "read_only": read_only, **_tried(spec)}
    print(json.dumps(found), flush=True)  # noqa: T201 - what it is for
    return 0


def _cut_off() -> str | None:
    """Leave the network; why that was not possible, if it was not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NAMESPACES):
        return f"as the engine has it ({os.strerror(ctypes.get_errno())})"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        fcntl.ioctl(door, _SET_FLAGS, struct.pack("16sh", b"lo", _UP))
    return None


def _locked() -> bool:
    """Make all files read-only but those below /tmp; whether it was possible."""
    libc = ctypes.CDLL(None, use_errno=True)
    steps = (
        (None, b"/", None, _PRIVATE, None),
        (None, b"/", None, _READ_ONLY, None),
        (b"tmpfs", b"/tmp", b"tmpfs", 0, None),
    )
    return not any(libc.mount(*step) for step in steps)


def _tried(spec: dict[str, Any]) -> dict[str, Any]:
    """What the client found, or how the server ended.

    Returns:
        `found` (what the client printed) or `problem`, `ended` (the server's exit code, if it did) and `log`.
    """
    who = {"user": spec["uid"], "group": spec["gid"], "extra_groups": [], "cwd": spec["directory"]}
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(spec["server"], stdin=_NOTHING, stdout=log, stderr=log, **who)  # noqa: S603 - the image's
        client = subprocess.Popen(spec["client"], stdin=_NOTHING, stdout=_PIPE, stderr=_PIPE, **who)  # noqa: S603 - ours
        while client.poll() is None and server.poll() is None:
            time.sleep(_TICK_S)
        ended = server.poll()
        if ended is not None and client.poll() is None:
            client.kill()
        said, wrong = client.communicate()
        server.kill()
        server.wait()
        log.seek(max(0, os.fstat(log.fileno()).st_size - _LOG_BYTES))
        text = log.read().decode("utf-8", "replace")
    try:
        found = json.loads(said)
    except ValueError:
        lines = wrong.decode("utf-8", "replace").strip().splitlines()
        return {"problem": lines[-1] if lines else "it printed nothing", "ended": ended, "log": text}
    return {"found": found, "ended": ended, "log": text}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
