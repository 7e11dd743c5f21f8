# `pathlib` and `contextlib` would take longer to import than all the rest.
# ruff: noqa: PTH115, PTH118, PTH120, PTH123
"""What system calls say of the paths below a directory: looked at, or written by the command itself.

For `observe`, alone in its process: standard library only.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys

from penstock.executors.observe_calls import Call, Memory

READ, SEEN = "read", "seen"
"""How a path is looked at: what it holds (of a directory: names), or only what `stat` says of it."""
MOST_LOOKS = 20_000
_COMMAND_CHARACTERS = 120
_AT_FDCWD = -100
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_MOST_LINKS = 40
_INTERPRETERS = 5
"""As many as the kernel follows from one script to the next."""
_SCRIPT_BYTES = 256
_ODD = re.compile(rb"//|/\.\.?(?:/|\Z)|/\Z|\A/proc/")
"""In an absolute path that is not the shortest for what it names, or may be another process's."""
_OF_PROCESS = re.compile(rb"\A/proc/(self|thread-self|\d+)/(cwd|root|fd/\d+)(?:/|\Z)")


class Watch:
    """What a command and all its descendants look at below a directory.

    Args:
        request: `top` (the directory, as the command sees it), `declared` (paths below it at which all looks
            count as one), `execs` (programs that start one another before the command is started).
    """

    def __init__(self, request: dict) -> None:  # type: ignore[type-arg] # JSON
        self.top = os.fsencode(request["top"])
        self.inside = self.top + b"/"
        self.declared = frozenset(os.fsencode(path) for path in request["declared"])
        self.waits = int(request.get("execs", 0)) + 1
        self.memory = Memory()
        self.why: str | None = None
        self.looks: dict[bytes, list[str]] = {}
        self.written: set[bytes] = set()
        self.links: dict[bytes, bytes] = {}
        """Symbolic links that the command made, wherever: absolute path → what it leads to, absolute."""
        self.commands: dict[int, str] = {}
        self.handlers = {
            "see": self._see,
            "read": self._read,
            "open": self._open,
            "open2": self._open2,
            "creat": self._creat,
            "exec": self._exec,
            "make": self._make,
            "move": self._move,
            "symlink": self._symlink,
            "hide": self._hide,
        }

    def called(self, pid: int, call: Call, arguments: list[int]) -> None:
        """Note what a call looks at, which waits meanwhile.

        Raises:
            OSError: The caller's memory cannot be read.
        """
        if self.waits:
            self.waits -= call.kind == "exec"
            if self.waits:
                return
        self.handlers[call.kind](pid, call, arguments)

    def give_up(self, why: str) -> None:
        """What is noted cannot be all."""
        self.why = self.why or why

    def report(self) -> dict[str, object]:
        """What was seen, as JSON values: path → how, and by which command first."""
        if self.waits:
            self.give_up("the kernel did not say what the command opened")
        looks = {os.fsdecode(path): look for path, look in self.looks.items()}
        return {"version": 1, "why": self.why, "looks": looks}

    # -- calls

    def _see(self, pid: int, call: Call, arguments: list[int]) -> None:
        self._look(pid, self._place(pid, call.directory, call.path, arguments), SEEN)

    def _read(self, pid: int, call: Call, arguments: list[int]) -> None:
        self._look(pid, self._place(pid, call.directory, call.path, arguments), READ)

    def _open(self, pid: int, call: Call, arguments: list[int]) -> None:
        self._opened(pid, self._place(pid, call.directory, call.path, arguments), arguments[call.other])

    def _open2(self, pid: int, call: Call, arguments: list[int]) -> None:
        flags = int.from_bytes(self.memory.piece(pid, arguments[call.other], 8), sys.byteorder)
        self._opened(pid, self._place(pid, call.directory, call.path, arguments), flags)

    def _creat(self, pid: int, call: Call, arguments: list[int]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self._opened(pid, self._place(pid, call.directory, call.path, arguments), flags)

    def _opened(self, pid: int, place: bytes | None, flags: int) -> None:
        if place is None or not self._is_inside(place):
            return
        there = self._exists(pid, place)
        keeps = there and (not flags & os.O_TRUNC or not self._writable(pid, place))
        if not flags & _WRITES or keeps:
            self._look(pid, place, READ)
            return
        self._look(pid, os.path.dirname(place), SEEN)
        # a new name that is asked for is no question to the source, as names of temporary files are
        if not flags & (os.O_TRUNC | os.O_EXCL) or not flags & os.O_CREAT:
            self._look(pid, place, SEEN)
        self._wrote(place)

    def _exec(self, pid: int, call: Call, arguments: list[int]) -> None:
        place = self._place(pid, call.directory, call.path, arguments)
        for _ in range(_INTERPRETERS):
            if place is None or not self._is_inside(place):
                break
            self._look(pid, place, READ)
            place = self._interpreter(pid, place)
        self.commands.pop(pid, None)

    def _interpreter(self, pid: int, place: bytes) -> bytes | None:
        """What a script names in its first line, which the kernel opens by itself."""
        try:
            with open(self._from_here(pid, place), "rb") as file:
                line = file.read(_SCRIPT_BYTES).split(b"\n", 1)[0]
        except OSError:
            return None
        words = line[2:].split()
        if not line.startswith(b"#!") or not words:
            return None
        return self._resolved(pid, self._absolute(pid, _AT_FDCWD, words[0]))

    def _make(self, pid: int, call: Call, arguments: list[int]) -> None:
        place = self._place(pid, call.directory, call.path, arguments)
        if place is not None:
            self._made(pid, place)

    def _made(self, pid: int, place: bytes) -> bool:
        """Note that something is to be made at a path; False if it is there, so that nothing will be."""
        self._look(pid, os.path.dirname(place), SEEN)
        self._look(pid, place, SEEN)
        if self._exists(pid, place):
            return False
        self._wrote(place)
        return True

    def _move(self, pid: int, call: Call, arguments: list[int]) -> None:
        source = self._place(pid, call.directory, call.path, arguments)
        other = call.other - 1 if call.directory >= 0 else -1
        target = self._place(pid, other, call.other, arguments)
        if source is not None:
            self._look(pid, source, READ)
        if target is None:
            return
        self._look(pid, os.path.dirname(target), SEEN)
        self._wrote(target)
        if source is not None:
            for link in [each for each in self.links if each == source or each.startswith(source + b"/")]:
                self.links[target + link[len(source) :]] = self.links[link]

    def _symlink(self, pid: int, call: Call, arguments: list[int]) -> None:
        place = self._place(pid, call.directory, call.path, arguments, every=True)
        target = self.memory.text(pid, arguments[call.other])
        if place is not None and target and self._made(pid, place):
            self.links[place] = _shortest(os.path.join(os.path.dirname(place), target))

    def _hide(self, _pid: int, call: Call, _arguments: list[int]) -> None:
        self.give_up(f"a program called {call.name}, behind which files cannot be told apart")

    # -- paths

    def _place(
        self, pid: int, directory: int, path: int, arguments: list[int], *, every: bool = False
    ) -> bytes | None:
        """The absolute path that a call names; none if it is of no interest, unless `every` one is."""
        name = self.memory.text(pid, arguments[path])
        if not name:
            return None  # the descriptor itself, whose path was looked at when it was opened
        if name.startswith(b"/") and not (every or self.links or _ODD.search(name)):  # most are
            return name if self._is_inside(name) else None
        at = _AT_FDCWD if directory < 0 else ctypes.c_int(arguments[directory] & 0xFFFFFFFF).value
        return self._resolved(pid, self._absolute(pid, at, name))

    def _absolute(self, pid: int, directory: int, name: bytes) -> bytes:
        link = b"/proc/%d/cwd" % pid if directory == _AT_FDCWD else b"/proc/%d/fd/%d" % (pid, directory)
        if name.startswith(b"/"):
            own = _OF_PROCESS.match(name)
            if own is None:
                return name
            whose = own[1] if own[1].isdigit() else b"%d" % pid
            link, name = b"/proc/%b/%b" % (whose, own[2]), name[own.end() :]
        try:
            return os.path.join(os.readlink(link), name)
        except OSError:
            return b"/"  # no such descriptor: the call fails

    def _resolved(self, pid: int, place: bytes) -> bytes:
        """The path without `..`, and without links that the command made."""
        if b"/.." in place:
            place = self._climbed(pid, place)
        place = _shortest(place)
        for _ in range(_MOST_LINKS if self.links else 0):
            link = next((each for each in _upwards(place) if each in self.links), None)
            if link is None:
                break
            place = _shortest(self.links[link] + place[len(link) :])
        return place

    def _climbed(self, pid: int, place: bytes) -> bytes:
        """The path with each `..` followed as the kernel does: from where a link before it leads to."""
        here = b""
        names = [name for name in place.split(b"/") if name not in (b"", b".")]
        for _ in range(_MOST_LINKS * 100):
            if b".." not in names:
                break
            name = names.pop(0)
            if name == b"..":
                here = here[: here.rfind(b"/")] if here else b""
                continue
            try:
                target = os.readlink(self._from_here(pid, here + b"/" + name))
            except OSError:
                here = here + b"/" + name
                continue
            names = [each for each in target.split(b"/") if each not in (b"", b".")] + names
            here = b"" if target.startswith(b"/") else here
        return b"/".join((here, *names)) or b"/"

    def _from_here(self, pid: int, place: bytes) -> bytes:
        """Where this process finds what another one sees at a path."""
        return b"/proc/%d/root%b" % (pid, place)

    def _exists(self, pid: int, place: bytes) -> bool:
        return os.path.lexists(self._from_here(pid, place))

    def _writable(self, pid: int, place: bytes) -> bool:
        return os.access(self._from_here(pid, place), os.W_OK)

    def _is_inside(self, place: bytes) -> bool:
        return place.startswith(self.inside) or place == self.top

    # -- notes

    def _wrote(self, place: bytes) -> None:
        if place.startswith(self.inside):
            self.written.add(place[len(self.inside) :])

    def _look(self, pid: int, place: bytes | None, how: str) -> None:
        if place is None or not self._is_inside(place):
            return
        path = place[len(self.inside) :]
        if not path and how == SEEN:
            return  # the directory itself is always there
        if self._is_known(path, how):
            return
        above = _upwards(path)
        if not self.written.isdisjoint(above):
            return
        for each in above:
            if each in self.declared:
                path, how = each, READ
        if self._is_known(path, how):
            return
        if path in self.looks:
            self.looks[path][0] = READ
        elif len(self.looks) < MOST_LOOKS:
            self.looks[path] = [how, self._command(pid)]
        else:
            self.give_up(f"more than {MOST_LOOKS:,} paths were looked at")

    def _is_known(self, path: bytes, how: str) -> bool:
        known = self.looks.get(path)
        return known is not None and (how == SEEN or known[0] == READ)

    def _command(self, pid: int) -> str:
        known = self.commands.get(pid)
        if known is None:
            known = self.commands[pid] = self._read_command(pid)
        return known

    @staticmethod
    def _read_command(pid: int) -> str:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read(4 * _COMMAND_CHARACTERS).rstrip(b"\0").split(b"\0")
        except OSError:
            return ""
        return b" ".join(words).decode("utf-8", "replace")[:_COMMAND_CHARACTERS]


def _shortest(place: bytes) -> bytes:
    return b"/" + os.path.normpath(place).lstrip(b"/")


def _upwards(path: bytes) -> list[bytes]:
    """A path and all that it lies in, itself first."""
    found = [path]
    while b"/" in path:
        path = path[: path.rindex(b"/")]
        if path:
            found.append(path)
    return found
