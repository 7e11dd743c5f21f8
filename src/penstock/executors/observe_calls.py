"""The system calls that name a path: which they are, how the kernel stops them, and how their names are read.

For `observe`, alone in its process: standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

# Name, what it does, its number on x86_64 and on aarch64, and which of its arguments are the directory that
# the path is relative to, the path and the flags (or the other path). `-`: the current one, or none.
_TABLE = """
open              open     2    -    -  0  1
creat             create   85   -    -  0  -
openat            open     257  56   0  1  2
openat2           open2    437  437  0  1  2
execve            exec     59   221  -  0  -
execveat          exec     322  281  0  1  -
stat              see      4    -    -  0  -
lstat             see      6    -    -  0  -
newfstatat        see      262  79   0  1  -
statx             see      332  291  0  1  -
access            see      21   -    -  0  -
faccessat         see      269  48   0  1  -
faccessat2        see      439  439  0  1  -
readlink          see      89   -    -  0  -
readlinkat        see      267  78   0  1  -
chdir             see      80   49   -  0  -
chmod             see      90   -    -  0  -
fchmodat          see      268  53   0  1  -
fchmodat2         see      452  452  0  1  -
utimensat         see      280  88   0  1  -
unlink            see      87   -    -  0  -
unlinkat          see      263  35   0  1  -
rmdir             see      84   -    -  0  -
truncate          read     76   45   -  0  -
name_to_handle_at read     303  264  0  1  -
open_tree         read     428  428  0  1  -
mkdir             make     83   -    -  0  -
mkdirat           make     258  34   0  1  -
mknod             make     133  -    -  0  -
mknodat           make     259  33   0  1  -
symlink           symlink  88   -    -  1  0
symlinkat         symlink  266  36   1  2  0
link              move     86   -    -  0  1
linkat            move     265  37   0  1  3
rename            move     82   -    -  0  1
renameat          move     264  38   0  1  3
renameat2         move     316  276  0  1  3
chroot            hide     161  51   -  0  -
pivot_root        hide     155  41   -  0  -
mount             hide     165  40   -  0  -
move_mount        hide     429  429  -  0  -
open_by_handle_at hide     304  265  -  0  -
"""
_IO_URING_SETUP = 425
"""It opens files unseen; every program that uses it can do without, as containers forbid it."""
_SECCOMP = {"x86_64": 317, "aarch64": 277}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 1 << 3, 1 << 5
_ALLOW, _NOTIFY, _NO_SUCH_CALL = 0x7FFF0000, 0x7FC00000, 0x00050000 | errno.ENOSYS
_SET_NO_NEW_PRIVS = 38
_X32 = 0x40000000
_PAGE_BYTES, _USUAL_BYTES, _MOST_PIECES = 4096, 256, 20


class Call:
    """A system call that names a path: what it does, and which of its arguments say where.

    Attributes:
        directory: -1 for the current one.
        other: Flags or another path; -1 if there are none.
    """

    __slots__ = ("directory", "kind", "name", "other", "path")

    def __init__(self, name: str, kind: str, directory: int, path: int, other: int) -> None:
        self.name, self.kind, self.directory, self.path, self.other = name, kind, directory, path, other


def calls(machine: str) -> dict[int, Call]:
    """Number → call, for a kind of processor."""
    found = {}
    for line in _TABLE.split("\n"):
        if line:
            name, kind, *rest = line.split()
            x86_64, aarch64, directory, path, other = (-1 if each == "-" else int(each) for each in rest)
            number = x86_64 if machine == "x86_64" else aarch64
            if number >= 0:
                found[number] = Call(name, kind, directory, path, other)
    return found


def listen() -> int:
    """Have this process and all its descendants stopped at calls that name a path; gives the listener.

    Raises:
        OSError: The kernel refuses; says in words why.
    """
    machine = os.uname().machine
    if machine not in _SECCOMP:
        raise OSError(f"programs cannot be observed on {machine}")
    program = _filter(machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    packed = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):
        for privileged in (True, False):  # with the right to it, programs that change the user keep working
            if not privileged:
                control(_SET_NO_NEW_PRIVS, 1)
            descriptor = libc.syscall(_SECCOMP[machine], _SET_MODE_FILTER, flags, packed)
            if descriptor >= 0:
                return int(descriptor)
    why = os.strerror(ctypes.get_errno())
    raise OSError(f"the kernel does not let programs be observed here (seccomp: {why})")


def control(option: int, value: int) -> None:
    """Call `prctl`.

    Raises:
        OSError: The kernel refuses.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _filter(machine: str) -> bytes:
    """A program for the kernel's packet filter: which calls are to be stopped."""
    numbers = sorted(calls(machine))
    count = len(numbers)

    def step(code: int, true: int, false: int, value: int) -> bytes:
        return struct.pack("=HBBI", code, true, false, value)

    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    return b"".join(
        (
            step(load, 0, 0, 4),  # the kind of processor
            step(equal, 1, 0, ARCHITECTURES[machine]),
            step(give, 0, 0, _NOTIFY),
            step(load, 0, 0, 0),  # the call's number
            step(at_least, count + 2, 0, _X32),
            step(equal, count + 2, 0, _IO_URING_SETUP),
            *(step(equal, count - at, 0, number) for at, number in enumerate(numbers)),
            step(give, 0, 0, _ALLOW),
            step(give, 0, 0, _NOTIFY),
            step(give, 0, 0, _NO_SUCH_CALL),
        )
    )


class _Slice(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Memory:
    """Reads the memory of other processes."""

    def __init__(self) -> None:
        self._read = ctypes.CDLL(None, use_errno=True).process_vm_readv
        self._buffer = ctypes.create_string_buffer(_PAGE_BYTES)
        self._local = _Slice(ctypes.addressof(self._buffer), 0)
        self._remote = _Slice(0, 0)
        self._near, self._far = ctypes.byref(self._local), ctypes.byref(self._remote)

    def piece(self, pid: int, address: int, length: int) -> bytes:
        """At most `length` bytes, a page at most; fewer where the memory ends.

        Raises:
            OSError: It cannot be read.
        """
        self._local.length = self._remote.length = length
        self._remote.base = address
        count = self._read(pid, self._near, 1, self._far, 1, 0)
        if count < 0:
            number = ctypes.get_errno()
            if number in (errno.EPERM, errno.ENOSYS):
                return self._from_file(pid, address, length)
            raise OSError(number, os.strerror(number))
        return ctypes.string_at(self._buffer, count)

    @staticmethod
    def _from_file(pid: int, address: int, length: int) -> bytes:
        """The same another way: containers may have the quicker one forbidden."""
        try:
            descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        except FileNotFoundError as error:
            raise ProcessLookupError(errno.ESRCH, "it has ended") from error
        try:
            return os.pread(descriptor, length, address)
        except OSError as error:
            if error.errno == errno.EIO:  # nothing is at that address
                raise OSError(errno.EFAULT, os.strerror(errno.EFAULT)) from error
            raise
        finally:
            os.close(descriptor)

    def text(self, pid: int, address: int) -> bytes:
        """A string that ends in NUL; nothing where there is none, and the call will fail.

        Raises:
            OSError: The memory cannot be read.
        """
        found = b""
        for _ in range(_MOST_PIECES):
            # never beyond a page, which may be the last one
            length = _PAGE_BYTES - address % _PAGE_BYTES
            try:
                piece = self.piece(pid, address, length if found else min(length, _USUAL_BYTES))
            except OSError as error:
                if error.errno == errno.EFAULT:
                    return b""
                raise
            end = piece.find(b"\0")
            if end >= 0:
                return found + piece[:end]
            found += piece
            address += len(piece)
        return b""
